//! What needs the whole scenario: expectations that name flows and events, delays that need cities.

use std::time::Duration;

use super::error::{ScenarioError, nearest};
use super::parse::At;
use super::raw::RawExpect;
use super::{Expect, ExpectKind, LinkShape, Node, Role, Scenario, Way, Window, cities};

type Result<T> = std::result::Result<T, ScenarioError>;

/// Shape of the link between two sites: default, then what the cities say, then what the file says.
pub fn link_shape(scenario: &Scenario, from: &Node, to: &Node) -> LinkShape {
    let mut shape = scenario.link_default.clone();
    if let Some(owd) = owd_assumed(from, to) {
        shape.owd = owd;
    }
    let written = scenario.links.iter().filter(|link| link.from == from.name && link.to == to.name);
    written.fold(shape, |shape, link| shape.changed(&link.change))
}

fn owd_assumed(from: &Node, to: &Node) -> Option<Duration> {
    match (from.city, to.city) {
        (Some(from), Some(to)) => Some(cities::owd_assumed(from, to)),
        (None, _) | (_, None) => is_service(from).or(is_service(to)).map(|()| OWD_SERVICE),
    }
}

fn is_service(node: &Node) -> Option<()> {
    matches!(node.role, Role::Controller | Role::Ledger).then_some(())
}

/// Checks an expectation against the flows, events and nodes there are.
pub fn expect(scenario: &Scenario, raw: &RawExpect, at: At) -> Result<Expect> {
    let look = Look { scenario, at };
    let kind = match raw {
        RawExpect::UsesRelays { .. } | RawExpect::UsesDefault { .. } => look.path(raw)?,
        RawExpect::TcpSurvives { .. }
        | RawExpect::FlowMoves { .. }
        | RawExpect::Throughput { .. }
        | RawExpect::RoundTrip { .. }
        | RawExpect::SwitchesAtMost { .. } => look.transfer(raw)?,
        RawExpect::MatrixComplete { .. }
        | RawExpect::Owd { .. }
        | RawExpect::CoinsConserved {}
        | RawExpect::RelayEarned { .. } => look.network(raw)?,
    };
    Ok(Expect { line: at.0, kind })
}

struct Look<'a> {
    scenario: &'a Scenario,
    at: At,
}

impl Look<'_> {
    fn path(&self, raw: &RawExpect) -> Result<ExpectKind> {
        match raw {
            RawExpect::UsesRelays { flow, after, within_s, relays_min, via, way } => {
                Ok(ExpectKind::UsesRelays {
                    flow: self.headed(flow, *way)?,
                    after: self.label(after.as_ref())?,
                    within: self.at.seconds("within_s", *within_s)?,
                    relays_min: relays_min.unwrap_or(1),
                    via: via
                        .iter()
                        .map(|name| self.at.known(self.scenario, name))
                        .collect::<Result<_>>()?,
                    way: *way,
                })
            }
            RawExpect::UsesDefault { flow, after, within_s, way } => Ok(ExpectKind::UsesDefault {
                flow: self.headed(flow, *way)?,
                after: self.label(after.as_ref())?,
                within: self.at.seconds("within_s", *within_s)?,
                way: *way,
            }),
            _ => unreachable!("only the two kinds about paths are given here"),
        }
    }

    fn transfer(&self, raw: &RawExpect) -> Result<ExpectKind> {
        match raw {
            RawExpect::TcpSurvives { flow, stall_max_s } => Ok(ExpectKind::TcpSurvives {
                flow: self.flow(flow)?,
                stall_max: stall_max_s.map(|s| self.at.seconds("stall_max_s", s)).transpose()?,
            }),
            RawExpect::FlowMoves { flow, after, within_s } => Ok(ExpectKind::FlowMoves {
                flow: self.flow(flow)?,
                after: self.event(after)?,
                within: self.at.seconds("within_s", *within_s)?,
            }),
            RawExpect::Throughput { flow, from_s, until_s, mbps_min } => {
                Ok(ExpectKind::Throughput {
                    flow: self.flow(flow)?,
                    window: self.window(*from_s, *until_s)?,
                    mbps_min: *mbps_min,
                })
            }
            RawExpect::RoundTrip { flow, from_s, until_s, ms_max } => Ok(ExpectKind::RoundTrip {
                flow: self.flow(flow)?,
                window: self.window(*from_s, *until_s)?,
                ms_max: *ms_max,
            }),
            RawExpect::SwitchesAtMost { flow, count, way } => Ok(ExpectKind::SwitchesAtMost {
                flow: self.headed(flow, *way)?,
                count: *count,
                way: *way,
            }),
            _ => unreachable!("only the kinds about transfers are given here"),
        }
    }

    fn network(&self, raw: &RawExpect) -> Result<ExpectKind> {
        match raw {
            RawExpect::MatrixComplete { within_s } => {
                Ok(ExpectKind::MatrixComplete { within: self.at.seconds("within_s", *within_s)? })
            }
            RawExpect::Owd { from, to, owd_ms, tolerance_ms } => Ok(ExpectKind::Owd {
                from: self.router(from)?,
                to: self.router(to)?,
                owd: self.at.millis("owd_ms", *owd_ms)?,
                tolerance: self
                    .at
                    .millis("tolerance_ms", tolerance_ms.unwrap_or(OWD_TOLERANCE_MS))?,
            }),
            RawExpect::CoinsConserved {} => Ok(ExpectKind::CoinsConserved),
            RawExpect::RelayEarned { node } => {
                let node = node.as_deref().map(|name| self.router(name)).transpose()?;
                Ok(ExpectKind::RelayEarned { node })
            }
            _ => unreachable!("only the kinds about the network are given here"),
        }
    }

    fn flow(&self, name: &str) -> Result<String> {
        let known = self.scenario.flow(name).map(|flow| flow.name.clone());
        known.ok_or_else(|| {
            let names = self.scenario.flows.iter().map(|flow| flow.name.as_str());
            self.unknown("flow", name, nearest(name, names))
        })
    }

    /// A flow whose path can be asked of a router: the sending end of that way stands behind one.
    fn headed(&self, name: &str, way: Way) -> Result<String> {
        let flow = self.flow(name)?;
        let has_router = self.scenario.headend(&flow, way).is_some();
        self.at.check(has_router, || format!("no router sends flow `{flow}` that way"))?;
        Ok(flow)
    }

    fn event(&self, label: &str) -> Result<String> {
        let known = self.scenario.event(label).map(|event| event.label.clone());
        known.ok_or_else(|| {
            let labels = self.scenario.events.iter().map(|event| event.label.as_str());
            self.unknown("event", label, nearest(label, labels))
        })
    }

    fn label(&self, label: Option<&String>) -> Result<Option<String>> {
        label.map(|label| self.event(label)).transpose()
    }

    fn router(&self, name: &str) -> Result<super::NodeName> {
        let name = self.at.known(self.scenario, name)?;
        let is_router = self.scenario.node(&name).is_some_and(|node| node.role == Role::Router);
        self.at.check(is_router, || format!("`{name}` is not a router"))?;
        Ok(name)
    }

    fn window(&self, from_s: f64, until_s: f64) -> Result<Window> {
        let (from, until) =
            (self.at.seconds("from_s", from_s)?, self.at.seconds("until_s", until_s)?);
        self.at.check(from < until, || "from_s must be before until_s".into())?;
        Ok(Window { from, until })
    }

    fn unknown(&self, what: &str, name: &str, nearest: Option<&str>) -> ScenarioError {
        let error = self.at.error(format!("no {what} is called `{name}`"));
        match nearest {
            Some(word) => error.with_fix(format!("write `{word}`")),
            None => error,
        }
    }
}

/// What cannot be seen at one line: hosts behind something that is no router, links without a delay.
pub fn check(scenario: &Scenario) -> Result<()> {
    for node in &scenario.nodes {
        check_behind(scenario, node)?;
    }
    check_roles(scenario)?;
    let sites: Vec<&Node> = scenario.nodes.iter().filter(|node| node.behind.is_none()).collect();
    for from in &sites {
        for to in sites.iter().filter(|to| to.name != from.name) {
            check_delay(scenario, from, to)?;
        }
    }
    Ok(())
}

fn check_behind(scenario: &Scenario, node: &Node) -> Result<()> {
    let Some(router) = &node.behind else { return Ok(()) };
    let role = scenario.node(router).map(|node| node.role);
    if role == Some(Role::Router) {
        return Ok(());
    }
    let what = format!("`{}` is behind `{router}`, which is not a router of this file", node.name);
    let routers = scenario.with_role(Role::Router).map(|node| node.name.as_str());
    let error = ScenarioError::new(None, what);
    Err(match nearest(router.as_str(), routers) {
        Some(word) => error.with_fix(format!("write `{word}`")),
        None => error,
    })
}

fn check_roles(scenario: &Scenario) -> Result<()> {
    for (role, max) in [(Role::Controller, 1), (Role::Ledger, 1), (Role::Router, ROUTERS_MAX)] {
        let count = scenario.with_role(role).count();
        if count > max {
            let what = format!("{count} nodes of role {}; at most {max}", role.word());
            return Err(ScenarioError::new(None, what));
        }
    }
    Ok(())
}

fn check_delay(scenario: &Scenario, from: &Node, to: &Node) -> Result<()> {
    let written = scenario.links.iter().filter(|link| link.from == from.name && link.to == to.name);
    let has = owd_assumed(from, to).is_some()
        || scenario.link_default.owd > Duration::ZERO
        || written.clone().any(|link| link.change.owd.is_some());
    if has {
        return Ok(());
    }
    let what = format!("no delay from `{}` to `{}`", from.name, to.name);
    let fix = "give both a `city`, or write a [[link]] with `owd_ms`";
    Err(ScenarioError::new(None, what).with_fix(fix))
}

impl Scenario {
    /// The router that chooses the path of a flow in one of its ways, if that end has one.
    pub fn headend(&self, flow: &str, way: Way) -> Option<&Node> {
        let (from, _) = self.way_ends(flow, way)?;
        self.node(self.site_of(from)).filter(|node| node.role == Role::Router)
    }

    /// The node that sends in that way, and the node that receives.
    pub fn way_ends(&self, flow: &str, way: Way) -> Option<(&Node, &Node)> {
        let flow = self.flow(flow)?;
        let (from, to) = (self.node(&flow.from)?, self.node(&flow.to)?);
        let there = match (way, flow.bulk) {
            (Way::There, _) | (Way::Bulk, super::Bulk::Upload) => true,
            (Way::Back, _) | (Way::Bulk, super::Bulk::Download) => false,
        };
        Some(if there { (from, to) } else { (to, from) })
    }
}

/// The controller and the ledger stand in a good place: 2 ms from everyone.
const OWD_SERVICE: Duration = Duration::from_millis(2);
/// Promise of the product for hosts that share a clock.
const OWD_TOLERANCE_MS: f64 = 1.0;
/// One group of 100 and the first of a second one.
const ROUTERS_MAX: usize = 101;
