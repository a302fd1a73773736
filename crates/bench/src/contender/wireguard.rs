//! WireGuard, four times: in the kernel, and the user-space programs that speak its configuration protocol.
//!
//! Direct: one tunnel. Relay: what people build, a hub: A and B have one peer, R, which has both on one interface and
//! forwards between them, so each packet is opened and sealed again at R. MTU 1420, as `wg-quick` sets it here.

use std::path::PathBuf;

use anyhow::Result;

use super::{Daemons, Standing, Way, ends_of};
use crate::programs::Program;
use crate::testbed::TestBed;
use crate::topology::{End, Reach, Topology};

pub const WG: Program = Program { name: "wg", install: "apt-get install wireguard-tools" };
pub const GOTATUN: Program =
    Program { name: "gotatun", install: "cargo install --locked gotatun-cli" };
pub const BORINGTUN: Program =
    Program { name: "boringtun-cli", install: "cargo install --locked boringtun-cli" };

/// One implementation.
struct Kind {
    /// In names of devices: short, because a name has at most 15 characters.
    short: &'static str,
    /// The program and its arguments before the device's name; none = the kernel.
    daemon: &'static [&'static str],
}

pub fn raise_kernel(bed: &mut TestBed) -> Result<Vec<Standing>> {
    raise(bed, &Kind { short: "wgk", daemon: &[] })
}

pub fn raise_go(bed: &mut TestBed) -> Result<Vec<Standing>> {
    raise(bed, &Kind { short: "wgo", daemon: &["wireguard-go", "-f"] })
}

pub fn raise_gotatun(bed: &mut TestBed) -> Result<Vec<Standing>> {
    raise(bed, &Kind { short: "gota", daemon: &["gotatun", "-f", "--disable-drop-privileges"] })
}

pub fn raise_boringtun(bed: &mut TestBed) -> Result<Vec<Standing>> {
    let daemon = &["boringtun-cli", "-f", "--disable-drop-privileges"];
    raise(bed, &Kind { short: "bori", daemon })
}

/// Only an attempt tells whether the kernel has it.
pub fn lacks_kernel(bed: &TestBed) -> Option<String> {
    let attempt = || -> Result<()> {
        let own = std::process::Command::new(bed.programs().need(crate::programs::IP)?)
            .args(["link", "add", ATTEMPT, "type", "wireguard"])
            .output()?;
        anyhow::ensure!(own.status.success(), "the kernel has no WireGuard (CONFIG_WIREGUARD)");
        Ok(())
    };
    let lacks = attempt().err().map(|error| error.to_string());
    if lacks.is_none() {
        let ip = bed.programs().need(crate::programs::IP).ok()?;
        // What is left of a failed removal is one idle device, which its name explains.
        let _left = std::process::Command::new(ip).args(["link", "del", ATTEMPT]).output();
    }
    lacks
}

fn raise(bed: &mut TestBed, kind: &Kind) -> Result<Vec<Standing>> {
    let direct = stand(bed, kind, Way::Direct, Reach::Open)?;
    let relay = stand(bed, kind, Way::Relay, Reach::ByRelay)?;
    Ok(vec![direct, relay])
}

fn stand(bed: &mut TestBed, kind: &Kind, way: Way, reach: Reach) -> Result<Standing> {
    let tag = format!("{}-{}", kind.short, if way == Way::Relay { "r" } else { "d" });
    let topology = Topology::make(bed, &tag, reach)?;
    let mut daemons = Daemons::default();
    let mut keys = Vec::new();
    for end in ends_of(way) {
        daemons.add(*end, start(bed, &topology, kind, *end)?);
        keys.push((*end, Key::draw(bed, &topology, *end)?));
    }
    for (end, key) in &keys {
        configure(bed, &topology, (*end, key), &peers(way, *end, &keys))?;
    }
    Ok(Standing::inside(way, topology, NETWORK, daemons))
}

/// Makes the device; its name is the machine's.
fn start(bed: &mut TestBed, topology: &Topology, kind: &Kind, end: End) -> Result<Option<i32>> {
    let node = topology.node(end)?;
    let device = node.as_str().to_owned();
    let Some((program, arguments)) = kind.daemon.split_first() else {
        bed.ip(&node, &format!("link add {device} type wireguard"))?;
        return Ok(None);
    };
    let program = bed.programs().need(Program { name: program, install: "" })?;
    let words = arguments.iter().map(|word| (*word).to_owned());
    let command = std::iter::once(program).chain(words).chain([device.clone()]).collect();
    let pid = bed.start(&node, kind.short, command)?;
    let socket = PathBuf::from(format!("/var/run/wireguard/{device}.sock"));
    bed.forget_at_end(socket.clone());
    bed.wait_until(|| socket.exists() && has_device(bed, topology, end))?;
    Ok(Some(pid))
}

fn has_device(bed: &TestBed, topology: &Topology, end: End) -> bool {
    let Ok(node) = topology.node(end) else { return false };
    let shown = srwan_lab::netns::within(&bed.place().netns(&node), || {
        std::fs::read_to_string("/proc/thread-self/net/dev")
    });
    matches!(shown, Ok(Ok(text)) if text.contains(&format!("{node}:")))
}

struct Key {
    secret: String,
    public: String,
}

impl Key {
    fn draw(bed: &TestBed, topology: &Topology, end: End) -> Result<Self> {
        let (node, wg) = (topology.node(end)?, bed.programs().need(WG)?);
        let secret = bed.run(&node, &[&wg, "genkey"])?.trim().to_owned();
        let public = bed.run_told(&node, &[&wg, "pubkey"], &secret)?.trim().to_owned();
        Ok(Self { secret, public })
    }
}

/// The `[Peer]` sections of one end.
fn peers(way: Way, end: End, keys: &[(End, Key)]) -> String {
    let others = keys.iter().filter(|(other, _)| match (way, end) {
        (Way::Relay, End::R) => *other != End::R,
        (Way::Relay, _) => *other == End::R,
        (_, _) => *other == end.peer(),
    });
    let section = |(other, key): &(End, Key)| {
        let (at, allowed) = match (end, other) {
            (End::R, other) => (other.address(), format!("{}/32", other.inner(NETWORK))),
            (_, End::R) => (end.gateway(), format!("10.{NETWORK}.0.0/24")),
            (_, other) => (other.address(), format!("{}/32", other.inner(NETWORK))),
        };
        format!(
            "[Peer]\nPublicKey = {}\nEndpoint = {at}:{PORT}\nAllowedIPs = {allowed}\n",
            key.public
        )
    };
    others.map(section).collect()
}

fn configure(
    bed: &TestBed,
    topology: &Topology,
    (end, key): (End, &Key),
    peers: &str,
) -> Result<()> {
    let node = topology.node(end)?;
    let text = format!("[Interface]\nPrivateKey = {}\nListenPort = {PORT}\n{peers}", key.secret);
    let file = bed.write(&node, "wg.conf", &text)?;
    let wg = bed.programs().need(WG)?;
    bed.run(&node, &[wg.as_str(), "setconf", node.as_str(), &file])?;
    bed.ip(
        &node,
        &format!("address add {}/24 dev {node}\nlink set {node} mtu {MTU} up", end.inner(NETWORK)),
    )
}

/// A kernel device that only tells whether there can be one.
const ATTEMPT: &str = "srwanbenchwg";
/// Third octets are the machines', second octet is the product's.
const NETWORK: u8 = 66;
/// WireGuard's usual port.
const PORT: u16 = 51_820;
/// What `wg-quick` derives from an underlay of 1500: room for an outer IPv6 header.
const MTU: u16 = 1_420;
