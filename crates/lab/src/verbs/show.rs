//! `lab status` and `lab graph`: what runs, and what the links do.

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::ReadArgs;
use crate::fabric::control::{Client, LinkStats, Stats};
use crate::lab;
use crate::place::{Note, Place};
use crate::plan::Plan;
use crate::scenario::LinkShape;
use crate::story::coins::LedgerDoor;
use crate::story::judge::millis;
use crate::story::record::LedgerTip;

use super::find;

pub fn status(args: &ReadArgs) -> Result<()> {
    let (place, plan) = find(&args.lab)?;
    let note = place.read_note()?;
    let ledgers = ledgers(&place, &plan);
    let stats = Client::connect(&place.fabric_socket()).and_then(|mut fabric| fabric.stats()).ok();
    let portals = lab::portals(&place, &plan);
    if args.json {
        let nodes: Vec<Value> =
            plan.scenario.nodes.iter().map(|node| node_json(node, &plan, note.as_ref())).collect();
        let fabric = stats.map(
            |stats| json!({"delivery": stats.delivery, "pickup": stats.pickup, "net": stats.net}),
        );
        let portals: Vec<Value> = portals
            .into_iter()
            .map(|(router, url)| json!({"router": router, "url": url}))
            .collect();
        println!(
            "{}",
            json!({
                "schema": "srwan.lab.status/1", "id": place.id(), "scenario": plan.scenario.name,
                "folder": place.folder(), "nodes": nodes, "fabric": fabric, "portals": portals,
                "ledgers": ledgers_json(&ledgers),
            })
        );
        return Ok(());
    }
    println!("lab {}, scenario {}: {}", place.id(), plan.scenario.name, plan.scenario.title);
    for node in &plan.scenario.nodes {
        let address = plan.address(&node.name).map_or(String::new(), |address| address.to_string());
        let place = node.behind.as_ref().map_or_else(
            || node.city.map_or(String::new(), |city| city.name.to_owned()),
            |router| format!("behind {router}"),
        );
        let state = state_word(note.as_ref(), node.name.as_str());
        println!("{:12} {:10} {:18} {place:16} {state}", node.name, node.role.word(), address);
    }
    ledgers.iter().for_each(|(name, tip)| println!("{}", ledger_line(name, tip.as_ref())));
    print_fabric(stats.as_ref());
    portals.iter().for_each(|(router, url)| println!("portal of {router}: {url}"));
    Ok(())
}

fn node_json(node: &crate::scenario::Node, plan: &Plan, note: Option<&Note>) -> Value {
    json!({
        "name": node.name,
        "role": node.role.word(),
        "city": node.city.map(|city| city.name),
        "asn": node.asn,
        "behind": node.behind,
        "addresses": plan.addresses(&node.name),
        "process": state_word(note, node.name.as_str()),
    })
}

/// Where each validator is; none in a lab of machines and links alone.
fn ledgers(place: &Place, plan: &Plan) -> Vec<(String, Option<LedgerTip>)> {
    let running = |door: &LedgerDoor| place.state(&door.name).join("validator.key").exists();
    let doors = LedgerDoor::all(place, plan).unwrap_or_default();
    let tip = |door: &LedgerDoor| (door.name.to_string(), door.tip().ok());
    doors.iter().filter(|door| running(door)).map(tip).collect()
}

fn ledgers_json(ledgers: &[(String, Option<LedgerTip>)]) -> Vec<Value> {
    let one = |(name, tip): &(String, Option<LedgerTip>)| {
        let (height, root) =
            (tip.as_ref().map(|tip| tip.height), tip.as_ref().map(|t| &t.state_root));
        json!({"name": name, "height": height, "state_root": root})
    };
    ledgers.iter().map(one).collect()
}

fn ledger_line(name: &str, tip: Option<&LedgerTip>) -> String {
    match tip {
        Some(tip) => format!("ledger {name}: height {}, state {}", tip.height, tip.state_root),
        None => format!("ledger {name}: no answer"),
    }
}

fn print_fabric(stats: Option<&Stats>) {
    match stats {
        Some(stats) => println!(
            "fabric: {} packets delivered, lateness p99 {}us, max {}us{}",
            stats.net.delivered,
            stats.delivery.p99_us,
            stats.delivery.max_us,
            if stats.realtime { "" } else { ", without real-time priority" },
        ),
        None => println!("fabric: down"),
    }
}

/// `up`, `down`, or nothing for a machine on which no process runs.
fn state_word(note: Option<&Note>, node: &str) -> &'static str {
    let latest = note.and_then(|note| note.processes.iter().rev().find(|noted| noted.node == node));
    match latest.map(|noted| noted.process.is_alive()) {
        Some(true) => "up",
        Some(false) => "down",
        None => "",
    }
}

pub fn graph(args: &ReadArgs) -> Result<()> {
    let (place, _) = find(&args.lab)?;
    let stats = Client::connect(&place.fabric_socket())?.stats()?;
    if args.json {
        println!("{}", json!({"schema": "srwan.lab.graph/1", "links": stats.links}));
        return Ok(());
    }
    println!("{:12} {:12} {:>9}  more", "from", "to", "delay");
    for link in &stats.links {
        let direction = &link.direction;
        let delay = millis(link.shape.owd);
        println!("{:12} {:12} {delay:>9}  {}", direction.from, direction.to, more(link));
    }
    Ok(())
}

fn more(link: &LinkStats) -> String {
    let shape = &link.shape;
    let plain = LinkShape::default();
    let mut parts = Vec::new();
    if link.impaired {
        parts.push("IMPAIRED".to_owned());
    }
    if shape.blackhole {
        parts.push("blackhole".to_owned());
    }
    for (what, chance) in [
        ("loss", shape.loss),
        ("dup", shape.duplicate),
        ("reorder", shape.reorder),
        ("corrupt", shape.corrupt),
    ] {
        if chance != plain.loss {
            parts.push(format!("{what} {:.1}%", chance.fraction() * 100.0));
        }
    }
    if !shape.jitter.is_zero() {
        parts.push(format!("jitter {}", millis(shape.jitter)));
    }
    parts.extend(shape.rate.map(|rate| format!("rate {rate}")));
    parts.extend(shape.mtu.map(|mtu| format!("mtu {mtu}")));
    if !shape.icmp {
        parts.push("no ICMP".to_owned());
    }
    if link.counters.offered > 0 {
        parts.push(format!("{} packets", link.counters.offered));
    }
    parts.join(", ")
}
