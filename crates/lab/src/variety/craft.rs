//! Raw packets: IPv4 and IPv6 headers, extension headers, fragments, UDP inside. No IO.
//!
//! Source: RFC 791, RFC 768, RFC 8200 section 4.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::Kind;
use crate::fabric::packet::checksum;

/// Both ends of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub source: SocketAddr,
    pub target: SocketAddr,
}

/// The packets that carry `payload` as a datagram of this kind, in the order to send them; empty for a kind that
/// ordinary sockets send. `id` names fragments.
pub fn packets(kind: Kind, ends: Ends, payload: &[u8], id: u32) -> Vec<Vec<u8>> {
    let datagram = udp(ends, payload);
    let one =
        |next: u8, headers: Vec<u8>| vec![v6(ends, next, &[headers, datagram.clone()].concat())];
    match kind {
        Kind::Fragments if ends.target.is_ipv4() => v4_fragments(ends, &datagram, id),
        Kind::Fragments => v6_fragments(ends, (FRAGMENT, &[]), &datagram, id),
        Kind::Options => vec![v4(ends, &[NO_OPERATION; 8], 0, &datagram, id)],
        Kind::HopByHop => one(HOP_BY_HOP, padding(UDP)),
        Kind::DestinationOptions => one(DESTINATION, padding(UDP)),
        Kind::Routing => one(ROUTING, routing(UDP)),
        Kind::AtomicFragment => one(FRAGMENT, fragment_header(0, false, id).to_vec()),
        Kind::Chain => {
            let chain = [padding(DESTINATION), padding(ROUTING), routing(FRAGMENT)].concat();
            v6_fragments(ends, (HOP_BY_HOP, &chain), &datagram, id)
        }
        Kind::Small
        | Kind::Full
        | Kind::Large
        | Kind::Echo
        | Kind::Run
        | Kind::Tcp
        | Kind::TcpOptions => Vec::new(),
    }
}

/// Destination options that say nothing, for a socket to put into every packet: the kernel fills in the next header.
pub fn empty_options() -> Vec<u8> {
    padding(0)
}

fn udp(ends: Ends, payload: &[u8]) -> Vec<u8> {
    let length = UDP_HEADER + payload.len();
    let short = u16::try_from(length).unwrap_or(u16::MAX);
    let ports = [ends.source.port().to_be_bytes(), ends.target.port().to_be_bytes()].concat();
    let mut datagram = [&ports[..], &short.to_be_bytes(), &[0, 0], payload].concat();
    let long = u32::try_from(length).unwrap_or(u32::MAX);
    let pseudo = [&addresses(ends)[..], &long.to_be_bytes(), &[0, 0, 0, UDP], &datagram].concat();
    let sum = match checksum(0, &pseudo) {
        0 => u16::MAX,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

fn addresses(ends: Ends) -> Vec<u8> {
    match (ends.source.ip(), ends.target.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => [source.octets(), target.octets()].concat(),
        (IpAddr::V6(source), IpAddr::V6(target)) => [source.octets(), target.octets()].concat(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
    }
}

fn v4(ends: Ends, options: &[u8], field: u16, rest: &[u8], id: u32) -> Vec<u8> {
    let header = IPV4_HEADER + options.len();
    let total = u16::try_from(header + rest.len()).unwrap_or(u16::MAX);
    let words = u8::try_from(header / 4).unwrap_or(5);
    let mut packet = vec![0x40 | words, 0];
    packet.extend(total.to_be_bytes());
    packet.extend_from_slice(&id.to_be_bytes()[2..]);
    packet.extend(field.to_be_bytes());
    packet.extend([HOPS, UDP, 0, 0]);
    packet.extend(addresses(ends));
    packet.extend(options);
    let sum = checksum(0, &packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(rest);
    packet
}

fn v4_fragments(ends: Ends, datagram: &[u8], id: u32) -> Vec<Vec<u8>> {
    let one = |piece: Range<usize>| {
        let more = if piece.end < datagram.len() { MORE_V4 } else { 0 };
        v4(ends, &[], more | units(piece.start), &datagram[piece], id)
    };
    pieces(datagram.len()).rev().map(one).collect()
}

fn v6(ends: Ends, next: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0x60, 0, 0, 0], &length[..], &[next, HOPS], &addresses(ends), rest].concat()
}

/// Fragments behind the same headers, which end with one that names a fragment header as the next.
fn v6_fragments(
    ends: Ends,
    (first, before): (u8, &[u8]),
    datagram: &[u8],
    id: u32,
) -> Vec<Vec<u8>> {
    let one = |piece: Range<usize>| {
        let header = fragment_header(units(piece.start), piece.end < datagram.len(), id);
        v6(ends, first, &[before, &header, &datagram[piece]].concat())
    };
    pieces(datagram.len()).rev().map(one).collect()
}

fn fragment_header(offset: u16, is_more: bool, id: u32) -> [u8; 8] {
    let [high, low] = (offset << 3 | u16::from(is_more)).to_be_bytes();
    let [a, b, c, d] = id.to_be_bytes();
    [UDP, 0, high, low, a, b, c, d]
}

/// Eight octets of options that say nothing (PadN), for hop-by-hop and destination headers.
fn padding(next: u8) -> Vec<u8> {
    vec![next, 0, 1, 4, 0, 0, 0, 0]
}

/// RFC 8200 section 4.4: a node that does not know the type ignores a header with no segment left.
fn routing(next: u8) -> Vec<u8> {
    vec![next, 0, ROUTING_TYPE, 0, 0, 0, 0, 0]
}

fn pieces(octets: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
    let starts = (0..octets.div_ceil(PIECE_OCTETS)).map(|piece| piece * PIECE_OCTETS);
    starts.map(move |start| start..octets.min(start + PIECE_OCTETS))
}

fn units(octets: usize) -> u16 {
    u16::try_from(octets / 8).unwrap_or(0)
}

/// Of a fragment: with all headers of a chain a packet of at most 1,280 octets, which every link carries.
const PIECE_OCTETS: usize = 1_200;
const HOPS: u8 = 64;
const IPV4_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const NO_OPERATION: u8 = 1;
const MORE_V4: u16 = 0x2000;
/// Protocol numbers, IANA.
const UDP: u8 = 17;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
/// For experiments: RFC 4727. Segment routing's own is 4.
const ROUTING_TYPE: u8 = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabric::packet::transport_checksum;

    fn ends(source: &str, target: &str) -> Ends {
        Ends { source: source.parse().unwrap(), target: target.parse().unwrap() }
    }

    #[test]
    fn a_datagram_has_the_checksum_that_its_receiver_computes() {
        for ends in [ends("192.0.2.1:5", "192.0.2.2:7"), ends("[2001:db8::1]:5", "[2001:db8::2]:7")]
        {
            let datagram = udp(ends, b"odd");
            let packet = if ends.source.is_ipv4() {
                v4(ends, &[], 0, &datagram, 1)
            } else {
                v6(ends, UDP, &datagram)
            };
            let start = packet.len() - datagram.len();
            let mut blank = packet.clone();
            blank[start + 6..start + 8].fill(0);
            let sum = transport_checksum(&blank, start, UDP);
            assert_eq!(packet[start + 6..start + 8], sum.to_be_bytes());
        }
    }

    #[test]
    fn fragments_fit_the_smallest_ipv6_link_and_are_the_datagram() {
        let ends = ends("[2001:db8::1]:5", "[2001:db8::2]:7");
        for kind in [Kind::Fragments, Kind::Chain] {
            let mut fragments = packets(kind, ends, &[9; 3_000], 77);
            assert_eq!(fragments.len(), 3);
            assert!(fragments.iter().all(|fragment| fragment.len() <= 1_280));
            fragments.reverse();
            let headers = fragments[0].len() - PIECE_OCTETS;
            let whole: Vec<u8> = fragments.iter().flat_map(|f| f[headers..].to_vec()).collect();
            assert_eq!(whole, udp(ends, &[9; 3_000]));
        }
    }
}
