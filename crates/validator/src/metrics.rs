//! What `GET /metrics` tells, as Prometheus reads it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use srwan_ledger::hash::TxHash;

/// Submissions whose finality is timed at once; one in a flood is as good as another.
const TIMED_MAX: usize = 4_096;

/// Why something was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// The reason's `SRW-` code.
    pub code: String,
}

/// All metrics. Each is updated where the thing happens; gauges of the state when they are read.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// The height of the last executed block.
    pub height: Gauge,
    /// Blocks that are final but not executed here.
    pub behind: Gauge,
    /// The epoch that the engine is in.
    pub epoch: Gauge,
    /// The view that the newest finalization was made in.
    pub view: Gauge,
    /// Other validators that are heard.
    pub peers: Gauge,
    /// Transactions that wait.
    pub mempool_txs: Gauge,
    /// Octets of transactions that wait.
    pub mempool_octets: Gauge,
    /// Seconds from handing in a transaction here until it is final and executed here.
    pub finality_seconds: Histogram,
    /// Transactions per block.
    pub block_txs: Histogram,
    /// Seconds to check a proposal's signatures.
    pub signatures_seconds: Histogram,
    /// Seconds to execute a block.
    pub execute_seconds: Histogram,
    /// Transactions in final blocks.
    pub txs: Counter,
    /// Transactions that were not taken, by reason.
    pub rejected: Family<Reason, Counter>,
    /// Gossiped messages that came.
    pub gossip_received: Counter,
    /// Gossiped messages that were dropped because too many wait.
    pub gossip_dropped: Counter,
    /// Connections that were refused because too many are open.
    pub connections_refused: Counter,
    timed: Mutex<BTreeMap<TxHash, Instant>>,
}

impl Metrics {
    /// Metrics that start at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut all = Registry::with_prefix("srwan_ledger");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            all.register(name, help, gauge.clone());
            gauge
        };
        let height = gauge("height", "Height of the last executed block");
        let behind = gauge("behind_blocks", "Blocks that are final but not executed here");
        let epoch = gauge("epoch", "Epoch that the engine is in");
        let view = gauge("view", "View of the newest finalization");
        let peers = gauge("peers", "Other validators that are heard");
        let mempool_txs = gauge("mempool_txs", "Transactions that wait");
        let mempool_octets = gauge("mempool_octets", "Octets of transactions that wait");
        let mut histogram = |name: &str, help: &str, bounds: &[f64]| {
            let histogram = Histogram::new(bounds.iter().copied());
            all.register(name, help, histogram.clone());
            histogram
        };
        let finality_seconds =
            histogram("finality_seconds", "From handing in to final, here", &FINALITY_BOUNDS);
        let block_txs = histogram("block_txs", "Transactions per block", &TXS_BOUNDS);
        let signatures_seconds =
            histogram("signatures_seconds", "Check of a proposal's signatures", &WORK_BOUNDS);
        let execute_seconds = histogram("execute_seconds", "Execution of a block", &WORK_BOUNDS);
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            all.register(name, help, counter.clone());
            counter
        };
        let txs = counter("txs", "Transactions in final blocks");
        let gossip_received = counter("gossip_received", "Gossiped messages that came");
        let gossip_dropped = counter("gossip_dropped", "Gossiped messages that were dropped");
        let connections_refused = counter("connections_refused", "Connections over the limits");
        let rejected = Family::default();
        all.register("rejected_txs", "Transactions that were not taken", Family::clone(&rejected));
        Self {
            registry: all,
            height,
            behind,
            epoch,
            view,
            peers,
            mempool_txs,
            mempool_octets,
            finality_seconds,
            block_txs,
            signatures_seconds,
            execute_seconds,
            txs,
            rejected,
            gossip_received,
            gossip_dropped,
            connections_refused,
            timed: Mutex::default(),
        }
    }

    /// A transaction was taken here: its way to finality is timed.
    pub fn taken(&self, hash: TxHash) {
        let mut timed = self.timed.lock().unwrap_or_else(PoisonError::into_inner);
        if timed.len() < TIMED_MAX {
            timed.insert(hash, Instant::now());
        }
    }

    /// A transaction was not taken.
    pub fn not_taken(&self, code: &str) {
        self.rejected.get_or_create(&Reason { code: code.to_owned() }).inc();
    }

    /// A block with these transactions was executed in `took`.
    pub fn executed(&self, txs: &[TxHash], took: Duration) {
        self.execute_seconds.observe(took.as_secs_f64());
        let count = u32::try_from(txs.len()).unwrap_or(u32::MAX);
        self.block_txs.observe(f64::from(count));
        self.txs.inc_by(u64::from(count));
        let mut timed = self.timed.lock().unwrap_or_else(PoisonError::into_inner);
        for started in txs.iter().filter_map(|hash| timed.remove(hash)) {
            self.finality_seconds.observe(started.elapsed().as_secs_f64());
        }
        // What never became final would fill the table.
        timed.retain(|_, started| started.elapsed() < TIMED_FOR);
    }

    /// All metrics in the text format of Prometheus.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String does not fail");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// After this a submission is no longer timed.
const TIMED_FOR: Duration = Duration::from_secs(60);

/// Seconds: around the pacing of 200 ms and what a slow or halted chain takes.
const FINALITY_BOUNDS: [f64; 12] =
    [0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 1.0, 2.5, 10.0];
/// Transactions of a block, up to what 1 MB holds.
const TXS_BOUNDS: [f64; 8] = [0.0, 1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0];
/// Seconds of work for one block.
const WORK_BOUNDS: [f64; 8] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5];
