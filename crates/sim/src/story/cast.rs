//! Who is who: the routers of a scenario as the routers of a world.

use super::refusal::{NOT_SIMULATED, Refusal};
use crate::differs::Differs;
use crate::world::{World, WorldConfig};
use srwan_control::{LivenessConfig, PULSE_INTERVAL_DEFAULT, PolicyConfig};
use srwan_ledger::amount::Amount;
use srwan_scenario::link::Link;
use srwan_scenario::{Flow, LinkShape, Node, NodeName, Role, RouterOverrides, Scenario};
use srwan_wire::pulse::ErrorEstimate;
use srwan_wire::receipt::Price;
use std::collections::BTreeMap;
use std::time::Duration;

/// The product's defaults where a scenario says nothing: price, escrow, and what a router says of its clock.
const PRICE_DEFAULT: &str = "10";
const ESCROW_DEFAULT: &str = "20";
const CLOCK_ERROR: Duration = Duration::from_micros(500);
/// A lane's cap is this part of the escrow (docs/testing.md, "[[node]]").
const LANES_PER_ESCROW: u64 = 20;
/// Base units per 10^6 octets are a thousandth of base units per 10^9.
const MEGABYTES_PER_GIGABYTE: u64 = 1_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// The routers of a scenario by their place in a world: the order of the file.
#[derive(Clone, Debug)]
pub struct Cast {
    names: Vec<NodeName>,
    places: BTreeMap<NodeName, usize>,
}

impl Cast {
    /// The routers of a scenario.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let names: Vec<NodeName> =
            scenario.with_role(Role::Router).map(|node| node.name.clone()).collect();
        let places = names.iter().cloned().enumerate().map(|(place, name)| (name, place)).collect();
        Self { names, places }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of the router at a place.
    #[must_use]
    pub fn name(&self, place: usize) -> &NodeName {
        &self.names[place]
    }

    /// The place of a router.
    #[must_use]
    pub fn place(&self, name: &NodeName) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The place of the router that a node is, or stands behind.
    #[must_use]
    pub fn site(&self, scenario: &Scenario, node: &NodeName) -> Option<usize> {
        self.place(scenario.site_of(scenario.node(node)?))
    }

    /// The routers at both ends of a flow, the starting one first.
    #[must_use]
    pub fn ends(&self, scenario: &Scenario, flow: &Flow) -> Option<(usize, usize)> {
        Some((self.site(scenario, &flow.from)?, self.site(scenario, &flow.to)?))
    }

    /// A world with these routers and the links between them.
    ///
    /// **Errors:** a figure that no router takes.
    pub fn world(&self, scenario: &Scenario, seed: u64) -> Result<World, Refusal> {
        let mut sites: Vec<usize> = scenario
            .nodes
            .iter()
            .filter(|node| node.behind.is_some())
            .filter_map(|node| self.site(scenario, &node.name))
            .collect();
        sites.sort_unstable();
        sites.dedup();
        self.world_of(scenario, &sites, seed)
    }

    /// As [`Cast::world`], with hosts behind these routers.
    ///
    /// **Errors:** as there.
    pub fn world_of(
        &self,
        scenario: &Scenario,
        sites: &[usize],
        seed: u64,
    ) -> Result<World, Refusal> {
        let mut world = World::new(&self.config(scenario, sites)?, seed);
        let nodes: Vec<&Node> = self.names.iter().filter_map(|name| scenario.node(name)).collect();
        for (from, source) in nodes.iter().enumerate() {
            for (to, target) in nodes.iter().enumerate().filter(|(to, _)| *to != from) {
                let shape = scenario.link_shape(source, target);
                let mtu = Some(shape.mtu.unwrap_or(scenario.mtu).min(scenario.mtu));
                let stream = wide(from) * STREAMS_PER_ROUTER + wide(to);
                let link = Link::new(LinkShape { mtu, ..shape }, seed, stream);
                world.net.set_shaped(from, to, link);
            }
        }
        Ok(world)
    }

    fn config(&self, scenario: &Scenario, sites: &[usize]) -> Result<WorldConfig, Refusal> {
        let Ok(routers) = u8::try_from(self.len()) else {
            return Err(odd(format!("{} routers", self.len()), "at most 250"));
        };
        let mut config = WorldConfig::new(routers);
        config.sites = sites.to_vec();
        for node in scenario.with_role(Role::Router) {
            let skew = node.router.skew_ms.unwrap_or(0).saturating_mul(NANOS_PER_MILLI);
            config.clock_offsets.push(skew);
            config.differs.insert(config.differs.len(), differs(node)?);
        }
        Ok(config)
    }
}

/// Each directed link has its own draws.
const STREAMS_PER_ROUTER: u64 = 1_000;

fn wide(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}

fn odd(what: String, why: &'static str) -> Refusal {
    Refusal { code: NOT_SIMULATED, what, why }
}

fn differs(node: &Node) -> Result<Differs, Refusal> {
    let own = &node.router;
    let escrow = own.escrow_coins.as_deref().unwrap_or(ESCROW_DEFAULT);
    let escrow = Amount::parse_coins(escrow)
        .map_err(|_| odd(format!("escrow_coins of {}", node.name), "not an amount of coins"))?;
    Ok(Differs {
        name: node.name.to_string(),
        asn: node.asn,
        price: price(node)?,
        lane_cap: escrow.base() / LANES_PER_ESCROW,
        clock_estimate: ErrorEstimate::new(true, CLOCK_ERROR),
        pulse_interval: own.pulse.unwrap_or(PULSE_INTERVAL_DEFAULT),
        liveness: liveness(own),
        policy: policy(own),
    })
}

fn price(node: &Node) -> Result<Option<Price>, Refusal> {
    let text = node.router.coins_per_gb.as_deref().unwrap_or(PRICE_DEFAULT);
    if text == "inf" {
        return Ok(None);
    }
    let per_gigabyte = Amount::parse_coins(text)
        .map_err(|_| odd(format!("coins_per_gb of {}", node.name), "not a price"))?;
    Ok(Some(Price(per_gigabyte.base() / MEGABYTES_PER_GIGABYTE)))
}

fn liveness(own: &RouterOverrides) -> LivenessConfig {
    let usual = LivenessConfig::default();
    LivenessConfig {
        interval: own.liveness.unwrap_or(usual.interval),
        misses: own.misses.unwrap_or(usual.misses),
        inner_mtu: usual.inner_mtu,
    }
}

fn policy(own: &RouterOverrides) -> PolicyConfig {
    let usual = PolicyConfig::default();
    PolicyConfig {
        windows: own.windows.unwrap_or(usual.windows),
        window: own.window.unwrap_or(usual.window),
        hold_down: own.hold_down.unwrap_or(usual.hold_down),
        relays_max: own.relays_max.unwrap_or(usual.relays_max),
        ..usual
    }
}
