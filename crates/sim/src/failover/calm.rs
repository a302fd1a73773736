//! Nothing dies: every move of traffic is one too many.

use super::{Group, JITTER, WARM_UP, Weather};
use crate::story::refusal::Refusal;
use crate::story::routes::place_of;
use crate::world::Logged;
use srwan_control::Cause;
use srwan_node::NodeEvent;
use srwan_scenario::Probability;
use srwan_wire::id::NodeId;
use std::time::Duration;

/// Sites on three continents' edges: each watches the three others, so there are twelve ways.
const SITES: [&str; 4] = ["lon", "atl", "sea", "fra"];
const WAYS: u32 = 12;

/// Paths that are better from the start are taken in this time; those moves are not counted.
const SETTLE: Duration = Duration::from_secs(300);

/// Share of packets that every link loses.
const LOSS: f64 = 0.05;

/// What is on every link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 5 % of packets are lost.
    Loss,
    /// The delay varies, and stays as variable as it is.
    Jitter,
}

/// What to try.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// What is on every link.
    pub trouble: Trouble,
    /// For how long; each hour is twelve hours of one way.
    pub length: Duration,
    /// Of every draw.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moves {
    /// Time that ways were watched, all ways together. **Units:** hours.
    pub way_hours: f64,
    /// Moves because a path seemed dead: false ones all.
    pub failovers: u32,
    /// Moves for any reason, those among them.
    pub switches: u32,
}

impl Moves {
    /// False failovers of one way in an hour.
    #[must_use]
    pub fn failovers_per_hour(&self) -> f64 {
        f64::from(self.failovers) / self.way_hours
    }

    /// Moves of one way in an hour.
    #[must_use]
    pub fn switches_per_hour(&self) -> f64 {
        f64::from(self.switches) / self.way_hours
    }
}

/// Lets time pass and counts.
///
/// **Errors:** the scenario of this module needs what a simulation has not; it does not.
pub fn run(order: Order) -> Result<Moves, Refusal> {
    let weather = match order.trouble {
        Trouble::Loss => Weather { loss: Probability::from_fraction(LOSS), jitter: None },
        Trouble::Jitter => Weather { jitter: Some(JITTER), loss: None },
    };
    let mut group = Group::new(&SITES, weather, order.seed)?;
    group.world.run(WARM_UP + SETTLE);
    group.world.log.clear();
    let end = group.world.now() + order.length;
    let mut moves = Moves {
        way_hours: f64::from(WAYS) * order.length.as_secs_f64() / 3_600.0,
        ..Moves::default()
    };
    while group.world.now() < end {
        group.world.advance(end);
        for logged in std::mem::take(&mut group.world.log) {
            group.count(&logged, &mut moves);
        }
    }
    Ok(moves)
}

impl Group {
    fn count(&self, logged: &Logged, moves: &mut Moves) {
        let NodeEvent::PathChanged(change) = &logged.event else { return };
        moves.switches += 1;
        let is_false = self.last_cause(logged.router, change.endpoint) == Some(Cause::Blackout);
        moves.failovers += u32::from(is_false);
    }

    fn last_cause(&self, router: usize, endpoint: NodeId) -> Option<Cause> {
        let view = self.world.view(router);
        let watched = view.endpoints.iter().find(|one| place_of(one.node) == place_of(endpoint))?;
        watched.decisions.last().map(|decision| decision.cause)
    }
}
