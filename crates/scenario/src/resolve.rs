//! What needs the whole scenario: delays that need cities, hosts that need routers, headends of flows.

use std::time::Duration;

use super::error::{ScenarioError, nearest};
use super::{LinkShape, Node, Role, Scenario, VALIDATORS_MAX, Way, cities};

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
    let most = [(Role::Controller, 1), (Role::Ledger, VALIDATORS_MAX), (Role::Router, ROUTERS_MAX)];
    for (role, max) in most {
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

/// The controller and the validators stand in a good place: 2 ms from everyone.
const OWD_SERVICE: Duration = Duration::from_millis(2);
/// One group of 100 and the first of a second one.
const ROUTERS_MAX: usize = 101;
