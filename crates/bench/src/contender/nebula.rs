//! Nebula: a lighthouse and relay at R, AES, the buffers that its example configuration recommends for high rates.

use anyhow::Result;
use srwan_lab::scenario::NodeName;

use super::{Daemons, Standing, Way};
use crate::programs::Program;
use crate::testbed::TestBed;
use crate::topology::{End, Reach, Topology};

pub const NEBULA: Program = Program { name: "nebula", install: "apt-get install nebula" };
pub const NEBULA_CERT: Program = Program { name: "nebula-cert", install: "apt-get install nebula" };

pub fn raise(bed: &mut TestBed) -> Result<Vec<Standing>> {
    let direct = stand(bed, Way::Direct, "neb-d", Reach::Open)?;
    let relay = stand(bed, Way::Relay, "neb-r", Reach::ByRelay)?;
    Ok(vec![direct, relay])
}

fn stand(bed: &mut TestBed, way: Way, tag: &str, reach: Reach) -> Result<Standing> {
    let topology = Topology::make(bed, tag, reach)?;
    let authority = topology.node(End::R)?;
    certify(
        bed,
        &authority,
        &["ca", "-name", "bench", "-out-crt", "ca.crt", "-out-key", "ca.key"],
    )?;
    let mut daemons = Daemons::default();
    for end in super::ends_of(way) {
        let pid = start(bed, &topology, way, *end)?;
        bed.wait_log(pid, "interface is active")?;
        daemons.add(*end, pid);
    }
    Ok(Standing::inside(way, topology, NETWORK, daemons))
}

/// Runs `nebula-cert` in the folder of the authority.
fn certify(bed: &TestBed, authority: &NodeName, words: &[&str]) -> Result<()> {
    let folder = bed.folder(authority);
    let is_file = |word: &str| word.ends_with(".crt") || word.ends_with(".key");
    let placed = words.iter().map(|word| match is_file(word) {
        true => folder.join(word).to_string_lossy().into_owned(),
        false => (*word).to_owned(),
    });
    let program = bed.programs().need(NEBULA_CERT)?;
    let command: Vec<String> = std::iter::once(program).chain(placed).collect();
    bed.run(authority, &command).map(drop)
}

fn start(bed: &mut TestBed, topology: &Topology, way: Way, end: End) -> Result<i32> {
    let (node, authority) = (topology.node(end)?, topology.node(End::R)?);
    let address = format!("{}/24", end.inner(NETWORK));
    let (crt, key) = (format!("{node}.crt"), format!("{node}.key"));
    certify(
        bed,
        &authority,
        &[
            &["sign", "-name", node.as_str(), "-ip", &address][..],
            &["-ca-crt", "ca.crt", "-ca-key", "ca.key", "-out-crt", &crt, "-out-key", &key],
        ]
        .concat(),
    )?;
    let folder = bed.folder(&authority).to_string_lossy().into_owned();
    let file = bed.write(&node, "nebula.yml", &config(&folder, node.as_str(), way, end))?;
    let program = bed.programs().need(NEBULA)?;
    bed.start(&node, "nebula", vec![program, "-config".to_owned(), file])
}

fn config(folder: &str, node: &str, way: Way, end: End) -> String {
    let is_relay = end == End::R;
    // Without a relay both ends know each other's address; with one they know R alone.
    let (known, at) = match (way, end) {
        (Way::Relay, End::R) => (String::new(), String::new()),
        (Way::Relay, _) => (End::R.inner(NETWORK).to_string(), end.gateway().to_string()),
        (_, _) => (end.peer().inner(NETWORK).to_string(), end.peer().address().to_string()),
    };
    let hosts =
        if known.is_empty() { String::new() } else { format!("\"{known}\": [\"{at}:{PORT}\"]") };
    let relays =
        if way == Way::Relay && !is_relay { format!("\"{known}\"") } else { String::new() };
    format!(
        "pki: {{ca: {folder}/ca.crt, cert: {folder}/{node}.crt, key: {folder}/{node}.key}}\n\
         static_host_map: {{{hosts}}}\n\
         lighthouse: {{am_lighthouse: {is_relay}, hosts: [{relays}]}}\n\
         relay: {{am_relay: {is_relay}, use_relays: true, relays: [{relays}]}}\n\
         listen: {{host: 0.0.0.0, port: {PORT}, batch: 64, read_buffer: {BUFFER}, \
         write_buffer: {BUFFER}}}\n\
         tun: {{dev: nebula1, tx_queue: {TX_QUEUE}, mtu: {MTU}}}\n\
         cipher: aes\n\
         logging: {{level: info, format: text}}\n\
         firewall:\n  outbound: [{{port: any, proto: any, host: any}}]\n  \
         inbound: [{{port: any, proto: any, host: any}}]\n"
    )
}

const NETWORK: u8 = 67;
/// Nebula's usual port.
const PORT: u16 = 4_242;
/// Octets; what the example configuration gives for systems that see much traffic.
const BUFFER: u32 = 10_485_760;
/// Packets; the example configuration's value.
const TX_QUEUE: u32 = 500;
/// The default of 1300 is for unknown paths; these links carry 1500.
const MTU: u16 = 1_400;
