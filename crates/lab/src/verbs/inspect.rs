//! `lab inspect`: captures at all routers at once, judged by the rules of segment routing.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use srwan_wire::id::NodeId;

use crate::capture::{Capture, Captured};
use crate::cli::InspectArgs;
use crate::fabric::{INTERFACE, packet};
use crate::http;
use crate::inner::{Compared, compare};
use crate::inspect::{Directory, Inspection, inspect, is_ours, readable};
use crate::pcap::{self, Frame};
use crate::place::Place;
use crate::plan::{Plan, Site};
use crate::scenario::Role;

use super::find;

/// What is captured at one router.
struct Tap {
    router: String,
    interface: &'static str,
    file: PathBuf,
    capture: Capture,
}

/// Frames of one interface of all routers.
type Frames = Vec<(String, Vec<Frame>)>;

/// Judges some seconds of a running lab; `false` = a rule was broken.
pub fn inspect_lab(args: &InspectArgs) -> Result<bool> {
    let (place, plan) = find(&args.lab)?;
    let time = Duration::try_from_secs_f64(args.seconds).context("--seconds is not a time")?;
    let directory = directory(&place, &plan)?;
    let folder = place.folder().join("inspect");
    std::fs::create_dir_all(&folder)?;
    let taps = start(&place, &plan, &folder)?;
    thread::sleep(time);
    let (outer, inner, captured) = stop(taps)?;
    let inspection = inspect(&outer, &directory);
    let inner_packets = inner_figures(&plan, &inner);
    let ours: Vec<Frame> = outer
        .iter()
        .flat_map(|(_, frames)| frames)
        .filter(|frame| is_ours(frame))
        .cloned()
        .collect();
    let all_inner: Vec<Frame> = inner.iter().flat_map(|(_, frames)| frames).cloned().collect();
    let figures = Figures { captured, inner: inner_packets, readable: readable(&all_inner, &ours) };
    print(&inspection, &figures, args.json);
    Ok(inspection.violations.is_empty() && figures.inner.foreign == 0 && figures.readable == 0)
}

struct Figures {
    captured: Captured,
    inner: Compared,
    readable: usize,
}

fn directory(place: &Place, plan: &Plan) -> Result<Directory> {
    let mut directory = Directory::default();
    for node in plan.scenario.with_role(Role::Router) {
        for address in plan.addresses(&node.name) {
            directory.by_address.insert(*address, node.name.to_string());
        }
        let status = http::get_unix(&place.state(&node.name).join("router.sock"), "/v1/status");
        let number = status.ok().and_then(|status| status["node"].as_u64());
        let number = number.and_then(|number| NodeId::new(u32::try_from(number).ok()?));
        if let Some(number) = number {
            directory.by_number.insert(number, node.name.to_string());
        }
    }
    anyhow::ensure!(!directory.by_number.is_empty(), "no router of this lab answers");
    Ok(directory)
}

fn start(place: &Place, plan: &Plan, folder: &Path) -> Result<Vec<Tap>> {
    let mut taps = Vec::new();
    for node in plan.scenario.with_role(Role::Router) {
        for interface in [INTERFACE, ROUTER_INTERFACE] {
            let file = folder.join(format!("{}-{interface}.pcap", node.name));
            // A router that is down has no interface of its own; the others are judged without it.
            if let Ok(capture) = Capture::start(&place.netns(&node.name), interface, &file) {
                taps.push(Tap { router: node.name.to_string(), interface, file, capture });
            }
        }
    }
    Ok(taps)
}

fn stop(taps: Vec<Tap>) -> Result<(Frames, Frames, Captured)> {
    let (mut outer, mut inner, mut total) = (Frames::new(), Frames::new(), Captured::default());
    taps.iter().for_each(|tap| tap.capture.ask_to_stop());
    for tap in taps {
        let captured = tap.capture.stop()?;
        total.packets += captured.packets;
        total.lost += captured.lost;
        let frames = pcap::read(std::io::BufReader::new(File::open(&tap.file)?))?;
        let into = if tap.interface == INTERFACE { &mut outer } else { &mut inner };
        into.push((tap.router, frames));
    }
    Ok((outer, inner, total))
}

/// Inner packets that came out at an endpoint, and those of them that went in nowhere.
fn inner_figures(plan: &Plan, inner: &Frames) -> Compared {
    let by_router: BTreeMap<&str, &[Frame]> =
        inner.iter().map(|(router, frames)| (router.as_str(), frames.as_slice())).collect();
    let mut total = Compared::default();
    for behind in &plan.behind {
        let Some(sent) = by_router.get(behind.router.as_str()) else { continue };
        let Some(headend) = plan.site(&behind.router) else { continue };
        for (router, received) in
            inner.iter().filter(|(router, _)| *router != behind.router.as_str())
        {
            let settled = settled(received, headend);
            for address in &behind.addresses {
                let found = compare(sent, &settled, *address);
                total.arrived += found.arrived;
                total.foreign += found.foreign;
                if found.foreign > 0 {
                    eprintln!(
                        "{} packets from {} at {router} were not sent",
                        found.foreign, behind.name
                    );
                }
            }
        }
    }
    total
}

/// Packets of a site's machines, without those that were under way when the captures began.
fn settled(received: &[Frame], headend: &Site) -> Vec<Frame> {
    let first = received.first().map_or(0, |frame| frame.time_ns);
    let from_there =
        |frame: &&Frame| packet::ends(&frame.packet).is_some_and(|ends| headend.holds(ends.source));
    let late = received.iter().filter(|frame| frame.time_ns > first + UNDER_WAY_NS);
    late.filter(from_there).cloned().collect()
}

fn print(inspection: &Inspection, figures: &Figures, as_json: bool) {
    if as_json {
        let paths: Vec<_> = inspection.paths.iter().collect();
        println!(
            "{}",
            json!({
                "schema": "srwan.lab.inspect/1", "packets": figures.captured.packets,
                "lost_by_capture": figures.captured.lost, "paths": paths, "sent": inspection.sent,
                "violations": inspection.violations, "inner_arrived": figures.inner.arrived,
                "inner_foreign": figures.inner.foreign, "readable": figures.readable,
            })
        );
        return;
    }
    for (path, count) in &inspection.paths {
        println!("{count:>8} data packets {}", path.join(" -> "));
    }
    println!(
        "{} inner packets arrived, {} of them differ from all that were sent",
        figures.inner.arrived, figures.inner.foreign
    );
    println!("{} packets between routers in which an inner packet can be read", figures.readable);
    println!(
        "{} packets captured, {} lost by captures",
        figures.captured.packets, figures.captured.lost
    );
    inspection.violations.iter().for_each(|violation| println!("BROKEN  {violation}"));
}

/// The routers' own device; the product's default name.
const ROUTER_INTERFACE: &str = "srwan0";
/// The longest way between two cities, with queues.
const UNDER_WAY_NS: u64 = 1_000_000_000;
