//! What a scenario asks for and a simulation has not: refused with a code before anything runs, never skipped.

use srwan_scenario::{Action, Expect, ExpectKind, Flow, Node, NodeName, Program, Role, Scenario};
use std::fmt;

/// Why a scenario does not run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Frozen.
    pub code: &'static str,
    /// What is refused.
    pub what: String,
    /// Why a simulation cannot do it.
    pub why: &'static str,
}

/// The scenario has something that only real processes have.
pub const NOT_SIMULATED: &str = "SRW-S001";

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for Refusal {}

/// Looks for everything that a simulation has not.
///
/// **Errors:** the first thing found; the lab runs the file.
pub fn check(scenario: &Scenario) -> Result<(), Refusal> {
    if scenario.with_role(Role::Ledger).count() > 1 {
        return refuse("several validators", ONE_LEDGER);
    }
    let is_small = scenario.links.iter().any(|link| link.change.mtu.is_some());
    if is_small || scenario.link_default.mtu.is_some() || scenario.mtu < MTU_MIN {
        return refuse("an `mtu`", ONE_SIZE);
    }
    scenario.nodes.iter().try_for_each(node)?;
    scenario.events.iter().try_for_each(|event| action(scenario, &event.label, &event.action))?;
    scenario.flows.iter().try_for_each(|flow| transfer(scenario, flow))?;
    scenario.expects.iter().try_for_each(expect)
}

const ONE_LEDGER: &str =
    "the ledger of a simulation is one state machine: no validators are to agree with it";
const NO_PROCESS: &str = "a simulation has no processes, disks and consoles for this, only routers";
const NO_HOST: &str = "a simulated host stands behind a router, and each end behind another one";
const NO_RULES: &str =
    "such rules are read by the router's own configuration, which a simulation has not";
const ONE_SIZE: &str =
    "simulated hosts send segments of one size, and nobody tells them of a smaller MTU";

/// A simulated segment fits links of this MTU on every path (docs/protocol.md, "MTU"). **Units:** octets.
const MTU_MIN: u16 = 1_500;

fn refuse<T>(what: impl Into<String>, why: &'static str) -> Result<T, Refusal> {
    Err(Refusal { code: NOT_SIMULATED, what: what.into(), why })
}

fn node(node: &Node) -> Result<(), Refusal> {
    let own = &node.router;
    if own.egress == Some(true) || !own.watch.is_empty() {
        return refuse(format!("`egress` or `watch` of {}", node.name), NO_HOST);
    }
    if !own.multipath.is_empty() || !own.classes.is_empty() {
        return refuse(format!("`multipath` or `class` of {}", node.name), NO_RULES);
    }
    if !node.prefixes.is_empty() {
        return refuse(
            format!("`prefixes` of {}", node.name),
            "a simulated site has one prefix, and its hosts one address",
        );
    }
    Ok(())
}

fn action(scenario: &Scenario, label: &str, action: &Action) -> Result<(), Refusal> {
    let what = || format!("event {label} ({})", action.word());
    match action {
        Action::Kill { node } | Action::Start { node } if is_router(scenario, node) => Ok(()),
        Action::Kill { .. }
        | Action::Start { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Resume { .. }
        | Action::Wipe { .. }
        | Action::Exec { .. } => refuse(what(), NO_PROCESS),
        Action::Congest { impairment, .. } if impairment.change.mtu.is_some() => {
            refuse(what(), ONE_SIZE)
        }
        Action::Congest { .. } => Ok(()),
        Action::Fail { .. } | Action::Heal { .. } | Action::Cut { .. } => Ok(()),
    }
}

fn is_router(scenario: &Scenario, name: &NodeName) -> bool {
    scenario.node(name).is_some_and(|node| node.role == Role::Router)
}

fn transfer(scenario: &Scenario, flow: &Flow) -> Result<(), Refusal> {
    let site = |name| scenario.node(name).and_then(|node| node.behind.as_ref());
    let (from, to) = (site(&flow.from), site(&flow.to));
    if from.is_none() || to.is_none() || from == to {
        return refuse(format!("flow {}", flow.name), NO_HOST);
    }
    match flow.program {
        Program::Http => Ok(()),
        Program::Curl | Program::Iperf3 | Program::Variety => {
            refuse(format!("the program of flow {}", flow.name), NO_PROCESS)
        }
    }
}

fn expect(expect: &Expect) -> Result<(), Refusal> {
    match expect.kind {
        ExpectKind::LedgersAgree => refuse("expectation ledgers-agree", ONE_LEDGER),
        ExpectKind::Intact { .. } => refuse("expectation intact", NO_PROCESS),
        ExpectKind::MatrixComplete { .. }
        | ExpectKind::UsesRelays { .. }
        | ExpectKind::UsesDefault { .. }
        | ExpectKind::Relayed { .. }
        | ExpectKind::TcpSurvives { .. }
        | ExpectKind::FlowMoves { .. }
        | ExpectKind::Throughput { .. }
        | ExpectKind::RoundTrip { .. }
        | ExpectKind::Owd { .. }
        | ExpectKind::SwitchesAtMost { .. }
        | ExpectKind::Failover { .. }
        | ExpectKind::CoinsConserved
        | ExpectKind::SettledOnce
        | ExpectKind::RelayEarned { .. } => Ok(()),
    }
}
