//! Puts the engine together over any runtime and any network: the production ones, or simulated ones.
//!
//! ```text
//! network -> votes, certificates, resolver -> one consensus per epoch -> block store -> application
//!         -> blocks (proposals), backfill (missed ones) ------------------^
//!         -> gossip
//! ```

use std::num::NonZeroUsize;
use std::sync::Arc;

use commonware_broadcast::buffered;
use commonware_consensus::marshal::core::{Actor, Processed};
use commonware_consensus::marshal::resolver::p2p as resolver;
use commonware_consensus::marshal::standard::Inline;
use commonware_consensus::marshal::{self, Start};
use commonware_consensus::types::Height;
use commonware_cryptography::Digested;
use commonware_cryptography::ed25519::PublicKey;
use commonware_macros::select;
use commonware_p2p::{Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::{self, CacheRef};
use commonware_runtime::{Clock, Handle, Metrics, Network, Spawner, Storage};
use rand_core::CryptoRng;
use tokio::sync::{Mutex, mpsc};

use crate::archive;
use crate::block::Block;
use crate::bridge::Bridge;
use crate::certificates::Store;
use crate::committees::Committees;
use crate::deliver::{self, Inbox};
use crate::epoch::{self, Epoching, Split};
use crate::evidence;
use crate::gossip::{self, Outgoing};
use crate::keys;
use crate::network::{Channels, Directory};
use crate::newborn::Memory;
use crate::requests::{self, Request};
use crate::shared::Shared;

/// What the engine needs of a runtime.
pub trait Environment:
    Spawner + Clock + Metrics + Storage + Network + CryptoRng + Send + 'static
{
}

impl<E: Spawner + Clock + Metrics + Storage + Network + CryptoRng + Send + 'static> Environment
    for E
{
}

/// Why the wiring came apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was told to stop.
    Stopped,
    /// The network must be built anew, with more room: start over.
    Rewire,
    /// It cannot go on.
    Fault(String),
}

/// The handle's ends of its queues; they outlive a restart.
#[derive(Clone)]
pub struct Inlets {
    pub(crate) requests: Arc<Mutex<mpsc::Receiver<Request>>>,
    pub(crate) gossip: Outgoing,
}

/// Everything that differs between production and simulation, beside the runtime.
pub struct Parts<S, R, D> {
    /// Of one network.
    pub channels: Channels<S, R>,
    /// Of the same network.
    pub directory: D,
    /// Most peers that the network has room for; `None` if there is no network.
    pub peers_max: Option<NonZeroUsize>,
    /// Before the name of everything on disk: empty, unless several engines share a disk.
    pub prefix: String,
}

/// Runs the engine until it is told to stop or cannot go on.
pub async fn run<E, S, R, D>(
    context: E,
    shared: Arc<Shared>,
    inlets: Inlets,
    parts: Parts<S, R, D>,
) -> Exit
where
    E: Environment,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
    D: Directory,
{
    let Parts { channels, directory, peers_max, prefix } = parts;
    let committees = Committees::new(shared.clone());
    let page_cache = CacheRef::new(paged::page_size(PAGE), PAGES_CACHED);
    let wiring = Wiring {
        context: &context,
        shared: &shared,
        committees: &committees,
        page_cache: &page_cache,
        prefix: &prefix,
    };
    let stored = wiring.start_store(channels.backfill, channels.blocks, &directory).await;
    let Stored { store, mut tasks } = stored;
    let (proofs, witnessed) = mpsc::channel(evidence::PROOFS_MAX);
    tasks.extend(wiring.start_gossip(channels.gossip, &store, inlets.gossip));
    tasks.push(wiring.start_witness(witnessed));
    tasks.push(wiring.start_requests(&store, inlets.requests));
    let split = Split::new(&context, channels.votes, channels.certificates, channels.resolver);
    let bridge = Bridge::new(shared.clone(), store.clone(), committees.clone());
    let automaton = Inline::new(context.child("automaton"), bridge, store.clone(), shared.epochs);
    let memory = Memory {
        context: context.child("memory"),
        shared: shared.clone(),
        store: store.clone(),
        committees: committees.clone(),
        prefix: prefix.clone(),
    };
    let epoching = Epoching {
        memory,
        context: context.child("epochs"),
        shared: shared.clone(),
        committees,
        store,
        automaton,
        directory,
        proofs,
        page_cache,
        peers_max,
        prefix,
    };
    let exit = wait(&shared, epoching, split, tasks).await;
    drop(context);
    exit
}

async fn wait<E: Environment, S: Sender<PublicKey = PublicKey>, D: Directory>(
    shared: &Shared,
    epoching: Epoching<E, D>,
    split: Split<S>,
    tasks: Vec<Handle<()>>,
) -> Exit {
    let mut stop = shared.stop.subscribe();
    let any = futures_util::future::select_all(tasks);
    select! {
        _ = stop.wait_for(|stop| *stop) => Exit::Stopped,
        (ended, index, _) = any => Exit::Fault(format!("task {index} ended: {ended:?}")),
        exit = started(epoching, split) => exit,
    }
}

/// Runs the epochs once the application and the block store are at one height.
async fn started<E: Environment, S: Sender<PublicKey = PublicKey>, D: Directory>(
    epoching: Epoching<E, D>,
    split: Split<S>,
) -> Exit {
    let mut executed = epoching.shared.executed.subscribe();
    let mut delivered = epoching.shared.delivered.subscribe();
    let stored = *delivered.borrow();
    if executed.wait_for(|height| *height >= stored).await.is_err() {
        return Exit::Fault("the application ended".into());
    }
    let known = *executed.borrow();
    drop(executed);
    // The store notes a delivery after the application did, so a crash between leaves it one behind.
    if epoching.store.get_block(Height::new(known)).await.is_some() {
        let _ = delivered.wait_for(|height| *height >= known).await;
    } else if epoching.peers_max.is_none() {
        let text = "the block store is behind the state, and there is nobody to fetch blocks from";
        return Exit::Fault(text.into());
    }
    drop(delivered);
    epoching.run(split).await
}

/// What the parts have in common.
struct Wiring<'a, E> {
    context: &'a E,
    shared: &'a Arc<Shared>,
    committees: &'a Committees,
    page_cache: &'a CacheRef,
    prefix: &'a str,
}

/// The block store and what runs it.
struct Stored {
    store: Store,
    tasks: Vec<Handle<()>>,
}

impl<E: Environment> Wiring<'_, E> {
    async fn start_store<S, R, D>(&self, backfill: (S, R), blocks: (S, R), directory: &D) -> Stored
    where
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
        D: Directory,
    {
        let me = keys::public(&self.shared.config.key_seed);
        let resolver = resolver::init(
            self.context.child("backfill"),
            self.resolver(me.clone(), directory.clone()),
            backfill,
        );
        let (engine, buffer) = buffered::Engine::new(
            self.context.child("blocks"),
            buffered::Config {
                public_key: me,
                mailbox_size: epoch::MAILBOX,
                deque_size: BLOCKS_BUFFERED,
                priority: false,
                codec_config: self.shared.config.limits,
                peer_provider: directory.clone(),
                strategy: Sequential,
            },
        );
        let broadcast = engine.start(blocks);
        let shelf =
            archive::Shelf { context: self.context, pages: self.page_cache, prefix: self.prefix };
        let certificates = shelf.certificates().await;
        let archive = shelf.blocks(self.shared.config.limits);
        let (actor, store, floor) =
            Actor::init(self.context.child("store"), certificates, archive.await, self.store())
                .await;
        let delivered = floor.processed().map_or(0, |it: Processed| it.height().get());
        let (inbox, deliveries) = Inbox::new(self.shared.clone());
        self.shared.delivered.send_replace(delivered);
        let stored = actor.start(inbox, buffer, resolver);
        let delivering = deliver::run(
            self.shared.clone(),
            store.clone(),
            self.committees.clone(),
            deliveries,
            delivered,
        );
        let thread = self.context.child("deliver").dedicated();
        let delivering = thread.spawn(|_| delivering);
        Stored { store, tasks: vec![stored, delivering, broadcast] }
    }

    fn resolver<D: Directory>(
        &self,
        me: PublicKey,
        directory: D,
    ) -> resolver::Config<PublicKey, D, D> {
        let timeouts = self.shared.config.timeouts;
        resolver::Config {
            public_key: me,
            peer_provider: directory.clone(),
            blocker: directory,
            mailbox_size: epoch::MAILBOX,
            fetch_timeout: epoch::nonzero(timeouts.fetch),
            fetch_retry_delay: timeouts.retry / 10,
            priority_requests: false,
            priority_responses: false,
        }
    }

    fn store(
        &self,
    ) -> marshal::Config<Committees, crate::epocher::Epochs, Sequential, Block, Digested<Block>>
    {
        let config = &self.shared.config;
        let genesis = Block::genesis(&config.namespace);
        let repair = NonZeroUsize::new(
            usize::try_from(self.shared.epochs.blocks()).unwrap_or(REPAIR_MAX.get()),
        );
        marshal::Config {
            provider: self.committees.clone(),
            epocher: self.shared.epochs,
            start: Start::Genesis(Digested::precomputed(genesis.clone(), digest_of(&genesis))),
            partition_prefix: format!("{}blocks", self.prefix),
            mailbox_size: epoch::MAILBOX,
            view_retention: epoch::VIEWS_KEPT,
            prunable_items_per_section: archive::ITEMS_PER_SECTION,
            page_cache: self.page_cache.clone(),
            replay_buffer: epoch::REPLAY_BUFFER,
            key_write_buffer: epoch::WRITE_BUFFER,
            value_write_buffer: epoch::WRITE_BUFFER,
            block_codec_config: config.limits,
            // Never beyond the next epoch: its committee is the last that is known for certain.
            max_repair: repair.map_or(REPAIR_MAX, |epoch| epoch.min(REPAIR_MAX)),
            max_pending_acks: PENDING_ACKS,
            strategy: Sequential,
        }
    }

    fn start_gossip<S, R>(
        &self,
        channel: (S, R),
        store: &Store,
        outgoing: Outgoing,
    ) -> [Handle<()>; 2]
    where
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let (sender, receiver) = channel;
        let (shared, store) = (self.shared.clone(), store.clone());
        let sending = self.context.child("gossip_sender");
        let clock = sending.child("clock");
        let sending = sending.spawn({
            let shared = shared.clone();
            |_| gossip::send(clock, shared, sender, outgoing)
        });
        let receiving = self.context.child("gossip_receiver").dedicated();
        let clock = receiving.child("clock");
        let receiving = receiving.spawn(|_| gossip::receive(clock, shared, store, receiver));
        [sending, receiving]
    }

    fn start_witness(&self, witnessed: mpsc::Receiver<crate::seam::Equivocation>) -> Handle<()> {
        let shared = self.shared.clone();
        let thread = self.context.child("witness").dedicated();
        thread.spawn(|_| evidence::hand_over(shared, witnessed))
    }

    fn start_requests(
        &self,
        store: &Store,
        requests: Arc<Mutex<mpsc::Receiver<Request>>>,
    ) -> Handle<()> {
        let (shared, store, committees) =
            (self.shared.clone(), store.clone(), self.committees.clone());
        let task = self.context.child("requests");
        task.spawn(|_| requests::answer(shared, store, committees, requests))
    }
}

fn digest_of(block: &Block) -> crate::block::Digest {
    commonware_cryptography::Digestible::digest(block)
}

/// Octets of a page on disk. Part of the disk format: never change it.
const PAGE: u32 = 4096;
/// 16 MiB of pages.
const PAGES_CACHED: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Proposals kept per validator before they are final.
const BLOCKS_BUFFERED: usize = 16;
/// Missed blocks that are fetched at a time.
const REPAIR_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");
/// Final blocks that may wait for the application: at most 64 MiB of bodies, twice over.
const PENDING_ACKS: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");
