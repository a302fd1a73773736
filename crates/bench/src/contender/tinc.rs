//! tinc 1.0: a daemon at each end; with `IndirectData` A and B send through R, which opens and seals each packet again.

use std::fs;

use anyhow::{Context, Result};

use super::{Daemons, Standing, Way};
use crate::programs::Program;
use crate::testbed::TestBed;
use crate::topology::{End, Reach, Topology};

pub const TINCD: Program = Program { name: "tincd", install: "apt-get install tinc" };

pub fn raise(bed: &mut TestBed) -> Result<Vec<Standing>> {
    let direct = stand(bed, Way::Direct, "tinc-d", Reach::Open)?;
    let relay = stand(bed, Way::Relay, "tinc-r", Reach::ByRelay)?;
    Ok(vec![direct, relay])
}

fn stand(bed: &mut TestBed, way: Way, tag: &str, reach: Reach) -> Result<Standing> {
    let topology = Topology::make(bed, tag, reach)?;
    // Who is called starts first.
    let ends = if way == Way::Relay { &End::ALL[..] } else { &[End::B, End::A][..] };
    for end in ends {
        lay_out(bed, &topology, way, *end)?;
    }
    for end in ends {
        introduce(bed, &topology, ends, *end)?;
    }
    let mut daemons = Daemons::default();
    for end in ends {
        daemons.add(*end, start(bed, &topology, *end)?);
    }
    Ok(Standing::inside(way, topology, NETWORK, daemons))
}

/// Whom an end calls.
fn called(way: Way, end: End) -> Option<End> {
    match (way, end) {
        (Way::Relay, End::A | End::B) => Some(End::R),
        (Way::Relay, End::R) | (_, End::B | End::R) => None,
        (_, End::A) => Some(End::B),
    }
}

/// Writes the configuration and draws the key, whose public half tinc adds to the end's own host file.
fn lay_out(bed: &TestBed, topology: &Topology, way: Way, end: End) -> Result<()> {
    let node = topology.node(end)?;
    fs::create_dir_all(bed.folder(&node).join("hosts")).context("cannot make a folder")?;
    let call = called(way, end).map_or(String::new(), |to| format!("ConnectTo = {}\n", to.word()));
    let text = format!(
        "Name = {}\nInterface = {DEVICE}\nDeviceType = tun\nAddressFamily = ipv4\n\
         ProcessPriority = high\nMaxTimeout = 1\n{call}",
        end.word()
    );
    bed.write(&node, "tinc.conf", &text)?;
    let indirect = if way == Way::Relay { "IndirectData = yes\n" } else { "" };
    let host = format!("Subnet = {}/32\n{indirect}", end.inner(NETWORK));
    bed.write(&node, &format!("hosts/{}", end.word()), &host)?;
    let (program, folder) = (bed.programs().need(TINCD)?, bed.folder(&node));
    bed.run(&node, &[&program, "-c", &folder.to_string_lossy(), "-K2048"]).map(drop)
}

/// Gives an end the host files of all others, with the address at which it reaches them.
fn introduce(bed: &TestBed, topology: &Topology, ends: &[End], own: End) -> Result<()> {
    let node = topology.node(own)?;
    for other in ends.iter().filter(|other| **other != own) {
        let file = format!("hosts/{}", other.word());
        let host = fs::read_to_string(bed.folder(&topology.node(*other)?).join(&file))?;
        let address = if *other == End::R { own.gateway() } else { other.address() };
        bed.write(&node, &file, &format!("Address = {address}\n{host}"))?;
    }
    Ok(())
}

fn start(bed: &mut TestBed, topology: &Topology, end: End) -> Result<i32> {
    let (node, program) = (topology.node(end)?, bed.programs().need(TINCD)?);
    let folder = bed.folder(&node).to_string_lossy().into_owned();
    let words = ["-c", &folder, "-D", &format!("--pidfile={folder}/pid")].map(str::to_owned);
    let command = std::iter::once(program).chain(words).collect();
    let pid = bed.start(&node, "tinc", command)?;
    bed.wait_log(pid, "Ready")?;
    let address = end.inner(NETWORK);
    let lines = format!("address add {address}/24 dev {DEVICE}\nlink set {DEVICE} mtu {MTU} up");
    bed.ip(&node, &lines)?;
    Ok(pid)
}

const NETWORK: u8 = 68;
const DEVICE: &str = "tinc0";
/// Its own path MTU discovery finds 1451 on these links; less never has to be found first.
const MTU: u16 = 1_400;
