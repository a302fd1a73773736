//! Very many routers at pulse level: the control machines alone, each group of which exchanges its rows.
//!
//! There are no packets, no sessions and no paths of interest; a message is handed over as it is, after the delay of
//! the link. What is left is what a controller's whole domain costs: measuring, signing, telling, reading, keeping.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use srwan_control::{Arrival, Control, ControlConfig, ControlTransmit, Reach};
use srwan_wire::id::{GroupId, NodeId, NodeKey};
use srwan_wire::pulse::ErrorEstimate;
use srwan_wire::roster::{Class, Location, Member, Roster};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::{Instant, Timestamp, WallClock};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where all wall clocks start. **Units:** nanoseconds.
const START: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

/// One-way delays are drawn from this. **Units:** milliseconds.
const OWD_MS: std::ops::Range<u64> = 5..150;

/// All groups.
pub struct Pulses {
    groups: Vec<Group>,
}

impl Pulses {
    /// So many groups of so many members each, at most 100.
    #[must_use]
    pub fn new(groups: u32, members: u32, seed: u64) -> Self {
        let group = |index| Group::new(index, members.min(100), seed ^ u64::from(index) << 32);
        Self { groups: (1..=groups).map(group).collect() }
    }

    /// The same, dealt out to so many: groups know nothing of each other, so each share can have a core of its own.
    #[must_use]
    pub fn deal(self, shares: usize) -> Vec<Self> {
        let mut dealt: Vec<Self> =
            (0..shares.max(1)).map(|_| Self { groups: Vec::new() }).collect();
        let count = dealt.len();
        self.groups.into_iter().enumerate().for_each(|(at, g)| dealt[at % count].groups.push(g));
        dealt
    }

    /// Lets `length` pass in every group; returns how many messages arrived. Groups know nothing of each other, so one
    /// after the other is the same as all at once.
    pub fn run(&mut self, length: Duration) -> u64 {
        self.groups.iter_mut().map(|group| group.run(length)).sum()
    }

    /// Whether every member of every group knows its whole matrix.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.groups.iter().all(Group::is_full)
    }
}

/// A message under way: to whom (by index), from whom, what.
type Flight = (usize, NodeId, ControlTransmit);

struct Group {
    machines: Vec<Control>,
    numbers: Vec<NodeId>,
    delays: Vec<Duration>,
    flights: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    cargo: Vec<Option<Flight>>,
    free: Vec<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    armed: Vec<Option<Instant>>,
    sent: u64,
    now: Instant,
}

impl Group {
    fn new(index: u32, members: u32, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let accounts: Vec<AccountSecret> =
            (0..members).map(|_| AccountSecret::from_seed(&draw(&mut rng))).collect();
        let numbers = (1..).map(|n| index * 1_000 + n).map_while(NodeId::new);
        let members: Vec<Member> = numbers.zip(&accounts).map(|(n, a)| member(n, a)).collect();
        let count = members.len();
        let (issued, psk) = (Timestamp::from_nanos(0), draw(&mut rng));
        let roster = Roster { group: GroupId(index), seq: 1, issued, psk, members };
        let mut group = Self {
            machines: Vec::with_capacity(count),
            numbers: roster.members.iter().map(|member| member.node).collect(),
            delays: (0..count * count).map(|_| delay(&mut rng)).collect(),
            flights: BinaryHeap::new(),
            cargo: Vec::new(),
            free: Vec::new(),
            timers: BinaryHeap::new(),
            armed: vec![None; count],
            sent: 0,
            now: Instant::ZERO,
        };
        for (member, account) in roster.members.iter().zip(&accounts) {
            let clock = ErrorEstimate::new(true, Duration::from_micros(500));
            let config = ControlConfig::new(account.clone(), clock);
            let seed = draw(&mut rng);
            let mut machine =
                Control::new(config, member.node, WallClock::new(START), seed, Instant::ZERO);
            machine.set_roster(&roster, Instant::ZERO);
            for peer in roster.members.iter().filter(|peer| peer.node != member.node) {
                machine.handle_peer_up(peer.node, Reach::Direct, Instant::ZERO);
            }
            group.machines.push(machine);
        }
        (0..count).for_each(|index| group.drain(index));
        group
    }

    fn run(&mut self, length: Duration) -> u64 {
        let until = self.now + length;
        let mut arrived = 0;
        while let Some(next) = self.next().filter(|at| *at <= until) {
            self.now = self.now.max(next);
            arrived += u64::from(self.step());
        }
        self.now = until;
        arrived
    }

    fn next(&self) -> Option<Instant> {
        let flight = self.flights.peek().map(|Reverse((at, ..))| *at);
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        [flight, timer].into_iter().flatten().min()
    }

    /// One arrival or one timer; whether it was an arrival.
    fn step(&mut self) -> bool {
        let is_flight = self.flights.peek().is_some_and(|Reverse((at, ..))| *at <= self.now);
        if !is_flight {
            let Some(Reverse((at, index))) = self.timers.pop() else { return false };
            if self.armed[index] == Some(at) {
                self.machines[index].handle_timeout(self.now);
                self.drain(index);
            }
            return false;
        }
        let Some(Reverse((.., slot))) = self.flights.pop() else { return false };
        self.free.push(slot);
        let Some((to, from, message)) = self.cargo[slot].take() else { return false };
        let arrival = Arrival { from, relayed: !message.via.is_empty(), at: self.now };
        self.machines[to].handle_oam(arrival, &message.oam, self.now);
        self.drain(to);
        true
    }

    fn drain(&mut self, index: usize) {
        let from = self.numbers[index];
        while let Some(message) = self.machines[index].poll_transmit(self.now) {
            self.launch(index, from, message);
        }
        while self.machines[index].poll_event().is_some() {}
        let due = self.machines[index].poll_timeout();
        if self.armed[index] != Some(due) {
            self.armed[index] = Some(due);
            self.timers.push(Reverse((due, index)));
        }
    }

    fn launch(&mut self, index: usize, from: NodeId, message: ControlTransmit) {
        let first = message.to.get() % 1_000;
        let Some(to) = usize::try_from(first).ok().and_then(|n| n.checked_sub(1)) else { return };
        let at = self.now + self.delays[index * self.machines.len() + to];
        let slot = self.free.pop().unwrap_or(self.cargo.len());
        if slot == self.cargo.len() {
            self.cargo.push(None);
        }
        self.cargo[slot] = Some((to, from, message));
        self.flights.push(Reverse((at, self.sent, slot)));
        self.sent += 1;
    }

    fn is_full(&self) -> bool {
        self.machines.iter().all(|machine| machine.matrix(self.now).is_full())
    }
}

fn member(node: NodeId, account: &AccountSecret) -> Member {
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + node.get());
    let mut node_key = [0; 32];
    node_key[..4].copy_from_slice(&node.get().to_be_bytes());
    Member {
        node,
        node_key: NodeKey(node_key),
        account_key: account.public(),
        endpoints: vec![SocketAddr::from((address, crate::builder::PORT))],
        prefixes: Vec::new(),
        location: Location::default(),
        asn: 64_512,
        class: Class::Public,
        price: Some(10_000_000),
        egress: false,
        name: format!("r{node}"),
    }
}

fn delay(rng: &mut ChaCha8Rng) -> Duration {
    Duration::from_millis(OWD_MS.start + rng.next_u64() % (OWD_MS.end - OWD_MS.start))
}

fn draw(rng: &mut ChaCha8Rng) -> [u8; 32] {
    let mut octets = [0; 32];
    rng.fill_bytes(&mut octets);
    octets
}
