//! Validators with the production wiring on the deterministic runtime and a simulated network.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use commonware_actor::Feedback;
use commonware_codec::DecodeExt as _;
use commonware_cryptography::Signer as _;
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_p2p::simulated::{Control, Link, Manager, Network, Oracle, Receiver, Sender};
use commonware_p2p::{
    BlockedSubscription, Blocker, PeerSetSubscription, Provider, TrackedPeers, simulated,
};
use commonware_runtime::deterministic::Context;
use commonware_runtime::{Clock as _, Handle as Task, Spawner as _, Supervisor as _};
use commonware_utils::Probability;
use commonware_utils::ordered::Set;
use srwan_engine::network::{Channels, Directory, QUOTAS, message_octets_max, quota};
use srwan_engine::seam::Peer;
use srwan_engine::shared::Shared;
use srwan_engine::wiring::{self, Exit, Parts};
use srwan_engine::{Config, Handle, Limits, Status, light};

use crate::ledger::{Answers, Disk, Judge, Ledger, Schedule};

pub const NAMESPACE: &[u8] = b"simulated chain";

type Pair = (Sender<PublicKey, Context>, Receiver<PublicKey>);
pub type SimChannels = Channels<Sender<PublicKey, Context>, Receiver<PublicKey>>;

/// What outlives every crash: the applications and their judge.
#[derive(Clone)]
pub struct Lasting {
    pub judge: Judge,
    pub ledgers: Vec<Arc<Ledger>>,
    pub epoch_blocks: u64,
    lives: Vec<u64>,
}

impl Lasting {
    /// `validators` keys of which `schedule` names the committees.
    pub fn new(validators: u8, epoch_blocks: u64, schedule: &Schedule) -> Self {
        let judge = Judge::default();
        let pause = Duration::from_millis(50);
        let ledger = |_| Arc::new(Ledger::new(NAMESPACE, &judge, schedule, pause));
        let ledgers: Vec<_> = (0..validators).map(ledger).collect();
        Self { lives: vec![0; ledgers.len()], judge: judge.clone(), ledgers, epoch_blocks }
    }

    /// Takes a validator's blocks and votes.
    pub fn lose_store(&mut self, index: usize) {
        self.lives[index] += 1;
    }

    /// Takes the application's state.
    pub fn lose_state(&mut self, index: usize) {
        let mut fresh = self.ledgers[index].restarted();
        fresh.disk = Disk::new();
        self.ledgers[index] = Arc::new(fresh);
    }

    /// I5: honest validators never contradict themselves, however often they crash.
    pub fn assert_nobody_accused(&self) {
        for ledger in &self.ledgers {
            assert_eq!(*ledger.evidence.lock().unwrap(), []);
        }
    }

    /// How often the applications were asked what, all together.
    pub fn answers(&self) -> Answers {
        let mut sum = Answers::default();
        for ledger in &self.ledgers {
            let answers = ledger.answers.lock().unwrap();
            sum.proposed += answers.proposed;
            sum.valid += answers.valid;
            sum.later += answers.later;
            sum.pending += answers.pending;
            sum.finalized += answers.finalized;
        }
        sum
    }
}

/// All validators, always.
pub fn fixed(validators: u8) -> Schedule {
    Arc::new(move |_| (0..validators).map(peer).collect())
}

pub fn peer(index: u8) -> Peer {
    Peer {
        key: light::public_key(&seed(index)),
        address: ([127, 0, 0, 1], u16::from(index) + 1).into(),
    }
}

fn seed(index: u8) -> [u8; 32] {
    [index + 1; 32]
}

pub fn private(index: usize) -> PrivateKey {
    let seed = seed(u8::try_from(index).unwrap());
    PrivateKey::decode(bytes::Bytes::copy_from_slice(&seed)).unwrap()
}

pub fn public(index: usize) -> PublicKey {
    private(index).public_key()
}

/// A running validator.
struct Life {
    task: Task<Exit>,
    handle: Handle,
}

/// Validators and their network.
pub struct World {
    pub context: Context,
    pub oracle: Oracle<PublicKey, Context>,
    pub lasting: Lasting,
    lives: Vec<Option<Life>>,
    pub crashes: u64,
}

impl World {
    /// A network with all keys and no validator running.
    pub async fn new(context: Context, lasting: Lasting, link: Link) -> Self {
        let validators = lasting.ledgers.len();
        let keys = Set::from_iter_dedup((0..validators).map(public));
        let config = simulated::Config {
            max_size: message_octets_max(&limits()),
            max_peers_per_set: NonZeroUsize::new(validators).unwrap(),
            disconnect_on_block: true,
            tracked_peer_sets: NonZeroUsize::MIN,
        };
        let network = context.child("network");
        let (network, oracle) = Network::new_with_peers(network, config, keys).await;
        network.start();
        let mut world = Self {
            context,
            oracle,
            lives: (0..validators).map(|_| None).collect(),
            lasting,
            crashes: 0,
        };
        world.relink(link, |_, _| true).await;
        world
    }

    /// Links those pairs that `linked` names, and cuts the others.
    pub async fn relink(&mut self, link: Link, linked: impl Fn(usize, usize) -> bool) {
        let validators = self.lives.len();
        for from in 0..validators {
            for to in (0..validators).filter(|to| *to != from) {
                let _ = self.oracle.remove_link(public(from), public(to)).await;
                if linked(from, to) {
                    let add = self.oracle.add_link(public(from), public(to), link.clone());
                    add.await.unwrap();
                }
            }
        }
    }

    /// The six channels of a validator, fresh.
    pub async fn channels(&self, index: usize) -> SimChannels {
        let control = self.oracle.control(public(index));
        let mut pairs: Vec<Pair> = Vec::new();
        for (channel, messages) in QUOTAS {
            pairs.push(control.register(channel, quota(messages)).await.unwrap());
        }
        let pairs: [Pair; 6] = pairs.try_into().ok().unwrap();
        let [votes, certificates, resolver, backfill, blocks, gossip] = pairs;
        Channels { votes, certificates, resolver, backfill, blocks, gossip }
    }

    /// Starts a validator, from whatever is on its disks.
    pub async fn start(&mut self, index: usize) {
        let channels = self.channels(index).await;
        let ledger = Arc::new(self.lasting.ledgers[index].restarted());
        self.lasting.ledgers[index] = ledger.clone();
        let prefix = format!("v{index}-{}-", self.lasting.lives[index]);
        self.lives[index] = Some(self.spawn(index, ledger, channels, prefix));
    }

    fn spawn<S: commonware_p2p::Sender<PublicKey = PublicKey>>(
        &self,
        index: usize,
        ledger: Arc<Ledger>,
        channels: Channels<S, Receiver<PublicKey>>,
        prefix: String,
    ) -> Life {
        let shared = Shared::new(config(index, self.lasting.epoch_blocks), ledger);
        let (handle, inlets, ended) = Handle::new(shared.clone());
        let parts = Parts {
            channels,
            directory: self.directory(index),
            peers_max: NonZeroUsize::new(64),
            prefix,
        };
        let context = self.context.child("validator").with_attribute("index", index);
        let task = context.spawn(move |context| async move {
            let _alive = ended;
            wiring::run(context, shared, inlets, parts).await
        });
        Life { task, handle }
    }

    /// A second validator with the key of `index`, on disks of its own.
    pub fn start_twin<S: commonware_p2p::Sender<PublicKey = PublicKey>>(
        &mut self,
        index: usize,
        ledger: Arc<Ledger>,
        channels: Channels<S, Receiver<PublicKey>>,
    ) {
        let prefix = format!("twin{index}-{}-", self.lives.len());
        let twin = self.spawn(index, ledger, channels, prefix);
        self.lives.push(Some(twin));
    }

    fn directory(&self, index: usize) -> SimDirectory {
        SimDirectory { control: self.oracle.control(public(index)), manager: self.oracle.manager() }
    }

    pub async fn start_all(&mut self) {
        for index in 0..self.lives.len() {
            self.start(index).await;
        }
    }

    /// Ends a validator between two instructions.
    pub async fn crash(&mut self, index: usize) {
        if let Some(life) = self.lives[index].take() {
            life.task.abort();
            let _ = life.task.await;
            self.crashes += 1;
        }
        self.sleep(1).await;
    }

    /// Waits for validators that stopped themselves, and says why each did.
    pub async fn fallen(&mut self, index: usize) -> Option<Exit> {
        let life = self.lives[index].as_mut()?;
        let ended = futures_util::FutureExt::now_or_never(&mut life.task)?;
        self.lives[index] = None;
        Some(ended.unwrap_or_else(|error| Exit::Fault(error.to_string())))
    }

    pub fn height(&self, index: usize) -> u64 {
        self.lasting.ledgers[index].disk.height()
    }

    pub fn handle(&self, index: usize) -> Handle {
        self.lives[index].as_ref().unwrap().handle.clone()
    }

    pub fn status(&self, index: usize) -> Status {
        self.handle(index).status()
    }

    pub async fn sleep(&self, milliseconds: u64) {
        self.context.sleep(Duration::from_millis(milliseconds)).await;
    }

    /// Waits until these validators are at a height, and says how long it took.
    pub async fn reach(&self, validators: &[usize], height: u64) -> Duration {
        let began = self.context.current();
        while validators.iter().any(|index| self.height(*index) < height) {
            self.sleep(20).await;
        }
        self.context.current().duration_since(began).unwrap()
    }

    /// I7: with faults off, ten more blocks within thirty view timeouts, for these validators.
    pub async fn assert_live(&self, validators: &[usize]) {
        let (height, _) = self.lasting.judge.chain();
        let took = self.reach(validators, height + 10).await;
        let longest = timeouts().certification * 30;
        assert!(took <= longest, "ten blocks took {took:?}");
    }
}

pub fn limits() -> Limits {
    Limits { body_octets_max: 4096, ..Limits::default() }
}

pub fn timeouts() -> srwan_engine::Timeouts {
    srwan_engine::Timeouts {
        leader: Duration::from_secs(1),
        certification: Duration::from_secs(2),
        retry: Duration::from_secs(1),
        fetch: Duration::from_secs(1),
        skip: Duration::from_secs(5),
    }
}

fn config(index: usize, epoch_blocks: u64) -> Config {
    let index = u8::try_from(index).unwrap();
    let mut config = Config::new(seed(index), NAMESPACE, PathBuf::new());
    config.epoch_blocks = NonZeroU64::new(epoch_blocks).unwrap();
    config.limits = limits();
    config.timeouts = timeouts();
    config
}

/// A link with a delay and its deviation in milliseconds.
pub fn link(delay: u64, jitter: u64, success_rate: Probability) -> Link {
    Link {
        latency: Duration::from_millis(delay),
        jitter: Duration::from_millis(jitter),
        success_rate,
    }
}

/// The simulated network's word on peers: everybody is one, in every epoch.
#[derive(Clone)]
struct SimDirectory {
    control: Control<PublicKey, Context>,
    manager: Manager<PublicKey, Context>,
}

impl std::fmt::Debug for SimDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimDirectory")
    }
}

impl Provider for SimDirectory {
    type PublicKey = PublicKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PublicKey>> {
        self.manager.peer_set(id).await
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PublicKey> {
        self.manager.subscribe().await
    }
}

impl Blocker for SimDirectory {
    type PublicKey = PublicKey;

    fn block(&mut self, peer: PublicKey) -> Feedback {
        self.control.block(peer)
    }

    fn blocked(&mut self) -> BlockedSubscription<PublicKey> {
        self.control.blocked()
    }
}

impl Directory for SimDirectory {
    fn follow(&mut self, _: u64, _: &[Peer], _: &[Peer]) {}
}
