//! What captures at every site prove about segment routing (W1 of the mission), judged from packets alone.
//!
//! A data packet is recognised on all its hops by session, path and counter, which no relay may change.
//! For each one: the outer destination is the next segment, segments left fall by one per hop, and what is
//! sealed is the same bytes everywhere. Captures inside the endpoints' TUNs are compared byte by byte.
//! Pure: works on frames that were read before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use srwan_wire::id::NodeId;
use srwan_wire::segment::{HeaderView, PacketType};

use crate::fabric::packet;
use crate::pcap::Frame;
use crate::settings::ROUTER_PORT;

/// Which address and which number is which router.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    pub by_address: BTreeMap<IpAddr, String>,
    pub by_number: BTreeMap<NodeId, String>,
}

/// What the captures showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Data packets by the routers that they were sent through, headend first, endpoint last.
    pub paths: BTreeMap<Vec<String>, usize>,
    /// Data packets that each router was seen to send.
    pub sent: BTreeMap<String, usize>,
    /// Rules that a packet broke, in words; at most [`VIOLATIONS_MAX`].
    pub violations: Vec<String>,
}

/// Broken rules that are written out; the first one is enough to fail.
pub const VIOLATIONS_MAX: usize = 20;

/// One data packet between two routers.
struct Hop<'a> {
    time_ns: u64,
    from: &'a str,
    to: &'a str,
    header: HeaderView<'a>,
}

/// Session and path with counter: what names a data packet end to end.
type PacketName = (u32, u64);

/// Looks at the packets that routers sent, as captured at the `eth0` of each.
pub fn inspect(captures: &[(String, Vec<Frame>)], directory: &Directory) -> Inspection {
    let mut packets: BTreeMap<PacketName, Vec<Hop>> = BTreeMap::new();
    for (site, frames) in captures {
        for frame in frames {
            if let Some(hop) = hop(frame, directory).filter(|hop| hop.from == site) {
                let name = (hop.header.session().0, hop.header.path_and_counter());
                packets.entry(name).or_default().push(hop);
            }
        }
    }
    let mut inspection = Inspection::default();
    for hops in packets.values_mut() {
        hops.sort_by_key(|hop| hop.time_ns);
        inspection.add(hops, directory);
    }
    inspection
}

impl Inspection {
    fn add(&mut self, hops: &[Hop], directory: &Directory) {
        let route = hops.iter().map(|hop| hop.from).chain(hops.last().map(|hop| hop.to));
        *self.paths.entry(route.map(str::to_owned).collect()).or_default() += 1;
        for hop in hops {
            *self.sent.entry(hop.from.to_owned()).or_default() += 1;
            self.check(hop_rule(hop, directory), hop);
        }
        for pair in hops.windows(2) {
            self.check(pair_rule(&pair[0], &pair[1]), &pair[1]);
        }
    }

    fn check(&mut self, broken: Option<String>, hop: &Hop) {
        if let Some(rule) = broken.filter(|_| self.violations.len() < VIOLATIONS_MAX) {
            let counter = hop.header.counter();
            self.violations
                .push(format!("packet {counter} from {} to {}: {rule}", hop.from, hop.to));
        }
    }
}

/// The outer destination is the active segment. The first one of a reduced list is not written down
/// (RFC 8754 4.1.1), but must be none of those that are.
fn hop_rule(hop: &Hop, directory: &Directory) -> Option<String> {
    let (header, left) = (&hop.header, hop.header.segments_left());
    let named = |index| {
        let node = header.sid(index)?.node()?;
        directory.by_number.get(&node).map(String::as_str)
    };
    if left < header.listed() {
        let next = named(left);
        return (next != Some(hop.to)).then(|| format!("the next segment is {next:?}"));
    }
    let listed = (0..left).filter_map(named).any(|name| name == hop.to);
    listed.then(|| "a listed segment is visited first".to_owned())
}

fn pair_rule(earlier: &Hop, later: &Hop) -> Option<String> {
    let (before, after) = (earlier.header.segments_left(), later.header.segments_left());
    if earlier.to != later.from {
        return Some(format!("it came to {} and left from {}", earlier.to, later.from));
    }
    if before != after + 1 {
        return Some(format!("segments left went from {before} to {after}"));
    }
    let same = earlier.header.payload() == later.header.payload();
    (!same).then(|| "the sealed bytes changed on the way".to_owned())
}

/// A data packet of ours in a frame between two known routers.
fn hop<'a>(frame: &'a Frame, directory: &'a Directory) -> Option<Hop<'a>> {
    let datagram = router_datagram(&frame.packet)?;
    if PacketType::of(datagram) != Some(PacketType::Data) {
        return None;
    }
    let ends = packet::ends(&frame.packet)?;
    Some(Hop {
        time_ns: frame.time_ns,
        from: directory.by_address.get(&ends.source)?,
        to: directory.by_address.get(&ends.target)?,
        header: HeaderView::parse(datagram).ok()?,
    })
}

/// Whether a frame is a packet between routers.
pub fn is_ours(frame: &Frame) -> bool {
    router_datagram(&frame.packet).is_some()
}

/// The UDP payload of a packet to or from a router's port.
fn router_datagram(bytes: &[u8]) -> Option<&[u8]> {
    let (protocol, start) = packet::payload(bytes)?;
    let header = bytes.get(start..start + UDP_HEADER).filter(|_| protocol == UDP)?;
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    (port(0) == ROUTER_PORT || port(2) == ROUTER_PORT).then(|| &bytes[start + UDP_HEADER..])
}

/// Frames in which a piece of an inner packet's payload can be read.
///
/// Takes 24 bytes out of the middle of each inner packet: enough never to occur by chance in sealed bytes.
pub fn readable(inner: &[Frame], outer: &[Frame]) -> usize {
    let piece = |frame: &Frame| {
        let middle = frame.packet.len() / 2;
        frame.packet.get(middle..middle + PIECE).map(<[u8]>::to_vec)
    };
    let pieces: BTreeSet<Vec<u8>> =
        inner.iter().filter(|frame| frame.packet.len() >= LONG).filter_map(piece).collect();
    let tells = |frame: &&Frame| frame.packet.windows(PIECE).any(|window| pieces.contains(window));
    outer.iter().filter(tells).count()
}

const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const PIECE: usize = 24;
/// Shorter packets are headers without data, whose middle is a checksum and zeros.
const LONG: usize = 200;
