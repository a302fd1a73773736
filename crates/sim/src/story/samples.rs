//! Delays and coins over time: what a person wants to see beside the verdicts. Looks at views, decides nothing.

use super::cast::Cast;
use super::routes::Watched;
use crate::world::World;
use srwan_control::Candidate;
use srwan_node::view::EndpointView;
use srwan_scenario::record::RouteKey;
use std::collections::BTreeMap;
use std::time::Duration;

/// Distance of two samples: a story of two minutes has a point for every two pixels of a page.
const EVERY: Duration = Duration::from_millis(250);

/// Samples of one way of a flow at most: an hour; then the page has the first hour.
const SAMPLES_MAX: usize = 14_400;

/// What the headend measured of one way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DelaySample {
    /// Time of the story.
    pub at: Duration,
    /// One-way delay of the default path in milliseconds, if its probes are answered.
    pub default_ms: Option<f64>,
    /// That of the path in use.
    pub active_ms: Option<f64>,
}

/// All samples.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// By way of a flow.
    pub delays: BTreeMap<RouteKey, Vec<DelaySample>>,
    /// Base units that tickets brought each router so far, by name.
    pub earned: BTreeMap<String, Vec<(Duration, u64)>>,
    next: Duration,
}

impl Samples {
    /// Looks, if it is time to.
    pub fn take(&mut self, world: &World, cast: &Cast, watched: &[Watched], at: Duration) {
        if at < self.next {
            return;
        }
        self.next = at + EVERY;
        for way in watched {
            let view = world.is_running(way.headend).then(|| world.view(way.headend));
            let mut endpoints = view.into_iter().flat_map(|view| view.endpoints);
            let endpoint = endpoints.find(|one| place(one) == way.endpoint);
            let sample = endpoint
                .map_or(DelaySample { at, default_ms: None, active_ms: None }, |endpoint| {
                    of_endpoint(&endpoint, at)
                });
            let log = self.delays.entry(way.key.clone()).or_default();
            log.extend((log.len() < SAMPLES_MAX).then_some(sample));
        }
        for router in 0..cast.len() {
            let earned = world.bank.earned.get(&world.account(router)).copied().unwrap_or(0);
            let log = self.earned.entry(cast.name(router).to_string()).or_default();
            if log.last().is_none_or(|(_, before)| *before != earned) && log.len() < SAMPLES_MAX {
                log.push((at, earned));
            }
        }
    }
}

fn place(endpoint: &EndpointView) -> usize {
    super::routes::place_of(endpoint.node)
}

fn of_endpoint(endpoint: &EndpointView, at: Duration) -> DelaySample {
    let offset = endpoint.offset.map_or(0, |offset| offset.value.as_nanos());
    let delay = |relays: &[srwan_wire::id::NodeId]| {
        let fits = |candidate: &&Candidate| candidate.relays == relays;
        let candidate = endpoint.candidates.iter().find(fits)?;
        if candidate.conditions.blackout {
            return None;
        }
        let nanos = candidate.measured?.forward.as_nanos() - offset;
        Some(Duration::from_nanos(u64::try_from(nanos).ok()?).as_secs_f64() * 1e3)
    };
    let active = endpoint.engaged.as_ref().map_or(&[][..], |engaged| engaged.relays());
    DelaySample { at, default_ms: delay(&[]), active_ms: delay(active) }
}
