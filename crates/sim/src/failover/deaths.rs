//! The path in use dies: how long until its headend uses another.

use super::{Group, JITTER, WARM_UP, Weather};
use crate::story::refusal::Refusal;
use crate::story::routes::place_of;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use srwan_node::NodeEvent;
use srwan_scenario::{Impairment, LinkChange, Probability};
use srwan_wire::time::Instant;
use std::time::Duration;

/// The ends of the path, as in the lab's scenario.
const HEADEND: &str = "lon";
const ENDPOINT: &str = "atl";

/// A death that was not answered for so long counts as unanswered.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// From the answer until the link heals, and from there to the next death at least; both are as in the lab.
const DEAD_FOR: Duration = Duration::from_secs(3);
const CALM_FOR: Duration = Duration::from_secs(3);

/// After a move that no blackout caused nothing else moves traffic for the hold-down of 10 s: the next comes later.
const CALM_AFTER_LOSS: Duration = Duration::from_secs(12);

/// Deaths fall anywhere between two probes and two windows.
const PHASE_MAX: Duration = Duration::from_millis(1_500);

/// Deaths in a row of one group, as in the lab; then a fresh one. A path that failed is left alone for longer each
/// time, up to 16 minutes: a group whose paths die every few seconds for an hour has none left to take.
const DEATHS_PER_GROUP: u32 = 30;

/// Share of packets lost by a path that is not quite dead.
const PART: f64 = 0.3;

/// How a path dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Nothing passes any more.
    Blackout,
    /// Three of ten packets are lost.
    Part,
}

/// What to try.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// How paths die.
    pub death: Death,
    /// Whether the delay of all links varies.
    pub jitter: bool,
    /// How often.
    pub count: u32,
    /// Of every draw.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From the death to the other path, ascending.
    pub answered: Vec<Duration>,
    /// Deaths after which the path stayed.
    pub unanswered: u32,
}

impl Times {
    /// The time that this share of the answered deaths took at most; zero without any. **Units of share:** per mille.
    #[must_use]
    pub fn quantile(&self, per_mille: usize) -> Duration {
        let rank = (self.answered.len() * per_mille).div_ceil(1_000).max(1);
        self.answered.get(rank - 1).copied().unwrap_or_default()
    }
}

/// Lets the path in use die again and again.
///
/// **Errors:** the scenario of this module needs what a simulation has not; it does not.
pub fn run(order: Order) -> Result<Times, Refusal> {
    let mut rng = ChaCha8Rng::seed_from_u64(order.seed);
    let mut times = Times::default();
    let mut left = order.count;
    while left > 0 {
        let count = left.min(DEATHS_PER_GROUP);
        left -= count;
        deaths_of_group(Order { count, seed: rng.next_u64(), ..order }, &mut rng, &mut times)?;
    }
    times.answered.sort_unstable();
    Ok(times)
}

fn deaths_of_group(order: Order, rng: &mut ChaCha8Rng, times: &mut Times) -> Result<(), Refusal> {
    let weather = Weather { jitter: order.jitter.then_some(JITTER), loss: None };
    let mut group = Group::new(&[HEADEND, ENDPOINT], weather, order.seed)?;
    group.world.run(WARM_UP);
    for _ in 0..order.count {
        group.pause(rng, order.death);
        match group.die(order.death) {
            Some(time) => times.answered.push(time),
            None => times.unanswered += 1,
        }
    }
    Ok(())
}

impl Group {
    fn pause(&mut self, rng: &mut ChaCha8Rng, death: Death) {
        let most = u64::try_from(PHASE_MAX.as_nanos()).unwrap_or(u64::MAX);
        let phase = Duration::from_nanos(rng.next_u64() % most);
        let calm = match death {
            Death::Blackout => CALM_FOR,
            Death::Part => CALM_AFTER_LOSS,
        };
        self.world.run(calm + phase);
    }

    /// One death; the time until another path was used.
    fn die(&mut self, death: Death) -> Option<Duration> {
        let (from, endpoint) = (self.place(HEADEND), self.place(ENDPOINT));
        let first = self.active(from, endpoint).first().copied().unwrap_or(endpoint);
        let fault = match death {
            Death::Blackout => Impairment::blackhole(),
            Death::Part => {
                let loss = Probability::from_fraction(PART);
                Impairment {
                    change: LinkChange { loss, ..LinkChange::default() },
                    ..Impairment::default()
                }
            }
        };
        self.set_fault(from, first, Some(&fault));
        let onset = self.world.now();
        let moved = self.wait_for_move(from, endpoint, onset + ANSWER_WITHIN);
        self.world.run(DEAD_FOR);
        self.set_fault(from, first, None);
        moved.map(|at| at.since(onset))
    }

    fn wait_for_move(&mut self, from: usize, endpoint: usize, until: Instant) -> Option<Instant> {
        self.world.log.clear();
        while self.world.now() < until {
            self.world.advance(until);
            let moved = std::mem::take(&mut self.world.log)
                .into_iter()
                .find(|logged| logged.router == from && moves(&logged.event, endpoint));
            if let Some(logged) = moved {
                return Some(logged.at);
            }
        }
        None
    }

    /// Places of the relays in use; none on the default path.
    fn active(&self, from: usize, endpoint: usize) -> Vec<usize> {
        let view = self.world.view(from);
        let watched = view.endpoints.iter().find(|one| place_of(one.node) == endpoint);
        let engaged = watched.and_then(|one| one.engaged.as_ref());
        engaged
            .map_or(Vec::new(), |engaged| engaged.relays().iter().copied().map(place_of).collect())
    }

    fn set_fault(&mut self, a: usize, b: usize, fault: Option<&Impairment>) {
        for (from, to) in [(a, b), (b, a)] {
            let link = self.world.net.shaped(from, to);
            link.into_iter().for_each(|link| link.set_fault(fault.cloned()));
        }
    }
}

/// Whether the traffic for an endpoint goes another way from here on.
fn moves(event: &NodeEvent, endpoint: usize) -> bool {
    matches!(event, NodeEvent::PathChanged(change) if place_of(change.endpoint) == endpoint)
}
