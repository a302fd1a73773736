//! Routers, their clocks, and the order of events.

use crate::adversary::Behaviour;
use crate::attack::{Caught, Insider, Net as Outsider};
use crate::audit::{Audit, Happening};
use crate::bank::Bank;
use crate::builder::{Builder, address, draw};
use crate::clock::LocalClock;
use crate::datagram::{Datagram, Taint, Trail};
use crate::differs::Differs;
use crate::judge::{Judge, Outcome, Received};
use crate::net::{IP_UDP_OCTETS, Link, Net};
use crate::shell::Shell;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use srwan_node::ForwardingClass;
use srwan_node::multipath::MultipathRule;
use srwan_node::view::NodeView;
use srwan_node::{KeyLife, LedgerFact, Node, NodeEvent, Verdict};
use srwan_wire::pulse::SignedRow;
use srwan_wire::receipt::Price;
use srwan_wire::roster::Roster;
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::{Instant, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;
use zeroize::Zeroizing;

/// What a simulation starts from.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// How many routers, at most 250; each has a site with the prefix `10.i.0.0/16`.
    pub routers: u8,
    /// Distance of pulses.
    pub pulse_interval: Duration,
    /// Offset of each router's wall clock; missing ones are zero. **Units:** nanoseconds.
    pub clock_offsets: Vec<i64>,
    /// Drift of each router's monotonic clock; missing ones are zero. **Units:** parts per billion.
    pub clock_drifts: Vec<i64>,
    /// Which routers (by index) have hosts, so that paths to them are watched.
    pub sites: Vec<usize>,
    /// Routers (by index) with price infinity.
    pub measure_only: Vec<usize>,
    /// What all other routers ask for.
    pub price: Price,
    /// One lane's cap in base units.
    pub lane_cap: u64,
    /// Blocks after its close in which a lane takes tickets.
    pub claim_window_blocks: u64,
    /// How long routers use keys.
    pub key_life: KeyLife,
    /// MTU of every host's TUN interface. **Units:** octets.
    pub inner_mtu: u16,
    /// What wants other paths than the rest, at every router.
    pub classes: Vec<ForwardingClass>,
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
            clock_drifts: Vec::new(),
            sites: vec![0, usize::from(routers) - 1],
            measure_only: Vec::new(),
            price: Price::REFERENCE,
            lane_cap: 5_000_000_000,
            claim_window_blocks: 50,
            key_life: KeyLife::default(),
            inner_mtu: 1_380,
            classes: Vec::new(),
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
    /// A hash over everything that happened.
    pub audit: Audit,
    /// Who watches, if anybody.
    pub judge: Option<Box<Judge>>,
    pub(crate) outsider: Outsider,
    pub(crate) insider: Option<Insider>,
    /// A router that does not do as it should.
    pub behaviour: Option<Behaviour>,
    /// What was done to the datagram that is the cause of what routers send at this moment.
    cause: Taint,
    /// How long a router that does not do as it should holds what it sends at this moment.
    held_back: Duration,
    ups: BTreeSet<(usize, srwan_wire::id::NodeId)>,
    regained: u64,
    pub(crate) shells: Vec<Shell>,
    pub(crate) addresses: BTreeMap<SocketAddr, usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    pub(crate) builder: Builder,
    pub(crate) roster: Roster,
    pub(crate) now: Instant,
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
        let bank = Bank::new(&accounts, config.claim_window_blocks);
        let mut builder = Builder { config: config.clone(), accounts, secrets, rng };
        let roster = builder.roster();
        let shells = (0..count).map(|router| shell_of(config, router)).collect();
        let mut world = Self {
            net: Net::new(draw(&mut builder.rng)),
            bank,
            log: Vec::new(),
            delivered: Vec::new(),
            sent: BTreeMap::new(),
            audit: Audit::default(),
            judge: None,
            outsider: Outsider::default(),
            insider: None,
            behaviour: None,
            cause: Taint::Clean,
            held_back: Duration::ZERO,
            ups: BTreeSet::new(),
            regained: 0,
            shells,
            addresses: (0..count).map(|router| (address(router), router)).collect(),
            timers: BinaryHeap::new(),
            builder,
            roster,
            now: Instant::ZERO,
        };
        (0..count).for_each(|router| world.start_with(router, 0, Timestamp::default()));
        world
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The time by a router's own clock.
    #[must_use]
    pub fn local_now(&self, router: usize) -> Instant {
        self.shells[router].clock.at(self.now)
    }

    /// How many routers there are.
    #[must_use]
    pub fn routers(&self) -> usize {
        self.shells.len()
    }

    /// What is around a router.
    #[must_use]
    pub fn shell(&self, router: usize) -> &Shell {
        &self.shells[router]
    }

    /// The roster that every router was given.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Between two pulses of a router.
    #[must_use]
    pub fn pulse_interval(&self) -> Duration {
        self.builder.config.pulse_interval
    }

    /// Links two routers in both directions.
    pub fn link(&mut self, a: usize, b: usize, link: Link) {
        self.net.set_link(a, b, link);
        self.net.set_link(b, a, link);
    }

    /// One router, as it is. It must be running.
    #[must_use]
    pub fn view(&self, router: usize) -> NodeView {
        let shell = &self.shells[router];
        let node = shell.node.as_ref().expect("only a router that runs is looked at");
        node.view(shell.clock.at(self.now))
    }

    /// One router, to command it. It must be running; by its own clock it is [`World::local_now`].
    pub fn router(&mut self, router: usize) -> &mut Node {
        let shell = &mut self.shells[router];
        shell.is_touched = true;
        shell.node.as_mut().expect("only a router that runs is commanded")
    }

    /// The rows that a router would report, as [`Node::signed_rows`].
    #[must_use]
    pub fn signed_rows(&self, router: usize) -> Vec<SignedRow> {
        let shell = &self.shells[router];
        let rows = |node: &Node| node.signed_rows(shell.clock.at(self.now));
        shell.node.as_ref().map(rows).unwrap_or_default()
    }

    /// The secret of a router's account: what its operator signs with.
    #[must_use]
    pub fn account_secret(&self, router: usize) -> &AccountSecret {
        &self.builder.accounts[router]
    }

    /// The roster as router 0 has it, without the group's key.
    #[must_use]
    pub fn view_roster(&self) -> Roster {
        let view = self.view(0);
        Roster { seq: view.roster_seq, members: view.members, ..self.roster.clone() }
    }

    /// The account of a router.
    #[must_use]
    pub fn account(&self, router: usize) -> srwan_wire::id::AccountKey {
        self.roster.members[router].account_key
    }

    /// Lets `length` pass.
    pub fn run(&mut self, length: Duration) {
        let until = self.now + length;
        self.look_at_touched();
        while let Some(next) = self.next_event().filter(|at| *at <= until) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = until;
    }

    /// Lets time pass to the next thing that happens, and that happen; to `until` if nothing does before.
    pub fn advance(&mut self, until: Instant) {
        self.look_at_touched();
        match self.next_event().filter(|at| *at <= until) {
            Some(next) => {
                self.now = self.now.max(next);
                self.step();
            }
            None => self.now = until,
        }
    }

    /// How often a session came up that had been up before.
    #[must_use]
    pub fn sessions_regained(&self) -> u64 {
        self.regained
    }

    fn look_at_touched(&mut self) {
        for router in 0..self.shells.len() {
            if std::mem::take(&mut self.shells[router].is_touched) {
                self.drain(router);
            }
        }
        self.spread_facts();
    }

    fn next_event(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, router))) = self.timers.peek()
            && self.shells[*router].armed != Some(*at)
        {
            self.timers.pop();
        }
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        [self.net.next(), Some(self.bank.next()), timer].into_iter().flatten().min()
    }

    /// One event: a datagram, else a block, else a timer.
    fn step(&mut self) {
        self.step_once();
        self.spread_facts();
    }

    fn step_once(&mut self) {
        if let Some(datagram) = self.net.arrive(self.now) {
            self.arrive(datagram);
        } else if self.bank.next() <= self.now {
            self.audit.note(Happening::Block, self.now, 0, &[]);
            self.bank.tick(self.now);
        } else if let Some(Reverse((_, router))) = self.timers.pop() {
            self.time_out(router);
        }
    }

    fn time_out(&mut self, router: usize) {
        self.audit.note(Happening::Timer, self.now, router, &[]);
        self.shells[router].armed = None;
        while let Some(datagram) = self.shells[router].release() {
            self.take(datagram);
        }
        let now = self.local_now(router);
        let Some(node) = &mut self.shells[router].node else { return };
        if node.poll_timeout().is_some_and(|at| at <= now) {
            node.handle_timeout(now);
            let stamp = node.handshake_stamp();
            let wall = node.wall(now);
            self.shells[router].disk.reserve(stamp, wall);
        }
        self.drain(router);
    }

    pub(crate) fn spread_facts(&mut self) {
        while let Some((router, fact)) = self.bank.next_fact() {
            let now = self.local_now(router);
            if let Some(judge) = &mut self.judge {
                judge.told(router, &fact);
            }
            let shell = &mut self.shells[router];
            if let LedgerFact::Settled { lane, octets } = &fact {
                shell.disk.forget(*lane, *octets);
            }
            if let Some(node) = &mut shell.node {
                node.handle_ledger(fact, now);
                self.drain(router);
            }
        }
    }

    fn arrive(&mut self, datagram: Datagram) {
        self.audit.note(Happening::Arrival, self.now, datagram.to, &datagram.bytes);
        if datagram.is_bare {
            self.deliver(datagram.to, None, datagram.bytes);
        } else if self.shells[datagram.to].stalled_until > self.now {
            let to = datagram.to;
            self.shells[to].hold(datagram);
            self.arm(to);
        } else {
            self.take(datagram);
        }
    }

    fn take(&mut self, datagram: Datagram) {
        let Datagram { from, to, source, mut bytes, taint, trail, .. } = datagram;
        let early = self.behaviour.as_ref().map_or(Duration::ZERO, |one| one.early(to, from));
        let now = earlier(self.local_now(to), early);
        let is_caught = self.outsider.most > 0 && self.outsider.router == to;
        let copy = (is_caught && taint == Taint::Clean).then(|| bytes.clone());
        let Some(node) = &mut self.shells[to].node else { return };
        let is_watched = self.judge.is_some();
        let before = (is_watched && taint != Taint::Clean).then(|| node.counted());
        let mut seen = is_watched.then(|| Received::new((to, source), &bytes, (taint, trail)));
        let verdict = node.handle_datagram(source, &mut bytes, 0, now);
        let counted = before.map(|before| (before, node.counted()));
        let outcome = outcome_of(&verdict);
        if let (Some(judge), Some(seen)) = (&mut self.judge, &mut seen) {
            (seen.outcome, seen.counted) = (outcome, counted);
            judge.received(seen, self.now);
        }
        if outcome != Outcome::Dropped {
            let caught = copy.map(|bytes| Caught { source, bytes, trail });
            caught.into_iter().for_each(|caught| self.outsider.keep(caught));
        }
        self.cause = taint;
        self.obey(to, verdict, bytes, Past { taint, trail, seen });
        self.drain(to);
        self.cause = Taint::Clean;
    }

    pub(crate) fn obey(&mut self, router: usize, verdict: Verdict, mut bytes: Vec<u8>, past: Past) {
        match verdict {
            Verdict::Deliver { range, origin } => {
                let origin = usize::try_from(origin.get()).unwrap_or(0).checked_sub(1);
                self.deliver(router, origin, bytes[range].to_vec());
            }
            Verdict::Forward(forward) => {
                bytes.truncate(forward.range.end);
                bytes.drain(..forward.range.start);
                if let (Some(judge), Some(seen)) = (&mut self.judge, &past.seen) {
                    let price = self.roster.members.get(router).and_then(|member| member.price);
                    judge.forwarded(seen, &bytes, price, self.now);
                }
                let trail = past.trail.then(router);
                // What a relay sends on is what a member sent: the endpoint may get it for the first time.
                let taint = if past.taint == Taint::Replayed { Taint::Clean } else { past.taint };
                let held = self.behaviour.as_mut().map(|one| one.relay(router, &bytes));
                match held.unwrap_or(Some(Duration::ZERO)) {
                    Some(held) => {
                        self.held_back = held;
                        self.transmit(router, forward.to, bytes, (taint, trail));
                        self.held_back = Duration::ZERO;
                    }
                    None => self.audit.note(Happening::Change, self.now, router, b"dropped"),
                }
            }
            Verdict::Punt(_) | Verdict::Withheld | Verdict::Consumed | Verdict::Drop(_) => {}
        }
    }

    fn deliver(&mut self, router: usize, origin: Option<usize>, packet: Vec<u8>) {
        self.audit.note(Happening::Delivery, self.now, router, &packet);
        if let Some(judge) = &mut self.judge {
            judge.delivered(router, origin, &packet, self.now);
        } else {
            self.delivered.push(Delivered { at: self.now, router, packet });
        }
    }

    /// Everything that a router has to hand out after an input.
    pub(crate) fn drain(&mut self, router: usize) {
        while let Some(late) = self.machine(router).and_then(Node::poll_delivery) {
            let origin = usize::try_from(late.origin.get()).unwrap_or(0).checked_sub(1);
            self.deliver(router, origin, late.packet);
        }
        let now = self.local_now(router);
        while let Some(transmit) = self.machine(router).and_then(|node| node.poll_transmit(now)) {
            let first = self.addresses.get(&transmit.to).copied();
            if let (Some(judge), Some(first)) = (&mut self.judge, first) {
                judge.made(router, first, &transmit.payload, self.now);
            }
            if self.behaviour.as_ref().is_some_and(|one| one.mutes(router, &transmit.payload)) {
                continue;
            }
            let past = (Taint::Clean, Trail::from(router));
            self.transmit(router, transmit.to, transmit.payload, past);
        }
        while let Some(event) = self.machine(router).and_then(Node::poll_event) {
            self.hand_on(router, event);
        }
        self.read_keys(router);
        self.arm(router);
    }

    /// An insider's own datagram.
    pub(crate) fn insider_transmits(&mut self, from: usize, to: SocketAddr, bytes: Vec<u8>) {
        self.transmit(from, to, bytes, (Taint::Clean, Trail::from(from)));
    }

    fn machine(&mut self, router: usize) -> Option<&mut Node> {
        self.shells[router].node.as_mut()
    }

    /// What the router's shell does with an event.
    fn hand_on(&mut self, router: usize, event: NodeEvent) {
        self.audit.note(Happening::Event, self.now, router, format!("{event:?}").as_bytes());
        self.shells[router].route(&event);
        if let NodeEvent::PeerUp { node } = &event {
            self.regained += u64::from(!self.ups.insert((router, *node)));
        }
        if let Some(judge) = &mut self.judge {
            judge.event(router, &event, self.now);
        }
        if let NodeEvent::Store(evidence) = &event {
            let (lane, octets) = (evidence.lane, evidence.receipt.body.octets);
            if self.shells[router].disk.keep(evidence) {
                self.bank.tell(router, LedgerFact::Stored { lane, octets });
            }
        } else {
            self.bank.handle(router, &event);
        }
        self.log.push(Logged { at: self.now, router, event });
    }

    /// Puts the router's next timer into the queue; the one before it, if it is another, is skipped there.
    pub(crate) fn arm(&mut self, router: usize) {
        let shell = &mut self.shells[router];
        let due = shell.due();
        if due != shell.armed {
            shell.armed = due;
            self.timers.extend(due.map(|at| Reverse((at, router))));
        }
    }

    pub(crate) fn datagram(
        &self,
        from: usize,
        to: usize,
        bytes: Vec<u8>,
        trail: Trail,
    ) -> Datagram {
        let source = self.shells[from].outside;
        Datagram { from: Some(from), to, source, bytes, is_bare: false, taint: Taint::Clean, trail }
    }

    fn transmit(&mut self, from: usize, to: SocketAddr, bytes: Vec<u8>, past: (Taint, Trail)) {
        self.audit.note(Happening::Sending, self.now, from, &bytes);
        if let Some(judge) = &mut self.judge {
            judge.answered(from, self.cause, self.now);
            judge.sent(from, to, bytes.len(), self.now);
        }
        let Some(to) = self.addresses.get(&to).copied() else { return };
        *self.sent.entry((from, to)).or_default() += 1;
        let octets = bytes.len() + IP_UDP_OCTETS;
        let mut datagram = self.datagram(from, to, bytes, past.1);
        datagram.taint = past.0;
        self.net.send(datagram, octets, self.now + self.held_back);
    }
}

/// What is known of a datagram that a router is given.
#[derive(Default)]
pub(crate) struct Past {
    taint: Taint,
    trail: Trail,
    /// For the judge.
    seen: Option<Received>,
}

fn earlier(at: Instant, by: Duration) -> Instant {
    let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
    Instant::from_nanos(at.as_nanos().saturating_sub(nanos))
}

fn outcome_of(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Deliver { .. } | Verdict::Withheld => Outcome::Delivered,
        Verdict::Forward(_) => Outcome::Forwarded,
        Verdict::Punt(_) | Verdict::Consumed => Outcome::Consumed,
        Verdict::Drop(_) => Outcome::Dropped,
    }
}

fn shell_of(config: &WorldConfig, router: usize) -> Shell {
    let number = |all: &[i64]| all.get(router).copied().unwrap_or(0);
    let clock = LocalClock::new(number(&config.clock_drifts));
    Shell::new(clock, number(&config.clock_offsets), address(router))
}
