//! The little that the fabric reads and writes in IP packets: addresses, hop limit, one flipped bit.
//!
//! Every function takes any bytes; a packet too short or of another version gives `None` or is left alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Source and destination of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub source: IpAddr,
    pub target: IpAddr,
}

/// Reads the addresses.
pub fn ends(packet: &[u8]) -> Option<Ends> {
    match version(packet)? {
        4 => {
            let source = ipv4_at(packet, 12)?;
            Some(Ends { source: source.into(), target: ipv4_at(packet, 16)?.into() })
        }
        6 => {
            let source = ipv6_at(packet, 8)?;
            Some(Ends { source: source.into(), target: ipv6_at(packet, 24)?.into() })
        }
        _ => None,
    }
}

/// Takes one off TTL or hop limit and mends the IPv4 checksum; `false` = it may go no further.
pub fn decrement_hops(packet: &mut [u8]) -> bool {
    match version(packet) {
        Some(4) if packet.len() >= IPV4_HEADER && packet[8] > 1 => {
            packet[8] -= 1;
            let sum = u16::from_be_bytes([packet[10], packet[11]]);
            // Source: RFC 1624 (eqn. 3) for a word that fell by 0x0100.
            let (raised, carry) = sum.overflowing_add(0x0100);
            let mended = raised.wrapping_add(u16::from(carry));
            packet[10..12].copy_from_slice(&mended.to_be_bytes());
            true
        }
        Some(6) if packet.len() >= IPV6_HEADER && packet[7] > 1 => {
            packet[7] -= 1;
            true
        }
        _ => false,
    }
}

/// Flips one bit of the payload that `draw` chooses.
///
/// A UDP checksum is mended to match, so that the change reaches the program: the test is of what the
/// program checks, and the kernel would hide every case of it.
pub fn flip_bit(packet: &mut [u8], draw: u64) {
    let Some((protocol, start)) = payload(packet) else { return };
    let first = start + if protocol == UDP { UDP_HEADER } else { 0 };
    let Some(octets) = packet.len().checked_sub(first).filter(|octets| *octets > 0) else { return };
    let bit = usize::try_from(draw % u64::try_from(octets * 8).unwrap_or(1)).unwrap_or(0);
    let position = first + bit / 8;
    let word = (position - start) & !1;
    let before = word_at(packet, start + word);
    packet[position] ^= 1 << (bit % 8);
    let after = word_at(packet, start + word);
    if protocol == UDP {
        mend_udp(packet, start + UDP_CHECKSUM, before, after);
    }
}

/// The ICMP answer of a router whose next link is too small for this packet.
///
/// `None` for an ICMP error (never answer those: RFC 1122 3.2.2, RFC 4443 2.4) and for what is not IP.
pub fn too_big(packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let ends = ends(packet)?;
    let (protocol, start) = payload(packet)?;
    match (ends.source, protocol, packet.get(start)) {
        (IpAddr::V4(_), ICMP, Some(kind)) if !matches!(kind, 0 | 8) => None,
        (IpAddr::V6(_), ICMPV6, Some(kind)) if *kind < 128 => None,
        (IpAddr::V4(to), _, _) => Some(frag_needed(packet, start, to, mtu)),
        (IpAddr::V6(to), _, _) => Some(packet_too_big(packet, to, mtu)),
    }
}

/// RFC 792 type 3 code 4 with the MTU of RFC 1191.
fn frag_needed(packet: &[u8], payload: usize, to: Ipv4Addr, mtu: u16) -> Vec<u8> {
    let quoted = &packet[..packet.len().min(payload + 8)];
    let mut icmp = vec![3, 4, 0, 0, 0, 0];
    icmp.extend(mtu.to_be_bytes());
    icmp.extend(quoted);
    let sum = checksum(0, &icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let length = u16::try_from(IPV4_HEADER + icmp.len()).unwrap_or(u16::MAX);
    let mut header = vec![0x45, 0];
    header.extend(length.to_be_bytes());
    header.extend([0, 0, 0, 0, 64, ICMP, 0, 0]);
    header.extend(FABRIC_V4.octets());
    header.extend(to.octets());
    let sum = checksum(0, &header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header.extend(icmp);
    header
}

/// RFC 4443 3.2, cut to the minimal IPv6 MTU.
fn packet_too_big(packet: &[u8], to: Ipv6Addr, mtu: u16) -> Vec<u8> {
    let quoted = &packet[..packet.len().min(1280 - IPV6_HEADER - 8)];
    let mut icmp = vec![2, 0, 0, 0];
    icmp.extend(u32::from(mtu).to_be_bytes());
    icmp.extend(quoted);
    let length = u16::try_from(icmp.len()).unwrap_or(u16::MAX);
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(length.to_be_bytes());
    header.extend([ICMPV6, 64]);
    header.extend(FABRIC_V6.octets());
    header.extend(to.octets());
    let pseudo = sum_words(0, &header[8..40]) + u32::from(length) + u32::from(ICMPV6);
    let sum = checksum(pseudo, &icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    header.extend(icmp);
    header
}

/// Protocol and offset of what the IP header carries (no extension headers: none are sent here).
pub fn payload(packet: &[u8]) -> Option<(u8, usize)> {
    match version(packet)? {
        4 => {
            let start = usize::from(packet[0] & 0xf) * 4;
            (packet.len() >= start.max(IPV4_HEADER)).then(|| (packet[9], start))
        }
        6 => (packet.len() >= IPV6_HEADER).then(|| (packet[6], IPV6_HEADER)),
        _ => None,
    }
}

/// Internet checksum over bytes, on top of a partial sum.
pub fn checksum(partial: u32, bytes: &[u8]) -> u16 {
    let mut sum = sum_words(partial, bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}

/// Checksum of TCP or UDP over its pseudo header, whose field in the packet must be zero.
///
/// Source: RFC 9293 3.1, RFC 768, RFC 8200 8.1; a UDP sum of zero is sent as 0xffff.
pub fn transport_checksum(packet: &[u8], start: usize, protocol: u8) -> u16 {
    let addresses = if version(packet) == Some(4) { 12..20 } else { 8..40 };
    let Some((addresses, body)) = packet.get(addresses).zip(packet.get(start..)) else { return 0 };
    let length = u32::try_from(body.len()).unwrap_or(0);
    let sum = checksum(sum_words(0, addresses) + length + u32::from(protocol), body);
    if sum == 0 && protocol == UDP { 0xffff } else { sum }
}

fn sum_words(partial: u32, bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).fold(partial, u32::wrapping_add)
}

fn version(packet: &[u8]) -> Option<u8> {
    packet.first().map(|byte| byte >> 4)
}

fn ipv4_at(packet: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

fn ipv6_at(packet: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
    Some(octets.into())
}

/// The 16-bit word at an offset, a missing last byte read as zero.
fn word_at(packet: &[u8], at: usize) -> u16 {
    let byte = |at: usize| packet.get(at).copied().unwrap_or(0);
    u16::from_be_bytes([byte(at), byte(at + 1)])
}

/// RFC 1624 (eqn. 3): the sum after one word changed. Zero means "no checksum" and stays.
fn mend_udp(packet: &mut [u8], at: usize, before: u16, after: u16) {
    let old = word_at(packet, at);
    if old == 0 {
        return;
    }
    let mut sum = u32::from(!old) + u32::from(!before) + u32::from(after);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let new = !u16::try_from(sum).expect("folded to 16 bits");
    let sent = if new == 0 { 0xffff } else { new };
    packet[at..at + 2].copy_from_slice(&sent.to_be_bytes());
}

/// Address in ICMP errors of the fabric: site 0, which no node has.
const FABRIC_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const FABRIC_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
/// Offset of the checksum in a UDP header, RFC 768.
const UDP_CHECKSUM: usize = 6;
/// Protocol numbers, IANA.
const ICMP: u8 = 1;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
