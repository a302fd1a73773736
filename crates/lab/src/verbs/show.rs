//! `lab status` and `lab graph`: what runs, and what the links do.

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::ReadArgs;
use crate::fabric::control::{Client, LinkStats, Stats};
use crate::lab;
use crate::place::{Note, Place};
use crate::plan::Plan;
use crate::scenario::LinkShape;
use crate::story::judge::millis;

use super::find;

pub fn status(args: &ReadArgs) -> Result<()> {
    let place = Place::find(args.lab.id.as_ref())?;
    let (plan, note) = (place.plan()?, place.read_note()?);
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
    if link.counters.offered > 0 {
        parts.push(format!("{} packets", link.counters.offered));
    }
    parts.join(", ")
}
