//! The Internet of a simulation: directed links between routers, what they do to datagrams, and datagrams in flight.

use crate::datagram::Datagram;
use crate::header;
use rand_chacha::ChaCha8Rng;
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
    /// What else it does to them.
    pub harm: Harm,
}

/// What a bad link does beside losing datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harm {
    /// Datagrams that arrive twice, per 10,000.
    pub twice_per_10k: u32,
    /// Datagrams that may be overtaken, per 10,000; each is late by up to [`REORDER_BY`].
    pub late_per_10k: u32,
    /// Datagrams with a changed octet, per 10,000. UDP's checksum finds such; whoever sits on the link corrects it.
    pub changed_per_10k: u32,
    /// Datagrams that lost their end, per 10,000.
    pub cut_per_10k: u32,
}

/// How late a datagram is at most that others overtake.
pub const REORDER_BY: Duration = Duration::from_millis(40);

/// How long a packet waits at most for a link with a rate; one that would wait longer is lost. A usual buffer.
const QUEUE_MAX: Duration = Duration::from_millis(50);

/// Octets of the IPv4 and UDP headers before a datagram.
pub const IP_UDP_OCTETS: usize = 28;

impl Link {
    /// A link that only delays.
    #[must_use]
    pub fn with_owd_ms(ms: u64) -> Self {
        let (owd, jitter, harm) = (Duration::from_millis(ms), Duration::ZERO, Harm::default());
        Self { owd, jitter, loss_per_10k: 0, up: true, mtu: 1_500, rate: None, harm }
    }
}

/// One direction with its state.
#[derive(Clone, Debug)]
struct Wire {
    link: Link,
    last_arrival: Instant,
    /// When the last packet has left the queue of a link with a rate.
    busy_until: Instant,
}

/// All links and what is on them.
pub struct Net {
    /// By sender, then receiver.
    wires: Vec<BTreeMap<usize, Wire>>,
    /// Links as scenario files describe them; where there is one, `wires` says nothing.
    shaped: BTreeMap<(usize, usize), ShapedLink>,
    flights: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    cargo: Vec<Option<Datagram>>,
    free: Vec<usize>,
    next_id: u64,
    rng: ChaCha8Rng,
    /// What was done to datagrams so far.
    pub done: Done,
}

/// How often the network did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Lost, for whatever reason.
    pub lost: u64,
    /// Sent twice.
    pub twice: u64,
    /// Held back so that others overtook it.
    pub late: u64,
    /// An octet changed.
    pub changed: u64,
    /// Cut short.
    pub cut: u64,
}

/// Datagrams in flight; beyond it a datagram is lost, as in a full queue.
const IN_FLIGHT_MAX: usize = 1_000_000;

impl Net {
    /// A net without links: nothing arrives.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            wires: Vec::new(),
            shaped: BTreeMap::new(),
            flights: BinaryHeap::new(),
            cargo: Vec::new(),
            free: Vec::new(),
            next_id: 0,
            rng: ChaCha8Rng::from_seed(seed),
            done: Done::default(),
        }
    }

    /// Puts a link in place, or changes it from this moment.
    pub fn set_link(&mut self, from: usize, to: usize, link: Link) {
        if self.wires.len() <= from {
            self.wires.resize(from + 1, BTreeMap::new());
        }
        let fresh = || Wire { link, last_arrival: Instant::ZERO, busy_until: Instant::ZERO };
        self.wires[from].entry(to).or_insert_with(fresh).link = link;
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
        self.wires.get(from)?.get(&to).map(|wire| wire.link)
    }

    /// Takes what router `datagram.from` sends, in an IP packet of so many octets; it may be lost.
    pub fn send(&mut self, datagram: Datagram, octets: usize, now: Instant) {
        let to = datagram.to;
        if let Some(link) = datagram.from.and_then(|from| self.shaped.get_mut(&(from, to))) {
            let fate = link.pass(now.as_nanos(), u64::try_from(octets).unwrap_or(u64::MAX));
            return self.carry(datagram, fate);
        }
        let wire = datagram.from.and_then(|from| self.wires.get_mut(from)?.get_mut(&to));
        let Some(wire) = wire.filter(|w| w.link.up && octets <= w.link.mtu) else {
            self.done.lost += 1;
            return;
        };
        let link = wire.link;
        let sent = wire.serialise(octets, now);
        let lots = Lots::draw(&mut self.rng, &link);
        let (Some(sent), false) = (sent, lots.is_lost) else {
            self.done.lost += 1;
            return;
        };
        let mut at = sent + link.owd + lots.jitter;
        if lots.late.is_zero() {
            at = at.max(wire.last_arrival);
            wire.last_arrival = at;
        }
        self.done.late += u64::from(!lots.late.is_zero());
        self.fly(datagram, lots, at + lots.late);
    }

    /// What the machine of a scenario's link decided about a packet.
    fn carry(&mut self, mut datagram: Datagram, fate: Fate) {
        let Fate::Arrives { at_ns, twice, flip } = fate else {
            self.done.lost += 1;
            return;
        };
        let at = Instant::from_nanos(at_ns);
        if let Some(flip) = flip {
            flip_bit(&mut datagram, flip);
            self.done.changed += 1;
        }
        if twice {
            self.done.twice += 1;
            self.launch(datagram.clone(), at);
        }
        self.launch(datagram, at);
    }

    /// Lets an outsider's datagram arrive after `delay`.
    pub fn inject(&mut self, datagram: Datagram, delay: Duration, now: Instant) {
        self.launch(datagram, now + delay);
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.flights.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next datagram that has arrived by `now`.
    pub fn arrive(&mut self, now: Instant) -> Option<Datagram> {
        if self.next()? > now {
            return None;
        }
        let Reverse((.., slot)) = self.flights.pop()?;
        self.free.push(slot);
        self.cargo.get_mut(slot)?.take()
    }

    fn fly(&mut self, mut datagram: Datagram, lots: Lots, at: Instant) {
        if lots.is_twice {
            self.done.twice += 1;
            self.launch(datagram.clone(), at + lots.late + Duration::from_micros(300));
        }
        if datagram.is_bare {
            // Hosts check what they get themselves.
        } else if lots.is_changed {
            self.change(&mut datagram);
        } else if lots.is_cut {
            self.cut(&mut datagram);
        }
        self.launch(datagram, at);
    }

    fn launch(&mut self, datagram: Datagram, at: Instant) {
        if self.flights.len() >= IN_FLIGHT_MAX {
            self.done.lost += 1;
            return;
        }
        let slot = self.free.pop().unwrap_or(self.cargo.len());
        if slot == self.cargo.len() {
            self.cargo.push(None);
        }
        self.cargo[slot] = Some(datagram);
        self.flights.push(Reverse((at, self.next_id, slot)));
        self.next_id += 1;
    }

    fn change(&mut self, datagram: &mut Datagram) {
        let Some(place) = self.place_in(datagram.bytes.len()) else { return };
        self.done.changed += 1;
        let taint = header::taint_of_change(&datagram.bytes, place);
        let bit = self.rng.next_u32() % 8;
        datagram.bytes[place] ^= 1 << bit;
        datagram.taint = datagram.taint.max(taint);
    }

    fn cut(&mut self, datagram: &mut Datagram) {
        let Some(place) = self.place_in(datagram.bytes.len()) else { return };
        self.done.cut += 1;
        let taint = header::taint_of_cut(&datagram.bytes, place);
        datagram.bytes.truncate(place);
        datagram.taint = datagram.taint.max(taint);
    }

    /// A place in so many octets; headers get as much attention as the rest.
    fn place_in(&mut self, len: usize) -> Option<usize> {
        let is_head = self.rng.next_u32().is_multiple_of(2);
        let span = if is_head { len.min(header::LONGEST) } else { len };
        let span = u32::try_from(span).ok().filter(|span| *span > 0)?;
        usize::try_from(self.rng.next_u32() % span).ok()
    }
}

/// What chance does to one datagram.
#[derive(Clone, Copy)]
struct Lots {
    is_lost: bool,
    is_twice: bool,
    is_changed: bool,
    is_cut: bool,
    jitter: Duration,
    late: Duration,
}

impl Lots {
    fn draw(rng: &mut ChaCha8Rng, link: &Link) -> Self {
        let Harm { twice_per_10k, late_per_10k, changed_per_10k, cut_per_10k } = link.harm;
        let mut has = |per_10k: u32| per_10k > 0 && rng.next_u32() % 10_000 < per_10k;
        let [is_lost, is_twice, is_changed, is_cut, is_late] =
            [link.loss_per_10k, twice_per_10k, changed_per_10k, cut_per_10k, late_per_10k]
                .map(&mut has);
        let jitter = below(rng, link.jitter);
        let late = if is_late { below(rng, REORDER_BY) } else { Duration::ZERO };
        Self { is_lost, is_twice, is_changed, is_cut, jitter, late }
    }
}

/// A length of up to `most`.
fn below(rng: &mut ChaCha8Rng, most: Duration) -> Duration {
    if most.is_zero() {
        return Duration::ZERO;
    }
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.next_u64() % nanos.saturating_add(1))
}

impl Wire {
    /// When a packet has left the queue of its link; `None` if the queue is full.
    fn serialise(&mut self, octets: usize, now: Instant) -> Option<Instant> {
        let Some(rate) = self.link.rate else { return Some(now) };
        let start = self.busy_until.max(now);
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        let length = Duration::from_nanos(octets.saturating_mul(1_000_000_000) / rate.max(1));
        if start.since(now) > QUEUE_MAX {
            return None;
        }
        self.busy_until = start + length;
        Some(start + length)
    }
}

/// Changes one bit of a datagram, as a link of a scenario drew it.
fn flip_bit(datagram: &mut Datagram, drawn: u64) {
    let bits = u64::try_from(datagram.bytes.len()).unwrap_or(u64::MAX).saturating_mul(8);
    let Some(bit) = drawn.checked_rem(bits) else { return };
    let Some(place) = usize::try_from(bit / 8).ok().filter(|at| *at < datagram.bytes.len()) else {
        return;
    };
    datagram.taint = datagram.taint.max(header::taint_of_change(&datagram.bytes, place));
    datagram.bytes[place] ^= 1 << (bit % 8);
}
