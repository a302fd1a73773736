//! How fast traffic leaves a path that dies, how often it leaves one that lives, and what watching costs.
//!
//! - `deaths`: the path in use dies again and again, wholly or for 30 % of its packets
//! - `calm`: nothing dies; links lose 5 %, or their delay varies
//! - `pulses`: what a group of 100 spends on knowing its matrix
//!
//! The group is that of the lab's scenario `deaths`: the twelve regions of the whitepaper, so that the figures of both
//! stand side by side (docs/routing.md). Times end at the headend's decision: the next packet takes the other path.

pub mod calm;
pub mod deaths;
pub mod pulses;

use crate::story::cast::Cast;
use crate::story::refusal::Refusal;
use crate::world::World;
use srwan_scenario::{NodeName, Scenario, shipped};
use std::time::Duration;

/// The scenario whose group and links are used.
const SCENARIO: &str = "deaths";

/// Mean extra delay of a link where there is background jitter: drawn every 20 ms from an exponential distribution cut
/// at five means, as in the lab; so up to 25 ms, a busy access line.
pub const JITTER: Duration = Duration::from_millis(5);

/// Between the start and the first death, or the first count: sessions, matrix, standby paths and their lanes.
const WARM_UP: Duration = Duration::from_secs(20);

/// A group whose links differ from the scenario's by jitter and loss.
struct Group {
    world: World,
    cast: Cast,
}

/// What is on every link.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    jitter: Option<Duration>,
    loss: Option<srwan_scenario::Probability>,
}

impl Group {
    /// A group in which these routers have hosts.
    fn new(sites: &[&str], weather: Weather, seed: u64) -> Result<Self, Refusal> {
        let text = shipped().iter().find(|(name, _)| *name == SCENARIO).map(|(_, text)| *text);
        let text = text.expect("the scenario is shipped; a test runs this");
        let mut scenario = Scenario::parse(text).expect("a test parses every shipped scenario");
        scenario.link_default.jitter = weather.jitter.unwrap_or(scenario.link_default.jitter);
        scenario.link_default.loss = weather.loss.unwrap_or(scenario.link_default.loss);
        let cast = Cast::of(&scenario);
        let places = sites.iter().filter_map(|name| cast.place(&NodeName::new(name).ok()?));
        let places: Vec<usize> = places.collect();
        let world = cast.world_of(&scenario, &places, seed)?;
        Ok(Self { world, cast })
    }

    fn place(&self, name: &str) -> usize {
        let name = NodeName::new(name).expect("a word of this file");
        self.cast.place(&name).expect("a router of the scenario; a test runs this")
    }
}
