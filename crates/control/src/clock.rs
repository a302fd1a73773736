//! How far two clocks are apart, as an interval: never a bare number.
//!
//! With raw delays `raw(i->j) = true(i->j) + (o_j - o_i)` and true delays that cannot be negative,
//! the offset `o_j - o_i` lies in `[-raw(j->i), raw(i->j)]`. Two synchronised clocks also say that
//! it lies in `0 +- (e_i + e_j)`. If both hold, their intersection is the answer; if they exclude
//! one another, one of the clocks is not what it says, and what was measured wins.

use srwan_wire::pulse::ErrorEstimate;
use srwan_wire::time::Owd;

/// The offset between two clocks, or a delay: a middle and how far the truth may be from it.
///
/// - **Units:** nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// The middle of the interval.
    pub value: Owd,
    /// Half its width.
    pub error: Owd,
}

/// What is known about two clocks, seen from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPair {
    /// Raw delay from the first to the second, if measured.
    pub forward: Option<Owd>,
    /// Raw delay from the second to the first, if measured.
    pub reverse: Option<Owd>,
    /// What the two clocks say about themselves.
    pub estimates: [ErrorEstimate; 2],
}

impl ClockPair {
    /// Offset of the second clock over the first; `None` if nothing bounds it.
    #[must_use]
    pub fn offset(&self) -> Option<Bounded> {
        let measured = self.measured();
        let claimed = self.claimed();
        match (measured, claimed) {
            (Some(seen), Some(said)) => Some(intersection(seen, said).unwrap_or(seen)),
            (Some(only), None) | (None, Some(only)) => Some(only),
            (None, None) => None,
        }
        .map(|(low, high)| Bounded::between(low, high))
    }

    /// Whether both clocks claim to be synchronised and what was measured says that they are not.
    #[must_use]
    pub fn contradicts(&self) -> bool {
        match (self.measured(), self.claimed()) {
            (Some(seen), Some(said)) => intersection(seen, said).is_none(),
            _ => false,
        }
    }

    fn measured(&self) -> Option<(i64, i64)> {
        let high = self.forward?.as_nanos();
        let low = self.reverse?.as_nanos().saturating_neg();
        // Rounding or drift may turn a narrow interval around: it is then the point between.
        Some((low.min(high), high.max(low)))
    }

    fn claimed(&self) -> Option<(i64, i64)> {
        let both = self.estimates.iter().all(|estimate| estimate.synchronised());
        let error = self
            .estimates
            .iter()
            .fold(Owd::ZERO, |sum, estimate| sum + Owd::from_duration(estimate.error()));
        both.then_some((error.as_nanos().saturating_neg(), error.as_nanos()))
    }
}

impl Bounded {
    fn between(low: i64, high: i64) -> Self {
        let half = (high.saturating_sub(low)) / 2;
        Self { value: Owd::from_nanos(low.saturating_add(half)), error: Owd::from_nanos(half) }
    }

    /// The true delay behind `raw`, given this offset between its two clocks.
    #[must_use]
    pub fn correct(self, raw: Owd) -> Self {
        Self { value: raw - self.value, error: self.error }
    }
}

fn intersection(a: (i64, i64), b: (i64, i64)) -> Option<(i64, i64)> {
    let low = a.0.max(b.0);
    let high = a.1.min(b.1);
    (low <= high).then_some((low, high))
}
