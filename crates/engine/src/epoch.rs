//! One consensus engine per epoch: starts the next when the last block of an epoch is executed.
//!
//! Who is behind in epochs hears traffic that belongs to later ones. It then asks the sender for the
//! certificate of the last block of its own epoch, from which the block store fills the gap.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use commonware_consensus::marshal::standard::Inline;
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::{self, Floor, ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::types::{Epoch, Height, ViewDelta};
use commonware_consensus::{Reporters, simplex::elector};
use commonware_cryptography::certificate::Scheme as _;
use commonware_cryptography::ed25519::PublicKey;
use commonware_cryptography::{Digestible, Sha256};
use commonware_macros::select;
use commonware_p2p::utils::mux::{Builder as _, MuxHandle, Muxer};
use commonware_p2p::{Channel, Message, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::Handle;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_utils::NonZeroDuration;
use commonware_utils::vec::NonEmptyVec;
use tokio::sync::mpsc;

use crate::block::{Block, Digest};
use crate::bridge::Bridge;
use crate::certificates::Store;
use crate::committees::Committees;
use crate::epocher::Epochs;
use crate::evidence::Witness;
use crate::network::Directory;
use crate::newborn::{Memory, Part};
use crate::seam::{Equivocation, Peer};
use crate::shared::Shared;
use crate::wiring::{Environment, Exit};

/// The application as consensus sees it.
pub(crate) type Automaton<E> = Inline<E, Scheme, Bridge, Block, Epochs>;

/// What every epoch's consensus is made from.
pub(crate) struct Epoching<E: Environment, D> {
    pub(crate) context: E,
    pub(crate) shared: Arc<Shared>,
    pub(crate) committees: Committees,
    pub(crate) store: Store,
    pub(crate) automaton: Automaton<E>,
    pub(crate) directory: D,
    pub(crate) proofs: mpsc::Sender<Equivocation>,
    pub(crate) memory: Memory<E>,
    pub(crate) page_cache: CacheRef,
    /// Most peers that the network has room for; `None` if there is no network.
    pub(crate) peers_max: Option<NonZeroUsize>,
    pub(crate) prefix: String,
}

/// The three channels of consensus, split by epoch.
pub(crate) struct Split<S: Sender> {
    votes: MuxHandle<S>,
    certificates: MuxHandle<S>,
    resolver: MuxHandle<S>,
    strays: mpsc::Receiver<(Channel, Message<S::PublicKey>)>,
    strays_too: mpsc::Receiver<(Channel, Message<S::PublicKey>)>,
}

impl<S: Sender<PublicKey = PublicKey>> Split<S> {
    pub(crate) fn new<R: Receiver<PublicKey = PublicKey>>(
        context: &impl Environment,
        votes: (S, R),
        certificates: (S, R),
        resolver: (S, R),
    ) -> Self {
        let builder = Muxer::builder(context.child("votes"), votes.0, votes.1);
        let (muxer, votes, strays) = builder.with_backup().build();
        muxer.start();
        let builder = Muxer::builder(context.child("certificates"), certificates.0, certificates.1);
        let (muxer, certificates, strays_too) = builder.with_backup().build();
        muxer.start();
        let (muxer, resolver) = Muxer::new(context.child("resolver"), resolver.0, resolver.1);
        muxer.start();
        Self { votes, certificates, resolver, strays, strays_too }
    }
}

/// Aborts an epoch's consensus when the next one takes over.
struct Running(Handle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<E: Environment, D: Directory> Epoching<E, D> {
    /// Runs epoch after epoch, from the one of the next block on.
    pub(crate) async fn run<S: Sender<PublicKey = PublicKey>>(
        mut self,
        mut split: Split<S>,
    ) -> Exit {
        let mut delivered = self.shared.delivered.subscribe();
        loop {
            let epoch = self.shared.epochs.of(*delivered.borrow_and_update() + 1);
            let mut running = match self.enter(epoch, &mut split).await {
                Ok(Some(running)) => running,
                Ok(None) => continue,
                Err(exit) => return exit,
            };
            let last = self.shared.epochs.last_height(epoch);
            loop {
                let stray = select! {
                    ended = &mut running.0 => {
                        return Exit::Fault(format!("consensus of epoch {epoch} ended: {ended:?}"));
                    },
                    changed = delivered.wait_for(|height| *height >= last) => {
                        if changed.is_err() {
                            return Exit::Fault("the delivery of blocks ended".into());
                        }
                        break;
                    },
                    stray = split.strays.recv() => stray,
                    stray = split.strays_too.recv() => stray,
                };
                let Some((theirs, (from, _))) = stray else {
                    return Exit::Fault("the network ended".into());
                };
                if theirs > epoch {
                    self.store.hint_finalized(Height::new(last), NonEmptyVec::new(from));
                }
            }
        }
    }

    /// Starts the consensus of an epoch; `None` if the epoch was over before its part was decided.
    async fn enter<S: Sender<PublicKey = PublicKey>>(
        &mut self,
        epoch: u64,
        split: &mut Split<S>,
    ) -> Result<Option<Running>, Exit> {
        self.meet(epoch)?;
        let Some(scheme) = self.scheme(epoch).await? else {
            return Ok(None);
        };
        let before = Height::new(self.shared.epochs.height_before(epoch));
        let floor = self.store.get_block(before).await;
        let floor = floor.ok_or_else(|| Exit::Fault(format!("block {before} is not stored")))?;
        let voting = scheme.me().is_some();
        let config = self.config(epoch, scheme, floor.digest());
        let context = self.context.child("consensus").with_attribute("epoch", epoch);
        let engine = simplex::Engine::new(context, config);
        let closed = |_| Exit::Fault("the network ended".into());
        let votes = split.votes.register(epoch).await.map_err(closed)?;
        let certificates = split.certificates.register(epoch).await.map_err(closed)?;
        let resolver = split.resolver.register(epoch).await.map_err(closed)?;
        let running = Running(engine.start(votes, certificates, resolver));
        self.shared.note_epoch(epoch, voting);
        tracing::info!(epoch, voting, "epoch entered");
        self.forget(epoch).await;
        Ok(Some(running))
    }

    /// Tells the network who the epoch's peers are.
    fn meet(&mut self, epoch: u64) -> Result<(), Exit> {
        let application = &self.shared.application;
        let unknown = || Exit::Fault(format!("the committee of epoch {epoch} is not known"));
        let mut near = application.committee(epoch).ok_or_else(unknown)?;
        near.extend(self.shared.config.bootstrap.iter().cloned());
        let mut far = application.committee(epoch + 1).unwrap_or_default();
        if let Some(earlier) = epoch.checked_sub(1) {
            far.extend(application.committee(earlier).unwrap_or_default());
        }
        far.extend(application.followers());
        deduplicate(&mut near, &[]);
        deduplicate(&mut far, &near);
        let others = near.len() + far.len();
        match self.peers_max {
            None if near.len() + far.len() > 1 => Err(Exit::Rewire),
            Some(room) if others >= room.get() => Err(Exit::Rewire),
            None | Some(_) => {
                self.directory.follow(epoch, &near, &far);
                Ok(())
            }
        }
    }

    /// Who checks the epoch's votes, and signs them if this validator may.
    async fn scheme(&self, epoch: u64) -> Result<Option<Scheme>, Exit> {
        let unknown = || Exit::Fault(format!("the committee of epoch {epoch} is not one"));
        let voter = self.committees.voter(epoch).ok_or_else(unknown)?;
        match self.memory.decide(epoch, &voter).await {
            Part::Vote => Ok(Some(voter.as_ref().clone())),
            Part::Observe => self.committees.observer(epoch).map(Some).ok_or_else(unknown),
            Part::Over => Ok(None),
        }
    }

    /// Removes the votes of the epoch before the last: that epoch can never be entered again.
    async fn forget(&self, epoch: u64) {
        if let Some(old) = epoch.checked_sub(2) {
            let _ = self.context.remove(&self.partition(old), None).await;
        }
    }
}

type Consensus<E, D> = simplex::Config<
    Scheme,
    RoundRobin<Sha256>,
    D,
    Digest,
    Automaton<E>,
    Automaton<E>,
    Reporters<Automaton<E>, Witness>,
    Sequential,
>;

impl<E: Environment, D: Directory> Epoching<E, D> {
    /// Where an epoch's votes are kept.
    fn partition(&self, epoch: u64) -> String {
        format!("{}consensus-{epoch}", self.prefix)
    }

    fn config(&self, epoch: u64, scheme: Scheme, genesis: Digest) -> Consensus<E, D> {
        let timeouts = self.shared.config.timeouts;
        let witness = Witness::new(scheme.participants().clone(), self.proofs.clone());
        simplex::Config {
            scheme,
            elector: elector::RoundRobin::default(),
            blocker: self.directory.clone(),
            automaton: self.automaton.clone(),
            relay: self.automaton.clone(),
            reporter: (self.automaton.clone(), Some(witness)).into(),
            // Evidence must outlive the certificate of its view, or slashing depends on luck.
            track_historical_votes: true,
            strategy: Sequential,
            partition: self.partition(epoch),
            mailbox_size: MAILBOX,
            epoch: Epoch::new(epoch),
            floor: Floor::Genesis(genesis),
            replay_buffer: REPLAY_BUFFER,
            write_buffer: WRITE_BUFFER,
            page_cache: self.page_cache.clone(),
            leader_timeout: timeouts.leader,
            certification_timeout: timeouts.certification,
            timeout_retry: timeouts.retry,
            view_retention: VIEWS_KEPT,
            skip: SkipPolicy::Enabled { timeout: timeouts.skip, budget: SkipBudget::Participants },
            fetch_timeout: nonzero(timeouts.fetch),
            fetch_retry_delay: timeouts.retry,
            forward: ForwardPolicy::SilentVoters,
        }
    }
}

/// Sorts by key; drops repetitions and whoever is in `other`.
fn deduplicate(peers: &mut Vec<Peer>, other: &[Peer]) {
    peers.sort();
    peers.dedup_by_key(|peer| peer.key);
    peers.retain(|peer| other.iter().all(|it| it.key != peer.key));
}

/// A wait of at least a millisecond.
pub(crate) fn nonzero(wait: Duration) -> NonZeroDuration {
    NonZeroDuration::new_panic(wait.max(Duration::from_millis(1)))
}

/// Views behind the newest final one in which votes are still looked at.
pub(crate) const VIEWS_KEPT: ViewDelta = ViewDelta::new(64);
/// Messages between the parts of consensus that wait their turn.
pub(crate) const MAILBOX: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");
/// Octets read at once from a journal at start.
pub(crate) const REPLAY_BUFFER: NonZeroUsize = NonZeroUsize::new(1 << 20).expect("not zero");
/// Octets gathered before a write to a journal.
pub(crate) const WRITE_BUFFER: NonZeroUsize = NonZeroUsize::new(1 << 18).expect("not zero");
