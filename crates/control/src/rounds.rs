//! When the own row goes to everybody: regularly, and sooner after a change, within a budget.

use core::time::Duration;

use srwan_wire::time::Instant;

use crate::config::ControlConfig;
use crate::probing::next_after;
use crate::reception::Change;

/// Extra rounds after a cell became known: three, so that at 5 % loss all but one row in ten
/// thousand arrives.
const ROUNDS_FOR_KNOWN: u8 = 3;

/// Extra rounds that may come at once: a fresh group needs about ten until everybody knows
/// everything.
const BURST_MAX: u32 = 16;

/// An extra round is earned every so many intervals: over time they add at most a tenth to the
/// traffic.
const INTERVALS_PER_EXTRA: u32 = 10;

/// The times of the rounds.
#[derive(Clone, Debug)]
pub(crate) struct Rounds {
    interval: Duration,
    spacing: Duration,
    next: Instant,
    last: Option<Instant>,
    extra_wanted: u8,
    /// Theoretical arrival time of the generic cell rate algorithm (ITU-T I.371).
    earned_at: Instant,
}

impl Rounds {
    /// The first regular round is due at `first`.
    pub(crate) fn new(config: &ControlConfig, first: Instant) -> Self {
        Self {
            interval: config.pulse_interval,
            spacing: config.extra_pulse_spacing(),
            next: first,
            last: None,
            extra_wanted: 0,
            earned_at: Instant::ZERO,
        }
    }

    /// A cell changed.
    pub(crate) fn want(&mut self, change: Change) {
        let rounds = match change {
            Change::Small => 0,
            Change::Material => 1,
            Change::Known => ROUNDS_FOR_KNOWN,
        };
        self.extra_wanted = self.extra_wanted.max(rounds);
    }

    /// Whether a round is due by `now`; then it counts as sent.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let is_regular = self.next <= now;
        let is_extra = self.extra_at().is_some_and(|at| at <= now);
        if is_regular {
            self.next = next_after(self.next, self.interval, now);
        } else if is_extra {
            self.earned_at = self.earned_at.max(now) + self.interval * INTERVALS_PER_EXTRA;
        }
        if is_regular || is_extra {
            self.extra_wanted = self.extra_wanted.saturating_sub(1);
            self.last = Some(now);
        }
        is_regular || is_extra
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        self.extra_at().map_or(self.next, |extra| extra.min(self.next))
    }

    fn extra_at(&self) -> Option<Instant> {
        if self.extra_wanted == 0 {
            return None;
        }
        let spaced = self.last.map_or(Instant::ZERO, |last| last + self.spacing);
        let burst = self.interval * INTERVALS_PER_EXTRA * (BURST_MAX - 1);
        let earned = self.earned_at.since(Instant::ZERO + burst);
        Some(spaced.max(Instant::ZERO + earned))
    }
}
