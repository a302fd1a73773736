//! Many seeds: what they saw together, and whether that is enough to believe them.

use super::{Character, Report};
use crate::judge::Tally;
use std::collections::BTreeMap;

/// Seeds below which nothing has to be seen: a few seeds need not contain everything.
const GUARDED_FROM: usize = 50;

/// What a batch must have seen; the rest is for people.
const GUARDED: &[&str] = &[
    "engaged",
    "failovers",
    "settled",
    "rejected",
    "recoveries",
    "tunnelled",
    "relayed",
    "cookies",
    "restarts",
    "measured_failovers",
];

/// The sum of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Seeds that ran.
    pub seeds: usize,
    /// Seeds of each character.
    pub characters: BTreeMap<Character, usize>,
    /// Things that happened.
    pub events: u64,
    /// What was seen.
    pub tally: Tally,
    /// Those that broke a promise.
    pub failed: Vec<Report>,
    /// A hash over the hashes of all, in the order of the seeds.
    pub audit: u128,
}

impl Batch {
    /// Adds a seed; they must come in order.
    pub fn add(&mut self, report: Report) {
        self.seeds += 1;
        *self.characters.entry(report.character).or_default() += 1;
        self.events += report.events;
        self.tally.add(&report.tally);
        self.audit = self.audit.rotate_left(7) ^ report.audit.0;
        if !report.violations.is_empty() {
            self.failed.push(report);
        }
    }

    /// What was not seen although it had to be.
    #[must_use]
    pub fn vacuous(&self) -> Vec<&'static str> {
        if self.seeds < GUARDED_FROM {
            return Vec::new();
        }
        let all = self.tally.all().into_iter();
        let zero = all.filter(|(name, count)| *count == 0 && GUARDED.contains(name));
        zero.map(|(name, _)| name).collect()
    }

    /// Whether nothing was broken and enough was seen.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.failed.is_empty() && self.vacuous().is_empty()
    }

    /// The bound on the share of seeds that fail, which so many clean ones give with 95 % confidence: 3/N; no more
    /// than all.
    #[must_use]
    pub fn failure_rate_max(&self) -> f64 {
        let seeds = u32::try_from(self.seeds).unwrap_or(u32::MAX);
        (3.0 / f64::from(seeds.max(1))).min(1.0)
    }
}
