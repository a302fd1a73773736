//! A peer: a node with whom this router may have sessions, where it is, and what went to and came
//! from it.
//!
//! ```text
//!  as initiator:  response came ------------> current <--- first packet of it --- next
//!                                                |                                 ^
//!                                                v replaced                        |
//!                                            previous                as responder: answered
//!                                   (opens what was under way)
//! ```
//!
//! What is sent uses `current`. A responder uses the session only when a packet proves that the
//! initiator has it.

use crate::bucket::TokenBucket;
use crate::gate::{Cookie, PublicMacs};
use crate::handshake::Attempt;
use crate::source::Sources;
use core::net::SocketAddr;
use core::time::Duration;
use srwan_wire::id::{NodeId, NodeKey, PathId, SessionIndex};
use srwan_wire::sid::RELAYS_MAX;
use srwan_wire::time::{Instant, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Addresses tried for one peer (T21: a roster cannot aim a group at more victims than that).
pub const ENDPOINTS_MAX: usize = 4;

/// Interval of keepalives that keep a NAT's mapping alive. Source: RFC 4787 REQ-5 and WireGuard's
/// usual 25 s.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(25);

/// Control messages a second that this router relays, unbilled, for one neighbour.
///
/// A headend with 100 members at 10 Hz on an active and a standby path needs 2000 if all go by one
/// relay. A padded probe counts as several.
pub const UNBILLED_RELAY_PER_SECOND: u32 = 2_000;
const UNBILLED_RELAY_BURST: u32 = 1_000;

/// Relayed handshakes a second that this router reads from one neighbour: each costs as much as a
/// direct one.
const RELAYED_HANDSHAKES_PER_SECOND: u32 = 20;
const RELAYED_HANDSHAKES_BURST: u32 = 100;

/// A peer's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerSlot(u32);

/// What the node knows of a peer from the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its X25519 public key.
    pub key: NodeKey,
    /// Addresses to try, best first; those beyond [`ENDPOINTS_MAX`] are ignored.
    pub endpoints: Vec<SocketAddr>,
    /// The group's pre-shared key.
    pub psk: [u8; 32],
    /// Whether to send a keepalive every [`KEEPALIVE_INTERVAL`]: if this router or the peer is
    /// behind NAT.
    pub keepalive: bool,
    /// Whether data of the unbilled class is relayed for it.
    pub relay_unbilled: bool,
}

impl PeerConfig {
    /// A peer at `endpoints` that keeps NAT mappings alive and pays for what is relayed for it.
    #[must_use]
    pub fn new(key: NodeKey, endpoints: Vec<SocketAddr>, psk: [u8; 32]) -> Self {
        Self { key, endpoints, psk, keepalive: true, relay_unbilled: false }
    }
}

/// How a peer is reached for handshakes and keepalives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At its addresses.
    Direct,
    /// Over these relays, in order of travel; each hop's neighbour must be reachable directly.
    Via(Vec<NodeId>),
}

impl Reach {
    /// The relays in order of travel; empty if direct.
    pub(crate) fn relays(&self) -> &[NodeId] {
        match self {
            Self::Direct => &[],
            Self::Via(relays) => &relays[..relays.len().min(RELAYS_MAX)],
        }
    }
}

/// Packets and octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Octets; of what, says the field.
    pub octets: u64,
}

impl Count {
    pub(crate) fn add(&mut self, octets: usize) {
        self.packets += 1;
        self.octets = self.octets.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
    }

    pub(crate) fn add_many(&mut self, packets: u64, octets: u64) {
        self.packets = self.packets.saturating_add(packets);
        self.octets = self.octets.saturating_add(octets);
    }
}

/// What went to and came from a peer. Only accepted packets count; frames of handshakes do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerMeter {
    /// Datagrams from it as previous hop; octets of UDP payload.
    pub link_in: Count,
    /// Datagrams to it as next hop; octets of UDP payload.
    pub link_out: Count,
    /// Data relayed that came from it as previous hop; octets of inner packets.
    pub relayed: Count,
    /// Packets that it sealed and this router delivered; octets of inner packets.
    pub delivered: Count,
    /// Packets that it sealed and whose like this router had delivered already: second copies; octets
    /// of inner packets.
    pub copies: Count,
    /// Packets that this router sealed for it; octets of inner packets.
    pub sealed: Count,
    /// Sessions that came into use: the first one and each renewal.
    pub handshakes: u64,
}

/// A peer.
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    pub(crate) config: PeerConfig,
    pub(crate) macs: PublicMacs,
    pub(crate) sources: Sources,
    /// Where it proved to be: the source of an authenticated packet.
    pub(crate) address: Option<SocketAddr>,
    /// How the node wants it reached; `None` = wait for it to come.
    pub(crate) reach: Option<Reach>,
    /// Not before this instant is a first handshake started.
    pub(crate) connect_at: Instant,
    pub(crate) previous: Option<SessionIndex>,
    pub(crate) current: Option<SessionIndex>,
    pub(crate) next: Option<SessionIndex>,
    pub(crate) attempt: Option<Attempt>,
    /// Timestamp of its newest handshake: an older one is a replay.
    pub(crate) stamp: Timestamp,
    /// The cookie it gave, and when.
    pub(crate) cookie: Option<(Cookie, Instant)>,
    /// When anything went to it last.
    pub(crate) sent: Instant,
    /// When anything but a keepalive went to it last: it owes an answer.
    pub(crate) spoken: Instant,
    /// When anything authentic came from it last.
    pub(crate) received: Instant,
    /// When anything but a keepalive came from it last: we owe an answer.
    pub(crate) heard: Instant,
    pub(crate) is_up: bool,
    /// Whether it ever answered at an address, so that its addresses are known not to be a
    /// victim's.
    pub(crate) is_proven: bool,
    pub(crate) meter: PeerMeter,
    /// What was sealed for it, by path; at most 256.
    pub(crate) paths: Vec<(PathId, Count)>,
    pub(crate) relay_budget: TokenBucket,
    pub(crate) handshake_budget: TokenBucket,
    /// When it is due in the timer queue.
    pub(crate) due: Option<Instant>,
}

impl Peer {
    fn new(node: NodeId, config: PeerConfig, now: Instant) -> Self {
        Self {
            node,
            macs: PublicMacs::of(&config.key),
            config,
            sources: Sources::default(),
            address: None,
            reach: None,
            connect_at: now,
            previous: None,
            current: None,
            next: None,
            attempt: None,
            stamp: Timestamp::default(),
            cookie: None,
            sent: now,
            spoken: now,
            received: now,
            heard: now,
            is_up: false,
            is_proven: false,
            meter: PeerMeter::default(),
            paths: Vec::new(),
            relay_budget: TokenBucket::new(UNBILLED_RELAY_PER_SECOND, UNBILLED_RELAY_BURST),
            handshake_budget: TokenBucket::new(
                RELAYED_HANDSHAKES_PER_SECOND,
                RELAYED_HANDSHAKES_BURST,
            ),
            due: None,
        }
    }

    /// Counts an inner packet that was sealed for it. Allocates only for the first of a path.
    pub(crate) fn count_sealed(&mut self, path: PathId, octets: usize) {
        self.meter.sealed.add(octets);
        let place = self.paths.iter().position(|(other, _)| *other == path);
        match place {
            Some(place) => self.paths[place].1.add(octets),
            None => self.paths.push_mut((path, Count::default())).1.add(octets),
        }
    }

    /// The addresses to try, the proven one first.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let listed = self.config.endpoints.iter().take(ENDPOINTS_MAX).copied();
        self.address.into_iter().chain(listed.filter(|other| Some(*other) != self.address))
    }

    /// Whether a session is what the node asked for: one over relays is not if the peer is to be
    /// reached directly.
    pub(crate) fn is_satisfied_by(&self, is_direct: bool) -> bool {
        is_direct || self.reach != Some(Reach::Direct)
    }

    /// Every session index it holds, also that of a handshake under way.
    pub(crate) fn indexes(&self) -> impl Iterator<Item = SessionIndex> + '_ {
        let pending = self.attempt.as_ref().and_then(Attempt::index);
        [self.previous, self.current, self.next, pending].into_iter().flatten()
    }
}

/// All peers of a router.
#[derive(Default)]
pub(crate) struct Peers {
    slots: Vec<Option<Peer>>,
    by_node: BTreeMap<NodeId, PeerSlot>,
    by_key: BTreeMap<NodeKey, PeerSlot>,
    /// Neighbours whose address or session changed since the shell last asked; `None` if it never does.
    pub(crate) changed: Option<BTreeSet<NodeId>>,
}

impl Peers {
    /// Notes that the way to a neighbour changed.
    pub(crate) fn touch(&mut self, node: NodeId) {
        if let Some(changed) = &mut self.changed {
            changed.insert(node);
        }
    }

    /// Has every neighbour told anew, from here on also each that changes.
    pub(crate) fn change_all(&mut self) {
        self.changed.get_or_insert_default().extend(self.by_node.keys());
    }

    /// Adds a peer; the caller removed one of the same name or key before.
    pub(crate) fn insert(&mut self, node: NodeId, config: PeerConfig, now: Instant) -> PeerSlot {
        let place = self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let slot = PeerSlot(u32::try_from(place).expect("node ids have 20 bits"));
        self.by_node.insert(node, slot);
        self.by_key.insert(config.key, slot);
        self.slots[place] = Some(Peer::new(node, config, now));
        slot
    }

    pub(crate) fn remove(&mut self, slot: PeerSlot) -> Option<Peer> {
        let peer = self.slots.get_mut(place(slot))?.take()?;
        self.by_node.remove(&peer.node);
        self.touch(peer.node);
        self.by_key.remove(&peer.config.key);
        Some(peer)
    }

    pub(crate) fn slot(&self, node: NodeId) -> Option<PeerSlot> {
        self.by_node.get(&node).copied()
    }

    pub(crate) fn slot_by_key(&self, key: &NodeKey) -> Option<PeerSlot> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn get(&self, slot: PeerSlot) -> Option<&Peer> {
        self.slots.get(place(slot))?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: PeerSlot) -> Option<&mut Peer> {
        self.slots.get_mut(place(slot))?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerSlot, &Peer)> + '_ {
        self.by_node.values().filter_map(|slot| self.get(*slot).map(|peer| (*slot, peer)))
    }
}

fn place(slot: PeerSlot) -> usize {
    usize::try_from(slot.0).expect("20 bits fit a usize")
}
