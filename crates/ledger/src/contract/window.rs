//! When a listing may be used: weekly hours of one place, through its changes of clock.
//!
//! The ledger has no clock. A lease names absolute seconds of UTC, and the ledger compares those
//! with each other and with the listing's rule; it never asks what time it is. Which second it is
//! matters to relays alone, and they have clocks. Source: docs/design/004-lease-windows.md.
//!
//! A rule means a set of instants: those at which the wall clock of the place shows a time inside
//! a span of a named day. So an hour that the clocks skip does not exist, and an hour that they
//! repeat counts twice; there is nothing to round.

use borsh::{BorshDeserialize, BorshSerialize};

/// Spans of one day: before work, after work, and two to spare.
pub const SPANS_MAX: usize = 4;
/// Changes of the clock in one rule: two a year for eight years.
pub const OFFSETS_MAX: usize = 16;
/// Longest lease. **Units:** seconds; 31 days, so that one purchase expands few days.
pub const INTERVAL_SECONDS_MAX: u64 = 31 * DAY;
/// Last second that a lease may name: the year 4147, far inside every sum made here.
pub const UTC_SECONDS_MAX: u64 = 1 << 36;

const DAY: u64 = 86_400;
const MINUTES_OF_DAY: u16 = 1_440;
/// Offsets from UTC go from -12:00 to +14:00.
const OFFSET_MINUTES: core::ops::RangeInclusive<i16> = -720..=840;

/// An instant. **Units:** seconds of UTC since 1970, without leap seconds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct UtcSeconds(pub u64);

/// From `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Interval {
    /// First second.
    pub start: UtcSeconds,
    /// First second after it.
    pub end: UtcSeconds,
}

impl Interval {
    /// Whether it is neither empty, nor too long, nor in a year that no one will see.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let length = self.end.0.checked_sub(self.start.0);
        self.end.0 <= UTC_SECONDS_MAX
            && length.is_some_and(|length| length > 0 && length <= INTERVAL_SECONDS_MAX)
    }

    /// **Units:** seconds.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether both contain some instant.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// Part of a local day. **Units:** minutes since its midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Span {
    /// First minute, below 1,440.
    pub start_minute: u16,
    /// First minute after it; above 1,440 for a night that ends on the next day.
    pub end_minute: u16,
}

/// From `at` on the place's clock is `offset_minutes` ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OffsetChange {
    /// When.
    pub at: UtcSeconds,
    /// **Units:** minutes east of UTC.
    pub offset_minutes: i16,
}

/// Hours of a week by the wall clock of one place.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Weekly {
    /// Local days on which spans start: bit 0 is Monday, bit 6 Sunday.
    pub days: u8,
    /// Parts of each of those days; at most [`SPANS_MAX`].
    pub spans: Vec<Span>,
    /// The place's clock, in ascending order; at most [`OFFSETS_MAX`]. Before the first one
    /// nothing is for sale: whose clock is unknown has no hours.
    pub offsets: Vec<OffsetChange>,
}

/// When a listing may be used.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Window {
    /// At any time.
    Always,
    /// In these hours only.
    Weekly(Weekly),
}

impl Window {
    /// Whether the rule is one that can be expanded.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Always => true,
            Self::Weekly(rule) => rule.is_sound(),
        }
    }

    /// Whether every second of a sound `interval` is inside.
    #[must_use]
    pub fn covers(&self, interval: &Interval) -> bool {
        match self {
            Self::Always => true,
            Self::Weekly(rule) => rule.expand(interval) == [*interval],
        }
    }
}

impl Weekly {
    fn is_sound(&self) -> bool {
        let span_ok = |span: &Span| {
            span.start_minute < MINUTES_OF_DAY
                && span.start_minute < span.end_minute
                && span.end_minute <= 2 * MINUTES_OF_DAY
        };
        (1..128).contains(&self.days)
            && (1..=SPANS_MAX).contains(&self.spans.len())
            && self.spans.iter().all(span_ok)
            && (1..=OFFSETS_MAX).contains(&self.offsets.len())
            && self.offsets.iter().all(|change| OFFSET_MINUTES.contains(&change.offset_minutes))
            && self.offsets.is_sorted_by(|left, right| left.at < right.at)
    }

    /// The instants of the rule inside `within`, as the fewest intervals in ascending order.
    #[must_use]
    pub fn expand(&self, within: &Interval) -> Vec<Interval> {
        let mut found = Vec::new();
        for (index, change) in self.offsets.iter().enumerate() {
            let next = self.offsets.get(index + 1).map_or(within.end, |next| next.at);
            let clip = Interval { start: change.at.max(within.start), end: next.min(within.end) };
            if clip.start < clip.end {
                self.expand_under(i64::from(change.offset_minutes) * 60, &clip, &mut found);
            }
        }
        merge(found)
    }

    /// Adds what `clip` contains of the rule while the clock is `offset` seconds ahead of UTC.
    fn expand_under(&self, offset: i64, clip: &Interval, found: &mut Vec<Interval>) {
        let (start, end) = (signed(clip.start), signed(clip.end));
        let day_seconds = DAY.cast_signed();
        // A span that began on the local day before may reach into the first one.
        let first = (start + offset).div_euclid(day_seconds) - 1;
        let last = (end + offset).div_euclid(day_seconds);
        for day in (first..=last).filter(|day| self.has_day(*day)) {
            for span in &self.spans {
                let at = |minute: u16| day * day_seconds + i64::from(minute) * 60 - offset;
                let (from, to) = (at(span.start_minute).max(start), at(span.end_minute).min(end));
                if from < to {
                    found.push(Interval { start: unsigned(from), end: unsigned(to) });
                }
            }
        }
    }

    /// Whether spans start on a local day, counted from 1970-01-01, which was a Thursday.
    fn has_day(&self, day: i64) -> bool {
        let weekday = (day + 3).rem_euclid(7);
        self.days >> weekday & 1 == 1
    }
}

fn signed(instant: UtcSeconds) -> i64 {
    instant.0.min(UTC_SECONDS_MAX).cast_signed()
}

fn unsigned(seconds: i64) -> UtcSeconds {
    UtcSeconds(seconds.max(0).cast_unsigned())
}

/// Joins intervals that touch or overlap.
fn merge(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut merged: Vec<Interval> = Vec::new();
    for next in intervals {
        match merged.last_mut() {
            Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
            Some(_) | None => merged.push(next),
        }
    }
    merged
}
