//! The Internet of a simulation: directed links between routers, and datagrams in flight.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
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

    /// The link from one router to another.
    #[must_use]
    pub fn link(&self, from: usize, to: usize) -> Option<Link> {
        self.links.get(&(from, to)).copied()
    }

    /// Takes what goes in an IP packet of so many octets; it may be lost.
    pub fn send(&mut self, cargo: Arrival, octets: usize, now: Instant) {
        let pair = (cargo.from, cargo.to);
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
