//! One directed link as a pure machine: a packet comes at a time, and leaves at a time or never.
//!
//! In this order: blackhole, MTU, loss, queue and serialisation, delay, jitter, reordering, duplication,
//! corruption. *Jitter* is the delay of queues that we do not model: a value drawn every 20 ms from an
//! exponential distribution with the mean the file gives, cut at five times the mean, and straight lines
//! between the draws. So packets close in time see nearly the same delay, the floor is the link's delay,
//! and a link never reorders by itself. (Independent draws per packet would make a bulk flow, kept in
//! order, see the largest draw of many, and a probe the mean.) *Reordering* holds a packet back 4 ms
//! outside that order.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Impairment, LinkShape};

use super::random::{Random, uniform_at};

/// A directed link.
#[derive(Clone, Debug)]
pub struct Link {
    /// What the scenario says.
    base: LinkShape,
    /// The fault on top of it.
    fault: Option<Impairment>,
    /// Both together: what packets meet.
    shape: LinkShape,
    /// When the last accepted packet has left the queue, ns.
    busy_until_ns: u64,
    /// When the latest packet in order arrives at the other end, ns.
    last_arrival_ns: u64,
    random: Random,
    jitter_seed: u64,
    counters: LinkCounters,
}

/// What happens to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at that time, ns.
    Arrives {
        at_ns: u64,
        twice: bool,
        flip: Option<u64>,
    },
    Lost(LinkDrop),
}

/// Why a link lost a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkDrop {
    Blackhole,
    TooBig {
        /// What the sender is told; nothing where ICMP is filtered.
        told: Option<u16>,
    },
    Loss,
    QueueFull,
}

/// Packets and octets of one link since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    pub offered: u64,
    pub offered_octets: u64,
    pub blackholed: u64,
    pub too_big: u64,
    pub lost: u64,
    pub queue_full: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub corrupted: u64,
}

impl Link {
    /// A link with its own stream of draws.
    pub fn new(base: LinkShape, seed: u64, stream: u64) -> Self {
        let mut random = Random::new(seed, stream);
        let jitter_seed = random.next_u64();
        Self {
            shape: base.clone(),
            base,
            fault: None,
            busy_until_ns: 0,
            last_arrival_ns: 0,
            random,
            jitter_seed,
            counters: LinkCounters::default(),
        }
    }

    /// What packets meet.
    pub fn shape(&self) -> &LinkShape {
        &self.shape
    }

    /// Whether a fault is on the link.
    pub fn is_impaired(&self) -> bool {
        self.fault.is_some()
    }

    pub fn counters(&self) -> &LinkCounters {
        &self.counters
    }

    /// Puts a fault on the link, or takes it off.
    pub fn set_fault(&mut self, fault: Option<Impairment>) {
        self.fault = fault;
        self.reshape();
    }

    /// Changes what the link is without a fault.
    pub fn set_base(&mut self, base: LinkShape) {
        self.base = base;
        self.reshape();
    }

    /// What the link is without a fault.
    pub fn base(&self) -> &LinkShape {
        &self.base
    }

    /// Decides about a packet of that many octets that is sent at that time.
    pub fn pass(&mut self, now_ns: u64, octets: u64) -> Fate {
        self.counters.offered += 1;
        self.counters.offered_octets += octets;
        match self.refusal(now_ns, octets) {
            Some(drop) => {
                self.count_drop(drop);
                Fate::Lost(drop)
            }
            None => self.carry(now_ns, octets),
        }
    }

    fn refusal(&mut self, now_ns: u64, octets: u64) -> Option<LinkDrop> {
        if self.shape.blackhole {
            return Some(LinkDrop::Blackhole);
        }
        if let Some(mtu) = self.shape.mtu.filter(|mtu| octets > u64::from(*mtu)) {
            return Some(LinkDrop::TooBig { told: self.shape.icmp.then_some(mtu) });
        }
        if self.random.happens(self.shape.loss.ppm()) {
            return Some(LinkDrop::Loss);
        }
        let rate = self.shape.rate?;
        let waiting = Duration::from_nanos(self.busy_until_ns.saturating_sub(now_ns));
        let room = rate.time_for(self.shape.queue_octets.saturating_sub(octets));
        (waiting > room).then_some(LinkDrop::QueueFull)
    }

    fn carry(&mut self, now_ns: u64, octets: u64) -> Fate {
        let sent_ns = self.serialised(now_ns, octets);
        let delay_ns = nanos(self.shape.owd) + self.jitter_ns(sent_ns);
        let arrival_ns = sent_ns.saturating_add(delay_ns);
        let at_ns = if self.random.happens(self.shape.reorder.ppm()) {
            self.counters.reordered += 1;
            arrival_ns + REORDER_HOLD_NS
        } else {
            self.last_arrival_ns = self.last_arrival_ns.max(arrival_ns);
            self.last_arrival_ns
        };
        let twice = self.random.happens(self.shape.duplicate.ppm());
        self.counters.duplicated += u64::from(twice);
        let flips = self.random.happens(self.shape.corrupt.ppm());
        self.counters.corrupted += u64::from(flips);
        let flip = flips.then(|| self.random.next_u64());
        Fate::Arrives { at_ns, twice, flip }
    }

    fn serialised(&mut self, now_ns: u64, octets: u64) -> u64 {
        let Some(rate) = self.shape.rate else { return now_ns };
        self.busy_until_ns = self.busy_until_ns.max(now_ns) + nanos(rate.time_for(octets));
        self.busy_until_ns
    }

    fn jitter_ns(&self, at_ns: u64) -> u64 {
        if self.shape.jitter.is_zero() {
            return 0;
        }
        let knot = at_ns / JITTER_KNOT_NS;
        let (left, right) = (self.jitter_at(knot), self.jitter_at(knot + 1));
        let part = Duration::from_nanos(at_ns % JITTER_KNOT_NS).as_secs_f64();
        let share = part / Duration::from_nanos(JITTER_KNOT_NS).as_secs_f64();
        nanos(self.shape.jitter.mul_f64(left + (right - left) * share))
    }

    /// Multiple of the mean at one knot.
    fn jitter_at(&self, knot: u64) -> f64 {
        (-uniform_at(self.jitter_seed, knot).ln()).clamp(0.0, JITTER_MEANS_MAX)
    }

    fn count_drop(&mut self, drop: LinkDrop) {
        let counter = match drop {
            LinkDrop::Blackhole => &mut self.counters.blackholed,
            LinkDrop::TooBig { .. } => &mut self.counters.too_big,
            LinkDrop::Loss => &mut self.counters.lost,
            LinkDrop::QueueFull => &mut self.counters.queue_full,
        };
        *counter += 1;
    }

    /// The order of arrivals starts anew: a link that became shorter delivers sooner at once.
    fn reshape(&mut self) {
        self.shape = match &self.fault {
            Some(fault) => self.base.impaired(fault),
            None => self.base.clone(),
        };
        self.last_arrival_ns = 0;
        if self.shape.rate.is_none() {
            self.busy_until_ns = 0;
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Length of one straight piece of jitter: the time scale on which queues of the Internet change.
const JITTER_KNOT_NS: u64 = 20_000_000;
/// One draw in 150 is cut there; without a cut a single one could look like a fault.
const JITTER_MEANS_MAX: f64 = 5.0;
/// Long enough that three packets of a 10 Mbit/s flow overtake: what TCP takes for a loss.
const REORDER_HOLD_NS: u64 = 4_000_000;
