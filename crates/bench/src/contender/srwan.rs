//! srwan as a user runs it: controller, ledger validator, three routers, each a process with a configuration file.
//!
//! One domain carries all three ways; commands switch between them before each turn. Relay: `srwan path pin B
//! --via R` at both ends, so that packets have tag and lane and the relay is paid. Pass-through: the direct path is
//! pinned, which engages nothing. Direct: the same, and a host route into `srwan0` by hand, because the product itself
//! never puts packets into its tunnel where the Internet's own way does as well.

use std::fs;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use srwan_lab::plan::Plan;
use srwan_lab::scenario::{Node, NodeName, Role, Scenario};
use srwan_lab::settings::{self, Settings};

use super::{Daemons, Standing, Way};
use crate::testbed::{ROUTER, TestBed};
use crate::topology::{End, Reach, Topology};

/// Who is there; links are the topology's, so nothing is said about them.
pub const SCENARIO: &str = include_str!("srwan.toml");

pub fn raise(bed: &mut TestBed) -> Result<Vec<Standing>> {
    raise_as(bed, Scenario::parse(SCENARIO)?)
}

/// The relay way alone, with pulses every second: for what routers do under strain.
pub fn stand_relay(bed: &mut TestBed) -> Result<Standing> {
    let mut scenario = Scenario::parse(SCENARIO)?;
    for node in &mut scenario.nodes {
        node.router.pulse = Some(PULSE_UNDER_STRAIN);
    }
    let mut standings = raise_as(bed, scenario)?.into_iter();
    standings.find(|standing| standing.way == Way::Relay).context("there is a relay way")
}

fn raise_as(bed: &mut TestBed, scenario: Scenario) -> Result<Vec<Standing>> {
    let plan = Plan::new(scenario);
    let topology = Rc::new(make_topology(bed, &plan)?);
    let daemons = start(bed, &plan)?;
    let standing = |way| {
        let (here, there) = (Rc::clone(&topology), Rc::clone(&topology));
        Standing {
            way,
            topology: Rc::clone(&topology),
            source: End::A.behind(),
            target: End::B.behind(),
            daemons: daemons.clone(),
            switch: Some(Box::new(move |bed: &TestBed| switch(bed, &here, way))),
            witness: Some(Box::new(move |bed: &TestBed| decisions(bed, &there))),
        }
    };
    Ok([Way::PassThrough, Way::Direct, Way::Relay].map(standing).into())
}

/// The three machines under the names of the scenario, and two more for the services.
fn make_topology(bed: &mut TestBed, plan: &Plan) -> Result<Topology> {
    let topology = Topology::make(bed, "", Reach::Open)?;
    for role in [Role::Controller, Role::Ledger] {
        for node in plan.scenario.with_role(role) {
            let address = plan.address(&node.name).context("every site has an address")?;
            let IpAddr::V4(address) = address else { anyhow::bail!("the scenario is IPv4") };
            topology.attach(bed, &node.name, address)?;
        }
    }
    Ok(topology)
}

/// Starts all daemons in the order in which they need each other.
fn start(bed: &mut TestBed, plan: &Plan) -> Result<Daemons> {
    let place = bed.place().clone();
    let settings = Settings::new(&place, plan)?.context("the scenario has routers")?;
    settings.write()?;
    for (node, init) in settings.ledger_inits() {
        let command: Vec<String> = std::iter::once(bed.program()).chain(init).collect();
        bed.run(&node, &command)?;
    }
    let mut daemons = Daemons::default();
    for role in [Role::Ledger, Role::Controller, Role::Router] {
        for node in plan.scenario.with_role(role) {
            let process = start_daemon(bed, node)?;
            match End::ALL.into_iter().find(|end| node.name.as_str() == end.word()) {
                Some(end) => daemons.add(end, process),
                None => daemons.all.push(process),
            }
        }
    }
    Ok(daemons)
}

fn start_daemon(bed: &mut TestBed, node: &Node) -> Result<i32> {
    if node.role == Role::Router {
        fill_escrow(bed, &node.name)?;
    }
    let arguments = settings::daemon_arguments(bed.place(), node).context("it has a daemon")?;
    let command = std::iter::once(bed.program()).chain(arguments).collect();
    let name = if node.role == Role::Router { ROUTER } else { node.name.as_str() };
    bed.start_daemon(&node.name, name, command)
}

/// Locks enough coins for gigabits per second: the default is for a household.
fn fill_escrow(bed: &TestBed, node: &NodeName) -> Result<()> {
    let file = settings::config_file(bed.place(), node);
    let mut config: toml::Table = fs::read_to_string(&file)?.parse()?;
    let ledger = config.get_mut("ledger").and_then(toml::Value::as_table_mut);
    let ledger = ledger.context("every router of the scenario has a ledger")?;
    ledger.insert("escrow_coins".to_owned(), toml::Value::String(ESCROW_COINS.to_owned()));
    fs::write(&file, toml::to_string(&config)?).context("cannot write a router's configuration")
}

/// Makes packets go one way, both there and back.
fn switch(bed: &TestBed, topology: &Topology, way: Way) -> Result<()> {
    for end in End::OUTER {
        let (node, peer) = (topology.node(end)?, topology.node(end.peer())?);
        let target = end.peer().behind();
        let pin = ["path", "pin", peer.as_str()].to_vec();
        let relay = topology.node(End::R)?;
        let via: &[&str] = if way == Way::Relay { &["--via", relay.as_str()] } else { &[] };
        let pin = [&pin, via].concat();
        // A router that has just started does not know the others yet.
        let pinned = bed.wait_until(|| ask(bed, &node, &pin).is_ok());
        pinned.with_context(|| format!("{node} refuses the {} path", way.word()))?;
        // Absent most of the time: only the direct way leaves it.
        let _absent = bed.ip(&node, &format!("route del {target}/32 dev {DEVICE}"));
        if way == Way::Direct {
            let source = end.behind();
            bed.ip(&node, &format!("route add {target}/32 dev {DEVICE} src {source}"))?;
        }
    }
    for end in End::OUTER {
        let (node, peer) = (topology.node(end)?, topology.node(end.peer())?);
        let waited = bed.wait_until(|| goes(bed, &node, &peer, way));
        waited.with_context(|| format!("{node} does not take the {} path", way.word()))?;
    }
    Ok(())
}

/// Whether a router says that its packets go this way.
fn goes(bed: &TestBed, node: &NodeName, peer: &NodeName, way: Way) -> bool {
    let Ok(answer) = ask(bed, node, &["path", "get", peer.as_str(), "--json"]) else {
        return false;
    };
    let Ok(paths) = serde_json::from_str::<Value>(&answer) else { return false };
    let endpoint = &paths["endpoints"][0];
    let mut candidates = endpoint["candidates"].as_array().into_iter().flatten();
    let active = candidates.find(|candidate| candidate["state"] == "active");
    let relays = active.and_then(|candidate| candidate["relays"].as_array()).map_or(0, Vec::len);
    let mode = if way == Way::Relay { "engaged" } else { "default" };
    endpoint["mode"] == mode && relays == usize::from(way == Way::Relay)
}

/// When each end changed its path, to what, and why.
fn decisions(bed: &TestBed, topology: &Topology) -> Result<String> {
    let of = |end: End| -> Result<String> {
        let (node, peer) = (topology.node(end)?, topology.node(end.peer())?);
        let answer = ask(bed, &node, &["path", "history", peer.as_str(), "--json"])?;
        let history: Value = serde_json::from_str(&answer)?;
        let decisions = history["decisions"].as_array().context("a history has decisions")?;
        let told = decisions.iter().map(|decision| {
            let (time, to, reason) = (&decision["time"], &decision["to"], &decision["reason"]);
            format!("{time} to {to}: {reason}")
        });
        Ok(format!("{node}: {}", told.collect::<Vec<_>>().join(", ")))
    };
    Ok(End::OUTER.into_iter().map(of).collect::<Result<Vec<_>>>()?.join("; "))
}

/// What R carried for others in the whole run, and what it was given for it so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paid {
    /// Octets of inner packets, by its lanes' meters.
    pub relayed_bytes: u64,
    /// What the ledger says; it is behind the meters by what is not settled.
    pub earned_coins: String,
}

/// Asks R.
pub fn paid(bed: &TestBed) -> Result<Paid> {
    let wallet = ask(bed, &NodeName::new(End::R.word())?, &["wallet", "show", "--json"])?;
    let wallet: Value = serde_json::from_str(&wallet)?;
    let lanes = wallet["lanes"].as_array().into_iter().flatten();
    let relayed = lanes.filter(|lane| lane["role"] == "relay");
    Ok(Paid {
        relayed_bytes: relayed.filter_map(|lane| lane["bytes"].as_u64()).sum(),
        earned_coins: wallet["earned_coins"].as_str().unwrap_or_default().to_owned(),
    })
}

/// Asks a router as its operator would.
pub fn ask(bed: &TestBed, node: &NodeName, words: &[&str]) -> Result<String> {
    let (program, socket) = (bed.program(), bed.place().state(node).join("router.sock"));
    let socket = socket.to_string_lossy().into_owned();
    bed.run(node, &[&[program.as_str()], words, &["--socket", &socket]].concat())
}

/// A tenth of the product's interval, so that half a minute says something.
const PULSE_UNDER_STRAIN: Duration = Duration::from_secs(1);
/// Coins of a sender; the scenario's genesis gives each router 10,000, a bond takes 1,000.
const ESCROW_COINS: &str = "8000";
/// The product's default.
const DEVICE: &str = "srwan0";
