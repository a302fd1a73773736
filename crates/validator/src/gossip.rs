//! Transactions on their way between validators, in both directions, each through a bounded queue.
//!
//! What was handed in here is sent to all once, in batches; what came from others is checked exactly
//! as if it were handed in, and never sent on. A lost message costs time only: whoever took the
//! transaction proposes it at its own turn.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use srwan_engine::Handle;
use srwan_engine::seam::Equivocation;
use srwan_ledger::tx::SignedTx;
use tokio::sync::{Notify, watch};
use tracing::debug;

use crate::body::encode;
use crate::ledger::{Ledger, Origin};
use crate::report;

/// Octets of one message: below the engine's limit of 64 KiB.
const MESSAGE_OCTETS_MAX: usize = 60 * 1024;
/// Octets that may wait to be sent: half a second of full blocks. More are not sent.
const OUTBOX_OCTETS_MAX: usize = 4 << 20;
/// How long the first transaction of a batch waits for more: little beside the pacing of blocks.
const BATCH_TIME: Duration = Duration::from_millis(10);
/// Messages that may wait to be checked.
const INBOX_MAX: usize = 256;

/// Transactions that wait to be sent to the other validators.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Mutex<Vec<Vec<u8>>>,
    arrived: Notify,
}

impl Outbox {
    /// Puts a transaction in, unless too many wait.
    pub fn put(&self, tx: &SignedTx) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.iter().map(Vec::len).sum::<usize>() < OUTBOX_OCTETS_MAX {
            waiting.push(encode(tx));
            drop(waiting);
            self.arrived.notify_one();
        }
    }

    /// Sends what comes until `stop` says so.
    pub async fn send_all(&self, engine: &Handle, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.arrived.notified() => {}
            }
            tokio::time::sleep(BATCH_TIME).await;
            let txs =
                std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            for message in batches(txs) {
                engine.gossip(message);
            }
        }
    }
}

/// Encoded transactions as messages: each the encoding of a list of them.
fn batches(txs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let (mut count, mut octets) = (0_u32, Vec::new());
    for tx in txs {
        if count > 0 && octets.len() + tx.len() > MESSAGE_OCTETS_MAX {
            messages.push([&count.to_le_bytes()[..], &octets].concat());
            (count, octets) = (0, Vec::new());
        }
        count += 1;
        octets.extend_from_slice(&tx);
    }
    if count > 0 {
        messages.push([&count.to_le_bytes()[..], &octets].concat());
    }
    messages
}

/// Something that the engine heard and that is not its own to judge.
pub enum Heard {
    /// A message of another validator.
    Txs(Vec<u8>),
    /// A proof that a validator equivocated.
    Equivocation(Equivocation),
}

/// Where the engine puts what it heard. Never blocks.
#[derive(Clone, Debug)]
pub struct Inbox(SyncSender<Heard>);

impl Inbox {
    /// An inbox, and what takes out of it.
    #[must_use]
    pub fn new() -> (Self, Receiver<Heard>) {
        let (sender, receiver) = sync_channel(INBOX_MAX);
        (Self(sender), receiver)
    }

    /// Puts something in; false if too much waits.
    pub fn put(&self, heard: Heard) -> bool {
        match self.0.try_send(heard) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => true,
            Err(TrySendError::Full(_)) => false,
        }
    }
}

/// Checks what was heard, in a thread of its own, until every [`Inbox`] is gone.
///
/// # Panics
/// If the thread cannot be created.
pub fn spawn_checker(ledger: Arc<Ledger>, reporter: report::Reporter, heard: Receiver<Heard>) {
    let check = move || {
        for heard in heard {
            match heard {
                Heard::Txs(bytes) => take_txs(&ledger, &bytes),
                Heard::Equivocation(proof) => reporter.report(&ledger, &proof),
            }
        }
    };
    let thread = std::thread::Builder::new().name("ledger gossip".to_owned());
    thread.spawn(check).expect("a process can have one more thread");
}

fn take_txs(ledger: &Ledger, bytes: &[u8]) {
    let Ok(txs) = borsh::from_slice::<Vec<SignedTx>>(bytes) else {
        debug!(octets = bytes.len(), "a peer sent something else than transactions");
        return;
    };
    for why in ledger.submit(txs, Origin::Peer).into_iter().filter_map(Result::err) {
        debug!(code = why.code, "a peer's transaction is not taken");
    }
}
