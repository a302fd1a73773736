//! Handshakes: answering, finishing, and the frames on their way, direct or over relays.
//!
//! ```text
//!  initiator                                   responder
//!   Pending --- initiation (148) ------------->             (the peer's first since this start:
//!           <-- cookie reply (64) ------------              it may be a replay from before)
//!   Pending --- initiation (148), mac2 ------->  next       (answers only what passed the gate)
//!   current <-- response (92) -----------------  next
//!   current --- first packet (keepalive) ----->  current
//! ```
//!
//! If both sides call at once, the one with the higher number gives its call up when it answers;
//! should both answers be under way already, both sessions live and each side sends with its own,
//! so nothing is lost either way.
//!
//! Between nodes without a direct path the frames travel inside unsealed OAM packets over relays;
//! the response takes the initiation's list of relays backwards.

use crate::crypto::KeyPair;
use crate::dataplane::{Dataplane, Event, Transmit};
use crate::drop_reason::DropReason;
use crate::forward::Arrival;
use crate::gate::{Admission, COOKIE_LIFE, mac2};
use crate::noise::{Initiator, Responder};
use crate::peer::{Peer, PeerSlot, Reach};
use crate::session::{Origin, Role, Session};
use crate::verdict::Verdict;
use core::net::SocketAddr;
use rand_chacha::rand_core::Rng;
use srwan_wire::handshake::{
    COOKIE_REPLY_LEN, CookieReply, FrameView, Initiation, MAC_LEN, Response, initiation, response,
    write_macs,
};
use srwan_wire::id::{NodeId, SessionIndex};
use srwan_wire::oam::RelayedHandshake;
use srwan_wire::segment::HeaderView;
use srwan_wire::sid::{SegmentList, Sid};
use srwan_wire::time::{Instant, Timestamp};

/// Cookies of one call that are answered at once: the responder's first demand, one more if it starts anew meanwhile
/// or renews its secret, and no endless exchange with whoever makes cookies up on the way.
const COOKIES_MAX: u8 = 4;

/// How a frame came, and so how its answer goes.
enum Via {
    /// From this address.
    Direct(SocketAddr),
    /// From `origin`, and back over these relays.
    Relayed { origin: NodeId, back: Vec<NodeId> },
}

impl Via {
    /// The relays towards the other side.
    fn relays(&self) -> &[NodeId] {
        match self {
            Self::Direct(_) => &[],
            Self::Relayed { back, .. } => back,
        }
    }

    /// Whether the frame can be from `node`: only a relayed one says who sent it.
    fn can_be_from(&self, node: NodeId) -> bool {
        match self {
            Self::Direct(_) => true,
            Self::Relayed { origin, .. } => *origin == node,
        }
    }
}

/// A handshake that this side tries until it is answered.
pub(crate) struct Attempt {
    pub(crate) started: Instant,
    pub(crate) tries: u32,
    pub(crate) retry_at: Instant,
    /// Cookies that were taken and answered at once.
    cookies: u8,
    flight: Option<Flight>,
}

/// The initiation that was sent last.
struct Flight {
    index: SessionIndex,
    noise: Initiator,
    mac1: [u8; MAC_LEN],
    relays: Vec<NodeId>,
}

impl Attempt {
    pub(crate) fn new(now: Instant) -> Self {
        Self { started: now, tries: 0, retry_at: now, cookies: 0, flight: None }
    }

    /// The session index that is reserved for it.
    pub(crate) fn index(&self) -> Option<SessionIndex> {
        self.flight.as_ref().map(|flight| flight.index)
    }
}

impl Dataplane {
    /// Takes a handshake frame that came straight from `from`.
    pub(crate) fn take_direct_frame(
        &mut self,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let via = Via::Direct(from);
        match FrameView::parse(bytes).map_err(|_| DropReason::HandshakeFormat)? {
            FrameView::Initiation(frame) => {
                let random = || random_nonce(&mut self.rng);
                match self.gate.admit(&frame.macs, (from, frame.sender), random, now)? {
                    Admission::Admit => self.answer(&frame, &via, now),
                    Admission::Cookie(reply) => Err(self.send_cookie(from, &reply)),
                }
            }
            FrameView::Response(frame) => {
                self.gate.check_mac1(&frame.macs)?;
                self.finish(&frame, &via, now)
            }
            FrameView::CookieReply(frame) => self.take_cookie(&frame, now),
        }
    }

    /// Takes a handshake frame that came over relays to this router.
    pub(crate) fn take_relayed_frame(
        &mut self,
        arrival: &Arrival,
        header: &HeaderView<'_>,
    ) -> Result<Verdict, DropReason> {
        let previous = self.peers.get_mut(arrival.previous).ok_or(DropReason::UnknownLink)?;
        if !previous.handshake_budget.take(arrival.now) {
            return Err(DropReason::HandshakeRate);
        }
        let message = RelayedHandshake::decode(header.payload());
        let message = message.map_err(|_| DropReason::HandshakeFormat)?;
        if !is_path_of(&message, header, self.me.node, arrival.previous_node) {
            return Err(DropReason::HandshakePath);
        }
        let back = message.relays.as_slice().iter().rev().copied().collect();
        let via = Via::Relayed { origin: message.origin, back };
        let verdict = match FrameView::parse(&message.frame) {
            Ok(FrameView::Initiation(frame)) => {
                self.gate.check_mac1(&frame.macs)?;
                self.answer(&frame, &via, arrival.now)?
            }
            Ok(FrameView::Response(frame)) => {
                self.gate.check_mac1(&frame.macs)?;
                self.finish(&frame, &via, arrival.now)?
            }
            Ok(FrameView::CookieReply(_)) => return Err(DropReason::HandshakeUnexpected),
            Err(_) => return Err(DropReason::HandshakeFormat),
        };
        self.note_arrival(arrival, header.payload_offset() + header.payload().len());
        Ok(verdict)
    }

    /// Answers an initiation that passed the gate.
    fn answer(
        &mut self,
        frame: &Initiation<'_>,
        via: &Via,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let seed = self.random_seed();
        let responder = Responder::receive(&self.me.secret, frame.noise, seed)
            .map_err(|_| DropReason::HandshakeNoise)?;
        let slot = self.peers.slot_by_key(&responder.remote).ok_or(DropReason::HandshakePeer)?;
        let peer = self.peers.get_mut(slot).ok_or(DropReason::HandshakePeer)?;
        if !via.can_be_from(peer.node) {
            return Err(DropReason::HandshakePath);
        }
        if responder.stamp <= peer.stamp {
            return Err(DropReason::HandshakeStale);
        }
        if peer.stamp == Timestamp::default() {
            self.demand_cookie(frame, via, now)?;
        }
        let peer = self.peers.get_mut(slot).ok_or(DropReason::HandshakePeer)?;
        let stamp = responder.stamp;
        let (keys, noise) =
            responder.respond(&peer.config.psk).map_err(|_| DropReason::HandshakeNoise)?;
        let random = self.rng.next_u32();
        let index = self.sessions.reserve(slot, random).ok_or(DropReason::SessionsFull)?;
        peer.stamp = stamp;
        let mut reply = response(index, frame.sender, &noise);
        sign(peer, &mut reply, now);
        let to = peer.node;
        let origin = Origin {
            peer: slot,
            role: Role::Responder,
            remote: frame.sender,
            created: now,
            life: self.key_life,
            relays: via.relays().to_vec(),
        };
        self.install_next(index, origin, &keys);
        match via {
            Via::Direct(address) => {
                self.transmit(Transmit { to: *address, tos: 0, bytes: reply.to_vec() });
            }
            Via::Relayed { back, .. } => {
                self.send_relayed(to, back, &reply, now).map_err(|_| DropReason::NoAdjacency)?;
            }
        }
        self.schedule(slot, now);
        Ok(Verdict::Consumed)
    }

    /// Which stamps a peer used is forgotten with a restart, so its first call since then must carry a cookie of this
    /// start: else it might be a replay of one from before. One over relays is within what their budget bounds.
    fn demand_cookie(
        &mut self,
        frame: &Initiation<'_>,
        via: &Via,
        now: Instant,
    ) -> Result<(), DropReason> {
        let Via::Direct(from) = via else { return Ok(()) };
        let random = || random_nonce(&mut self.rng);
        match self.gate.demand(&frame.macs, (*from, frame.sender), random, now) {
            None => Ok(()),
            Some(reply) => Err(self.send_cookie(*from, &reply)),
        }
    }

    /// Sends a cookie instead of an answer.
    fn send_cookie(&mut self, to: SocketAddr, reply: &[u8; COOKIE_REPLY_LEN]) -> DropReason {
        self.transmit(Transmit { to, tos: 0, bytes: reply.to_vec() });
        DropReason::HandshakeCookie
    }

    /// Finishes a handshake of ours with the response to it.
    fn finish(
        &mut self,
        frame: &Response<'_>,
        via: &Via,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let unexpected = DropReason::HandshakeUnexpected;
        let slot = self.sessions.pending(frame.receiver).ok_or(unexpected)?;
        let peer = self.peers.get_mut(slot).ok_or(unexpected)?;
        if !via.can_be_from(peer.node) {
            return Err(DropReason::HandshakePath);
        }
        let flight = peer.attempt.as_mut().and_then(|attempt| attempt.flight.as_mut());
        let flight = flight.filter(|flight| flight.index == frame.receiver).ok_or(unexpected)?;
        if flight.relays != via.relays() {
            return Err(DropReason::HandshakePath);
        }
        let keys = flight.noise.finish(frame.noise).map_err(|_| DropReason::HandshakeNoise)?;
        let origin = Origin {
            peer: slot,
            role: Role::Initiator,
            remote: frame.sender,
            created: now,
            life: self.key_life,
            relays: flight.relays.clone(),
        };
        peer.attempt = None;
        peer.received = now;
        if let Via::Direct(from) = via {
            peer.address = Some(*from);
            peer.is_proven = true;
        }
        self.sessions.establish(frame.receiver, Session::new(origin, &keys));
        self.make_current(slot, frame.receiver);
        self.send_keepalive(slot, now);
        self.schedule(slot, now);
        Ok(Verdict::Consumed)
    }

    /// Takes the cookie that a responder gave instead of an answer, and tries again with it at once, at the
    /// same address: a cookie holds for the two addresses between which it travelled.
    fn take_cookie(
        &mut self,
        frame: &CookieReply<'_>,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let unexpected = DropReason::HandshakeUnexpected;
        let slot = self.sessions.pending(frame.receiver).ok_or(unexpected)?;
        let peer = self.peers.get_mut(slot).ok_or(unexpected)?;
        let attempt = peer.attempt.as_mut().ok_or(unexpected)?;
        let mac1 = attempt.flight.as_ref().map(|flight| flight.mac1).ok_or(unexpected)?;
        let cookie = peer.macs.open_cookie(frame, &mac1).ok_or(DropReason::HandshakeMac)?;
        peer.cookie = Some((cookie, now));
        if attempt.cookies < COOKIES_MAX {
            attempt.cookies += 1;
            attempt.tries = attempt.tries.saturating_sub(1);
            attempt.retry_at = now;
            self.schedule(slot, now);
        }
        Ok(Verdict::Consumed)
    }

    /// Makes a session that this side answered the next one, and gives up a call of its own if the
    /// caller's goes first.
    fn install_next(&mut self, index: SessionIndex, origin: Origin, keys: &KeyPair) {
        let (slot, now, is_direct) = (origin.peer, origin.created, origin.relays.is_empty());
        self.sessions.establish(index, Session::new(origin, keys));
        let Some(peer) = self.peers.get_mut(slot) else { return };
        let replaced = peer.next.replace(index);
        let is_settled = peer.node < self.me.node && peer.is_satisfied_by(is_direct);
        let given_up = is_settled.then(|| peer.attempt.take()).flatten();
        if given_up.is_some() {
            peer.connect_at = now + crate::dataplane::HIGHER_ID_DELAY;
        }
        let pending = given_up.and_then(|attempt| attempt.index());
        [replaced, pending].into_iter().flatten().for_each(|old| self.sessions.release(old));
    }

    /// A packet proved that the peer has the session `index`: if it is the next one, it is used
    /// from here on.
    pub(crate) fn confirm(&mut self, slot: PeerSlot, index: SessionIndex) {
        let Some(peer) = self.peers.get_mut(slot) else { return };
        if peer.next != Some(index) {
            return;
        }
        peer.next = None;
        let is_direct = self.sessions.get(index).is_some_and(|session| session.relays.is_empty());
        let settled = if peer.is_satisfied_by(is_direct) { peer.attempt.take() } else { None };
        if let Some(pending) = settled.and_then(|attempt| attempt.index()) {
            self.sessions.release(pending);
        }
        self.make_current(slot, index);
    }

    /// Replaces the current session, which stays as the previous one, and says so.
    fn make_current(&mut self, slot: PeerSlot, index: SessionIndex) {
        let Some(peer) = self.peers.get_mut(slot) else { return };
        let replaced = core::mem::replace(&mut peer.previous, peer.current);
        peer.current = Some(index);
        peer.meter.handshakes += 1;
        let was_up = core::mem::replace(&mut peer.is_up, true);
        let node = peer.node;
        let event = if was_up { Event::Rekeyed(node) } else { Event::PeerUp(node) };
        self.sessions.touch(index.link());
        self.peers.touch(node);
        if let Some(old) = replaced {
            self.sessions.release(old);
        }
        self.emit(event);
    }

    /// Sends an initiation to a peer whose attempt is due; the one before it can no longer be
    /// answered.
    pub(crate) fn send_initiation(&mut self, slot: PeerSlot, now: Instant) {
        let seed = self.random_seed();
        let random = self.rng.next_u32();
        let stamp = self.next_stamp(now);
        let Some(peer) = self.peers.get_mut(slot) else { return };
        let Some(attempt) = peer.attempt.as_mut() else { return };
        if let Some(before) = attempt.flight.take() {
            self.sessions.release(before.index);
        }
        let tries = usize::try_from(attempt.tries).unwrap_or_default();
        attempt.tries = attempt.tries.saturating_add(1);
        let config = &peer.config;
        let started = Initiator::start(&self.me.secret, &config.key, &config.psk, stamp, seed);
        let Ok((noise, message)) = started else { return };
        let Some(index) = self.sessions.reserve(slot, random) else { return };
        let relays = peer.reach.as_ref().map_or(&[][..], Reach::relays).to_vec();
        let mut frame = initiation(index, &message);
        let mac1 = sign(peer, &mut frame, now);
        let to = peer.node;
        let count = peer.candidates().count().max(1);
        let address = peer.candidates().nth(tries % count);
        if let Some(attempt) = peer.attempt.as_mut() {
            attempt.flight = Some(Flight { index, noise, mac1, relays: relays.clone() });
        }
        if !relays.is_empty() {
            // A first hop that is not connected yet is like a lost frame: the timer tries again.
            let _ = self.send_relayed(to, &relays, &frame, now);
        } else if let Some(address) = address {
            self.transmit(Transmit { to: address, tos: 0, bytes: frame.to_vec() });
        }
    }

    /// A timestamp above all before it, also when the wall clock was set back.
    fn next_stamp(&mut self, now: Instant) -> Timestamp {
        let after = Timestamp::from_nanos(self.stamp.as_nanos().saturating_add(1));
        self.stamp = after.max(self.me.clock.at(now));
        self.stamp
    }
}

/// A nonce for a cookie reply.
fn random_nonce(rng: &mut impl Rng) -> [u8; 24] {
    let mut nonce = [0; 24];
    rng.fill_bytes(&mut nonce);
    nonce
}

/// Puts the macs on a frame for `peer` and returns mac1.
fn sign(peer: &Peer, frame: &mut [u8], now: Instant) -> [u8; MAC_LEN] {
    let cookie = peer.cookie.filter(|(_, since)| now.since(*since) < COOKIE_LIFE);
    let mut mac1 = [0; MAC_LEN];
    let first = |covered: &[u8]| {
        mac1 = peer.macs.mac1(covered);
        mac1
    };
    let second = |covered: &[u8]| cookie.map_or([0; MAC_LEN], |(cookie, _)| mac2(&cookie, covered));
    write_macs(frame, first, second);
    mac1
}

/// Whether the relays that a message names are a path to `me` and those that its packet passed,
/// `previous` being the last.
fn is_path_of(
    message: &RelayedHandshake,
    header: &HeaderView<'_>,
    me: NodeId,
    previous: NodeId,
) -> bool {
    let relays = message.relays.as_slice();
    let is_last = relays.last() == Some(&previous);
    let is_listed = relays
        .iter()
        .skip(1)
        .rev()
        .enumerate()
        .all(|(index, relay)| header.sid(index + 1).and_then(Sid::node) == Some(*relay));
    let is_path = SegmentList::new(relays, me).is_ok() && !relays.contains(&message.origin);
    relays.len() == header.listed() && is_last && is_listed && is_path
}
