//! What stands in the maps of the XDP program, laid out as `xdp/relay.bpf.c` reads it.
//!
//! Numbers are in the host's order, addresses and ports as they stand in a packet.

use std::mem::{offset_of, size_of};
use std::net::IpAddr;

use srwan_dataplane::{FibAdjacency, FibLane, FibLink, LinkSecret};

use crate::kernel::link_layer::LinkLayer;

/// `struct link`: a link that packets may come by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct LinkValue {
    key: [u64; 2],
    until: u64,
    previous: u32,
    unused: u32,
}

/// `struct way`: a lane and the way to its next hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct WayValue {
    key: [u64; 2],
    until: u64,
    previous: u32,
    next: u32,
    slot: u32,
    interface: u32,
    source: [u8; 16],
    target: [u8; 16],
    port: [u8; 2],
    link: [u8; 2],
    mtu: u16,
    version: u16,
    source_mac: [u8; 6],
    target_mac: [u8; 6],
    unused: u32,
}

const _: () = assert!(size_of::<LinkValue>() == 32 && offset_of!(LinkValue, previous) == 24);
const _: () = assert!(size_of::<WayValue>() == 96 && offset_of!(WayValue, source) == 40);
const _: () = assert!(offset_of!(WayValue, port) == 72 && offset_of!(WayValue, source_mac) == 80);

// SAFETY: plain data without padding (the sizes above are the sums of the fields), valid for every bit pattern.
unsafe impl aya::Pod for LinkValue {}
// SAFETY: as above.
unsafe impl aya::Pod for WayValue {}

/// Room for the addresses of a packet in either version of IP.
const ADDRESS_OCTETS: usize = 16;

impl LinkValue {
    /// `until` is by the kernel's monotonic clock, in nanoseconds.
    pub fn new(link: &FibLink, until: u64) -> Self {
        Self { key: key(&link.check), until, previous: link.previous.get(), unused: 0 }
    }
}

impl WayValue {
    /// `until` is by the kernel's monotonic clock, in nanoseconds; `None` if source and target are not of one version.
    pub fn new(
        lane: &FibLane,
        adjacency: &FibAdjacency,
        below: &LinkLayer,
        until: u64,
    ) -> Option<Self> {
        let (source, target) = (below.source, adjacency.to.ip());
        (source.is_ipv4() == target.is_ipv4()).then(|| Self {
            key: key(&adjacency.tag),
            until,
            previous: lane.previous.get(),
            next: lane.next.get(),
            slot: lane.slot.0,
            interface: below.interface,
            source: octets(source),
            target: octets(target),
            port: adjacency.to.port().to_be_bytes(),
            link: adjacency.link.0.to_be_bytes(),
            mtu: below.mtu,
            version: if target.is_ipv4() { 4 } else { 6 },
            source_mac: below.source_mac,
            target_mac: below.target_mac,
            unused: 0,
        })
    }
}

/// SipHash reads its key as two little-endian words.
fn key(secret: &LinkSecret) -> [u64; 2] {
    let (first, rest) = secret.octets().split_first_chunk().expect("16 octets");
    let (second, _) = rest.split_first_chunk().expect("8 octets");
    [u64::from_le_bytes(*first), u64::from_le_bytes(*second)]
}

/// An address with zeroes behind it.
fn octets(address: IpAddr) -> [u8; ADDRESS_OCTETS] {
    let mut octets = [0; ADDRESS_OCTETS];
    match address {
        IpAddr::V4(v4) => octets[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => octets = v6.octets(),
    }
    octets
}
