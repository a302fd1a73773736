//! How late the fabric is: the instrument that says whether a run measured the product or the machine.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A histogram with eight steps per power of two: 9 % resolution from 1 ns to hours.
#[derive(Clone, Debug)]
pub struct Lateness {
    steps: Vec<u64>,
    count: u64,
    max_ns: u64,
}

/// The figures of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatenessSummary {
    pub count: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { steps: vec![0; STEPS], count: 0, max_ns: 0 }
    }
}

impl Lateness {
    /// Adds one observation.
    pub fn record(&mut self, late_ns: u64) {
        self.steps[step(late_ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(late_ns);
    }

    /// Upper edge of the step that holds this share (parts of a thousand) of all observations.
    pub fn quantile_ns(&self, per_mille: u64) -> u64 {
        let wanted = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let holds = self.steps.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        holds.map_or(0, |step| edge(step).min(self.max_ns))
    }

    pub fn summary(&self) -> LatenessSummary {
        LatenessSummary {
            count: self.count,
            p50_us: self.quantile_ns(500) / 1000,
            p99_us: self.quantile_ns(990) / 1000,
            max_us: self.max_ns / 1000,
        }
    }
}

impl LatenessSummary {
    /// Whether figures of this run can be trusted.
    pub fn is_conclusive(&self) -> bool {
        Duration::from_micros(self.p99_us) <= LATENESS_P99_MAX
    }
}

fn step(ns: u64) -> usize {
    let log = ns.max(8).ilog2();
    let within = (ns.max(8) >> (log - 3)) & 7;
    usize::try_from(u64::from(log - 3) * 8 + within).unwrap_or(STEPS - 1).min(STEPS - 1)
}

fn edge(step: usize) -> u64 {
    let log = u32::try_from(step / 8).unwrap_or(0);
    let within = u64::try_from(step % 8).unwrap_or(0);
    (8 + within + 1) << log
}

/// A relay that gains 5 ms is worth it, so an error of 2 ms in one packet of a hundred is the most to bear.
pub const LATENESS_P99_MAX: Duration = Duration::from_millis(2);
const STEPS: usize = 61 * 8;
