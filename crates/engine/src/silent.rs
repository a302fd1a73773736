//! The network of a validator that is alone: nobody listens, nobody speaks.

use std::convert::Infallible;
use std::future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use commonware_actor::{Feedback, Unreliable};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{
    BlockedSubscription, Blocker, CheckedSender, LimitedSender, Message, PeerSetSubscription,
    PeerSetUpdate, Provider, Receiver, Recipients, TrackedPeers,
};
use commonware_runtime::IoBufs;
use commonware_utils::channel::{mpsc, ring};
use commonware_utils::ordered::Set;

use crate::network::{Channels, Directory};
use crate::seam::Peer;

/// Channels that lead nowhere.
pub(crate) fn channels() -> Channels<Mute, Deaf> {
    Channels {
        votes: (Mute, Deaf),
        certificates: (Mute, Deaf),
        resolver: (Mute, Deaf),
        backfill: (Mute, Deaf),
        blocks: (Mute, Deaf),
        gossip: (Mute, Deaf),
    }
}

/// Drops what is sent.
#[derive(Clone, Debug)]
pub(crate) struct Mute;

impl LimitedSender for Mute {
    type PublicKey = PublicKey;
    type Checked<'a> = Self;

    fn check(&mut self, _: Recipients<PublicKey>) -> Result<Self, SystemTime> {
        Ok(Self)
    }
}

impl CheckedSender for Mute {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        Vec::new()
    }

    fn send(self, _: impl Into<IoBufs> + Send, _: bool) -> Unreliable<Feedback> {
        Unreliable::new(Feedback::Ok)
    }
}

/// Never hears anything.
#[derive(Debug)]
pub(crate) struct Deaf;

impl Receiver for Deaf {
    type Error = Infallible;
    type PublicKey = PublicKey;

    async fn recv(&mut self) -> Result<Message<PublicKey>, Infallible> {
        future::pending().await
    }

    fn capacity(&self) -> NonZeroUsize {
        NonZeroUsize::MIN
    }
}

/// Knows of one validator, for good.
#[derive(Clone, Debug)]
pub(crate) struct Alone {
    me: PublicKey,
    subscribers: Arc<Mutex<Subscribers>>,
}

/// Kept so that subscriptions stay open: a closed one would read as the network's end.
#[derive(Debug, Default)]
struct Subscribers {
    sets: Vec<mpsc::UnboundedSender<PeerSetUpdate<PublicKey>>>,
    blocked: Vec<ring::Sender<Set<PublicKey>>>,
}

impl Alone {
    pub(crate) fn new(me: PublicKey) -> Self {
        Self { me, subscribers: Arc::default() }
    }

    fn peers(&self) -> TrackedPeers<PublicKey> {
        TrackedPeers::primary(Set::from_iter_dedup([self.me.clone()]))
    }
}

impl Provider for Alone {
    type PublicKey = PublicKey;

    async fn peer_set(&mut self, _: u64) -> Option<TrackedPeers<PublicKey>> {
        Some(self.peers())
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PublicKey> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let _ = sender.send(PeerSetUpdate { index: 0, latest: self.peers(), all: self.peers() });
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.sets.push(sender);
        receiver
    }
}

impl Blocker for Alone {
    type PublicKey = PublicKey;

    fn block(&mut self, _: PublicKey) -> Feedback {
        Feedback::Ok
    }

    fn blocked(&mut self) -> BlockedSubscription<PublicKey> {
        let (sender, receiver) = ring::channel(NonZeroUsize::MIN);
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.blocked.push(sender);
        receiver
    }
}

impl Directory for Alone {
    fn follow(&mut self, _: u64, _: &[Peer], _: &[Peer]) {}
}
