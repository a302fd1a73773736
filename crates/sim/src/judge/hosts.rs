//! Packets of hosts: each carries its number and octets that follow from it, so what arrives can be told to be what was
//! sent, and to come once.

use super::{Judge, Promise};
use crate::builder::host;
use srwan_wire::time::Instant;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Octets of the IPv4 and UDP headers of a host's packet.
const HEADERS: usize = 28;

/// Marks payloads of ours.
const MAGIC: [u8; 4] = *b"srwn";

/// Octets of the shortest payload: the mark and the number.
pub const PAYLOAD_MIN: usize = 12;

/// The payload of packet `id`, `len` octets long: a mark, the number, and what follows from the number.
#[must_use]
pub fn payload(id: u64, len: usize) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(id.to_be_bytes());
    let mut state = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while bytes.len() < len {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len.max(PAYLOAD_MIN));
    bytes
}

/// One packet that a host sent.
#[derive(Clone, Copy, Debug)]
struct Packet {
    from: usize,
    to: usize,
    len: usize,
    at: Instant,
    arrived: Option<Instant>,
    tunnelled: u32,
}

/// All packets of hosts.
#[derive(Default)]
pub(super) struct Hosts {
    packets: BTreeMap<u64, Packet>,
    next: u64,
}

impl Judge {
    /// The number and the payload of the next packet, from a host behind one router to a host behind another.
    pub fn host_sends(&mut self, from: usize, to: usize, len: usize, now: Instant) -> Vec<u8> {
        let id = self.hosts.next;
        self.hosts.next += 1;
        let payload = payload(id, len);
        let len = payload.len();
        let packet = Packet { from, to, len, at: now, arrived: None, tunnelled: 0 };
        self.hosts.packets.insert(id, packet);
        payload
    }

    /// A host behind `router` got a packet; `origin` is the router that wrapped it, `None` on the default path.
    pub fn delivered(&mut self, router: usize, origin: Option<usize>, packet: &[u8], now: Instant) {
        if packet.get(9) == Some(&1) && origin.is_none_or(|origin| origin == router) {
            return; // "Packet too big", from the router to its own host.
        }
        if let Some(origin) = origin {
            self.check_source(router, origin, packet, now);
        }
        let found = number_of(packet).and_then(|id| self.hosts.packets.get_mut(&id).zip(Some(id)));
        let Some((sent, id)) = found else {
            let what = format!("{} octets that nobody sent", packet.len());
            return self.accuse(now, router, Promise::Integrity, what);
        };
        let is_whole = packet.get(HEADERS..) == Some(&payload(id, sent.len)[..]);
        let ends = (host(sent.from).octets(), host(sent.to).octets());
        let is_addressed = packet[12..16] == ends.0 && packet[16..20] == ends.1;
        sent.arrived = sent.arrived.or(Some(now));
        sent.tunnelled += u32::from(origin.is_some());
        let (is_right, times) = (sent.to == router, sent.tunnelled);
        self.tally.tunnelled += u64::from(origin.is_some());
        if !is_whole || !is_addressed || !is_right {
            let what = format!("packet {id} is not what was sent, or not for here");
            self.accuse(now, router, Promise::Integrity, what);
        }
        if times > 1 {
            self.accuse(now, router, Promise::Once, format!("packet {id} came {times} times"));
        }
    }

    /// Of the packets sent between two moments by `from` to `to`: how many, and how many arrived.
    #[must_use]
    pub fn arrived(&self, ends: (usize, usize), since: Instant, until: Instant) -> (u64, u64) {
        let mut sent = 0;
        let mut arrived = 0;
        for packet in self.hosts.packets.values() {
            if (packet.from, packet.to) == ends && packet.at >= since && packet.at < until {
                sent += 1;
                arrived += u64::from(packet.arrived.is_some());
            }
        }
        (sent, arrived)
    }

    fn check_source(&mut self, router: usize, origin: usize, packet: &[u8], now: Instant) {
        let source = packet.get(12..16).and_then(|octets| octets.first_chunk::<4>());
        let network = source.map(|[a, b, ..]| [*a, *b]);
        let [a, b, ..] = host(origin).octets();
        if network != Some([a, b]) {
            let shown = source.map(|octets| Ipv4Addr::from(*octets));
            let what = format!("r{origin} sent a packet from {shown:?}");
            self.accuse(now, router, Promise::Source, what);
        }
    }
}

fn number_of(packet: &[u8]) -> Option<u64> {
    let body = packet.get(HEADERS..)?.strip_prefix(&MAGIC)?;
    Some(u64::from_be_bytes(*body.first_chunk()?))
}
