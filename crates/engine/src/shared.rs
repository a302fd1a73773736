//! What the engine's tasks, the application's threads and the handle share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use tokio::sync::{Notify, watch};

use crate::block::{Block, Digest};
use crate::epocher::Epochs;
use crate::seam::Application;
use crate::{Config, Status};

/// Shared by everything of one engine.
pub struct Shared {
    pub(crate) config: Config,
    pub(crate) application: Arc<dyn Application>,
    pub(crate) epochs: Epochs,
    /// The application's height. Moves only while `judging` is held for writing.
    pub(crate) executed: watch::Sender<u64>,
    /// Height that the block store has handed over. Behind `executed` if the store was lost.
    pub(crate) delivered: watch::Sender<u64>,
    /// Newest height known to be final.
    pub(crate) tip: watch::Sender<u64>,
    /// Set by the handle; the engine ends in good order.
    pub(crate) stop: watch::Sender<bool>,
    /// Rings when waiting proposers should ask for the pause again.
    pub(crate) wake: Notify,
    /// Held for reading while the application proposes or verifies, for writing while it executes, so
    /// that `executed` stands still during a judgement.
    judging: RwLock<()>,
    arrivals: Mutex<VecDeque<(Digest, SystemTime)>>,
    status: Mutex<Status>,
    peers: Mutex<BTreeMap<[u8; 32], SystemTime>>,
    tips: Mutex<BTreeMap<[u8; 32], u64>>,
}

impl Shared {
    /// For one engine, over all its restarts.
    pub fn new(config: Config, application: Arc<dyn Application>) -> Arc<Self> {
        let executed = application.executed();
        Arc::new(Self {
            epochs: Epochs::new(config.epoch_blocks),
            config,
            application,
            executed: watch::Sender::new(executed),
            delivered: watch::Sender::new(0),
            tip: watch::Sender::new(0),
            stop: watch::Sender::new(false),
            wake: Notify::new(),
            judging: RwLock::new(()),
            arrivals: Mutex::default(),
            status: Mutex::default(),
            peers: Mutex::default(),
            tips: Mutex::default(),
        })
    }

    /// The application's height.
    pub(crate) fn executed(&self) -> u64 {
        *self.executed.borrow()
    }

    /// Gives the application a final block, unless it has it.
    ///
    /// # Panics
    /// If a block between is missing: the store must never skip one.
    pub(crate) fn execute(&self, block: &Block) {
        let block = block.to_final();
        let executed = self.executed();
        if block.height <= executed {
            return;
        }
        assert_eq!(block.height, executed + 1, "a final block is missing");
        let _judging = self.judging.write().unwrap_or_else(PoisonError::into_inner);
        self.application.finalize(&block);
        self.executed.send_replace(block.height);
    }

    /// Runs a judgement of the application while its height stands still.
    pub(crate) fn judge<T>(&self, judgement: impl FnOnce(&dyn Application, u64) -> T) -> T {
        let _judging = self.judging.read().unwrap_or_else(PoisonError::into_inner);
        judgement(self.application.as_ref(), self.executed())
    }

    /// When a block was first seen here: now, if it was not.
    pub(crate) fn arrival(&self, digest: Digest, now: SystemTime) -> SystemTime {
        let mut arrivals = lock(&self.arrivals);
        if let Some((_, at)) = arrivals.iter().find(|(known, _)| *known == digest) {
            return *at;
        }
        if arrivals.len() == ARRIVALS_MAX {
            arrivals.pop_front();
        }
        arrivals.push_back((digest, now));
        now
    }

    /// Notes that a height is final, in a view.
    pub(crate) fn note_tip(&self, height: u64, view: u64) {
        self.tip.send_if_modified(|tip| {
            let newer = height > *tip;
            *tip = height.max(*tip);
            newer
        });
        lock(&self.status).view = view;
    }

    /// Notes which epoch is followed, and whether with a vote.
    pub(crate) fn note_epoch(&self, epoch: u64, voting: bool) {
        let mut status = lock(&self.status);
        status.epoch = epoch;
        status.voting = voting;
    }

    /// Notes that a peer spoke.
    pub(crate) fn note_peer(&self, key: [u8; 32], now: SystemTime) {
        let mut peers = lock(&self.peers);
        peers.insert(key, now);
        peers.retain(|_, at| now.duration_since(*at).unwrap_or_default() < PEER_SILENCE_MAX);
    }

    /// Notes how far a peer says that the chain is. Only connected peers are heard, so the list is short.
    pub(crate) fn note_tip_of(&self, key: [u8; 32], tip: u64) {
        lock(&self.tips).insert(key, tip);
    }

    /// How far a peer said that the chain is.
    pub(crate) fn tip_of(&self, key: &[u8; 32]) -> Option<u64> {
        lock(&self.tips).get(key).copied()
    }

    /// Where the engine is.
    pub(crate) fn status(&self) -> Status {
        let mut status = lock(&self.status).clone();
        status.height = self.executed();
        status.height_known = status.height.max(*self.tip.borrow());
        status.peers = lock(&self.peers).keys().copied().collect();
        status
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks whose arrival is remembered: more than ever wait between the final one and a proposal.
const ARRIVALS_MAX: usize = 64;

/// A peer silent for this long is not listed: a dozen heartbeats.
const PEER_SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(30);
