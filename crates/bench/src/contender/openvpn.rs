//! OpenVPN: UDP, AES-256-GCM, larger socket buffers and `fast-io` as its manual advises for high rates.
//!
//! Direct: A is a client of B. Relay: A and B are clients of R, which passes packets on inside (`client-to-client`).

use std::fmt::Write;

use anyhow::{Context, Result};
use srwan_lab::scenario::NodeName;

use super::{Daemons, Standing, Way};
use crate::programs::Program;
use crate::testbed::TestBed;
use crate::topology::{End, Reach, Topology};

pub const OPENVPN: Program = Program { name: "openvpn", install: "apt-get install openvpn" };
pub const OPENSSL: Program = Program { name: "openssl", install: "apt-get install openssl" };

pub fn raise(bed: &mut TestBed) -> Result<Vec<Standing>> {
    let direct = stand(bed, Way::Direct, "ovpn-d", Reach::Open)?;
    let relay = stand(bed, Way::Relay, "ovpn-r", Reach::ByRelay)?;
    Ok(vec![direct, relay])
}

fn stand(bed: &mut TestBed, way: Way, tag: &str, reach: Reach) -> Result<Standing> {
    let topology = Topology::make(bed, tag, reach)?;
    let server = if way == Way::Relay { End::R } else { End::B };
    let clients: &[End] = if way == Way::Relay { &End::OUTER } else { &[End::A] };
    let own = certify(bed, &topology.node(server)?, server)?;
    let mut known = Vec::new();
    for client in clients {
        known.push(certify(bed, &topology.node(*client)?, *client)?);
    }
    let mut daemons = Daemons::default();
    daemons.add(server, serve(bed, &topology, server, (clients, &known))?);
    for client in clients {
        let at = if server == End::R { client.gateway() } else { server.address() };
        let lines = format!(
            "client\nnobind\nremote {at} {PORT}\n{}",
            fingerprints(std::slice::from_ref(&own))
        );
        daemons.add(*client, start(bed, &topology.node(*client)?, &lines)?);
    }
    Ok(Standing::inside(way, topology, NETWORK, daemons))
}

fn serve(
    bed: &mut TestBed,
    topology: &Topology,
    server: End,
    (clients, known): (&[End], &[String]),
) -> Result<i32> {
    let node = topology.node(server)?;
    for client in clients {
        // With fixed addresses the ends are where the measures look for them.
        let line = format!("ifconfig-push {} 255.255.255.0\n", client.inner(NETWORK));
        bed.write(&node, client.word(), &line)?;
    }
    let folder = bed.folder(&node).to_string_lossy().into_owned();
    let lines = format!(
        "mode server\ntls-server\ndh none\nport {PORT}\nclient-to-client\n\
         ifconfig {} 255.255.255.0\nclient-config-dir {folder}\n{}",
        server.inner(NETWORK),
        fingerprints(known),
    );
    start(bed, &node, &lines)
}

/// Starts a daemon and waits until its tunnel is up.
fn start(bed: &mut TestBed, node: &NodeName, lines: &str) -> Result<i32> {
    let folder = bed.folder(node).to_string_lossy().into_owned();
    let text = format!(
        "dev ovpn0\ndev-type tun\ntopology subnet\nproto udp4\n\
         cert {folder}/own.crt\nkey {folder}/own.key\n\
         data-ciphers AES-256-GCM\ntun-mtu {MTU}\ntxqueuelen {TX_QUEUE}\n\
         sndbuf {BUFFER}\nrcvbuf {BUFFER}\nfast-io\nkeepalive 10 60\nverb 3\n{lines}"
    );
    let file = bed.write(node, "openvpn.conf", &text)?;
    let program = bed.programs().need(OPENVPN)?;
    let pid = bed.start(node, "openvpn", vec![program, "--config".to_owned(), file])?;
    bed.wait_log(pid, "Initialization Sequence Completed")?;
    Ok(pid)
}

/// Draws a key with a certificate that others know by its fingerprint.
fn certify(bed: &TestBed, node: &NodeName, end: End) -> Result<String> {
    let (openssl, folder) = (bed.programs().need(OPENSSL)?, bed.folder(node));
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (crt, key, subject) = (file("own.crt"), file("own.key"), format!("/CN={}", end.word()));
    let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30";
    let request = std::iter::once(openssl.as_str()).chain(request.split(' '));
    let named = ["-subj", &subject, "-keyout", &key, "-out", &crt];
    bed.run(node, &request.chain(named).collect::<Vec<_>>())?;
    let question = ["x509", "-in", &crt, "-noout", "-fingerprint", "-sha256"];
    let question = std::iter::once(openssl.as_str()).chain(question).collect::<Vec<_>>();
    let answer = bed.run(node, &question)?;
    let (_, digest) = answer.split_once('=').context("openssl tells no fingerprint")?;
    Ok(digest.trim().to_owned())
}

fn fingerprints(known: &[String]) -> String {
    let mut block = "<peer-fingerprint>\n".to_owned();
    for digest in known {
        writeln!(block, "{digest}").expect("writing to a String");
    }
    block + "</peer-fingerprint>\n"
}

const NETWORK: u8 = 69;
/// OpenVPN's usual port.
const PORT: u16 = 1_194;
const MTU: u16 = 1_400;
/// Octets; the value that its users' guides give, above the system's default.
const BUFFER: u32 = 393_216;
/// Packets; ten times its default.
const TX_QUEUE: u32 = 1_000;
