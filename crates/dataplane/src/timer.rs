//! Time: when a peer is called, called again, renewed, kept alive and given up.
//!
//! Each peer has one place in a queue. When it is due, everything about it is looked at once, and
//! it gets its next place. Packets never touch the queue.

use crate::dataplane::{Dataplane, Event};
use crate::handshake::Attempt;
use crate::peer::{KEEPALIVE_INTERVAL, Peer, PeerSlot, Reach};
use crate::session::Session;
use core::time::Duration;
use rand_chacha::rand_core::Rng;
use srwan_wire::id::SessionIndex;
use srwan_wire::time::Instant;
use std::collections::BTreeSet;

/// Waits after the first and second try: a peer that starts at the same time, or a lost frame,
/// costs little.
const RETRY_FIRST: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// Wait between tries. Source: WireGuard's REKEY_TIMEOUT; threat T21.
const RETRY: Duration = Duration::from_secs(5);

/// For how long to try at that pace. Source: WireGuard's REKEY_ATTEMPT_TIME; threat T21.
const RETRY_FOR: Duration = Duration::from_secs(90);

/// Longest wait towards an address that never answered: it may be a victim's (threat T21).
const BACKOFF_MAX: Duration = Duration::from_secs(3_600);

/// Longest wait towards a peer that did answer at its address once, or over relays (no address is
/// aimed at): a healed partition must merge within 3 pulses (I32).
const BACKOFF_MAX_PROVEN: Duration = Duration::from_secs(10);

/// Silence in answer to our packets after which the peer may have lost the session (restarted):
/// call it.
///
/// Longer than [`PASSIVE_AFTER`] and a look at the peer together, so that one-way traffic is no
/// silence.
const SILENCE: Duration = Duration::from_secs(20);

/// A peer that we heard and did not answer for that long gets a keepalive. Source: WireGuard's
/// KEEPALIVE_TIMEOUT.
const PASSIVE_AFTER: Duration = Duration::from_secs(10);

/// How often a peer with a session is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Who is due when.
#[derive(Debug, Default)]
pub(crate) struct TimerQueue(BTreeSet<(Instant, PeerSlot)>);

impl TimerQueue {
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    pub(crate) fn cancel(&mut self, slot: PeerSlot, due: Option<Instant>) {
        if let Some(at) = due {
            self.0.remove(&(at, slot));
        }
    }

    fn pop(&mut self, now: Instant) -> Option<PeerSlot> {
        let (at, slot) = *self.0.first()?;
        (at <= now).then(|| {
            self.0.pop_first();
            slot
        })
    }
}

impl Dataplane {
    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.sequencer.handle_timeout(now);
        while let Some(slot) = self.timers.pop(now) {
            if let Some(peer) = self.peers.get_mut(slot) {
                peer.due = None;
            }
            self.look_at(slot, now);
        }
    }

    /// Has a peer looked at when `at` comes, or earlier.
    pub(crate) fn schedule(&mut self, slot: PeerSlot, at: Instant) {
        let Some(peer) = self.peers.get_mut(slot) else { return };
        if peer.due.is_some_and(|due| due <= at) {
            return;
        }
        self.timers.cancel(slot, peer.due);
        peer.due = Some(at);
        self.timers.0.insert((at, slot));
    }

    fn look_at(&mut self, slot: PeerSlot, now: Instant) {
        self.expire(slot, now);
        self.renew(slot, now);
        self.keep_alive(slot, now);
        if let Some(at) = self.next_look(slot, now) {
            self.schedule(slot, at.max(now + Duration::from_nanos(1)));
        }
    }

    /// Ends sessions that are too old.
    fn expire(&mut self, slot: PeerSlot, now: Instant) {
        let sessions = &mut self.sessions;
        let Some(peer) = self.peers.get_mut(slot) else { return };
        for held in [&mut peer.previous, &mut peer.current, &mut peer.next] {
            let is_live = |index| sessions.get(index).is_some_and(|session| session.is_live(now));
            if let Some(dead) = held.take_if(|index| !is_live(*index)) {
                sessions.release(dead);
            }
        }
        if peer.is_up && peer.current.is_none() {
            peer.is_up = false;
            peer.address = None;
            peer.connect_at = now;
            let node = peer.node;
            self.peers.touch(node);
            self.emit(Event::PeerDown(node));
        }
    }

    /// Calls the peer if that is due.
    fn renew(&mut self, slot: PeerSlot, now: Instant) {
        let starts = self.starts_at(slot, now).is_some_and(|at| at <= now);
        let Some(peer) = self.peers.get_mut(slot) else { return };
        if peer.attempt.is_none() && starts {
            peer.attempt = Some(Attempt::new(now));
        }
        if peer.attempt.as_ref().is_some_and(|attempt| attempt.retry_at <= now) {
            self.send_initiation(slot, now);
            let jitter = self.rng.next_u32();
            if let Some(peer) = self.peers.get_mut(slot) {
                set_retry(peer, jitter, now);
            }
        }
    }

    /// When the peer is to be called, if no call is under way; `None` if it is not to be called at
    /// all.
    fn starts_at(&self, slot: PeerSlot, now: Instant) -> Option<Instant> {
        let peer = self.peers.get(slot)?;
        peer.reach.as_ref()?;
        let Some(session) = peer.current.and_then(|index| self.sessions.get(index)) else {
            return Some(peer.connect_at);
        };
        if !peer.is_satisfied_by(session.relays.is_empty()) {
            return Some(peer.connect_at);
        }
        let scheduled = if session.is_worn() { now } else { session.renews() };
        let is_waiting = peer.spoken > peer.received;
        let silent = is_waiting.then(|| peer.received.max(session.created) + SILENCE);
        Some(scheduled.min(silent.unwrap_or(scheduled)).max(peer.connect_at))
    }

    /// Sends a keepalive if the peer, or a NAT on the way, waits for one.
    fn keep_alive(&mut self, slot: PeerSlot, now: Instant) {
        let Some((peer, _, _)) = self.current(slot, now) else { return };
        let quiet = now.since(peer.sent);
        let is_nat_due = peer.config.keepalive && quiet >= KEEPALIVE_INTERVAL;
        let is_answer_due = peer.heard > peer.sent && quiet >= PASSIVE_AFTER;
        if is_nat_due || is_answer_due {
            self.send_keepalive(slot, now);
        }
    }

    fn next_look(&self, slot: PeerSlot, now: Instant) -> Option<Instant> {
        let peer = self.peers.get(slot)?;
        let call = peer.attempt.as_ref().map(|attempt| attempt.retry_at);
        let call = call.or_else(|| self.starts_at(slot, now));
        let look = peer.current.map(|_| now + LOOK_EVERY);
        let ends = |index: SessionIndex| self.sessions.get(index).map(Session::ends);
        let held = [peer.previous, peer.current, peer.next].into_iter().flatten();
        held.filter_map(ends).chain(call).chain(look).min()
    }
}

/// Sets when an attempt is tried again; up to an eighth is added so that peers do not march in
/// step.
fn set_retry(peer: &mut Peer, jitter: u32, now: Instant) {
    let is_safe = peer.is_proven || peer.reach != Some(Reach::Direct);
    let max = if is_safe { BACKOFF_MAX_PROVEN } else { BACKOFF_MAX };
    let Some(attempt) = peer.attempt.as_mut() else { return };
    let wait = wait_after(attempt.tries, now.since(attempt.started), max);
    attempt.retry_at = now + wait + wait / 8 * (jitter & 0xff) / 256;
}

/// How long to wait after so many tries in so long a time: after [`RETRY_FOR`], as long again as it
/// took so far.
fn wait_after(tries: u32, elapsed: Duration, max: Duration) -> Duration {
    let first = usize::try_from(tries).ok().and_then(|tries| RETRY_FIRST.get(tries - 1));
    match first {
        Some(wait) => *wait,
        None if elapsed < RETRY_FOR => RETRY,
        None => (elapsed / 2).min(max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When tries happen, in seconds, without jitter.
    fn tries(until: u64, max: Duration) -> Vec<u64> {
        let (mut at, mut all) = (Duration::ZERO, Vec::new());
        while at <= Duration::from_secs(until) {
            all.push(at.as_secs());
            at += wait_after(u32::try_from(all.len()).unwrap(), at, max);
        }
        all
    }

    #[test]
    fn the_first_retries_are_quick_and_a_silent_address_is_left_alone_in_the_end() {
        assert_eq!(tries(20, BACKOFF_MAX), [0, 1, 3, 8, 13, 18]);
        assert!(tries(90, BACKOFF_MAX).len() <= 21);
        let day = tries(86_400, BACKOFF_MAX);
        assert_eq!(day[day.len() - 1] - day[day.len() - 2], 3_600);
        assert!(day.len() < 70);
    }

    #[test]
    fn a_peer_that_was_there_before_is_tried_every_ten_seconds() {
        let late = tries(7_200, BACKOFF_MAX_PROVEN);
        assert_eq!(late[late.len() - 1] - late[late.len() - 2], 10);
    }
}
