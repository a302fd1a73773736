//! The Internet of a simulation: directed links between routers, and datagrams in flight.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use srwan_scenario::link::{Fate, Link as ShapedLink};
use srwan_wire::time::Instant;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// One direction between two routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// One-way delay.
    pub owd: Duration,
    /// Most that is added to the delay, uniformly; order is kept.
    pub jitter: Duration,
    /// Lost datagrams per 10,000.
    pub loss_per_10k: u32,
    /// Whether anything gets through.
    pub up: bool,
    /// Largest IP packet that it carries; a larger one is lost without a word, as where ICMP is filtered. **Units:**
    /// octets.
    pub mtu: usize,
    /// How fast it carries them; `None` = at once. **Units:** octets a second.
    pub rate: Option<u64>,
}

/// How long a packet waits at most for a link with a rate; one that would wait longer is lost. A usual buffer.
const QUEUE_MAX: Duration = Duration::from_millis(50);

/// Octets of the IPv4 and UDP headers before a datagram.
pub const IP_UDP_OCTETS: usize = 28;

impl Link {
    /// A link that only delays.
    #[must_use]
    pub fn with_owd_ms(ms: u64) -> Self {
        let owd = Duration::from_millis(ms);
        Self { owd, jitter: Duration::ZERO, loss_per_10k: 0, up: true, mtu: 1_500, rate: None }
    }
}

/// A datagram that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Index of the sender.
    pub from: usize,
    /// Index of the receiver.
    pub to: usize,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// All links and what is on them.
pub struct Net {
    links: BTreeMap<(usize, usize), Link>,
    /// Links as scenario files describe them; where there is one, `links` says nothing.
    shaped: BTreeMap<(usize, usize), ShapedLink>,
    last_arrival: BTreeMap<(usize, usize), Instant>,
    /// When the last packet has left the queue of a link with a rate.
    busy_until: BTreeMap<(usize, usize), Instant>,
    flights: BinaryHeap<Reverse<(Instant, u64)>>,
    cargo: BTreeMap<u64, Arrival>,
    next_id: u64,
    rng: ChaCha20Rng,
}

/// Datagrams in flight; beyond it a datagram is lost, as in a full queue.
const IN_FLIGHT_MAX: usize = 1_000_000;

impl Net {
    /// A net without links: nothing arrives.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            links: BTreeMap::new(),
            shaped: BTreeMap::new(),
            last_arrival: BTreeMap::new(),
            busy_until: BTreeMap::new(),
            flights: BinaryHeap::new(),
            cargo: BTreeMap::new(),
            next_id: 0,
            rng: ChaCha20Rng::from_seed(seed),
        }
    }

    /// Puts a link in place, or changes it from this moment.
    pub fn set_link(&mut self, from: usize, to: usize, link: Link) {
        self.links.insert((from, to), link);
    }

    /// Puts a link of a scenario in place; its own machine decides about every packet.
    pub fn set_shaped(&mut self, from: usize, to: usize, link: ShapedLink) {
        self.shaped.insert((from, to), link);
    }

    /// A link of a scenario, to change it.
    pub fn shaped(&mut self, from: usize, to: usize) -> Option<&mut ShapedLink> {
        self.shaped.get_mut(&(from, to))
    }

    /// The link from one router to another.
    #[must_use]
    pub fn link(&self, from: usize, to: usize) -> Option<Link> {
        self.links.get(&(from, to)).copied()
    }

    /// Takes what goes in an IP packet of so many octets; it may be lost.
    pub fn send(&mut self, cargo: Arrival, octets: usize, now: Instant) {
        let pair = (cargo.from, cargo.to);
        if let Some(link) = self.shaped.get_mut(&pair) {
            let fate = link.pass(now.as_nanos(), u64::try_from(octets).unwrap_or(u64::MAX));
            return self.carry(cargo, fate);
        }
        let link = self.link(pair.0, pair.1).filter(|link| link.up && octets <= link.mtu);
        let Some(link) = link else { return };
        let Some(sent) = self.serialise(pair, link, octets, now) else { return };
        if self.draw(10_000) < u64::from(link.loss_per_10k) || self.cargo.len() >= IN_FLIGHT_MAX {
            return;
        }
        let jitter_ns = u64::try_from(link.jitter.as_nanos()).unwrap_or(u64::MAX);
        let added = Duration::from_nanos(self.draw(jitter_ns.saturating_add(1)));
        let earliest = self.last_arrival.get(&pair).copied().unwrap_or(Instant::ZERO);
        let at = (sent + link.owd + added).max(earliest);
        self.last_arrival.insert(pair, at);
        self.launch(cargo, at);
    }

    /// What the machine of a scenario's link decided about a packet.
    fn carry(&mut self, mut cargo: Arrival, fate: Fate) {
        let Fate::Arrives { at_ns, twice, flip } = fate else { return };
        if self.cargo.len() >= IN_FLIGHT_MAX {
            return;
        }
        let at = Instant::from_nanos(at_ns);
        if let Some(flip) = flip {
            flip_bit(&mut cargo.bytes, flip);
        }
        if twice {
            self.launch(cargo.clone(), at);
        }
        self.launch(cargo, at);
    }

    fn launch(&mut self, cargo: Arrival, at: Instant) {
        self.flights.push(Reverse((at, self.next_id)));
        self.cargo.insert(self.next_id, cargo);
        self.next_id += 1;
    }

    /// When a packet has left the queue of its link; `None` if the queue is full.
    fn serialise(
        &mut self,
        pair: (usize, usize),
        link: Link,
        octets: usize,
        now: Instant,
    ) -> Option<Instant> {
        let Some(rate) = link.rate else { return Some(now) };
        let start = self.busy_until.get(&pair).copied().unwrap_or(now).max(now);
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        let length = Duration::from_nanos(octets.saturating_mul(1_000_000_000) / rate.max(1));
        if start.since(now) > QUEUE_MAX {
            return None;
        }
        self.busy_until.insert(pair, start + length);
        Some(start + length)
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.flights.peek().map(|Reverse((at, _))| *at)
    }

    /// The next datagram that has arrived by `now`.
    pub fn arrive(&mut self, now: Instant) -> Option<Arrival> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, id)) = self.flights.pop()?;
        self.cargo.remove(&id)
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.rng.next_u64() % below.max(1)
    }
}

/// Changes one bit of a datagram, as a link of a scenario drew it.
fn flip_bit(bytes: &mut [u8], drawn: u64) {
    let bits = u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_mul(8);
    let Some(bit) = drawn.checked_rem(bits) else { return };
    if let Some(octet) = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(at)) {
        *octet ^= 1 << (bit % 8);
    }
}
