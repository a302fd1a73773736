//! A router from start to end: everything is opened, joined together, and put away again.
//!
//! Order of the start: what can be refused without touching the host comes first. Order of the end: routes go first, so
//! that traffic takes the default path while lanes are still being settled.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nix::fcntl::{Flock, FlockArg};
use srwan_api::controller::Membership;
use srwan_control::{LivenessConfig, PolicyConfig};
use srwan_node::pay::Evidence;
use srwan_node::{Boot, LedgerFact, Node, NodeConfig};
use srwan_portal::PortalConfig;
use srwan_wire::id::NodeKey;
use srwan_wire::pulse::ErrorEstimate;
use srwan_wire::receipt::Price as LedgerPrice;
use srwan_wire::time::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::admin;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::price::Price;
use crate::controller::Controller;
use crate::dispatch::Dispatch;
use crate::event_log::News;
use crate::evidence::{self, Store, Task};
use crate::fault::{self, Fault};
use crate::geo::Geo;
use crate::host::Host;
use crate::journal::Journal;
use crate::kernel::MARK_OWN;
use crate::keys::Keys;
use crate::ledger::{JOBS_MAX, Job, Ledger, Validators, WalletView};
use crate::packet_loop::{self, Devices, Handle, Order};
use crate::prober::{self, Prober};
use crate::shared::{Shared, lock};
use crate::stamp::{self, StampFile};
use crate::tun::Tun;
use crate::udp::UdpSocket;
use crate::xdp::FastPath;

/// Events that may wait between the packet thread and the tasks: more stay in the node.
const EVENTS_MAX: usize = 4_096;

/// How long lanes may take to be settled at the end.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// How often that is looked at.
const SETTLE_LOOK: Duration = Duration::from_millis(100);

/// Part of the escrow that one lane may take: each of the 16 endpoints that a node watches can have one, and some are
/// succeeded. Of 20 coins that is one coin, which pays for 100 MB at the reference price.
const LANES_PER_ESCROW: u64 = 20;

/// Threads of the async side; packets have their own.
const WORKERS: usize = 2;

/// Runs the router that the file at `config_path` describes until SIGTERM or SIGINT.
///
/// # Errors
/// The [`Fault`] that kept it from starting.
pub fn run(config_path: &Path) -> anyhow::Result<()> {
    let config = Config::load(config_path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let result = runtime.block_on(live(config));
    // Long polls and accepted connections are cut: nothing that must be finished is left in them.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// What was opened before the router joined.
struct Opened {
    keys: Keys,
    journal: Journal,
    known: Vec<Evidence>,
    udp: UdpSocket,
    tun: Tun,
    host: Arc<Host>,
    stamps: StampFile,
    last_stamp: Timestamp,
    _lock: Flock<File>,
}

async fn live(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot wait for signals")?;
    let clock = Clock::start(config.clock.skew_ms);
    let opened = open(&config, clock)?;
    let geo = Geo::load(&config.geo)?;
    let (facts, told) = mpsc::channel(JOBS_MAX);
    let (task, wallet) = ledger(&config, &opened.keys, facts)?;
    let shared = Arc::new(Shared::new(config, clock, geo, wallet));
    let mut tasks = JoinSet::new();
    let listener = admin::bind(&shared.config.state_dir)?;
    tasks.spawn(quietly(admin::serve(listener, Arc::clone(&shared)), "admin"));
    tasks.spawn(portal(Arc::clone(&shared)));
    let node_key = public_key(&opened.keys);
    let profile = shared.config.profile(node_key, opened.keys.account.public());
    let controller = Controller::new(Arc::clone(&shared), profile, opened.keys.account.clone())?;
    let joined = tokio::select! {
        joined = controller.membership() => joined?,
        () = signals.end() => return Ok(()),
        () = shared.end.notified() => return Ok(()),
    };
    let running = start(&shared, opened, &joined.0, LedgerSide { task, told }, &mut tasks)?;
    let (membership, is_fresh) = joined;
    tasks.spawn(controller.clone().report(membership.clone(), running.node.clone()));
    tasks.spawn(controller.follow(membership, is_fresh, running.node.clone()));
    let name = &shared.config.name;
    tracing::info!(name, listen = %shared.config.listen, "ready");
    signals.until_end(&shared).await;
    tracing::info!("ending");
    running.end().await;
    tasks.abort_all();
    Ok(())
}

fn open(config: &Config, clock: Clock) -> Result<Opened, Fault> {
    make_state_dir(&config.state_dir)?;
    let lock = lock_state_dir(&config.state_dir)?;
    let keys = Keys::load_or_create(&config.state_dir)?;
    let (journal, recovered) = Journal::open(&config.state_dir)?;
    if recovered.torn_octets > 0 {
        tracing::warn!(octets = recovered.torn_octets, "cut a half-written record off the journal");
    }
    let known = evidence::recover(&recovered);
    let (stamps, last_stamp) = StampFile::open(&config.state_dir, clock.wall().at(clock.now()))?;
    let udp = UdpSocket::bind(config.listen)?;
    udp.mark(MARK_OWN)?;
    let tun = Tun::open(&config.tun)?;
    let host = Arc::new(Host::prepare(config)?);
    Ok(Opened { keys, journal, known, udp, tun, host, stamps, last_stamp, _lock: lock })
}

fn make_state_dir(path: &Path) -> Result<(), Fault> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| state_fault(path, &error))
}

/// One router per state directory: two would sign with one account and tear one journal.
fn lock_state_dir(path: &Path) -> Result<Flock<File>, Fault> {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join("lock"))
        .map_err(|error| state_fault(path, &error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        Fault::new(
            fault::ALREADY_RUNNING,
            format!("a router runs on {} already", path.display()),
            "its lock is held",
            "stop that router, or give this one a state_dir of its own",
        )
    })
}

fn state_fault(path: &Path, error: &io::Error) -> Fault {
    Fault::new(
        fault::STATE_DIR,
        format!("cannot use the state directory {}", path.display()),
        error.to_string(),
        "give a directory that the router's user can write",
    )
}

fn public_key(keys: &Keys) -> NodeKey {
    let secret = x25519_dalek::StaticSecret::from(*keys.node);
    NodeKey(x25519_dalek::PublicKey::from(&secret).to_bytes())
}

/// The ledger task, if a ledger is configured, and the view of the wallet in any case.
fn ledger(
    config: &Config,
    keys: &Keys,
    facts: mpsc::Sender<LedgerFact>,
) -> Result<(Option<Ledger>, watch::Receiver<WalletView>), Fault> {
    let Some(ledger) = &config.ledger else {
        let (_, seen) = watch::channel(WalletView::new(keys.account.public()));
        return Ok((None, seen));
    };
    let client = Validators::new(&ledger.urls)
        .map_err(|error| Fault::new(fault::LEDGER_UNREACHABLE, error.what, error.why, error.fix))?;
    let (task, seen) = Ledger::new(client, keys.account.clone(), ledger.escrow, facts);
    Ok((Some(task), seen))
}

/// The parts that run once the router has joined.
struct Running {
    node: Handle,
    host: Arc<Host>,
    jobs: Option<mpsc::Sender<Job>>,
    packets: std::thread::JoinHandle<()>,
    _lock: Flock<File>,
}

/// The ledger task before it runs, and what it will tell the node.
struct LedgerSide {
    task: Option<Ledger>,
    told: mpsc::Receiver<LedgerFact>,
}

fn start(
    shared: &Arc<Shared>,
    opened: Opened,
    membership: &Membership,
    ledger: LedgerSide,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Running> {
    let Opened { keys, journal, known, udp, tun, host, stamps, last_stamp, _lock } = opened;
    let clock = shared.clock;
    let config = node_config(&shared.config, keys, membership, clock)?;
    let config = NodeConfig { last_stamp, ..config };
    if let Some(srv6) = &shared.config.srv6 {
        host.join(srv6.domain(config.node));
    }
    let mut node = Node::new(config, random()?, clock.now());
    let fast_path = fast_path(shared, &mut node, &udp);
    node.handle_roster(&membership.roster, clock.now());
    prober::watch(&mut node, &shared.config.watch, &lock(&shared.geo), clock.now());
    let (events, received) = mpsc::channel(EVENTS_MAX);
    let devices = Devices { udp, tun, fast_path };
    let (handle, packets) = packet_loop::start(node, clock, devices, events)?;
    let (store, _keeper) = evidence::start(journal, &known, handle.clone(), Arc::clone(shared))?;
    let jobs = ledger.task.map(|task| {
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        tasks.spawn(task.run(waiting));
        jobs
    });
    tasks.spawn(tell(ledger.told, handle.clone(), store.clone()));
    tasks.spawn(stamp::keep(stamps, handle.clone(), Arc::clone(shared)));
    tasks.spawn(settle_known(jobs.clone(), known));
    let dispatch = Dispatch {
        host: Arc::clone(&host),
        store,
        jobs: jobs.clone(),
        prober: Prober::new(handle.clone(), shared.config.egress.enabled),
        node: handle.clone(),
        shared: Arc::clone(shared),
    };
    tasks.spawn(dispatch.run(received));
    shared.set_group(membership.group);
    // Set once: this function runs once per process.
    let _first = shared.node.set(handle.clone());
    Ok(Running { node: handle, host, jobs, packets, _lock })
}

/// The XDP relay, if it is wanted and can be had; a router does without.
fn fast_path(shared: &Arc<Shared>, node: &mut Node, udp: &UdpSocket) -> Option<FastPath> {
    let port = udp.local_addr().map_or(shared.config.listen.port(), |address| address.port());
    match FastPath::start(shared, node.id(), port) {
        Ok(fast_path) => {
            let memory = fast_path.as_ref().map(FastPath::memory);
            memory.into_iter().for_each(|memory| node.enable_fast_path(memory));
            fast_path
        }
        Err(fault) => {
            tracing::warn!(code = fault.code, "{fault}");
            shared.log.add(News::plain("xdp_refused", fault.to_string()));
            shared.raise(fault);
            None
        }
    }
}

fn node_config(
    config: &Config,
    keys: Keys,
    membership: &Membership,
    clock: Clock,
) -> anyhow::Result<NodeConfig> {
    let escrow = config.ledger.as_ref().map_or(0, |ledger| ledger.escrow.base());
    let nonce: [u8; 32] = random()?;
    Ok(NodeConfig {
        node: membership.node,
        secret: keys.node,
        account: keys.account,
        chain: None,
        price: match config.price {
            Price::PerMegabyte(base) => Some(LedgerPrice(base)),
            Price::Infinite => None,
        },
        lane_cap: escrow / LANES_PER_ESCROW,
        clock: clock.wall(),
        clock_estimate: ErrorEstimate::new(config.clock.synchronised, config.clock.error),
        pulse_interval: config.pulse_interval,
        liveness: LivenessConfig {
            interval: config.liveness.interval,
            misses: config.liveness.misses,
            inner_mtu: config.tun.mtu,
        },
        policy: PolicyConfig {
            gain_min: config.policy.gain_min,
            gain_min_percent: config.policy.gain_min_percent,
            windows: config.policy.windows,
            window: config.policy.window,
            hold_down: config.policy.hold_down,
            relays_max: config.policy.relays_max,
            preference: config.policy.preference,
        },
        classes: config.classes.clone(),
        multipath: config.multipath.clone(),
        inner_mtu: config.tun.mtu,
        key_life: config.key_life,
        last_stamp: Timestamp::default(),
        boot: Boot {
            time: clock.wall().at(clock.now()),
            nonce: u64::from_le_bytes(*nonce.first_chunk().expect("32 octets hold 8")),
        },
    })
}

fn random() -> anyhow::Result<[u8; 32]> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).context("the system has no random numbers")?;
    Ok(octets)
}

/// Hands the ledger's facts to the node, and what is settled to the journal.
async fn tell(mut facts: mpsc::Receiver<LedgerFact>, node: Handle, store: Store) {
    while let Some(fact) = facts.recv().await {
        if let LedgerFact::Settled { lane, octets } = &fact {
            // A full queue only means that the record stays until the next settlement of the lane.
            let _kept = store.try_send(Task::Settled(*lane, *octets));
        }
        if node.tell(Order::Fact(fact)).await.is_err() {
            return;
        }
    }
}

/// Submits what an earlier run of this router was owed.
async fn settle_known(jobs: Option<mpsc::Sender<Job>>, known: Vec<Evidence>) {
    let Some(jobs) = jobs else { return };
    for evidence in known {
        if jobs.send(Job::Settle(Box::new(evidence))).await.is_err() {
            return;
        }
    }
}

async fn portal(shared: Arc<Shared>) {
    let config = PortalConfig {
        listen: shared.config.portal_listen,
        admin_socket: shared.config.state_dir.join(admin::SOCKET),
        token_file: shared.config.state_dir.join("portal.token"),
        allowed_hosts: Vec::new(),
    };
    quietly(srwan_portal::serve(config, std::future::pending()), "portal").await;
}

/// A side door that does not open is no reason to stop routing.
async fn quietly<E: std::fmt::Display>(
    task: impl Future<Output = Result<(), E>>,
    name: &'static str,
) {
    if let Err(error) = task.await {
        tracing::error!(name, error = format!("{error:#}"), "does not serve");
    }
}

impl Running {
    /// Routes first, then money, then packets.
    async fn end(self) {
        let Self { node, host, jobs, packets, _lock } = self;
        host.release_all();
        if jobs.is_some() && node.ask(|node, now, _| node.drain(now)).await.is_ok() {
            let settled = wait_settled(&node);
            if tokio::time::timeout(SETTLE_PATIENCE, settled).await.is_err() {
                tracing::warn!("some lanes are not settled; their receipts are on disk");
            }
        }
        // An error means that the loop has ended by itself.
        let _ended = node.tell(Order::Stop).await;
        let joined = tokio::task::spawn_blocking(move || packets.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the packet thread ended badly");
        }
        host.undo();
    }
}

async fn wait_settled(node: &Handle) {
    while node.ask(|node, _, _| node.is_settling()).await.unwrap_or(false) {
        tokio::time::sleep(SETTLE_LOOK).await;
    }
}

/// The signals that a router listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for the end; SIGHUP reads the operator's files again.
    async fn until_end(&mut self, shared: &Shared) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                () = shared.end.notified() => return,
                _ = self.hangup.recv() => reload(shared),
            }
        }
    }
}

/// Reads the geo files again; on an error the old ones stay.
fn reload(shared: &Shared) {
    match Geo::load(&shared.config.geo) {
        Ok(geo) => {
            *lock(&shared.geo) = geo;
            shared.clear(fault::GEO_FILES);
            shared.log.add(News::plain("reloaded", "the geo and ASN files were read again"));
        }
        Err(fault) => {
            tracing::warn!(code = fault.code, "{fault}");
            shared.raise(fault);
        }
    }
}

/// Where a router's admin socket is.
pub fn admin_socket(state_dir: &Path) -> PathBuf {
    state_dir.join(admin::SOCKET)
}
