//! When traffic moves although the active path is up: a comparison per window, with three guards
//! against flapping.
//!
//! 1. **Margin**: the other path must be better by more than max(5 ms, 10 % of the one-way delay)
//!    *plus the jitter of both*, in three windows in a row. With jitter alone, the medians of two
//!    equal paths differ by more than that in one window of a hundred, in three in a row
//!    practically never.
//! 2. **Hold-down**: after a switch, 10 s without another, blackouts excepted.
//! 3. **Damping**: each departure from the default path within the last hour after the second
//!    doubles the time for which the default path must be well before the traffic returns (RFC
//!    2439's idea, without its figures).

use core::time::Duration;
use std::collections::VecDeque;

use srwan_wire::canary::{self, Canary};
use srwan_wire::time::{Instant, Owd};

use crate::choice::margin;
use crate::config::PolicyConfig;
use crate::decision::Cause;
use crate::graph::{Cost, jitter_cost, loss_cost, loss_cost_error};
use crate::track::Track;

/// Departures are remembered for this long, and that many.
const DEPARTURES_WITHIN: Duration = Duration::from_secs(3_600);
const DEPARTURES_MAX: usize = 8;

/// Windows whose median is the lead that the return is judged by: about five seconds, so that a
/// path that healed counts as well after half of that, and a lucky window does not.
const LEADS_MAX: usize = 16;

/// Standard errors by which the losses of two paths have to differ: among ten paths that lose alike the best looks
/// better than another by about two.
const LOSS_ERRORS: Cost = 3;

/// What the comparisons of one endpoint's paths remember from window to window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judge {
    streak: u8,
    hold_until: Instant,
    /// By how much the active path was faster than the default one in the last windows.
    leads: VecDeque<Cost>,
    default_well_since: Option<Instant>,
    departures: VecDeque<Instant>,
}

impl Judge {
    pub(crate) fn reset_streak(&mut self) {
        self.streak = 0;
    }

    /// Comparisons up to this moment mean nothing any more.
    pub(crate) fn forget(&mut self) {
        self.streak = 0;
        self.leads.clear();
        self.default_well_since = None;
    }

    /// Traffic moved.
    pub(crate) fn note_switch(
        &mut self,
        from_default: bool,
        cause: Cause,
        policy: &PolicyConfig,
        now: Instant,
    ) {
        self.forget();
        self.hold_until = now + policy.hold_down;
        if from_default && cause != Cause::Pinned {
            if self.departures.len() == DEPARTURES_MAX {
                self.departures.pop_front();
            }
            self.departures.push_back(now);
        }
    }

    /// Traffic is on the default path: `Some` if it should move to the standby.
    pub(crate) fn on_default(
        &mut self,
        default: &Track,
        standby: Option<&Track>,
        policy: &PolicyConfig,
        now: Instant,
    ) -> Option<Cause> {
        self.challenge(default, standby?, policy, now)
    }

    /// Traffic is on relays: `Some(Return)` if it should go back, another cause if it should move
    /// to the standby.
    pub(crate) fn on_relays(
        &mut self,
        default: &Track,
        active: &Track,
        standby: Option<&Track>,
        policy: &PolicyConfig,
        now: Instant,
    ) -> Option<Cause> {
        if self.default_is_well(default, active, policy, now) {
            return Some(Cause::Return);
        }
        self.challenge(active, standby?, policy, now)
    }

    fn challenge(
        &mut self,
        active: &Track,
        other: &Track,
        policy: &PolicyConfig,
        now: Instant,
    ) -> Option<Cause> {
        let gain = gain(active, other, policy, now)?;
        let leaves_for = policy.preference.leaves_for(margin_of(active, policy));
        let needed = leaves_for.saturating_add(noise(active, other));
        if canary::is(Canary::NoHysteresis) {
            return (gain > 0).then(|| cause_of(active));
        }
        self.streak = if gain > needed { self.streak.saturating_add(1) } else { 0 };
        let is_due = self.streak >= policy.windows && now >= self.hold_until;
        is_due.then(|| cause_of(active))
    }

    fn default_is_well(
        &mut self,
        default: &Track,
        active: &Track,
        policy: &PolicyConfig,
        now: Instant,
    ) -> bool {
        if let Some(lead) = delay_lead(default, active, policy, now) {
            if self.leads.len() == LEADS_MAX {
                self.leads.pop_front();
            }
            self.leads.push_back(lead);
        }
        let conditions = default.meter.conditions();
        let within = policy.preference.returns_within(margin_of(default, policy));
        let is_close = self.median_lead().is_some_and(|lead| lead <= within);
        if !is_close || conditions.blackout {
            self.default_well_since = None;
            return false;
        }
        // Loss and jitter end by rules of their own, which are certain enough; what both paths have
        // is no reason to stay.
        let others = active.meter.conditions();
        let is_worse = conditions.lossy && !others.lossy || conditions.jittery && !others.jittery;
        let since = *self.default_well_since.get_or_insert(now);
        let is_long_enough = now.since(since) >= self.hold_down(policy, now);
        is_long_enough && now >= self.hold_until && !is_worse
    }

    fn median_lead(&self) -> Option<Cost> {
        let mut leads: Vec<Cost> = self.leads.iter().copied().collect();
        leads.sort_unstable();
        leads.get(leads.len().saturating_sub(1) / 2).copied()
    }

    fn hold_down(&mut self, policy: &PolicyConfig, now: Instant) -> Duration {
        self.departures.retain(|at| now.since(*at) <= DEPARTURES_WITHIN);
        let repeated = u32::try_from(self.departures.len()).unwrap_or(0).saturating_sub(2);
        policy.hold_down * 2_u32.pow(repeated)
    }
}

/// How much faster `active` is than the default path at this moment.
fn delay_lead(
    default: &Track,
    active: &Track,
    policy: &PolicyConfig,
    now: Instant,
) -> Option<Cost> {
    let forward = |track: &Track| Some(track.figures(policy, now)?.forward.as_nanos());
    Some(forward(default)?.saturating_sub(forward(active)?))
}

/// How much cheaper `other` is than `active` at this moment.
fn gain(active: &Track, other: &Track, policy: &PolicyConfig, now: Instant) -> Option<Cost> {
    Some(active.cost(policy, now)?.saturating_sub(other.cost(policy, now)?))
}

fn margin_of(active: &Track, policy: &PolicyConfig) -> Cost {
    let least = Owd::from_duration(policy.gain_min).as_nanos();
    let round_trip =
        active.meter.shortest_rtt().map_or(0, |rtt| Owd::from_duration(rtt).as_nanos());
    margin(least, policy.gain_min_percent, round_trip)
}

/// What chance alone may make of the difference of two costs: the jitter of both, and [`LOSS_ERRORS`] standard errors
/// of their losses.
fn noise(active: &Track, other: &Track) -> Cost {
    let jitter = active.meter.jitter() + other.meter.jitter();
    let error = loss_cost_error([&active.meter, &other.meter].map(|meter| meter.losses()));
    Owd::from_duration(jitter).as_nanos().saturating_add(error.saturating_mul(LOSS_ERRORS))
}

/// What is wrong with the path that is left, the costliest first; nothing is, if the other is
/// simply faster.
fn cause_of(active: &Track) -> Cause {
    let conditions = active.meter.conditions();
    let costs = [
        (conditions.slow, active.meter.added_ns(), Cause::AddedDelay),
        (conditions.lossy, loss_cost(active.meter.loss()), Cause::Loss),
        (conditions.jittery, jitter_cost(active.meter.jitter()), Cause::Jitter),
    ];
    let wrong = costs.into_iter().filter(|(is_wrong, ..)| *is_wrong);
    wrong.max_by_key(|(_, cost, _)| *cost).map_or(Cause::Gain, |(.., cause)| cause)
}
