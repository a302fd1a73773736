//! The thread that keeps evidence on disk: many records, one sync, then the node is told.
//!
//! Disks may stall for seconds; neither packets nor the ledger wait for them. A record is acknowledged only when it is
//! durable (promises I13, I15); while the disk fails, nothing is acknowledged and payers stop at their credit.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use srwan_node::LedgerFact;
use srwan_node::pay::Evidence;
use srwan_wire::id::{LaneId, Octets};
use srwan_wire::receipt::{Delivery, LinkStatement, Receipt};

use crate::fault::{self, Fault};
use crate::journal::{Journal, LANES_MAX, Recovered};
use crate::packet_loop::{Handle, Order};
use crate::shared::Shared;

/// Records that may wait for the disk: one per lane that a router can serve.
const WAITING_MAX: usize = 2_048;

/// Records written before one sync at most: bounds how long the first waits for the last.
const BATCH_MAX: usize = 256;

/// What the thread is told.
pub enum Task {
    /// Keep this, then tell the node.
    Keep(Box<Evidence>),
    /// A lane is settled up to so many octets: let go of what says no more.
    Settled(LaneId, Octets),
}

/// The way to the thread. Cheap to clone.
pub type Store = SyncSender<Task>;

/// The evidence found on disk at the start; what cannot be read is named and left out.
pub fn recover(recovered: &Recovered) -> Vec<Evidence> {
    let read = |(lane, payload): (&LaneId, &Vec<u8>)| {
        let evidence = decode(*lane, payload);
        if evidence.is_none() {
            tracing::error!(code = fault::JOURNAL_DAMAGED, %lane, "evidence of another version");
        }
        evidence
    };
    recovered.payloads.iter().filter_map(read).collect()
}

/// Starts the thread.
///
/// # Errors
/// The system has no thread left.
pub fn start(
    journal: Journal,
    known: &[Evidence],
    node: Handle,
    shared: Arc<Shared>,
) -> io::Result<(Store, JoinHandle<()>)> {
    let (store, tasks) = sync_channel(WAITING_MAX);
    let held = known.iter().map(|evidence| (evidence.lane, evidence.octets())).collect();
    let mut keeper = Keeper { journal, held, node, shared };
    let thread = std::thread::Builder::new().name("srwan-journal".into());
    Ok((store, thread.spawn(move || keeper.run(&tasks))?))
}

struct Keeper {
    journal: Journal,
    held: BTreeMap<LaneId, Octets>,
    node: Handle,
    shared: Arc<Shared>,
}

impl Keeper {
    fn run(&mut self, tasks: &Receiver<Task>) {
        while let Ok(first) = tasks.recv() {
            let more = tasks.try_iter().take(BATCH_MAX - 1);
            let batch: Vec<Task> = std::iter::once(first).chain(more).collect();
            match self.write(&batch) {
                Ok(refused) => self.acknowledge(&batch, &refused),
                Err(fault) => {
                    tracing::error!(code = fault.code, "{fault}");
                    self.shared.raise(fault);
                }
            }
        }
    }

    /// Writes a batch; returns the lanes for which there is no room.
    fn write(&mut self, batch: &[Task]) -> Result<BTreeSet<LaneId>, Fault> {
        let mut refused = BTreeSet::new();
        for task in batch {
            match task {
                Task::Keep(evidence) => match self.journal.keep(evidence.lane, &encode(evidence)) {
                    Err(fault) if fault.code == fault::JOURNAL_FULL => {
                        self.shared.raise(fault);
                        refused.insert(evidence.lane);
                    }
                    kept => {
                        kept?;
                        self.held.insert(evidence.lane, evidence.octets());
                    }
                },
                Task::Settled(lane, octets) => {
                    if self.held.get(lane).is_some_and(|held| held <= octets) {
                        self.journal.forget(*lane)?;
                        self.held.remove(lane);
                    }
                }
            }
        }
        self.journal.sync()?;
        Ok(refused)
    }

    fn acknowledge(&self, batch: &[Task], refused: &BTreeSet<LaneId>) {
        self.shared.clear(fault::JOURNAL_WRITE);
        if self.journal.lanes() < LANES_MAX {
            self.shared.clear(fault::JOURNAL_FULL);
        }
        for task in batch {
            let Task::Keep(evidence) = task else { continue };
            if refused.contains(&evidence.lane) {
                continue;
            }
            let (lane, octets) = (evidence.lane, evidence.receipt.body.octets);
            let fact = LedgerFact::Stored { lane, octets };
            if self.node.order(Order::Fact(fact)).is_err() {
                return;
            }
        }
    }
}

fn encode(evidence: &Evidence) -> Vec<u8> {
    let parts = (&evidence.receipt, &evidence.delivery, &evidence.statements);
    borsh::to_vec(&parts).expect("writing to memory cannot fail")
}

fn decode(lane: LaneId, payload: &[u8]) -> Option<Evidence> {
    type Parts = (Receipt, Option<Delivery>, Vec<LinkStatement>);
    let (receipt, delivery, statements): Parts = borsh::from_slice(payload).ok()?;
    Some(Evidence { lane, receipt, delivery, statements })
}

#[cfg(test)]
mod tests {
    use super::*;
    use srwan_wire::id::{ChainId, Height, PathHash};
    use srwan_wire::receipt::{Price, ReceiptBody, Signed};
    use srwan_wire::sign::AccountSecret;

    #[test]
    fn evidence_is_read_back_as_it_was_written() {
        let lane = LaneId([1; 32]);
        let body = ReceiptBody {
            chain: ChainId([2; 32]),
            lane,
            path: PathHash([3; 32]),
            octets: Octets(4),
            price: Price(5),
            expiry: Height(6),
        };
        let receipt = Signed::new(body, &AccountSecret::from_seed(&[7; 32]));
        let evidence = Evidence { lane, receipt, delivery: None, statements: Vec::new() };
        assert_eq!(decode(lane, &encode(&evidence)), Some(evidence));
        assert_eq!(decode(lane, b"junk"), None);
    }
}
