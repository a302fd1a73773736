//! One session: what a handshake yielded, seen from this side, and the table of all sessions.
//!
//! A session belongs to one peer. It carries the link to that peer (link tags) and the end-to-end
//! seal with it; either may be used without the other. Its index names it at this router: the low
//! 16 bits are its place in the table, so finding it costs one array access; the high bits are
//! random, so that an index of an earlier session does not fit.

use crate::crypto::{AeadKey, KeyPair, LinkKey};
use crate::peer::PeerSlot;
use crate::replay::{ReplayError, ReplayWindow};
use core::time::Duration;
use srwan_wire::id::{LinkIndex, NodeId, PathId, SessionIndex};
use srwan_wire::path_group::PathGroup;
use srwan_wire::segment::COUNTER_MAX;
use srwan_wire::time::Instant;
use std::collections::{BTreeSet, VecDeque};

/// How long this router uses the keys of one handshake.
///
/// Invariant: [`REKEY_AFTER_MIN`] up to [`REKEY_AFTER`]. Both sides of a session may differ: the
/// shorter life holds, because who has it renews in time also if the other side started the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLife {
    rekey_after: Duration,
}

impl KeyLife {
    /// A life with renewal at this age; `None` outside of the bounds.
    #[must_use]
    pub fn new(rekey_after: Duration) -> Option<Self> {
        (REKEY_AFTER_MIN..=REKEY_AFTER).contains(&rekey_after).then_some(Self { rekey_after })
    }

    /// Age at which a session is neither used nor accepted any more: half as old again as it is
    /// renewed, 180 s at most. Source: WireGuard's REJECT_AFTER_TIME; promise I24.
    #[must_use]
    pub fn reject_after(self) -> Duration {
        self.rekey_after * 3 / 2
    }

    /// Age at which a side renews. The side that did not start the session gives the one that did
    /// [`RESPONDER_DELAY`], or half of what is left if that is less, so that both rarely call at
    /// once.
    pub(crate) fn renew_after(self, role: Role) -> Duration {
        match role {
            Role::Initiator => self.rekey_after,
            Role::Responder => self.rekey_after + RESPONDER_DELAY.min(self.rekey_after / 4),
        }
    }
}

impl Default for KeyLife {
    fn default() -> Self {
        Self { rekey_after: REKEY_AFTER }
    }
}

/// Age at which the initiator replaces a session, unless it is told to be quicker. Source:
/// WireGuard's REKEY_AFTER_TIME; promise I24 allows no more.
pub const REKEY_AFTER: Duration = Duration::from_secs(120);

/// Shortest age at which a session is replaced: one more second until it is rejected is time for the
/// longest round trip on Earth and one retry.
pub const REKEY_AFTER_MIN: Duration = Duration::from_secs(2);

/// The side that did not start a session renews it only if the side that did is this late.
const RESPONDER_DELAY: Duration = Duration::from_secs(10);

/// Packets on one path after which the session is replaced.
///
/// Deviates from promise I24 (2^60 packets): the counter on the wire has 56 bits, so the session is
/// replaced at half of it and never wraps.
pub const REKEY_AFTER_PACKETS: u64 = COUNTER_MAX / 2;

/// The path id of control messages. They travel over many relays with many delays, so they share no
/// window with data.
pub const OAM_PATH: PathId = PathId(0xff);

/// Sessions at one router: the link index has 16 bits and zero names none.
pub const SESSIONS_MAX: usize = 0xffff;

/// Which side started the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// This side.
    Initiator,
    /// The other side.
    Responder,
}

/// All packet counters of the path were used; the session must be replaced first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// What a handshake yielded, seen from this side.
pub(crate) struct Session {
    /// The peer it is with.
    pub(crate) peer: PeerSlot,
    /// Who started it.
    pub(crate) role: Role,
    /// How the peer names it: what is written in packets to it.
    pub(crate) remote: SessionIndex,
    /// When the handshake ended at this side.
    pub(crate) created: Instant,
    /// How long it may be used from then on.
    pub(crate) life: KeyLife,
    /// The relays over which the handshake went, in order of travel from this side; empty if none.
    pub(crate) relays: Vec<NodeId>,
    /// Seals what goes to the peer.
    pub(crate) seal: AeadKey,
    /// Opens what the peer sealed.
    pub(crate) open: AeadKey,
    /// Tags what goes to the peer as next hop.
    pub(crate) tag: LinkKey,
    /// Checks the tags of what comes from the peer as previous hop.
    pub(crate) check: LinkKey,
    counters: Vec<(PathId, u64)>,
    /// The newest counter of each path that came without relays.
    newest_direct: Vec<(PathId, u64)>,
    windows: Vec<(PathId, Box<ReplayWindow>)>,
    /// Counters that came over any path of a group.
    group_windows: Vec<(PathGroup, Box<ReplayWindow>)>,
}

/// What of a session comes from its handshake besides the keys.
pub(crate) struct Origin {
    /// See [`Session::peer`].
    pub(crate) peer: PeerSlot,
    /// See [`Session::role`].
    pub(crate) role: Role,
    /// See [`Session::remote`].
    pub(crate) remote: SessionIndex,
    /// See [`Session::created`].
    pub(crate) created: Instant,
    /// See [`Session::life`].
    pub(crate) life: KeyLife,
    /// See [`Session::relays`].
    pub(crate) relays: Vec<NodeId>,
}

impl Session {
    /// The session of a finished handshake.
    pub(crate) fn new(origin: Origin, keys: &KeyPair) -> Self {
        let Origin { peer, role, remote, created, life, relays } = origin;
        Self {
            peer,
            role,
            remote,
            created,
            life,
            relays,
            seal: AeadKey::derive(&keys.send),
            open: AeadKey::derive(&keys.receive),
            tag: LinkKey::derive(&keys.send),
            check: LinkKey::derive(&keys.receive),
            counters: Vec::new(),
            newest_direct: Vec::new(),
            windows: Vec::new(),
            group_windows: Vec::new(),
        }
    }

    /// From when on it may not be used any more.
    pub(crate) fn ends(&self) -> Instant {
        self.created + self.life.reject_after()
    }

    /// When this side renews it.
    pub(crate) fn renews(&self) -> Instant {
        self.created + self.life.renew_after(self.role)
    }

    /// Whether it may still be used.
    pub(crate) fn is_live(&self, now: Instant) -> bool {
        now < self.ends()
    }

    /// Whether a counter of it has run so far that it should be replaced.
    pub(crate) fn is_worn(&self) -> bool {
        self.counters.iter().any(|(_, next)| *next >= REKEY_AFTER_PACKETS)
    }

    /// Whether no later packet of `path` came without relays so far; to be asked once for each that does. Allocates
    /// only for the first packet of a path.
    pub(crate) fn is_newest_direct(&mut self, path: PathId, counter: u64) -> bool {
        let Some((_, newest)) = self.newest_direct.iter_mut().find(|(other, _)| *other == path)
        else {
            self.newest_direct.push((path, counter));
            return true;
        };
        let is_newer = counter > *newest;
        *newest = counter.max(*newest);
        is_newer
    }

    /// Takes the next packet counter of `path`, which the paths of a group share. Allocates only for
    /// the first packet of a path.
    pub(crate) fn take_counter(&mut self, path: PathId) -> Result<u64, Exhausted> {
        let path = PathGroup::of(path).map_or(path, |(group, _)| group.counter());
        let next = match self.counters.iter().position(|(other, _)| *other == path) {
            Some(place) => &mut self.counters[place].1,
            None => &mut self.counters.push_mut((path, 0)).1,
        };
        if *next > COUNTER_MAX {
            return Err(Exhausted);
        }
        *next += 1;
        Ok(*next - 1)
    }

    /// Judges a received counter and records nothing.
    pub(crate) fn check_counter(&self, path: PathId, counter: u64) -> Result<(), ReplayError> {
        let window = self.windows.iter().find(|(other, _)| *other == path);
        window.map_or(Ok(()), |(_, window)| window.check(counter))
    }

    /// Records the counter of an authentic packet; returns whether it is the newest of its path.
    /// Allocates only for the first packet of a path, of which there are at most 256.
    pub(crate) fn accept_counter(
        &mut self,
        path: PathId,
        counter: u64,
    ) -> Result<bool, ReplayError> {
        match self.windows.iter().position(|(other, _)| *other == path) {
            Some(place) => self.windows[place].1.accept(counter),
            None => self.windows.push_mut((path, Box::default())).1.accept(counter),
        }
    }

    /// Records the counter of an authentic packet of a group; `false` if it came before over another
    /// path, or is too old to tell. There are at most seven groups.
    pub(crate) fn accept_in_group(&mut self, group: PathGroup, counter: u64) -> bool {
        let place = self.group_windows.iter().position(|(other, _)| *other == group);
        let window = match place {
            Some(place) => &mut self.group_windows[place].1,
            None => &mut self.group_windows.push_mut((group, Box::default())).1,
        };
        window.accept(counter).is_ok()
    }
}

/// What an index stands for.
enum Entry {
    /// A handshake that this side started.
    Pending(PeerSlot),
    /// A session.
    Live(Box<Session>),
}

/// All sessions of a router, and the handshakes that may become some.
pub(crate) struct SessionTable {
    slots: Vec<Slot>,
    /// Free places, longest free first, so that late packets of a dead session rarely meet another
    /// one.
    free: VecDeque<u16>,
    /// Links whose session came, went or changed its place since the shell last asked; `None` if it never does.
    pub(crate) changed: Option<BTreeSet<LinkIndex>>,
}

struct Slot {
    index: SessionIndex,
    entry: Option<Entry>,
}

impl SessionTable {
    /// A table without sessions.
    pub(crate) fn new() -> Self {
        let nobody = Slot { index: SessionIndex(0), entry: None };
        Self { slots: vec![nobody], free: VecDeque::new(), changed: None }
    }

    /// Notes that another part of what is known of a link changed.
    pub(crate) fn touch(&mut self, link: LinkIndex) {
        if let Some(changed) = &mut self.changed {
            changed.insert(link);
        }
    }

    /// Has every link told anew, from here on also each that changes.
    pub(crate) fn change_all(&mut self) {
        let links = 1..u16::try_from(self.slots.len()).unwrap_or(u16::MAX);
        self.changed.get_or_insert_default().extend(links.map(LinkIndex));
    }

    /// Takes an index for a handshake with `peer`; `None` if there are [`SESSIONS_MAX`] already.
    pub(crate) fn reserve(&mut self, peer: PeerSlot, random: u32) -> Option<SessionIndex> {
        let place = if self.slots.len() <= SESSIONS_MAX && self.free.len() < FREE_KEPT {
            self.slots.push(Slot { index: SessionIndex(0), entry: None });
            u16::try_from(self.slots.len() - 1).ok()?
        } else {
            self.free.pop_front()?
        };
        let index = SessionIndex(random & 0xffff_0000 | u32::from(place));
        self.slots[usize::from(place)] = Slot { index, entry: Some(Entry::Pending(peer)) };
        Some(index)
    }

    /// Makes the reserved `index` a session.
    pub(crate) fn establish(&mut self, index: SessionIndex, session: Session) {
        if let Some(slot) = self.slot_mut(index) {
            slot.entry = Some(Entry::Live(Box::new(session)));
        }
    }

    /// Frees `index`.
    pub(crate) fn release(&mut self, index: SessionIndex) {
        if let Some(slot) = self.slot_mut(index) {
            slot.index = SessionIndex(0);
            slot.entry = None;
            self.free.push_back(index.link().0);
            self.touch(index.link());
        }
    }

    /// The session that a link index names.
    pub(crate) fn by_link(&self, link: LinkIndex) -> Option<(SessionIndex, &Session)> {
        let slot = self.slots.get(usize::from(link.0))?;
        match slot.entry.as_ref()? {
            Entry::Live(session) => Some((slot.index, session)),
            Entry::Pending(_) => None,
        }
    }

    /// The session with this index.
    pub(crate) fn get(&self, index: SessionIndex) -> Option<&Session> {
        self.by_link(index.link()).filter(|(found, _)| *found == index).map(|(_, session)| session)
    }

    /// The session with this index, to be changed.
    pub(crate) fn get_mut(&mut self, index: SessionIndex) -> Option<&mut Session> {
        match self.slot_mut(index)?.entry.as_mut()? {
            Entry::Live(session) => Some(session),
            Entry::Pending(_) => None,
        }
    }

    /// The peer with whom the handshake of this index is under way.
    pub(crate) fn pending(&self, index: SessionIndex) -> Option<PeerSlot> {
        let slot = self.slots.get(usize::from(index.link().0)).filter(|s| s.index == index)?;
        match slot.entry.as_ref()? {
            Entry::Pending(peer) => Some(*peer),
            Entry::Live(_) => None,
        }
    }

    fn slot_mut(&mut self, index: SessionIndex) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(usize::from(index.link().0))?;
        (slot.index == index && slot.entry.is_some()).then_some(slot)
    }
}

/// Free places that are kept before one is used again: some seconds' worth of handshakes at a busy
/// router.
const FREE_KEPT: usize = 64;
