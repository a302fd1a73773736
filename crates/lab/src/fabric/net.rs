//! All links together as a pure machine: packets of sites go in, packets for sites come out in time.
//!
//! `send` routes a packet by its destination address and asks the link; `poll_arrival` gives what is due.
//! Like an access network with BCP 38, a packet whose source is not of the sending site goes nowhere.
//! Bounded: at most [`PARCELS_MAX`] packets are on the way; more are dropped and counted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::link::{Fate, Link, LinkDrop};
use super::packet;

/// The Internet between the sites.
pub struct Net {
    sites: Vec<SiteRoutes>,
    /// `sites * sites`, row = from, column = to; the diagonal is never used.
    links: Vec<Link>,
    parcels: BinaryHeap<Reverse<Parcel>>,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
    /// Orders packets that are due at the same time.
    sequence: u64,
    counters: NetCounters,
}

/// Where packets of a site come from and which packets go there.
#[derive(Clone, Debug)]
pub struct SiteRoutes {
    pub prefixes: Vec<IpNet>,
}

/// A packet on its way.
pub struct Parcel {
    pub due_ns: u64,
    sequence: u64,
    /// Position of the site it goes to.
    pub site: usize,
    pub packet: Vec<u8>,
}

/// Packets that no link is to blame for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetCounters {
    /// Destination in no site, or not IP at all (router solicitations and the like).
    pub no_route: u64,
    /// Source not of the sending site: a router without source NAT shows here.
    pub foreign_source: u64,
    pub hops_exceeded: u64,
    /// More packets on the way than the fabric holds.
    pub overflow: u64,
    pub delivered: u64,
    pub delivered_octets: u64,
}

/// Packets on the way at most: one second at 1 Gbit/s in packets of 1500 octets.
pub const PARCELS_MAX: usize = 83_000;

impl Net {
    /// A network of links given in row order (`from * sites + to`).
    ///
    /// **Panics** if there is not one link per ordered pair of sites.
    pub fn new(sites: Vec<SiteRoutes>, links: Vec<Link>) -> Self {
        assert_eq!(links.len(), sites.len() * sites.len(), "one link per ordered pair");
        Self {
            sites,
            links,
            parcels: BinaryHeap::new(),
            spare: Vec::new(),
            sequence: 0,
            counters: NetCounters::default(),
        }
    }

    pub fn counters(&self) -> &NetCounters {
        &self.counters
    }

    pub fn link(&self, from: usize, to: usize) -> &Link {
        &self.links[from * self.sites.len() + to]
    }

    pub fn link_mut(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.sites.len() + to]
    }

    /// An empty buffer, one used before where there is one.
    pub fn buffer(&mut self) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Gives a buffer back.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(buffer);
        }
    }

    /// Takes a packet that a site sent at that time.
    pub fn send(&mut self, from: usize, mut packet: Vec<u8>, now_ns: u64) {
        let routed = self.route(from, &packet);
        match routed {
            Some(_) if !packet::decrement_hops(&mut packet) => {
                self.counters.hops_exceeded += 1;
                self.recycle(packet);
            }
            Some(to) => self.cross(from, to, packet, now_ns),
            None => self.recycle(packet),
        }
    }

    /// When the next packet is due.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.parcels.peek().map(|Reverse(parcel)| parcel.due_ns)
    }

    /// A packet that is due; give its buffer back with [`Net::recycle`].
    pub fn poll_arrival(&mut self, now_ns: u64) -> Option<Parcel> {
        let due = self.poll_timeout()?;
        if due > now_ns {
            return None;
        }
        let Reverse(parcel) = self.parcels.pop()?;
        self.counters.delivered += 1;
        self.counters.delivered_octets += u64::try_from(parcel.packet.len()).unwrap_or(u64::MAX);
        Some(parcel)
    }

    fn route(&mut self, from: usize, packet: &[u8]) -> Option<usize> {
        let Some(ends) = packet::ends(packet) else {
            self.counters.no_route += 1;
            return None;
        };
        let holds =
            |site: &SiteRoutes, address| site.prefixes.iter().any(|net| net.contains(&address));
        let to = self.sites.iter().position(|site| holds(site, ends.target));
        let Some(to) = to.filter(|to| *to != from) else {
            self.counters.no_route += 1;
            return None;
        };
        if !holds(&self.sites[from], ends.source) {
            self.counters.foreign_source += 1;
            return None;
        }
        Some(to)
    }

    fn cross(&mut self, from: usize, to: usize, mut packet: Vec<u8>, now_ns: u64) {
        let octets = u64::try_from(packet.len()).unwrap_or(u64::MAX);
        match self.link_mut(from, to).pass(now_ns, octets) {
            Fate::Arrives { at_ns, twice, flip } => {
                if twice {
                    self.enqueue(to, packet.clone(), at_ns);
                }
                if let Some(draw) = flip {
                    packet::flip_bit(&mut packet, draw);
                }
                self.enqueue(to, packet, at_ns);
            }
            Fate::Lost(LinkDrop::TooBig { told }) => {
                if let Some(answer) = told.and_then(|mtu| packet::too_big(&packet, mtu)) {
                    self.enqueue(from, answer, now_ns);
                }
                self.recycle(packet);
            }
            Fate::Lost(LinkDrop::Blackhole | LinkDrop::Loss | LinkDrop::QueueFull) => {
                self.recycle(packet)
            }
        }
    }

    fn enqueue(&mut self, site: usize, packet: Vec<u8>, due_ns: u64) {
        if self.parcels.len() >= PARCELS_MAX {
            self.counters.overflow += 1;
            self.recycle(packet);
            return;
        }
        self.sequence += 1;
        let sequence = self.sequence;
        self.parcels.push(Reverse(Parcel { due_ns, sequence, site, packet }));
    }
}

impl Ord for Parcel {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_ns, self.sequence).cmp(&(other.due_ns, other.sequence))
    }
}

impl PartialOrd for Parcel {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Parcel {}

/// Buffers kept for use again: what a burst of a few milliseconds needs.
const SPARE_MAX: usize = 4096;
