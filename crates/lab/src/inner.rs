//! Inner packets compared at both ends of a path: what came out must have gone in, byte for byte.
//!
//! The kernel hands a device several TCP segments as one and takes several as one, and leaves checksums to
//! the device. So TCP data are compared by their place in the stream (every byte that came out is the byte
//! that went in at that sequence number), and all other packets whole, with the checksum filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::fabric::packet;
use crate::pcap::Frame;

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Packets that came out.
    pub arrived: usize,
    /// Those of them that did not go in like that.
    pub foreign: usize,
}

/// Addresses and ports of a TCP connection in one direction, as they stand in the packet.
type Connection = Vec<u8>;

/// What went in at a headend.
#[derive(Default)]
struct Sent {
    whole: BTreeSet<Vec<u8>>,
    /// Data of each connection by first sequence number; of several with the same one, the longest.
    streams: BTreeMap<Connection, BTreeMap<u32, Vec<u8>>>,
}

/// Compares packets of one source: `sent` at the headend's TUN, `received` at the endpoint's.
pub fn compare(sent: &[Frame], received: &[Frame], source: IpAddr) -> Compared {
    let ours =
        |frame: &&Frame| packet::ends(&frame.packet).is_some_and(|ends| ends.source == source);
    let mut known = Sent::default();
    sent.iter().filter(ours).for_each(|frame| known.add(&frame.packet));
    let arrived: Vec<&Frame> = received.iter().filter(ours).collect();
    let foreign = arrived.iter().filter(|frame| !known.holds(&frame.packet)).count();
    Compared { arrived: arrived.len(), foreign }
}

impl Sent {
    fn add(&mut self, packet: &[u8]) {
        match tcp_data(packet) {
            Some((connection, first, data)) => {
                let stream = self.streams.entry(connection).or_default();
                let known = stream.entry(first).or_default();
                if known.len() < data.len() {
                    *known = data.to_vec();
                }
            }
            None => {
                self.whole.insert(with_checksum(packet));
            }
        }
    }

    fn holds(&self, packet: &[u8]) -> bool {
        let Some((connection, first, data)) = tcp_data(packet) else {
            return self.whole.contains(&with_checksum(packet));
        };
        let Some(stream) = self.streams.get(&connection) else { return false };
        let (mut at, mut left) = (first, data);
        while !left.is_empty() {
            let Some(known) = bytes_at(stream, at) else { return false };
            let together = known.len().min(left.len());
            if known[..together] != left[..together] {
                return false;
            }
            at = at.wrapping_add(u32::try_from(together).unwrap_or(u32::MAX));
            left = &left[together..];
        }
        true
    }
}

/// What was sent from a place of the stream on. A place may be in several segments, by retransmission; a
/// longer one may begin before a shorter one.
fn bytes_at(stream: &BTreeMap<u32, Vec<u8>>, at: u32) -> Option<&[u8]> {
    let before = stream.range(..=at).rev().take(OVERLAPS_MAX);
    let rest = |(first, data): (&u32, &'_ Vec<u8>)| {
        let skip = usize::try_from(at - first).unwrap_or(usize::MAX);
        data.len().checked_sub(skip).filter(|left| *left > 0)
    };
    let (first, data) = before.max_by_key(|(first, data)| rest((first, data)))?;
    data.get(usize::try_from(at - first).ok()?..).filter(|left| !left.is_empty())
}

/// Connection, sequence number and data of a TCP segment that has data.
fn tcp_data(bytes: &[u8]) -> Option<(Connection, u32, &[u8])> {
    let (protocol, start) = packet::payload(bytes)?;
    let header = bytes.get(start..start + TCP_HEADER).filter(|_| protocol == TCP)?;
    let addresses = if start == IPV6_HEADER && bytes[0] >> 4 == 6 { 8..40 } else { 12..20 };
    let first = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let data = bytes.get(start + usize::from(header[12] >> 4) * 4..)?;
    let connection = [&bytes[addresses], &header[..4]].concat();
    (!data.is_empty()).then_some((connection, first, data))
}

/// The packet as a device sends it, with the TCP or UDP checksum that it had to fill in.
fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut packet = bytes.to_vec();
    let Some((protocol, start)) = packet::payload(bytes) else { return packet };
    let at = start + if protocol == UDP { 6 } else { 16 };
    if matches!(protocol, TCP | UDP) && packet.len() >= at + 2 {
        packet[at..at + 2].fill(0);
        let sum = packet::transport_checksum(&packet, start, protocol);
        packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// Protocol numbers, IANA.
const TCP: u8 = 6;
const UDP: u8 = 17;
const TCP_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
/// Segments that begin before a place and may reach it: a window of retransmissions.
const OVERLAPS_MAX: usize = 64;
