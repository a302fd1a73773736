//! What the tasks of a running router share: the configuration, the clock, the log, and what was last heard of others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use srwan_api::router::Reachability;
use srwan_node::ping::PingOutcome;
use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::time::Timestamp;
use tokio::sync::{Notify, oneshot, watch};

use crate::clock::Clock;
use crate::config::Config;
use crate::event_log::EventLog;
use crate::fault::Fault;
use crate::geo::Geo;
use crate::ledger::WalletView;
use crate::packet_loop::Handle;

/// Faults that are shown at once: more are of one cause.
const FAULTS_MAX: usize = 32;

/// Since when, and why, an endpoint's traffic is on a path.
#[derive(Clone, Debug)]
pub struct EngagedSince {
    /// When it was engaged.
    pub at: Timestamp,
    /// Why, in words.
    pub reason: String,
}

/// Whether a service was reached.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// When it last answered.
    pub last_ok: Option<Timestamp>,
    /// What it said, or did not, since then.
    pub error: Option<String>,
}

impl Reach {
    /// The same for people and programs.
    pub fn shown(&self) -> Reachability {
        let state = match (&self.error, self.last_ok) {
            (Some(_), _) => "down",
            (None, Some(_)) => "ok",
            (None, None) => "nodata",
        };
        let last_ok = self.last_ok.map(srwan_api::rfc3339::format);
        Reachability { state: state.into(), last_ok, error: self.error.clone() }
    }
}

/// Everything shared. Locks are held for a copy, never across a wait.
pub struct Shared {
    /// As checked at start.
    pub config: Config,
    /// The process's clock.
    pub clock: Clock,
    /// What happened.
    pub log: EventLog,
    /// Set once the router has joined.
    pub node: OnceLock<Handle>,
    /// The account as the ledger last said.
    pub wallet: watch::Receiver<WalletView>,
    /// Whether this router is the group's reporter.
    pub is_reporter: AtomicBool,
    /// The operator's files.
    pub geo: Mutex<Geo>,
    /// Somebody asked the router to end.
    pub end: Notify,
    /// The number of the next ping.
    pub next_ping: AtomicU64,
    group: Mutex<Option<GroupId>>,
    controller: Mutex<Reach>,
    faults: Mutex<BTreeMap<&'static str, Fault>>,
    engaged: Mutex<BTreeMap<NodeId, EngagedSince>>,
    pings: Mutex<BTreeMap<u64, oneshot::Sender<PingOutcome>>>,
}

impl Shared {
    /// Shared state of a router that has just started.
    pub fn new(
        config: Config,
        clock: Clock,
        geo: Geo,
        wallet: watch::Receiver<WalletView>,
    ) -> Self {
        Self {
            config,
            clock,
            log: EventLog::new(clock),
            node: OnceLock::new(),
            wallet,
            is_reporter: AtomicBool::new(false),
            geo: Mutex::new(geo),
            end: Notify::new(),
            next_ping: AtomicU64::new(1),
            group: Mutex::default(),
            controller: Mutex::default(),
            faults: Mutex::default(),
            engaged: Mutex::default(),
            pings: Mutex::default(),
        }
    }

    /// This router's wall time.
    pub fn wall(&self) -> Timestamp {
        self.clock.wall().at(self.clock.now())
    }

    /// The controller put this router into a group.
    pub fn set_group(&self, group: GroupId) {
        *lock(&self.group) = Some(group);
    }

    /// This router's group; `None` before it joined.
    pub fn group(&self) -> Option<GroupId> {
        *lock(&self.group)
    }

    /// The controller answered.
    pub fn controller_ok(&self) {
        *lock(&self.controller) = Reach { last_ok: Some(self.wall()), error: None };
    }

    /// The controller did not answer; returns whether it did the last time.
    pub fn controller_down(&self, error: String) -> bool {
        lock(&self.controller).error.replace(error).is_none()
    }

    /// Whether the controller answers.
    pub fn controller(&self) -> Reach {
        lock(&self.controller).clone()
    }

    /// Shows a fault until it is cleared; one per code.
    pub fn raise(&self, fault: Fault) {
        let mut faults = lock(&self.faults);
        if faults.len() < FAULTS_MAX || faults.contains_key(fault.code) {
            faults.insert(fault.code, fault);
        }
    }

    /// Clears the fault with this code.
    pub fn clear(&self, code: &str) {
        lock(&self.faults).remove(code);
    }

    /// What is wrong at the moment.
    pub fn faults(&self) -> Vec<Fault> {
        lock(&self.faults).values().cloned().collect()
    }

    /// Remembers since when and why an endpoint's traffic is on a path; `None` = it is on the default path.
    pub fn set_engaged(&self, endpoint: NodeId, since: Option<EngagedSince>) {
        let mut engaged = lock(&self.engaged);
        match since {
            Some(since) => drop(engaged.insert(endpoint, since)),
            None => drop(engaged.remove(&endpoint)),
        }
    }

    /// Since when and why an endpoint's traffic is on a path.
    pub fn engaged_since(&self, endpoint: NodeId) -> Option<EngagedSince> {
        lock(&self.engaged).get(&endpoint).cloned()
    }

    /// Waits for the outcome of the ping with this number.
    pub fn expect_ping(&self, id: u64) -> oneshot::Receiver<PingOutcome> {
        let (sender, receiver) = oneshot::channel();
        let mut pings = lock(&self.pings);
        pings.retain(|_, waiting| !waiting.is_closed());
        pings.insert(id, sender);
        receiver
    }

    /// Hands a ping's outcome to who asked for it.
    pub fn finish_ping(&self, outcome: PingOutcome) {
        if let Some(sender) = lock(&self.pings).remove(&outcome.id) {
            // The asker may have gone away.
            let _unwanted = sender.send(outcome);
        }
    }
}

/// A panic elsewhere leaves plain data behind, which is as good as before.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
