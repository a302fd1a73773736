//! What headends do with flows, from what they tell their shells.

use super::cast::Cast;
use crate::world::Logged;
use srwan_node::NodeEvent;
use srwan_scenario::record::{Route, RouteKey, RouteSeen};
use srwan_scenario::{Scenario, Way};
use srwan_wire::id::NodeId;
use srwan_wire::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// One way of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Names, for the record.
    pub key: RouteKey,
    /// The router that chooses the path.
    pub headend: usize,
    /// The router that it ends at.
    pub endpoint: usize,
}

/// The paths of all flows over time.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    watched: Vec<Watched>,
    seen: BTreeMap<RouteKey, Vec<RouteSeen>>,
    fresh: Vec<(RouteKey, RouteSeen)>,
}

impl Routes {
    /// Watches both ways of every flow; none has left the default path.
    #[must_use]
    pub fn of(scenario: &Scenario, cast: &Cast) -> Self {
        let ways = scenario.flows.iter().flat_map(|flow| [(flow, Way::There), (flow, Way::Back)]);
        let watched = ways.filter_map(|(flow, way)| {
            let (from, to) = scenario.way_ends(&flow.name, way)?;
            let headend = cast.site(scenario, &from.name)?;
            let endpoint = cast.site(scenario, &to.name)?;
            let key =
                RouteKey { headend: cast.name(headend).to_string(), target: to.name.to_string() };
            Some(Watched { key, headend, endpoint })
        });
        let mut watched: Vec<Watched> = watched.collect();
        watched.sort_by(|left, right| left.key.cmp(&right.key));
        watched.dedup();
        Self { watched, ..Self::default() }
    }

    /// What is watched.
    #[must_use]
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// Takes what routers told their shells since the last call.
    pub fn handle_log(&mut self, log: &[Logged], cast: &Cast, origin: Instant) {
        let mut reasons: BTreeMap<(usize, NodeId), String> = BTreeMap::new();
        for logged in log {
            if let NodeEvent::PathChanged(change) = &logged.event
                && change.class.is_none()
            {
                reasons.insert((logged.router, change.endpoint), change.reason.clone());
            }
        }
        for logged in log {
            let (endpoint, route) = match &logged.event {
                NodeEvent::Engage { endpoint, relays, .. } => {
                    let relays = relays.iter().map(|relay| name_of(*relay, cast)).collect();
                    (*endpoint, Route::Engaged { relays })
                }
                NodeEvent::Release { endpoint, .. } => (*endpoint, Route::Default),
                _ => continue,
            };
            let reason = reasons.get(&(logged.router, endpoint)).cloned().unwrap_or_default();
            let change = RouteSeen { at: logged.at.since(origin), route, reason };
            self.note(logged.router, Some(place_of(endpoint)), &change);
        }
    }

    /// A router is dead: all that its hosts send takes the default path.
    pub fn handle_death(&mut self, router: usize, at: Duration) {
        let reason = "the router does not answer".to_owned();
        self.note(router, None, &RouteSeen { at, route: Route::Default, reason });
    }

    /// The path in use.
    #[must_use]
    pub fn route(&self, key: &RouteKey) -> Route {
        let last = self.seen.get(key).and_then(|seen| seen.last());
        last.map_or(Route::Default, |seen| seen.route.clone())
    }

    /// Changes since the last call.
    pub fn take_fresh(&mut self) -> Vec<(RouteKey, RouteSeen)> {
        std::mem::take(&mut self.fresh)
    }

    /// All that was seen.
    #[must_use]
    pub fn seen(&self) -> &BTreeMap<RouteKey, Vec<RouteSeen>> {
        &self.seen
    }

    fn note(&mut self, headend: usize, endpoint: Option<usize>, change: &RouteSeen) {
        let fits = |watched: &&Watched| {
            watched.headend == headend && endpoint.is_none_or(|end| end == watched.endpoint)
        };
        for watched in self.watched.iter().filter(fits) {
            let log = self.seen.entry(watched.key.clone()).or_default();
            let last = log.last().map_or(&Route::Default, |last| &last.route);
            if *last != change.route {
                log.push(change.clone());
                self.fresh.push((watched.key.clone(), change.clone()));
            }
        }
    }
}

/// The place of a router in its world: numbers count from one.
#[must_use]
pub fn place_of(node: NodeId) -> usize {
    usize::try_from(node.get()).unwrap_or(usize::MAX).saturating_sub(1)
}

/// The number of the router at a place.
#[must_use]
pub fn node_at(place: usize) -> Option<NodeId> {
    NodeId::new(u32::try_from(place).ok()?.checked_add(1)?)
}

fn name_of(node: NodeId, cast: &Cast) -> String {
    cast.name(place_of(node)).to_string()
}
