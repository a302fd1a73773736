//! Routers, their clocks, and the order of events.

use crate::bank::Bank;
use crate::differs::Differs;
use crate::net::{Arrival, IP_UDP_OCTETS, Link, Net};
use crate::packet;
use ipnet::{IpNet, Ipv4Net};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use srwan_control::{LivenessConfig, PolicyConfig};
use srwan_dataplane::{HEADROOM, Identity, TAILROOM};
use srwan_node::multipath::MultipathRule;
use srwan_node::view::NodeView;
use srwan_node::{Boot, Frame, KeyLife, LedgerFact, Node, NodeConfig, NodeEvent, Verdict};
use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::pulse::ErrorEstimate;
use srwan_wire::receipt::Price;
use srwan_wire::roster::{Class, Location, Member, Roster};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::{Instant, Timestamp, WallClock};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use zeroize::Zeroizing;

/// Wall time at which every simulation starts: 2026-01-01T00:00:00Z. Any date does; a fixed one keeps runs equal.
const START_NS: i64 = 1_767_225_600_000_000_000;

/// Port of every router.
const PORT: u16 = 4_766;

/// What a simulation starts from.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// How many routers, at most 250; each has a site with the prefix `10.i.0.0/16`.
    pub routers: u8,
    /// Distance of pulses.
    pub pulse_interval: Duration,
    /// Offset of each router's wall clock; missing ones are zero.
    pub clock_offsets: Vec<i64>,
    /// Which routers (by index) have hosts, so that paths to them are watched.
    pub sites: Vec<usize>,
    /// Routers (by index) with price infinity.
    pub measure_only: Vec<usize>,
    /// What all other routers ask for.
    pub price: Price,
    /// One lane's cap in base units.
    pub lane_cap: u64,
    /// How long routers use keys.
    pub key_life: KeyLife,
    /// MTU of every host's TUN interface. **Units:** octets.
    pub inner_mtu: u16,
    /// Rules for several paths at once, by the router (its index) that has them; router `i` is called `r{i}`.
    pub multipath: Vec<(usize, MultipathRule)>,
    /// How single routers (by index) differ from all of the above.
    pub differs: BTreeMap<usize, Differs>,
}

impl WorldConfig {
    /// `routers` routers of which the first and the last have hosts.
    #[must_use]
    pub fn new(routers: u8) -> Self {
        Self {
            routers,
            pulse_interval: Duration::from_secs(1),
            clock_offsets: Vec::new(),
            sites: vec![0, usize::from(routers) - 1],
            measure_only: Vec::new(),
            price: Price::REFERENCE,
            lane_cap: 5_000_000_000,
            key_life: KeyLife::default(),
            inner_mtu: 1_380,
            multipath: Vec::new(),
            differs: BTreeMap::new(),
        }
    }
}

/// One event of one router.
#[derive(Clone, Debug)]
pub struct Logged {
    /// When.
    pub at: Instant,
    /// Index of the router.
    pub router: usize,
    /// What.
    pub event: NodeEvent,
}

/// A packet that reached a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// When.
    pub at: Instant,
    /// Index of the router whose host got it.
    pub router: usize,
    /// The packet.
    pub packet: Vec<u8>,
}

/// The whole WAN.
pub struct World {
    /// The Internet.
    pub net: Net,
    /// The ledger.
    pub bank: Bank,
    /// What happened.
    pub log: Vec<Logged>,
    /// What hosts got.
    pub delivered: Vec<Delivered>,
    /// Datagrams that each router sent to each other one.
    pub sent: BTreeMap<(usize, usize), u64>,
    routers: Vec<Node>,
    builder: Builder,
    roster: Roster,
    engaged: BTreeMap<usize, Vec<IpNet>>,
    dead: BTreeSet<usize>,
    now: Instant,
}

impl World {
    /// A world whose links are all absent; add them, then [`World::run`].
    #[must_use]
    pub fn new(config: &WorldConfig, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let count = usize::from(config.routers);
        let accounts: Vec<_> =
            (0..count).map(|_| AccountSecret::from_seed(&draw(&mut rng))).collect();
        let secrets: Vec<_> = (0..count).map(|_| Zeroizing::new(draw(&mut rng))).collect();
        let bank = Bank::new(&accounts);
        let mut builder = Builder { config: config.clone(), accounts, secrets, rng };
        let members = (0..count).map(|i| builder.member(i)).collect();
        let roster = Roster {
            group: GroupId(1),
            seq: 1,
            issued: Timestamp::from_nanos(0),
            psk: draw(&mut builder.rng),
            members,
        };
        let routers = (0..count)
            .map(|i| {
                let node = builder.config_of(i);
                builder.node(node, Instant::ZERO)
            })
            .collect();
        let mut world = Self {
            net: Net::new(draw(&mut builder.rng)),
            bank,
            log: Vec::new(),
            delivered: Vec::new(),
            sent: BTreeMap::new(),
            routers,
            builder,
            roster,
            engaged: BTreeMap::new(),
            dead: BTreeSet::new(),
            now: Instant::ZERO,
        };
        world.start();
        world
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Links two routers in both directions.
    pub fn link(&mut self, a: usize, b: usize, link: Link) {
        self.net.set_link(a, b, link);
        self.net.set_link(b, a, link);
    }

    /// One router, as it is.
    #[must_use]
    pub fn view(&self, router: usize) -> NodeView {
        self.routers[router].view(self.now)
    }

    /// One router, to command it.
    pub fn router(&mut self, router: usize) -> &mut Node {
        &mut self.routers[router]
    }

    /// The account of a router.
    #[must_use]
    pub fn account(&self, router: usize) -> srwan_wire::id::AccountKey {
        self.roster.members[router].account_key
    }

    /// Lets `length` pass.
    pub fn run(&mut self, length: Duration) {
        let until = self.now + length;
        while let Some(next) = self.next_event().filter(|at| *at <= until) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = until;
    }

    /// Lets time pass to the next thing that happens, and that happen; to `until` if nothing does before.
    pub fn advance(&mut self, until: Instant) {
        match self.next_event().filter(|at| *at <= until) {
            Some(next) => {
                self.now = self.now.max(next);
                self.step();
            }
            None => self.now = until,
        }
    }

    /// Whether a router runs; only then it can be viewed.
    #[must_use]
    pub fn is_running(&self, router: usize) -> bool {
        !self.dead.contains(&router)
    }

    /// A router dies, and its routes with it: its host is on the default path. [`World::restart`] starts it again.
    pub fn kill(&mut self, router: usize) {
        self.dead.insert(router);
        self.engaged.remove(&router);
    }

    /// A host behind router `from` sends a packet to a host behind router `to`: over the engaged path if there is one,
    /// else over the default path of the Internet. Returns whether a path was engaged.
    pub fn host_sends(&mut self, from: usize, to: usize, payload: &[u8]) -> bool {
        let packet = packet::udp(host(from), host(to), payload);
        let target = std::net::IpAddr::V4(host(to));
        let is_engaged =
            self.engaged.get(&from).is_some_and(|all| all.iter().any(|p| p.contains(&target)));
        if is_engaged {
            self.send_engaged(from, &packet);
        } else {
            let cargo = Arrival { from, to, bytes: [&[DEFAULT_PATH_MARK], &packet[..]].concat() };
            self.net.send(cargo, packet.len(), self.now);
        }
        is_engaged
    }

    /// A host behind router `from` sends the first packet of a flow to where no router is, while an egress takes it.
    pub fn host_sends_outside(&mut self, from: usize, to: Ipv4Addr, payload: &[u8]) {
        self.send_engaged(from, &packet::udp(host(from), to, payload));
    }

    fn send_engaged(&mut self, from: usize, packet: &[u8]) {
        let mut buffer = vec![0; HEADROOM + packet.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + packet.len();
        buffer[range.clone()].copy_from_slice(packet);
        let mut frame = Frame::new(&mut buffer, range).expect("the buffer has the room");
        let verdict = self.routers[from].handle_host_packet(&mut frame, self.now);
        let bytes = frame.buffer().to_vec();
        self.obey(from, verdict, &bytes);
        self.drain(from);
    }

    /// A router dies and starts again at once, with a wall clock that is `clock_shift` nanoseconds off from the one it
    /// had, and with what its disk kept: a handshake timestamp.
    pub fn restart(&mut self, router: usize, clock_shift: i64, last_stamp: Timestamp) {
        let mut config = self.builder.config_of(router);
        let epoch = config.clock.at(Instant::ZERO).as_nanos().saturating_add_signed(clock_shift);
        config.clock = WallClock::new(Timestamp::from_nanos(epoch));
        config.boot.time = config.clock.at(self.now);
        config.last_stamp = last_stamp;
        self.routers[router] = self.builder.node(config, self.now);
        self.engaged.remove(&router);
        self.dead.remove(&router);
        self.introduce(router);
    }

    fn start(&mut self) {
        (0..self.routers.len()).for_each(|router| self.introduce(router));
    }

    fn introduce(&mut self, router: usize) {
        let chain = self.bank.chain();
        self.routers[router].handle_ledger(LedgerFact::Chain(chain), self.now);
        self.routers[router].handle_roster(&self.roster, self.now);
        self.drain(router);
    }

    fn next_event(&self) -> Option<Instant> {
        let alive =
            self.routers.iter().enumerate().filter(|(router, _)| !self.dead.contains(router));
        let timers = alive.filter_map(|(_, node)| node.poll_timeout()).min();
        [timers, self.net.next(), Some(self.bank.next())].into_iter().flatten().min()
    }

    fn step(&mut self) {
        while let Some(arrival) = self.net.arrive(self.now) {
            self.deliver(arrival);
        }
        self.bank.tick(self.now);
        self.spread_facts();
        for router in 0..self.routers.len() {
            let is_due = self.routers[router].poll_timeout().is_some_and(|at| at <= self.now);
            if is_due && !self.dead.contains(&router) {
                self.routers[router].handle_timeout(self.now);
                self.drain(router);
            }
        }
        self.spread_facts();
    }

    fn spread_facts(&mut self) {
        for (router, fact) in self.bank.take_facts() {
            if self.dead.contains(&router) {
                continue;
            }
            self.routers[router].handle_ledger(fact, self.now);
            self.drain(router);
        }
    }

    fn deliver(&mut self, arrival: Arrival) {
        let Arrival { from, to, mut bytes } = arrival;
        if bytes.first() == Some(&DEFAULT_PATH_MARK) {
            let packet = bytes.split_off(1);
            self.delivered.push(Delivered { at: self.now, router: to, packet });
            return;
        }
        if self.dead.contains(&to) {
            return;
        }
        let verdict = self.routers[to].handle_datagram(address(from), &mut bytes, 0, self.now);
        self.obey(to, verdict, &bytes);
        self.drain(to);
    }

    fn obey(&mut self, router: usize, verdict: Verdict, bytes: &[u8]) {
        match verdict {
            Verdict::Deliver { range, .. } => {
                let packet = bytes[range].to_vec();
                self.delivered.push(Delivered { at: self.now, router, packet });
            }
            Verdict::Forward(forward) => {
                self.transmit(router, forward.to, bytes[forward.range].to_vec());
            }
            Verdict::Punt(_) | Verdict::Withheld | Verdict::Consumed | Verdict::Drop(_) => {}
        }
    }

    fn drain(&mut self, router: usize) {
        while let Some(late) = self.routers[router].poll_delivery() {
            self.delivered.push(Delivered { at: self.now, router, packet: late.packet });
        }
        while let Some(transmit) = self.routers[router].poll_transmit(self.now) {
            self.transmit(router, transmit.to, transmit.payload);
        }
        while let Some(event) = self.routers[router].poll_event() {
            self.bank.handle(router, &event);
            self.route(router, &event);
            self.log.push(Logged { at: self.now, router, event });
        }
    }

    /// What the kernel of the router's host does: routes into the TUN device.
    fn route(&mut self, router: usize, event: &NodeEvent) {
        match event {
            NodeEvent::Engage { prefixes, .. } => {
                self.engaged.entry(router).or_default().extend(prefixes);
            }
            NodeEvent::Release { prefixes, .. } => {
                self.engaged.entry(router).or_default().retain(|p| !prefixes.contains(p));
            }
            _ => {}
        }
    }

    fn transmit(&mut self, from: usize, to: SocketAddr, bytes: Vec<u8>) {
        let Some(to) = (0..self.routers.len()).find(|i| address(*i) == to) else { return };
        *self.sent.entry((from, to)).or_default() += 1;
        let octets = bytes.len() + IP_UDP_OCTETS;
        self.net.send(Arrival { from, to, bytes }, octets, self.now);
    }
}

/// First octet of a packet that takes the Internet's default path: no version of IP and no type of ours.
const DEFAULT_PATH_MARK: u8 = 0;

/// Address of a router.
fn address(router: usize) -> SocketAddr {
    let last = u8::try_from(router + 1).unwrap_or(u8::MAX);
    SocketAddr::from((Ipv4Addr::new(198, 18, 0, last), PORT))
}

/// A host behind a router.
fn host(router: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, u8::try_from(router + 1).unwrap_or(u8::MAX), 0, 1)
}

/// Makes routers, also again.
struct Builder {
    config: WorldConfig,
    accounts: Vec<AccountSecret>,
    secrets: Vec<Zeroizing<[u8; 32]>>,
    rng: ChaCha20Rng,
}

impl Builder {
    fn node(&mut self, config: NodeConfig, now: Instant) -> Node {
        Node::new(config, draw(&mut self.rng), now)
    }

    fn rules(&self, index: usize) -> Vec<MultipathRule> {
        let own = self.config.multipath.iter().filter(|(router, _)| *router == index);
        own.map(|(_, rule)| rule.clone()).collect()
    }

    fn price(&self, index: usize) -> Option<Price> {
        (!self.config.measure_only.contains(&index)).then_some(self.config.price)
    }

    fn member(&self, index: usize) -> Member {
        let node = number(index);
        let clock = WallClock::new(Timestamp::from_nanos(0));
        let secret = self.secrets[index].clone();
        let identity = Identity { node, secret, clock, last_stamp: Timestamp::default() };
        let prefix = Ipv4Net::new(host(index), 16).expect("16 is a prefix length").trunc();
        let has_site = self.config.sites.contains(&index);
        let mut member = Member {
            node,
            node_key: identity.public(),
            account_key: self.accounts[index].public(),
            endpoints: vec![address(index)],
            prefixes: if has_site { vec![prefix.into()] } else { Vec::new() },
            location: Location::default(),
            asn: 64_512 + u32::from(u16::try_from(index).unwrap_or(0)),
            class: Class::Public,
            price: self.price(index).map(|price| price.0),
            egress: false,
            name: format!("r{index}"),
        };
        self.config.differs.get(&index).into_iter().for_each(|own| own.enrol(&mut member));
        member
    }

    fn config_of(&self, index: usize) -> NodeConfig {
        let offset = self.config.clock_offsets.get(index).copied().unwrap_or(0);
        let epoch = u64::try_from(START_NS + offset).expect("clocks are set after 1970");
        let start = Timestamp::from_nanos(epoch);
        let mut config = NodeConfig {
            node: number(index),
            secret: self.secrets[index].clone(),
            account: self.accounts[index].clone(),
            chain: None,
            price: self.price(index),
            lane_cap: self.config.lane_cap,
            clock: WallClock::new(start),
            clock_estimate: ErrorEstimate::new(false, Duration::from_secs(3_600)),
            pulse_interval: self.config.pulse_interval,
            liveness: LivenessConfig::default(),
            policy: PolicyConfig::default(),
            multipath: self.rules(index),
            inner_mtu: self.config.inner_mtu,
            key_life: self.config.key_life,
            last_stamp: Timestamp::default(),
            boot: Boot { time: start, nonce: u64::try_from(index).unwrap_or(0) },
        };
        self.config.differs.get(&index).into_iter().for_each(|own| own.configure(&mut config));
        config
    }
}

fn number(index: usize) -> NodeId {
    NodeId::new(u32::try_from(index + 1).unwrap_or(u32::MAX)).expect("few routers")
}

fn draw(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut octets = [0; 32];
    rng.fill_bytes(&mut octets);
    octets
}
