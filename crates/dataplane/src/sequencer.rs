//! Packets for the host that wait for those before them, of all groups of paths that end here.
//!
//! One [`Reorder`] for each group of each session; this file bounds them together and knows when the
//! next one is due.

use crate::reorder::{Place, Reorder};
use core::time::Duration;
use srwan_wire::id::{NodeId, SessionIndex};
use srwan_wire::path_group::PathGroup;
use srwan_wire::time::Instant;
use std::collections::{BTreeMap, VecDeque};

/// Octets that wait at most in one router, whoever sent them: 100 ms at 670 Mbit/s. Beyond it nothing
/// waits: packets are delivered as they come.
pub const HELD_OCTETS_MAX: usize = 8 << 20;

/// Groups whose order is kept: a few for each member of a group of 100, also while sessions are
/// renewed. Packets of further ones are delivered as they come.
const GROUPS_MAX: usize = 1_024;

/// A group without packets is forgotten after this: its session is dead by then (180 s).
const FORGET_AFTER: Duration = Duration::from_secs(200);

/// A packet for the host that had to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The inner packet.
    pub packet: Vec<u8>,
    /// Who wrapped it.
    pub origin: NodeId,
}

/// Where an authentic packet stands among the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) session: SessionIndex,
    pub(crate) group: PathGroup,
    pub(crate) member: u8,
    pub(crate) counter: u64,
    pub(crate) origin: NodeId,
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Sequencer {
    groups: BTreeMap<(SessionIndex, PathGroup), Reorder>,
    /// Who wrapped the packets of a session.
    origins: BTreeMap<SessionIndex, NodeId>,
    due: Option<Instant>,
    octets: usize,
    ready: VecDeque<Delivery>,
}

impl Sequencer {
    /// Takes a packet whose counter came for the first time; [`Place::Now`]: deliver it, then what
    /// [`Sequencer::pop`] gives.
    pub(crate) fn arrive(&mut self, at: Position, packet: &[u8], now: Instant) -> Place {
        let key = (at.session, at.group);
        if !self.groups.contains_key(&key) && !self.make_room(now) {
            return Place::Now;
        }
        self.origins.insert(at.session, at.origin);
        let order = self.groups.entry(key).or_default();
        let place = order.arrive(at.member, at.counter, packet, now);
        if place == Place::Held {
            self.octets += packet.len();
            self.due = [self.due, order.deadline()].into_iter().flatten().min();
        }
        self.release(key, now);
        place
    }

    /// Delivers what has waited long enough.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let all: Vec<_> = self.groups.keys().copied().collect();
        all.into_iter().for_each(|key| self.release(key, now));
        self.due = self.groups.values().filter_map(Reorder::deadline).min();
    }

    /// When the next packet has waited long enough.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// The next packet for the host.
    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        self.ready.pop_front()
    }

    fn release(&mut self, key: (SessionIndex, PathGroup), now: Instant) {
        let Some(order) = self.groups.get_mut(&key) else { return };
        let Some(origin) = self.origins.get(&key.0).copied() else { return };
        while let Some(packet) = order.pop(self.octets <= HELD_OCTETS_MAX, now) {
            self.octets -= packet.len();
            self.ready.push_back(Delivery { packet, origin });
        }
    }

    /// Forgets groups of dead sessions; whether there is room for one more.
    fn make_room(&mut self, now: Instant) -> bool {
        let is_alive = |order: &Reorder| {
            order.deadline().is_some()
                || order.last_arrival().is_some_and(|at| now.since(at) < FORGET_AFTER)
        };
        self.groups.retain(|_, order| is_alive(order));
        let groups = &self.groups;
        self.origins.retain(|session, _| groups.keys().any(|(of, _)| of == session));
        self.groups.len() < GROUPS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn position(session: u32, counter: u64) -> Position {
        Position {
            session: SessionIndex(session),
            group: PathGroup::IN_ORDER,
            member: 0,
            counter,
            origin: NodeId::new(session).unwrap(),
        }
    }

    #[test]
    fn sessions_wait_for_themselves_alone_and_are_due_when_the_first_of_them_is() {
        let mut sequencer = Sequencer::default();
        assert_eq!(sequencer.arrive(position(1, 1), b"a", at(0)), Place::Held);
        assert_eq!(sequencer.arrive(position(2, 0), b"b", at(10)), Place::Now);
        assert_eq!(sequencer.arrive(position(2, 2), b"c", at(20)), Place::Held);
        assert_eq!(sequencer.poll_timeout(), Some(at(100)));
        sequencer.handle_timeout(at(100));
        let (packet, origin) = (b"a".to_vec(), NodeId::new(1).unwrap());
        assert_eq!(sequencer.pop(), Some(Delivery { packet, origin }));
        assert_eq!((sequencer.pop(), sequencer.poll_timeout()), (None, Some(at(120))));
    }

    #[test]
    fn no_more_octets_wait_than_the_bound() {
        let mut sequencer = Sequencer::default();
        let packet = vec![7; 9_000];
        let mut released = 0;
        for session in 1..=4 {
            for counter in 1..=600 {
                sequencer.arrive(position(session, 2 * counter), &packet, at(0));
                while sequencer.pop().is_some() {
                    released += 1;
                }
                assert!(sequencer.octets <= HELD_OCTETS_MAX);
            }
        }
        assert_eq!(released, 2_400 - HELD_OCTETS_MAX / 9_000, "the others wait");
    }

    #[test]
    fn groups_of_dead_sessions_make_room() {
        let mut sequencer = Sequencer::default();
        let most = u32::try_from(GROUPS_MAX).unwrap();
        for session in 1..=most {
            sequencer.arrive(position(session, 0), b"x", at(0));
        }
        assert_eq!(sequencer.arrive(position(most + 1, 5), b"x", at(1)), Place::Now);
        assert_eq!(sequencer.arrive(position(most + 1, 6), b"x", at(300_000)), Place::Held);
        assert_eq!(sequencer.groups.len(), 1);
    }
}
