//! Outsiders and an insider: what they catch, replay, make up and seal.
//!
//! An outsider sits on the links before one router: it sees what arrives there and sends what it likes, from addresses
//! of 192.0.2.0/24 or from those of others. An insider is a member that has its link keys read out of its router (the
//! product hands them to programs in network drivers), and tags headers as it likes.

use crate::datagram::{Datagram, Taint, Trail};
use crate::header::{Kind, kind};
use crate::world::World;
use siphasher::sip::SipHasher24;
use srwan_dataplane::{FastPathMemory, FibAdjacency, FibChange, LANE_WORDS, REFUSED_WORDS};
use srwan_wire::id::NodeId;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// What an outsider catches before one router.
#[derive(Default)]
pub struct Net {
    /// Before which router.
    pub router: usize,
    /// How many datagrams it keeps; the oldest goes first.
    pub most: usize,
    /// What it caught.
    pub caught: VecDeque<Caught>,
}

/// A datagram that a router took in.
#[derive(Clone, Debug)]
pub struct Caught {
    /// Where it came from.
    pub source: SocketAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Which routers it went through before.
    pub trail: Trail,
}

impl Net {
    pub(crate) fn keep(&mut self, caught: Caught) {
        if self.caught.len() >= self.most {
            self.caught.pop_front();
        }
        self.caught.push_back(caught);
    }
}

/// A member that has its link keys.
#[derive(Default)]
pub struct Insider {
    /// Index of its router.
    pub router: usize,
    /// How it reaches its neighbours.
    pub adjacencies: BTreeMap<NodeId, FibAdjacency>,
}

/// An address of an outsider.
#[must_use]
pub fn stranger(number: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 1_024 + number % 60_000))
}

impl World {
    /// An outsider catches the last `most` datagrams that `router` takes in.
    pub fn catch(&mut self, router: usize, most: usize) {
        self.outsider = Net { router, most, caught: VecDeque::new() };
    }

    /// What was caught.
    #[must_use]
    pub fn caught(&self) -> &VecDeque<Caught> {
        &self.outsider.caught
    }

    /// Before which router it was caught.
    #[must_use]
    pub fn caught_at(&self) -> usize {
        self.outsider.router
    }

    /// An outsider's datagram arrives at `to` after `delay`.
    pub fn inject(
        &mut self,
        to: usize,
        source: SocketAddr,
        bytes: Vec<u8>,
        how: (Taint, Duration),
    ) {
        let (taint, delay) = how;
        let trail = Trail::default();
        let datagram = Datagram { from: None, to, source, bytes, is_bare: false, taint, trail };
        let now = self.now();
        self.net.inject(datagram, delay, now);
    }

    /// Sends again, from where they came and within `within`, what was caught; returns how many.
    pub fn replay(&mut self, within: Duration) -> usize {
        let caught: Vec<Caught> = self.outsider.caught.iter().cloned().collect();
        let (to, now) = (self.outsider.router, self.now());
        let count = u32::try_from(caught.len()).unwrap_or(u32::MAX).max(1);
        let (mut at, sent) = (Duration::ZERO, caught.len());
        for Caught { source, bytes, trail } in caught {
            let (from, taint) = (None, Taint::Replayed);
            let again = Datagram { from, to, source, bytes, is_bare: false, taint, trail };
            self.net.inject(again, at, now);
            at += within / count;
        }
        sent
    }

    /// Floods the router with the handshakes that were caught, from many strangers, until it is under load; then come
    /// as many whose mac1 is wrong. Returns how many were sent.
    pub fn flood(&mut self, most: u16) -> usize {
        let is_call = |one: &&Caught| kind(&one.bytes) == Kind::Handshake && one.bytes.len() == 148;
        let calls: Vec<Caught> = self.outsider.caught.iter().filter(is_call).cloned().collect();
        let router = self.outsider.router;
        let Some(call) = calls.first() else { return 0 };
        for number in 0..most {
            let at = Duration::from_micros(100) * u32::from(number);
            self.inject(router, stranger(number), call.bytes.clone(), (Taint::Replayed, at));
            let mut wrong = call.bytes.clone();
            wrong[MAC1] ^= 1;
            let source = stranger(number + most);
            self.inject(router, source, wrong, (Taint::Forged, at + Duration::from_millis(1)));
        }
        usize::from(most) * 2
    }

    /// The insider's router has its link keys read out from here on.
    pub fn turn_insider(&mut self, router: usize) {
        let word = || AtomicU64::new(0);
        let lanes: Vec<AtomicU64> = (0..LANE_WORDS).map(|_| word()).collect();
        let refused: Vec<AtomicU64> = (0..REFUSED_WORDS).map(|_| word()).collect();
        // Leaked: a few KiB per world that has an insider; the product's memory is mapped for as long as it runs.
        let memory = FastPathMemory::new(Vec::leak(lanes), Vec::leak(refused));
        let memory = memory.expect("it has room for one lane");
        self.router(router).enable_fast_path(memory);
        self.insider = Some(Insider { router, adjacencies: BTreeMap::new() });
    }

    pub(crate) fn read_keys(&mut self, router: usize) {
        let Some(insider) = self.insider.as_mut().filter(|one| one.router == router) else {
            return;
        };
        let Some(node) = self.shells[router].node.as_mut() else { return };
        while let Some(change) = node.poll_fib_change() {
            match change {
                FibChange::Adjacency(node, Some(adjacency)) => {
                    insider.adjacencies.insert(node, adjacency);
                }
                FibChange::Adjacency(node, None) => {
                    insider.adjacencies.remove(&node);
                }
                FibChange::Link(..) | FibChange::Lane(..) => {}
            }
        }
    }

    /// The insider sends a control message whose list of SIDs (endpoint first) is what it likes, all of them still to
    /// be visited; returns whether it has a link to `first`.
    pub fn insider_lists(&mut self, first: NodeId, sids: &[u32]) -> bool {
        let Some(insider) = &self.insider else { return false };
        let Some(link) = insider.adjacencies.get(&first) else { return false };
        let count = u8::try_from(sids.len().min(4)).unwrap_or(0);
        let mut bytes = vec![0x99, count << 4 | count];
        bytes.extend(link.link.0.to_be_bytes());
        bytes.extend(1_u32.to_be_bytes());
        bytes.extend([0xff, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend(0_u32.to_be_bytes());
        sids.iter().take(4).for_each(|sid| bytes.extend(sid.to_be_bytes()));
        bytes.resize(16 + (4 + 4 * usize::from(count)).next_multiple_of(8), 0);
        let tag = SipHasher24::new_with_key(link.tag.octets()).hash(&bytes);
        bytes.extend(tag.to_le_bytes());
        bytes.extend([0x5a; 48]);
        let (from, to) = (insider.router, link.to);
        self.insider_transmits(from, to, bytes);
        true
    }
}

/// Where mac1 begins in an initiation.
const MAC1: usize = 116;
