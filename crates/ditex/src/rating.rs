//! What is held for and against each router, and when it is enough to quarantine one.
//!
//! A path in use is measured end to end. The sum of its cells says what it should have taken: the
//! clock offsets of the hops cancel, so a relay cannot lie by shifting its clock, only by treating
//! packets worse than pulses or by telling each neighbour something else (threat T5). Each such
//! comparison is a piece of [`Evidence`] for every relay of the path; an honest relay that shares
//! a path with a bad one is cleared by its other paths. Volume earns nothing (threat T8).

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use srwan_wire::id::NodeId;
use srwan_wire::time::Timestamp;

use crate::record::QuarantineCause;

/// Pieces of evidence kept per router: enough to judge by, small enough to read.
pub const EVIDENCE_KEPT: usize = 64;

/// Observations below which nobody is judged: at one a round, over three minutes by default.
const OBSERVATIONS_MIN: usize = 20;

/// Different headends that must have seen mismatches: one liar cannot quarantine a rival.
const HEADENDS_MIN: usize = 3;

/// A path slower than expected by less than this is not a mismatch: the cells move as well.
/// Source: promise I31 uses the same step for what a path has to gain.
const MISMATCH_MIN: Duration = Duration::from_millis(5);

/// Rounds after which older ones count half: about half a day at 10 s.
const ROUNDS_REMEMBERED: u32 = 4_096;

/// One comparison of a path's measured delay with the sum of its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Round in which it was reported.
    pub round: u64,
    /// When, by the controller's clock.
    pub at: Timestamp,
    /// Who reported it.
    pub reporter: NodeId,
    /// Where the path starts.
    pub headend: NodeId,
    /// Its relays in order.
    pub relays: Vec<NodeId>,
    /// Where it was measured.
    pub observer: NodeId,
    /// Measured minus expected. **Units:** signed nanoseconds.
    pub residual_ns: i64,
    /// The path's delay as its segments say, without clock offsets.
    pub expected: Duration,
}

impl Evidence {
    /// Says whether the path was slower than its cells by more than they may be off.
    ///
    /// More than 5 ms and more than a tenth of what was expected (threat T5).
    #[must_use]
    pub fn is_mismatch(&self) -> bool {
        let slower = Duration::from_nanos(u64::try_from(self.residual_ns).unwrap_or(0));
        slower > MISMATCH_MIN && slower > self.expected / 10
    }
}

/// What is held for and against one router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rating {
    evidence: VecDeque<Evidence>,
    rounds: u32,
    rounds_seen: u32,
}

impl Rating {
    /// The last [`EVIDENCE_KEPT`] pieces, oldest first.
    pub fn evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.evidence.iter()
    }

    /// Share of reported rounds in which the router was heard; `None` before the first.
    ///
    /// - **Units:** thousandths.
    #[must_use]
    pub fn availability(&self) -> Option<u32> {
        (self.rounds_seen * 1_000).checked_div(self.rounds)
    }

    /// Share of comparisons in which its paths were as fast as their cells say.
    ///
    /// - **Units:** thousandths; 1000 if there were none.
    #[must_use]
    pub fn accuracy(&self) -> u32 {
        let all = u32::try_from(self.evidence.len()).unwrap_or(u32::MAX);
        ((all - self.strikes()) * 1_000).checked_div(all).unwrap_or(1_000)
    }

    /// Availability times accuracy; `None` before the first round.
    ///
    /// - **Units:** thousandths.
    #[must_use]
    pub fn score(&self) -> Option<u32> {
        self.availability().map(|availability| availability * self.accuracy() / 1_000)
    }

    /// Mismatches among the evidence kept.
    #[must_use]
    pub fn strikes(&self) -> u32 {
        let strikes = self.evidence.iter().filter(|evidence| evidence.is_mismatch()).count();
        u32::try_from(strikes).unwrap_or(u32::MAX)
    }

    /// The cause for a quarantine, if the evidence is enough: most comparisons are mismatches, and
    /// several headends saw them.
    #[must_use]
    pub fn verdict(&self) -> Option<QuarantineCause> {
        let observations = self.evidence.len();
        let mismatches = self.evidence.iter().filter(|evidence| evidence.is_mismatch());
        let headends: BTreeSet<NodeId> = mismatches.map(|evidence| evidence.headend).collect();
        let strikes = self.strikes();
        let all = u32::try_from(observations).unwrap_or(u32::MAX);
        (observations >= OBSERVATIONS_MIN && headends.len() >= HEADENDS_MIN && strikes > all / 2)
            .then(|| QuarantineCause::Evidence {
                strikes,
                observations: all,
                headends: u32::try_from(headends.len()).unwrap_or(u32::MAX),
            })
    }

    fn add_round(&mut self, seen: bool) {
        if self.rounds >= ROUNDS_REMEMBERED {
            self.rounds /= 2;
            self.rounds_seen /= 2;
        }
        self.rounds += 1;
        self.rounds_seen += u32::from(seen);
    }

    fn add_evidence(&mut self, evidence: Evidence) {
        if self.evidence.len() >= EVIDENCE_KEPT {
            self.evidence.pop_front();
        }
        self.evidence.push_back(evidence);
    }
}

/// All ratings.
#[derive(Debug, Default)]
pub(crate) struct Ratings {
    ratings: BTreeMap<NodeId, Rating>,
}

impl Ratings {
    pub(crate) fn rating(&self, node: NodeId) -> Option<&Rating> {
        self.ratings.get(&node)
    }

    pub(crate) fn add_round(&mut self, node: NodeId, seen: bool) {
        self.ratings.entry(node).or_default().add_round(seen);
    }

    /// Holds one comparison for or against each relay of its path, once a round.
    pub(crate) fn add_evidence(&mut self, evidence: &Evidence) {
        let same = |other: &Evidence| {
            (other.round, other.headend, other.observer, &other.relays)
                == (evidence.round, evidence.headend, evidence.observer, &evidence.relays)
        };
        for relay in &evidence.relays {
            let rating = self.ratings.entry(*relay).or_default();
            if !rating.evidence.iter().any(same) {
                rating.add_evidence(evidence.clone());
            }
        }
    }

    /// Forgets everything: a removed router, or one on parole, starts with a clean sheet.
    pub(crate) fn forget(&mut self, node: NodeId) {
        self.ratings.remove(&node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(raw: u32) -> NodeId {
        NodeId::new(raw).unwrap()
    }

    fn evidence(round: u64, headend: u32, relays: &[u32], slower_ms: i64) -> Evidence {
        Evidence {
            round,
            at: Timestamp::default(),
            reporter: node(1),
            headend: node(headend),
            relays: relays.iter().map(|relay| node(*relay)).collect(),
            observer: node(99),
            residual_ns: slower_ms * 1_000_000,
            expected: Duration::from_millis(40),
        }
    }

    #[test]
    fn a_mismatch_is_over_five_milliseconds_and_over_a_tenth() {
        for (slower_ms, expected) in [(-9, false), (4, false), (5, false), (6, true), (50, true)] {
            assert_eq!(evidence(1, 1, &[2], slower_ms).is_mismatch(), expected, "{slower_ms}");
        }
        let long = Evidence { expected: Duration::from_millis(100), ..evidence(1, 1, &[2], 9) };
        assert!(!long.is_mismatch());
    }

    #[test]
    fn a_liar_is_named_and_the_honest_relay_beside_it_is_not() {
        let mut ratings = Ratings::default();
        for round in 0..30 {
            for headend in 1..=3 {
                ratings.add_evidence(&evidence(round, headend, &[10, 11], 30));
                ratings.add_evidence(&evidence(round, headend, &[11], 0));
            }
        }
        let verdict = |raw| ratings.rating(node(raw)).unwrap().verdict();
        assert!(matches!(verdict(10), Some(QuarantineCause::Evidence { headends: 3, .. })));
        assert_eq!(verdict(11), None);
    }

    #[test]
    fn one_headend_alone_quarantines_nobody() {
        let mut ratings = Ratings::default();
        (0..200).for_each(|round| ratings.add_evidence(&evidence(round, 1, &[10], 30)));
        let rating = ratings.rating(node(10)).unwrap();
        assert_eq!(rating.verdict(), None);
        assert_eq!(rating.evidence().count(), EVIDENCE_KEPT);
        assert_eq!(rating.accuracy(), 0);
    }

    #[test]
    fn the_same_observation_counts_once_a_round() {
        let mut ratings = Ratings::default();
        (0..9).for_each(|_| ratings.add_evidence(&evidence(7, 1, &[10], 30)));
        assert_eq!(ratings.rating(node(10)).unwrap().strikes(), 1);
    }

    #[test]
    fn a_score_needs_rounds_and_forgets_slowly() {
        let mut ratings = Ratings::default();
        assert_eq!(Rating::default().score(), None);
        (0..10_000).for_each(|round| ratings.add_round(node(1), round >= 5_000));
        let rating = ratings.rating(node(1)).unwrap();
        assert!(rating.availability().unwrap() > 700, "{rating:?}");
        assert!(rating.rounds <= ROUNDS_REMEMBERED);
    }
}
