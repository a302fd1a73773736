//! Routers joined by an ideal network that delays, records and, where told, loses datagrams.
//!
//! Router `i` is node `i` at 198.18.`i`.1 (or fd12::`i`), and 10.0.`i`.0/24 and fd00:`i`::/32 lie
//! behind it.

use srwan_dataplane::{
    Dataplane, DropReason, Event, Forward, Frame, HEADROOM, Identity, LaneEntry, PeerConfig,
    PolicyEntry, PolicyPath, Reach, Spread, TAILROOM, Transmit, Verdict,
};
use srwan_wire::id::{LaneLabel, NodeId, Octets, PathId};
use srwan_wire::path_group::PathGroup;
use srwan_wire::time::{Instant, Timestamp, WallClock};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

pub const PORT: u16 = 4_766;
const PSK: [u8; 32] = [42; 32];
const START: u64 = 1_700_000_000_000_000_000;

pub fn node(raw: u32) -> NodeId {
    NodeId::new(raw).unwrap()
}

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub tos: u8,
    pub bytes: Vec<u8>,
}

pub struct Router {
    pub plane: Dataplane,
    pub address: SocketAddr,
    pub delivered: Vec<(NodeId, Vec<u8>)>,
    pub punted: Vec<(NodeId, bool, Vec<u8>)>,
    pub events: Vec<Event>,
}

/// What the network does to datagrams, in percent, drawn from a seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub seed: u64,
    pub loss: u64,
    pub duplication: u64,
    pub corruption: u64,
    /// Largest extra delay.
    pub jitter_ms: u64,
}

impl Faults {
    /// What arrives of a datagram, and how much later than usual.
    fn strike(&mut self, datagram: Datagram) -> Vec<(Duration, Datagram)> {
        if self.draw(100) < self.loss {
            return Vec::new();
        }
        let copies = if self.draw(100) < self.duplication { 2 } else { 1 };
        (0..copies).map(|_| self.deface(datagram.clone())).collect()
    }

    fn deface(&mut self, mut datagram: Datagram) -> (Duration, Datagram) {
        if self.draw(100) < self.corruption {
            let len = u64::try_from(datagram.bytes.len()).unwrap();
            let at = usize::try_from(self.draw(len)).unwrap();
            datagram.bytes[at] ^= 1 << self.draw(8);
        }
        (Duration::from_millis(self.draw(self.jitter_ms + 1)), datagram)
    }

    /// A number below `bound`, by xorshift.
    fn draw(&mut self, bound: u64) -> u64 {
        self.seed = self.seed.max(1);
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % bound
    }
}

pub struct World {
    pub now: Instant,
    pub routers: BTreeMap<u32, Router>,
    /// Every datagram that was sent, lost or not.
    pub sent: Vec<Datagram>,
    pub drops: Vec<(u32, DropReason)>,
    /// Pairs of routers whose datagrams are lost, by direction.
    pub cut: BTreeSet<(u32, u32)>,
    pub delay: Duration,
    pub records: bool,
    pub faults: Faults,
    flying: BTreeMap<(Instant, u64), Datagram>,
    number: u64,
    is_v6: bool,
}

impl World {
    /// `count` routers that know one another and have no sessions.
    pub fn new(count: u32) -> Self {
        Self::with_family(count, false)
    }

    pub fn with_family(count: u32, is_v6: bool) -> Self {
        let mut world = Self {
            now: Instant::from_nanos(1_000_000_000),
            routers: BTreeMap::new(),
            sent: Vec::new(),
            drops: Vec::new(),
            cut: BTreeSet::new(),
            delay: Duration::from_millis(10),
            records: true,
            faults: Faults::default(),
            flying: BTreeMap::new(),
            number: 0,
            is_v6,
        };
        (1..=count).for_each(|raw| world.boot(raw, 0, 0, Timestamp::default()));
        (1..=count).for_each(|raw| world.introduce(raw, count));
        world
    }

    /// `count` routers, each with a session with each other one.
    pub fn connected(count: u32) -> Self {
        let mut world = Self::new(count);
        world.connect_all(count);
        world
    }

    pub fn connect_all(&mut self, count: u32) {
        for from in 1..=count {
            (1..=count)
                .filter(|to| *to != from)
                .for_each(|to| self.connect(from, to, Reach::Direct));
        }
        self.run(Duration::from_secs(5));
        self.sent.clear();
        self.drops.clear();
    }

    /// Starts (or restarts) a router whose wall clock is `skew` seconds off.
    pub fn boot(&mut self, raw: u32, start: u8, skew: i64, last_stamp: Timestamp) {
        let epoch = START.saturating_add_signed(skew * 1_000_000_000);
        let identity = identity(raw, epoch, last_stamp);
        let mut seed = [u8::try_from(raw).unwrap(); 32];
        seed[1] = start;
        let router = Router {
            plane: Dataplane::new(identity, seed, self.now),
            address: self.address(raw),
            delivered: Vec::new(),
            punted: Vec::new(),
            events: Vec::new(),
        };
        self.routers.insert(raw, router);
    }

    /// Tells router `raw` of all others, and which inner addresses are whose.
    pub fn introduce(&mut self, raw: u32, count: u32) {
        for other in 1..=count {
            let config = self.peer_config(other);
            let now = self.now;
            let plane = self.plane(raw);
            plane.set_peer(node(other), config, now);
            plane.allow_source(node(other), prefixes(other)).unwrap();
        }
    }

    pub fn peer_config(&self, raw: u32) -> PeerConfig {
        let key = identity(raw, 0, Timestamp::default()).public();
        PeerConfig::new(key, vec![self.address(raw)], PSK)
    }

    pub fn address(&self, raw: u32) -> SocketAddr {
        let low = u8::try_from(raw).unwrap();
        if self.is_v6 {
            SocketAddr::from((Ipv6Addr::new(0xfd12, 0, 0, 0, 0, 0, 0, u16::from(low)), PORT))
        } else {
            SocketAddr::from((Ipv4Addr::new(198, 18, low, 1), PORT))
        }
    }

    pub fn plane(&mut self, raw: u32) -> &mut Dataplane {
        &mut self.router(raw).plane
    }

    pub fn router(&mut self, raw: u32) -> &mut Router {
        self.routers.get_mut(&raw).unwrap()
    }

    pub fn connect(&mut self, from: u32, to: u32, reach: Reach) {
        let now = self.now;
        self.plane(from).connect(node(to), reach, now);
        self.drain(from);
    }

    /// Steers what `from` sends to the networks behind `to` over `relays`, and installs the lane on
    /// the whole path.
    pub fn steer(&mut self, from: u32, relays: &[u32], to: u32, lane: u32) {
        let nodes: Vec<_> = relays.iter().map(|raw| node(*raw)).collect();
        let label = (lane != 0).then_some(LaneLabel(lane));
        let entry = PolicyEntry::new(node(to), nodes, label, PathId(1));
        for prefix in prefixes(to) {
            self.plane(from).install_policy(prefix, &entry).unwrap();
        }
        if lane != 0 {
            self.pave(from, relays, to, lane);
        }
    }

    /// Spreads what `from` sends to the networks behind `to` over paths of one relay each (0: none),
    /// with a lane per path, labelled 100 and its relay.
    pub fn spread(&mut self, from: u32, spread: Spread, paths: &[(u32, u8)], to: u32) {
        let group = match spread {
            Spread::Flows => None,
            Spread::Packets => Some(PathGroup::IN_ORDER),
            Spread::Copies => Some(PathGroup::COPIES),
        };
        let path = |(place, (relay, weight)): (u8, &(u32, u8))| PolicyPath {
            relays: (*relay != 0).then(|| node(*relay)).into_iter().collect(),
            lane: (*relay != 0).then_some(LaneLabel(100 + *relay)),
            path_id: group.map_or(PathId(place + 1), |group| group.member(place).unwrap()),
            weight: *weight,
        };
        let paths: Vec<_> = paths.to_vec();
        let entry = PolicyEntry {
            spread,
            paths: (0..).zip(&paths).map(path).collect(),
            ..PolicyEntry::new(node(to), vec![], None, PathId(1))
        };
        for prefix in prefixes(to) {
            self.plane(from).install_policy(prefix, &entry).unwrap();
        }
        for (relay, _) in paths.iter().filter(|(relay, _)| *relay != 0) {
            self.pave(from, &[*relay], to, 100 + relay);
        }
    }

    /// A lane that pays for the path.
    pub fn pave(&mut self, from: u32, relays: &[u32], to: u32, lane: u32) {
        let hops: Vec<u32> = [&[from], relays, &[to]].concat();
        for (i, hop) in hops.iter().enumerate() {
            let entry = LaneEntry {
                label: LaneLabel(lane),
                previous: node(hops[i.saturating_sub(1)]),
                next: hops.get(i + 1).map(|next| node(*next)),
                octets: Octets(0),
                allowed: Octets(1 << 40),
            };
            self.plane(*hop).install_lane(entry).unwrap();
        }
    }

    /// Has the host behind `from` send a packet; what becomes of it at that router.
    pub fn host_sends(&mut self, from: u32, packet: &[u8]) -> Verdict {
        let mut buffer = vec![0; HEADROOM];
        buffer.extend_from_slice(packet);
        buffer.resize(buffer.len() + TAILROOM, 0);
        let range = HEADROOM..HEADROOM + packet.len();
        let mut frame = Frame::new(&mut buffer, range).unwrap();
        let now = self.now;
        let verdict = self.plane(from).headend(&mut frame, now);
        self.act(from, &verdict, &buffer);
        verdict
    }

    /// Seals `payload` at `from` for `to` and sends it.
    pub fn send_oam(&mut self, from: u32, via: &[u32], to: u32, payload: &[u8]) {
        let via: Vec<_> = via.iter().map(|raw| node(*raw)).collect();
        let (now, mut bytes) = (self.now, Vec::new());
        let address = self.plane(from).seal_oam(node(to), &via, payload, &mut bytes, now).unwrap();
        let source = self.router(from).address;
        self.send(Datagram { from: source, to: address, tos: 0, bytes });
    }

    /// Gives `datagram` to router `raw` as if it had just arrived; what becomes of it.
    pub fn inject(&mut self, raw: u32, datagram: &Datagram) -> Verdict {
        let mut bytes = datagram.bytes.clone();
        let now = self.now;
        let verdict = self.plane(raw).receive(datagram.from, &mut bytes, datagram.tos, now);
        self.act(raw, &verdict, &bytes);
        verdict
    }

    /// Lets time pass.
    pub fn run(&mut self, length: Duration) {
        let end = self.now + length;
        while let Some(at) = self.next_event().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
    }

    pub fn run_millis(&mut self, millis: u64) {
        self.run(Duration::from_millis(millis));
    }

    pub fn send(&mut self, datagram: Datagram) {
        if self.records {
            self.sent.push(datagram.clone());
        }
        let is_cut = match (self.owner(datagram.from), self.owner(datagram.to)) {
            (Some(from), Some(to)) => self.cut.contains(&(from, to)),
            _ => false,
        };
        if !is_cut {
            let copies = self.faults.strike(datagram);
            copies.into_iter().for_each(|(extra, copy)| self.launch(extra, copy));
        }
    }

    fn launch(&mut self, extra: Duration, datagram: Datagram) {
        self.number += 1;
        self.flying.insert((self.now + self.delay + extra, self.number), datagram);
    }

    fn owner(&self, address: SocketAddr) -> Option<u32> {
        let mut routers = self.routers.iter();
        routers.find(|(_, router)| router.address.ip() == address.ip()).map(|(raw, _)| *raw)
    }

    fn next_event(&self) -> Option<Instant> {
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let timers = self.routers.values().filter_map(|router| router.plane.poll_timeout());
        timers.chain(arrival).min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= now) {
            let datagram = entry.remove();
            if let Some(raw) = self.owner(datagram.to) {
                self.inject(raw, &datagram);
            }
        }
        let all: Vec<u32> = self.routers.keys().copied().collect();
        for raw in all {
            self.plane(raw).handle_timeout(now);
            self.drain(raw);
        }
    }

    fn act(&mut self, raw: u32, verdict: &Verdict, buffer: &[u8]) {
        match verdict {
            Verdict::Deliver { range, origin } => {
                let packet = buffer[range.clone()].to_vec();
                self.router(raw).delivered.push((*origin, packet));
            }
            Verdict::Forward(forward) => self.forward(raw, forward, buffer),
            Verdict::Punt(oam) => {
                let payload = buffer[oam.range.clone()].to_vec();
                self.router(raw).punted.push((oam.from, oam.relayed, payload));
            }
            Verdict::Consumed | Verdict::Withheld => {}
            Verdict::Drop(reason) => self.drops.push((raw, *reason)),
        }
        self.drain(raw);
    }

    /// Forwarded packets leave from one of eight ports, as the shell does it.
    fn forward(&mut self, raw: u32, forward: &Forward, buffer: &[u8]) {
        let mut from = self.router(raw).address;
        from.set_port(50_000 + forward.flow % 8);
        let bytes = buffer[forward.range.clone()].to_vec();
        self.send(Datagram { from, to: forward.to, tos: forward.tos, bytes });
    }

    fn drain(&mut self, raw: u32) {
        let from = self.router(raw).address;
        while let Some(transmit) = self.plane(raw).poll_transmit() {
            let Transmit { to, tos, bytes } = transmit;
            self.send(Datagram { from, to, tos, bytes });
        }
        let router = self.router(raw);
        while let Some(late) = router.plane.poll_delivery() {
            router.delivered.push((late.origin, late.packet));
        }
        while let Some(event) = router.plane.poll_event() {
            router.events.push(event);
        }
    }
}

pub fn prefixes(raw: u32) -> Vec<ipnet::IpNet> {
    let v4 = format!("10.0.{raw}.0/24").parse().unwrap();
    vec![v4, format!("fd00:{raw}::/32").parse().unwrap()]
}

pub fn identity(raw: u32, epoch: u64, last_stamp: Timestamp) -> Identity {
    let secret = [u8::try_from(raw).unwrap() + 100; 32];
    Identity {
        node: node(raw),
        secret: secret.into(),
        clock: WallClock::new(Timestamp::from_nanos(epoch)),
        last_stamp,
    }
}

/// The router to whose address a datagram goes.
pub fn receiver(datagram: &Datagram) -> u32 {
    match datagram.to.ip() {
        IpAddr::V4(address) => u32::from(address.octets()[2]),
        IpAddr::V6(address) => u32::from(address.segments()[7]),
    }
}
