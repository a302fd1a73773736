//! The machine itself: its parts, its commands, its queues.
//!
//! What happens to packets is in `headend`, `forward` and `endpoint`; how sessions come and go in
//! `handshake` and `timer`.

use crate::bucket::TokenBucket;
use crate::crypto::Secret;
use crate::drop_reason::{DropCounters, DropReason};
use crate::fast_path::FastPathTotals;
use crate::gate::Gate;
use crate::handshake::Attempt;
use crate::lane::{LaneEntry, LaneError, LaneMeter, LaneTable};
use crate::peer::{Count, Peer, PeerConfig, PeerMeter, PeerSlot, Peers, Reach};
use crate::policy::{INNER_MTU_DEFAULT, PolicyEntry, PolicyError, PolicyTable};
use crate::sequencer::{Delivery, Sequencer};
use crate::session::{KeyLife, Session, SessionTable};
use crate::source::{Sources, TooManySources};
use crate::steering::Steering;
use crate::timer::TimerQueue;
use crate::verdict::Verdict;
use core::net::SocketAddr;
use core::time::Duration;
use ipnet::IpNet;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use siphasher::sip::SipHasher13;
use srwan_wire::id::{LaneLabel, NodeId, NodeKey, Octets, PathId, SessionIndex};
use srwan_wire::time::{Instant, Timestamp, WallClock};
use std::collections::VecDeque;
use x25519_dalek::{PublicKey, StaticSecret};

/// Datagrams that wait for `poll_transmit`. The shell drains after every call, so a few per peer
/// are plenty; what does not fit is lost like any datagram and sent again by its timer.
const TRANSMITS_MAX: usize = 4_096;

/// Events that wait for `poll_event`: more than one for each peer of the largest router foreseen
/// (10,000).
const EVENTS_MAX: usize = 16_384;

/// A peer that is to be called by the other side is called by this side after all when that long
/// passed.
pub(crate) const HIGHER_ID_DELAY: Duration = Duration::from_secs(2);

/// "Too big" messages to the host a second: enough for each flow that starts, too few to be a load
/// (RFC 4443 §2.4 (f)).
const TOO_BIG_PER_SECOND: u32 = 100;

/// Who this router is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its number in the SR domain.
    pub node: NodeId,
    /// Its X25519 static secret.
    pub secret: Secret,
    /// Its monotonic clock's relation to the wall clock: handshakes carry timestamps.
    pub clock: WallClock,
    /// The last value of [`Dataplane::handshake_stamp`] before a restart, or zero. A wall clock
    /// that was set back while the router was off then locks it out nowhere (I25).
    pub last_stamp: Timestamp,
}

impl Identity {
    /// The public key that peers know this router by.
    #[must_use]
    pub fn public(&self) -> NodeKey {
        NodeKey(PublicKey::from(&StaticSecret::from(*self.secret)).to_bytes())
    }
}

/// A datagram to send from the main socket (the one whose port is announced).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// TOS octet or traffic class of the outer packet.
    pub tos: u8,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// What the node should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first session with this peer.
    PeerUp(NodeId),
    /// No session is left with this peer.
    PeerDown(NodeId),
    /// The session with this peer was replaced, by schedule or because the peer restarted.
    Rekeyed(NodeId),
    /// The peer proved to be at another address.
    Roamed(NodeId, SocketAddr),
}

/// Sums over all peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Datagrams from all links; octets of UDP payload.
    pub link_in: Count,
    /// Datagrams to all links; octets of UDP payload.
    pub link_out: Count,
}

/// The data plane of one router.
///
/// Drain order after every `receive`, `connect` and `handle_timeout`: `poll_delivery` and
/// `poll_transmit` until `None`, `poll_timeout`, `poll_event` until `None`.
///
/// The seed must never be used twice: session keys and indexes are drawn from it (I18).
pub struct Dataplane {
    pub(crate) me: Identity,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) stamp: Timestamp,
    pub(crate) peers: Peers,
    pub(crate) sessions: SessionTable,
    pub(crate) policies: PolicyTable,
    pub(crate) lanes: LaneTable,
    pub(crate) own_sources: Sources,
    pub(crate) gate: Gate,
    pub(crate) timers: TimerQueue,
    pub(crate) flow_hasher: SipHasher13,
    pub(crate) too_big_budget: TokenBucket,
    pub(crate) inner_mtu: u16,
    pub(crate) key_life: KeyLife,
    pub(crate) totals: Totals,
    pub(crate) fast_path: FastPathTotals,
    pub(crate) sequencer: Sequencer,
    pub(crate) drops: DropCounters,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Dataplane {
    /// A data plane without peers. `seed` must be fresh and secret.
    #[must_use]
    pub fn new(me: Identity, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let gate = Gate::new(&me.public(), random(&mut rng), now);
        Self {
            stamp: me.last_stamp,
            flow_hasher: SipHasher13::new_with_keys(rng.next_u64(), rng.next_u64()),
            me,
            rng,
            peers: Peers::default(),
            sessions: SessionTable::new(),
            policies: PolicyTable::default(),
            lanes: LaneTable::default(),
            own_sources: Sources::default(),
            gate,
            timers: TimerQueue::default(),
            too_big_budget: TokenBucket::new(TOO_BIG_PER_SECOND, TOO_BIG_PER_SECOND),
            inner_mtu: INNER_MTU_DEFAULT,
            key_life: KeyLife::default(),
            totals: Totals::default(),
            fast_path: FastPathTotals::default(),
            sequencer: Sequencer::default(),
            drops: DropCounters::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// This router.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.me.node
    }

    /// The timestamp of the newest handshake that this router started: keep it on disk for
    /// [`Identity::last_stamp`].
    #[must_use]
    pub fn handshake_stamp(&self) -> Timestamp {
        self.stamp
    }

    /// Adds a peer or changes what is known of it. Another key makes it another peer: its sessions
    /// end.
    pub fn set_peer(&mut self, node: NodeId, config: PeerConfig, now: Instant) {
        if node == self.me.node {
            return;
        }
        if let Some(peer) = self.peers.slot(node).and_then(|slot| self.peers.get_mut(slot))
            && peer.config.key == config.key
        {
            let has_moved = peer.config.endpoints != config.endpoints;
            peer.config = config;
            if has_moved {
                self.hurry_call(node, now);
            }
            return;
        }
        let holder = self.peers.slot_by_key(&config.key);
        for slot in [self.peers.slot(node), holder].into_iter().flatten() {
            self.forget(slot);
        }
        self.peers.insert(node, config, now);
    }

    /// Forgets a peer and its sessions.
    pub fn remove_peer(&mut self, node: NodeId) {
        if let Some(slot) = self.peers.slot(node) {
            self.forget(slot);
        }
    }

    /// Sees to it that there is a session with `node`, from here on and until it is removed.
    ///
    /// The side with the lower number calls; the other one waits two seconds for the call and then
    /// calls itself. A session that exists is kept; its next renewal goes the new way.
    pub fn connect(&mut self, node: NodeId, reach: Reach, now: Instant) {
        let is_lower = self.me.node < node;
        let Some(slot) = self.peers.slot(node) else { return };
        let Some(peer) = self.peers.get_mut(slot) else { return };
        if peer.reach.as_ref() == Some(&reach) {
            return;
        }
        let had_reach = peer.reach.replace(reach).is_some();
        let pending = peer.attempt.take().and_then(|attempt| attempt.index());
        let must_wait = !is_lower && !had_reach;
        peer.connect_at = if must_wait { now + HIGHER_ID_DELAY } else { now };
        if let Some(index) = pending {
            self.sessions.release(index);
        }
        self.schedule(slot, now);
    }

    /// Calls a node although there is a direct session with it: what is sent to its address does not arrive, so it may
    /// have another one by now. The session is kept until the call is answered.
    pub fn call_again(&mut self, node: NodeId, now: Instant) {
        let Some(slot) = self.peers.slot(node) else { return };
        let Some(peer) = self.peers.get_mut(slot) else { return };
        if peer.reach == Some(Reach::Direct) && peer.attempt.is_none() {
            peer.attempt = Some(Attempt::new(now));
            self.schedule(slot, now);
        }
    }

    /// Which inner source addresses `node` may use; for this router itself, which ones its own host
    /// and site may use.
    ///
    /// # Errors
    /// [`TooManySources`]; then nothing changed.
    pub fn allow_source(
        &mut self,
        node: NodeId,
        prefixes: Vec<IpNet>,
    ) -> Result<(), TooManySources> {
        let sources = Sources::new(prefixes)?;
        if node == self.me.node {
            self.own_sources = sources;
        } else if let Some(peer) = self.peers.slot(node).and_then(|slot| self.peers.get_mut(slot)) {
            peer.sources = sources;
        }
        Ok(())
    }

    /// Largest inner packet that this router's host should be sent (its TUN's MTU): MSS of arriving
    /// SYNs is clamped to it.
    pub fn set_inner_mtu(&mut self, octets: u16) {
        self.inner_mtu = octets;
    }

    /// How long sessions are used that are made from here on.
    pub fn set_key_life(&mut self, life: KeyLife) {
        self.key_life = life;
    }

    /// Steers packets to `prefix`, in place of an earlier policy for exactly that prefix.
    ///
    /// # Errors
    /// [`PolicyError`]; then nothing changed.
    pub fn install_policy(
        &mut self,
        prefix: IpNet,
        entry: &PolicyEntry,
    ) -> Result<(), PolicyError> {
        let steering = Steering::new(entry, self.me.node)?;
        self.policies.insert(prefix, steering)
    }

    /// Steers packets to `prefix` no more; returns whether they were.
    pub fn remove_policy(&mut self, prefix: IpNet) -> bool {
        self.policies.remove(prefix)
    }

    /// Serves a lane. At the headend, too, a policy's lane must be installed, with this router as
    /// its previous hop.
    ///
    /// # Errors
    /// [`LaneError`]; then nothing changed.
    pub fn install_lane(&mut self, entry: LaneEntry) -> Result<(), LaneError> {
        self.lanes.install(entry)?;
        if entry.previous != self.me.node && entry.next.is_some() {
            self.lanes.share(entry.label);
        }
        Ok(())
    }

    /// Lets the lane carry up to `allowed` octets in all (never fewer than before); returns whether
    /// it is installed.
    pub fn raise_lane(&mut self, label: LaneLabel, allowed: Octets) -> bool {
        self.lanes.raise(label, allowed)
    }

    /// Stops serving a lane and says what it carried.
    pub fn remove_lane(&mut self, label: LaneLabel) -> Option<LaneMeter> {
        self.lanes.remove(label)
    }

    /// What a lane has carried here, in cumulative octets of inner packets.
    #[must_use]
    pub fn lane_octets(&self, label: LaneLabel) -> Option<Octets> {
        self.lanes.meter(label).map(|meter| meter.octets)
    }

    /// Every lane with its counters, by label.
    pub fn lanes(&self) -> impl Iterator<Item = (LaneEntry, LaneMeter)> + '_ {
        self.lanes.iter()
    }

    /// Every peer with its counters, by node.
    pub fn meters(&self) -> impl Iterator<Item = (NodeId, PeerMeter)> + '_ {
        self.peers.iter().map(|(_, peer)| (peer.node, peer.meter))
    }

    /// Where peers proved to be, by authentic packets that came without relays.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.peers.iter().filter_map(|(_, peer)| peer.address)
    }

    /// What was sealed for `node`, by path; octets of inner packets.
    pub fn path_counts(&self, node: NodeId) -> impl Iterator<Item = (PathId, Count)> + '_ {
        let peer = self.peers.slot(node).and_then(|slot| self.peers.get(slot));
        peer.into_iter().flat_map(|peer| peer.paths.iter().copied())
    }

    /// Sums over all peers, also those removed since.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Dropped packets by reason.
    #[must_use]
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    /// Whether there is a session with `node`.
    #[must_use]
    pub fn is_up(&self, node: NodeId) -> bool {
        self.peers.slot(node).and_then(|slot| self.peers.get(slot)).is_some_and(|peer| peer.is_up)
    }

    /// Where `node` proved to be.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.peers.slot(node).and_then(|slot| self.peers.get(slot)).and_then(|peer| peer.address)
    }

    /// The neighbour that datagrams to `address` go to.
    #[must_use]
    pub fn neighbour_at(&self, address: SocketAddr) -> Option<NodeId> {
        let mut peers = self.peers.iter();
        peers.find(|(_, peer)| peer.address == Some(address)).map(|(_, peer)| peer.node)
    }

    /// The relays over which the session with `node` was made; empty = directly, `None` = there is
    /// no session.
    #[must_use]
    pub fn relays(&self, node: NodeId) -> Option<&[NodeId]> {
        let index = self.peers.get(self.peers.slot(node)?)?.current?;
        self.sessions.get(index).map(|session| session.relays.as_slice())
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next packet for the host that had to wait: drain after `receive`, behind what its verdict
    /// delivers, and after `handle_timeout`.
    pub fn poll_delivery(&mut self) -> Option<Delivery> {
        self.sequencer.pop()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call `handle_timeout`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.timers.next(), self.sequencer.poll_timeout()].into_iter().flatten().min()
    }

    pub(crate) fn transmit(&mut self, transmit: Transmit) {
        if self.transmits.len() < TRANSMITS_MAX {
            self.transmits.push_back(transmit);
        }
    }

    pub(crate) fn emit(&mut self, event: Event) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        }
    }

    /// The edge where reasons become verdicts and are counted.
    pub(crate) fn settle(&mut self, judged: Result<Verdict, DropReason>) -> Verdict {
        judged.unwrap_or_else(|reason| {
            self.drops.record(reason);
            Verdict::Drop(reason)
        })
    }

    /// 32 unpredictable octets.
    pub(crate) fn random_seed(&mut self) -> [u8; 32] {
        random(&mut self.rng)
    }

    /// The current session with a peer, if it may be used.
    pub(crate) fn current(
        &self,
        slot: PeerSlot,
        now: Instant,
    ) -> Option<(&Peer, SessionIndex, &Session)> {
        let peer = self.peers.get(slot)?;
        let index = peer.current?;
        let session = self.sessions.get(index).filter(|session| session.is_live(now))?;
        Some((peer, index, session))
    }

    /// Tries a peer that is called already at its new addresses.
    fn hurry_call(&mut self, node: NodeId, now: Instant) {
        let Some(slot) = self.peers.slot(node) else { return };
        let attempt = self.peers.get_mut(slot).and_then(|peer| peer.attempt.as_mut());
        if let Some(attempt) = attempt {
            attempt.retry_at = now;
            self.schedule(slot, now);
        }
    }

    /// Ends everything with a peer.
    fn forget(&mut self, slot: PeerSlot) {
        let Some(peer) = self.peers.remove(slot) else { return };
        peer.indexes().for_each(|index| self.sessions.release(index));
        self.timers.cancel(slot, peer.due);
        if peer.is_up {
            self.emit(Event::PeerDown(peer.node));
        }
    }
}

fn random(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut octets = [0; 32];
    rng.fill_bytes(&mut octets);
    octets
}
