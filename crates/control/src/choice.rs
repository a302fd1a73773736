//! Which of several paths traffic should take: what the three preferences mean, in one place.
//!
//! Every rule compares two paths by what they cost (delay, plus what loss and jitter cost, in
//! nanoseconds), by how sure that is, and by their price. A path is left only for one that is
//! better by a margin plus the doubt about both, so that noise alone moves nothing.
//!
//! | preference | leaves the default path | returns to it | pays |
//! | --- | --- | --- | --- |
//! | direct-first | for a gain above the margin | when it is within half the margin | for a gain |
//! | fastest | for a gain above a quarter of the margin | when it is as fast | for a gain |
//! | cheapest | for a gain above two margins | when it is within the margin | as little as it can |
//!
//! The margin is max(5 ms, 10 % of the one-way delay), I31.

use crate::graph::Cost;

/// What a user wants of paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preference {
    /// The default path, unless another is clearly better (W58, W81).
    #[default]
    DirectFirst,
    /// The fastest path, for traffic that a few milliseconds matter to.
    Fastest,
    /// The cheapest path that is not clearly slower, for bulk traffic.
    Cheapest,
}

/// One path that traffic may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What it costs in time. **Units:** nanoseconds; with the clock offset of the two ends, so it
    /// compares only with offers of the same ends.
    pub cost: i64,
    /// How far the cost may be off. **Units:** nanoseconds.
    pub doubt: i64,
    /// What its relays ask. **Units:** base per 10^6 octets; the default path is free.
    pub price: u64,
    /// Whether it is the default path.
    pub is_default: bool,
    /// Of the moments in which both were measured, the share in which it was faster than the
    /// default path. **Units:** percent; of the default path itself without meaning.
    pub wins_percent: u8,
}

/// A path in use that was faster less often than this is given up for the default one.
pub const WINS_PERCENT_KEPT: u8 = 50;

impl Preference {
    /// How much another path must gain before traffic leaves the present one for it, in quarters
    /// of the margin.
    const fn leaving_quarters(self) -> i64 {
        match self {
            Self::DirectFirst => 4,
            Self::Fastest => 1,
            Self::Cheapest => 8,
        }
    }

    /// How much slower than the present path a cheaper one (the default path is the cheapest) may
    /// be for traffic to go there, in quarters of the margin.
    const fn returning_quarters(self) -> i64 {
        match self {
            Self::DirectFirst => 2,
            Self::Fastest => 0,
            Self::Cheapest => 4,
        }
    }

    /// A path that was faster than the default one less often than this is not taken, however fast
    /// it is expected to be: where delays are mostly noise, the least of a hundred sums is luck.
    const fn wins_percent_min(self) -> u8 {
        match self {
            Self::DirectFirst | Self::Cheapest => 85,
            Self::Fastest => 60,
        }
    }

    /// The gain for which a path is left.
    #[must_use]
    pub(crate) fn leaves_for(self, margin: Cost) -> Cost {
        margin / 4 * self.leaving_quarters()
    }

    /// The lead over the default path up to which traffic returns to it.
    #[must_use]
    pub(crate) fn returns_within(self, margin: Cost) -> Cost {
        margin / 4 * self.returning_quarters()
    }

    /// Whether traffic should move from one path to another.
    #[must_use]
    pub fn moves(self, from: &Offer, to: &Offer, margin: i64) -> bool {
        let gain = from.cost.saturating_sub(to.cost);
        let is_cheaper = match self {
            Self::DirectFirst | Self::Fastest => to.is_default && !from.is_default,
            Self::Cheapest => to.price < from.price,
        };
        if !to.is_default && to.wins_percent < self.wins_percent_min() {
            return false;
        }
        if to.is_default && from.wins_percent < WINS_PERCENT_KEPT {
            return true;
        }
        if is_cheaper && gain >= -self.returns_within(margin) {
            return true;
        }
        let doubt = self.leaves_for(from.doubt.saturating_add(to.doubt));
        gain > self.leaves_for(margin).saturating_add(doubt)
    }

    /// Picks a path: the index of the best offer that traffic should move to, or `present`.
    ///
    /// Of several the one with the least cost, for [`Preference::Cheapest`] the least price first.
    #[must_use]
    pub fn choose(self, offers: &[Offer], present: usize, margin: i64) -> usize {
        let Some(from) = offers.get(present) else { return present };
        let better = offers.iter().enumerate();
        let better = better.filter(|(at, to)| *at != present && self.moves(from, to, margin));
        let rank = |offer: &Offer| match self {
            Self::DirectFirst | Self::Fastest => (0, offer.cost),
            Self::Cheapest => (offer.price, offer.cost),
        };
        better.min_by_key(|(at, to)| (rank(to), *at)).map_or(present, |(at, _)| at)
    }
}

/// What a gain must exceed to matter: `least`, or so many percent of the one-way delay.
///
/// - **Units:** nanoseconds. Half of the round trip stands for the one-way delay: clock offsets
///   cancel in it, so the rule is the same whatever the clocks say.
#[must_use]
pub fn margin(least: i64, percent: u8, round_trip: i64) -> i64 {
    least.max(round_trip / 200 * i64::from(percent))
}
