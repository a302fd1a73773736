//! A group of real `Control` machines on a synthetic network with a clock of its own.
//!
//! The network delays, varies and loses; sessions come up where both directions work. Nothing here
//! decides anything about routing.

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;

use srwan_control::{
    Arrival, Control, ControlConfig, ControlEvent, ControlTransmit, DestinationEvent, LaneState,
    PolicyChange, Reach,
};
use srwan_wire::id::{AccountKey, GroupId, NodeId, NodeKey};
use srwan_wire::oam::Oam;
use srwan_wire::pulse::ErrorEstimate;
use srwan_wire::roster::{Class, Location, Member, Roster};
use srwan_wire::segment::overhead;
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::{Instant, Timestamp, WallClock};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;

/// Every wall clock starts here, plus the node's skew.
const EPOCH: i64 = 1_700_000_000_000_000_000;

/// A reference price: 10 coins per GB.
pub const PRICE: u64 = 10_000_000;

pub fn node(raw: u32) -> NodeId {
    NodeId::new(raw).unwrap()
}

/// One direction between two nodes.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub delay_ns: u64,
    /// Added uniformly from zero to this.
    pub jitter_ns: u64,
    pub loss_ppm: u32,
    pub up: bool,
    /// Largest IP packet that it carries.
    pub mtu: usize,
}

impl Link {
    pub fn of_ms(delay: u64) -> Self {
        Self { delay_ns: delay * MS, jitter_ns: 0, loss_ppm: 0, up: true, mtu: 1_500 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Delivery {
    at: u64,
    order: u64,
    from: NodeId,
    to: NodeId,
    relayed: bool,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Oam(Oam),
    PeerUp(Reach),
    Lane(Vec<NodeId>),
}

impl Ord for Delivery {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Delivery {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// How the world is made.
#[derive(Clone, Debug)]
pub struct Plan {
    pub nodes: u32,
    pub pulse_ms: u64,
    pub seed: u64,
    /// Skew of a node's clock, in ns; zero if not named.
    pub skews: BTreeMap<u32, i64>,
    pub synchronised: bool,
    /// Price of a node; the reference price if not named, `None` for infinity.
    pub prices: BTreeMap<u32, Option<u64>>,
    pub lane_ns: u64,
    /// Nodes that deliver to the outside.
    pub egresses: BTreeSet<u32>,
    /// Autonomous system of a node; one of its own if not named.
    pub asns: BTreeMap<u32, u32>,
}

impl Plan {
    pub fn new(nodes: u32) -> Self {
        Self {
            nodes,
            pulse_ms: 2_000,
            seed: 1,
            skews: BTreeMap::new(),
            synchronised: true,
            prices: BTreeMap::new(),
            lane_ns: 400 * MS,
            egresses: BTreeSet::new(),
            asns: BTreeMap::new(),
        }
    }
}

/// The group, its network, and what happened.
pub struct World {
    pub now: u64,
    pub controls: BTreeMap<NodeId, Control>,
    pub links: BTreeMap<(NodeId, NodeId), Link>,
    pub dead: BTreeSet<NodeId>,
    pub events: Vec<(u64, NodeId, ControlEvent)>,
    pub destination_events: Vec<(NodeId, DestinationEvent)>,
    /// Octets of pulses that each node sent.
    pub pulse_octets: BTreeMap<NodeId, u64>,
    pub pulses: u64,
    queue: BinaryHeap<Reverse<Delivery>>,
    timers: BTreeMap<NodeId, u64>,
    order: u64,
    random: u64,
    /// Padded probes have draws of their own, so that how many there are changes nothing else.
    padded_random: u64,
    lane_ns: u64,
}

impl World {
    /// A group whose links are what `link` says, with every clock running from the same instant.
    pub fn new(plan: &Plan, link: impl Fn(u32, u32) -> Link) -> Self {
        let roster = roster(plan);
        let mut world = Self {
            now: SECOND,
            controls: BTreeMap::new(),
            links: BTreeMap::new(),
            dead: BTreeSet::new(),
            events: Vec::new(),
            destination_events: Vec::new(),
            pulse_octets: BTreeMap::new(),
            pulses: 0,
            queue: BinaryHeap::new(),
            timers: BTreeMap::new(),
            order: 0,
            random: plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            padded_random: plan.seed.wrapping_mul(0xd134_2543_de82_ef95) | 1,
            lane_ns: plan.lane_ns,
        };
        for raw in 1..=plan.nodes {
            world.add_node(plan, raw, &roster);
        }
        for from in 1..=plan.nodes {
            for to in (1..=plan.nodes).filter(|to| *to != from) {
                world.links.insert((node(from), node(to)), link(from, to));
            }
        }
        for from in 1..=plan.nodes {
            (from + 1..=plan.nodes).for_each(|to| world.try_direct(node(from), node(to)));
        }
        world
    }

    fn add_node(&mut self, plan: &Plan, raw: u32, roster: &Roster) {
        let error = Duration::from_micros(500);
        let clock = ErrorEstimate::new(plan.synchronised, error);
        let mut config = ControlConfig::new(secret(raw), clock);
        config.pulse_interval = Duration::from_millis(plan.pulse_ms);
        let skew = plan.skews.get(&raw).copied().unwrap_or(0);
        let epoch = u64::try_from(EPOCH + skew).unwrap();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(plan.seed << 16 | u64::from(raw)).to_le_bytes());
        let clock = WallClock::new(Timestamp::from_nanos(epoch));
        let mut control = Control::new(config, node(raw), clock, seed, self.instant());
        control.set_roster(roster, self.instant());
        self.controls.insert(node(raw), control);
    }

    /// A direct session comes up if both directions work, a round trip from here.
    pub fn try_direct(&mut self, a: NodeId, b: NodeId) {
        let (there, back) = (self.links[&(a, b)], self.links[&(b, a)]);
        if there.up && back.up {
            let round_trip = there.delay_ns + back.delay_ns;
            self.schedule(round_trip, (a, b), false, What::PeerUp(Reach::Direct));
            self.schedule(round_trip, (b, a), false, What::PeerUp(Reach::Direct));
        }
    }

    pub fn instant(&self) -> Instant {
        Instant::from_nanos(self.now)
    }

    pub fn control(&self, raw: u32) -> &Control {
        &self.controls[&node(raw)]
    }

    pub fn control_mut(&mut self, raw: u32) -> &mut Control {
        self.controls.get_mut(&node(raw)).unwrap()
    }

    pub fn interest(&mut self, from: u32, to: u32) {
        let now = self.instant();
        self.control_mut(from).set_interest(node(to), true, now);
    }

    pub fn lose_interest(&mut self, from: u32, to: u32) {
        let now = self.instant();
        self.control_mut(from).set_interest(node(to), false, now);
    }

    pub fn link_mut(&mut self, from: u32, to: u32) -> &mut Link {
        self.links.get_mut(&(node(from), node(to))).unwrap()
    }

    /// Changes both directions.
    pub fn change(&mut self, a: u32, b: u32, change: impl Fn(&mut Link)) {
        change(self.link_mut(a, b));
        change(self.link_mut(b, a));
    }

    pub fn run_for(&mut self, nanos: u64) {
        let end = self.now + nanos;
        self.drain_all();
        loop {
            let timer = self.timers.values().min().copied();
            let delivery = self.queue.peek().map(|Reverse(delivery)| delivery.at);
            let next = [timer, delivery].into_iter().flatten().min().unwrap_or(end);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next.max(self.now);
            self.deliver_due();
            self.run_timers();
        }
    }

    pub fn run_until(&mut self, most: u64, is_done: impl Fn(&Self) -> bool) -> Option<u64> {
        let start = self.now;
        while self.now - start < most {
            if is_done(self) {
                return Some(self.now - start);
            }
            self.run_for(50 * MS);
        }
        is_done(self).then_some(self.now - start)
    }

    /// The policy changes of one node, with their times.
    pub fn switches(&self, of: u32) -> Vec<(u64, PolicyChange)> {
        let of = node(of);
        self.events
            .iter()
            .filter(|(_, who, _)| *who == of)
            .filter_map(|(at, _, event)| match event {
                ControlEvent::PolicyChange(change) => Some((*at, change.clone())),
                _ => None,
            })
            .collect()
    }

    /// A number in `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % bound.max(1)
    }

    fn deliver_due(&mut self) {
        while self.queue.peek().is_some_and(|Reverse(delivery)| delivery.at <= self.now) {
            let Reverse(delivery) = self.queue.pop().unwrap();
            if self.dead.contains(&delivery.to) {
                continue;
            }
            let now = self.instant();
            let control = self.controls.get_mut(&delivery.to).unwrap();
            match delivery.what {
                What::Oam(oam) => {
                    let relayed = delivery.relayed;
                    control.handle_oam(
                        Arrival { from: delivery.from, relayed, at: now },
                        &oam,
                        now,
                    );
                }
                What::PeerUp(reach) => control.handle_peer_up(delivery.from, reach, now),
                What::Lane(relays) => {
                    control.handle_lane(delivery.from, &relays, LaneState::Ready, now)
                }
            }
            self.drain(delivery.to);
        }
    }

    fn run_timers(&mut self) {
        let now = self.instant();
        let due = self.timers.iter().filter(|(_, at)| **at <= self.now);
        let due: Vec<NodeId> = due.map(|(id, _)| *id).collect();
        for id in due {
            if self.dead.contains(&id) {
                self.timers.remove(&id);
                continue;
            }
            self.controls.get_mut(&id).unwrap().handle_timeout(now);
            self.drain(id);
        }
    }

    fn drain_all(&mut self) {
        let ids: Vec<NodeId> = self.controls.keys().copied().collect();
        ids.into_iter().for_each(|id| self.drain(id));
    }

    fn drain(&mut self, id: NodeId) {
        let now = self.instant();
        while let Some(transmit) = self.controls.get_mut(&id).unwrap().poll_transmit(now) {
            self.transmit(id, transmit);
        }
        while let Some(event) = self.controls.get_mut(&id).unwrap().poll_event() {
            self.handle_event(id, &event);
            self.events.push((self.now, id, event));
        }
        while let Some(event) = self.controls.get_mut(&id).unwrap().poll_destination_event() {
            self.destination_events.push((id, event));
        }
        let timer = self.controls[&id].poll_timeout().as_nanos();
        self.timers.insert(id, timer);
    }

    fn transmit(&mut self, from: NodeId, transmit: ControlTransmit) {
        if let Oam::Pulse(_) = &transmit.oam {
            let octets = u64::try_from(transmit.oam.encode().len()).unwrap();
            *self.pulse_octets.entry(from).or_default() += octets + 100;
            self.pulses += 1;
        }
        let relayed = !transmit.via.is_empty();
        let octets = packet_octets(&transmit);
        let is_padded = matches!(transmit.oam, Oam::PaddedProbe(_));
        if is_padded {
            core::mem::swap(&mut self.random, &mut self.padded_random);
        }
        let travel = self.travel(from, &transmit.via, transmit.to, octets);
        if is_padded {
            core::mem::swap(&mut self.random, &mut self.padded_random);
        }
        let Some(travel) = travel else { return };
        self.schedule(travel, (from, transmit.to), relayed, What::Oam(transmit.oam));
    }

    /// How long a packet takes, or `None` if it gets lost.
    fn travel(&mut self, from: NodeId, via: &[NodeId], to: NodeId, octets: usize) -> Option<u64> {
        let mut at = from;
        let mut nanos = 0;
        for next in via.iter().copied().chain([to]) {
            let link = self.links[&(at, next)];
            let lost = self.below(1_000_000) < u64::from(link.loss_ppm);
            let jitter = self.below(link.jitter_ns + 1);
            if !link.up || lost || octets > link.mtu || self.dead.contains(&next) {
                return None;
            }
            nanos += link.delay_ns + jitter;
            at = next;
        }
        Some(nanos)
    }

    fn handle_event(&mut self, of: NodeId, event: &ControlEvent) {
        match event {
            ControlEvent::LaneWanted { endpoint, relays } => {
                self.schedule(self.lane_ns, (*endpoint, of), false, What::Lane(relays.clone()));
            }
            ControlEvent::ConnectVia { peer, relays } => {
                let mut back = relays.clone();
                back.reverse();
                let there = self.travel(of, relays, *peer, 0);
                let again = self.travel(*peer, &back, of, 0);
                if let (Some(there), Some(again)) = (there, again) {
                    let up = What::PeerUp(Reach::Relayed);
                    self.schedule(there + again, (*peer, of), false, up.clone());
                    self.schedule(there + again, (of, *peer), false, up);
                }
            }
            ControlEvent::PolicyChange(_)
            | ControlEvent::CallAgain { .. }
            | ControlEvent::SpreadChange(_)
            | ControlEvent::InnerMtu { .. }
            | ControlEvent::LaneUnwanted { .. }
            | ControlEvent::Member { .. }
            | ControlEvent::SegmentAlarm(_)
            | ControlEvent::Reporter { .. } => {}
        }
    }

    fn schedule(&mut self, after: u64, ends: (NodeId, NodeId), relayed: bool, what: What) {
        self.order += 1;
        let delivery = Delivery {
            at: self.now + after,
            order: self.order,
            from: ends.0,
            to: ends.1,
            relayed,
            what,
        };
        self.queue.push(Reverse(delivery));
    }
}

/// Octets of the IPv4 packet that carries a message over its relays.
fn packet_octets(transmit: &ControlTransmit) -> usize {
    let relays = transmit.via.len();
    transmit.oam.encode().len() + overhead(relays > 0, relays) + 28
}

pub fn secret(raw: u32) -> AccountSecret {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&raw.to_le_bytes());
    AccountSecret::from_seed(&seed)
}

fn roster(plan: &Plan) -> Roster {
    Roster {
        group: GroupId(1),
        seq: 1,
        issued: Timestamp::from_nanos(1),
        psk: [0; 32],
        members: (1..=plan.nodes).map(|raw| member(plan, raw)).collect(),
    }
}

fn member(plan: &Plan, raw: u32) -> Member {
    let [_, _, c, d] = raw.to_be_bytes();
    Member {
        node: node(raw),
        node_key: NodeKey([d; 32]),
        account_key: AccountKey(secret(raw).public().0),
        endpoints: vec![SocketAddr::from(([198, 18, c, d], 4766))],
        prefixes: Vec::new(),
        location: Location::default(),
        asn: plan.asns.get(&raw).copied().unwrap_or(64_500 + raw),
        class: Class::Public,
        price: plan.prices.get(&raw).copied().unwrap_or(Some(PRICE)),
        egress: plan.egresses.contains(&raw),
        name: format!("r{raw}"),
    }
}
