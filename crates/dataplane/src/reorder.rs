//! Puts packets of one counter that came by several paths into order again, within bounds.
//!
//! A packet that is next is delivered at once. One that overtook others waits for them until one of
//! four things happens: they come; every path has brought a later counter, so that they are lost,
//! because a path keeps its order; the packet waited [`HOLD_MAX`]; or too much waits. A packet that
//! comes after it was given up is delivered late rather than dropped.
//!
//! **Source:** RFC 1990 (multilink PPP) section 4.1, whose rule "M is the smallest of the newest
//! numbers of all links" tells loss from overtaking without a timer.

use core::time::Duration;
use srwan_wire::path_group::GROUP_MEMBERS_MAX;
use srwan_wire::time::Instant;
use std::collections::{BTreeMap, VecDeque};

/// How long a packet waits at most for those before it.
///
/// The headend takes turns over paths whose delays differ by at most 40 ms; the rest is for their
/// queues. Half of the least time after which TCP takes silence for loss (200 ms in Linux). It is
/// waited out only where a path falls silent: a loss on a path that goes on is known at once.
pub(crate) const HOLD_MAX: Duration = Duration::from_millis(100);

/// Packets that wait at most: what overtakes at 1 Gbit/s on a path that is 40 ms faster.
pub(crate) const HELD_PACKETS_MAX: usize = 2_048;

/// A path that brought nothing for this long is not waited for: pauses of a flow are shorter.
const SILENT_AFTER: Duration = Duration::from_secs(10);

const MEMBERS: usize = 16;
const _: () = assert!(GROUP_MEMBERS_MAX == 16, "MEMBERS is GROUP_MEMBERS_MAX");

/// What becomes of a packet that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is delivered at once.
    Now,
    /// It waits.
    Held,
}

/// The packets of one group of paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reorder {
    /// Counter of the packet that is delivered next.
    next: u64,
    held: BTreeMap<u64, Vec<u8>>,
    /// When each held packet came, in that order; those that left since are skipped.
    arrivals: VecDeque<(Instant, u64)>,
    /// The highest counter that each path brought, and when it last brought any.
    newest: [Option<(u64, Instant)>; MEMBERS],
    /// When the first packet came: all paths are known a hold later.
    since: Option<Instant>,
}

impl Reorder {
    /// A packet came over the path at `member`; its counter came for the first time.
    ///
    /// Then [`Reorder::pop`] until `None`: what it gives follows a packet that is delivered now.
    pub(crate) fn arrive(
        &mut self,
        member: u8,
        counter: u64,
        packet: &[u8],
        now: Instant,
    ) -> Place {
        self.since.get_or_insert(now);
        let seen = &mut self.newest[usize::from(member) % MEMBERS];
        let newest = seen.map_or(counter, |(newest, _)| newest.max(counter));
        *seen = Some((newest, now));
        if counter > self.next {
            self.held.insert(counter, packet.to_vec());
            self.arrivals.push_back((now, counter));
            return Place::Held;
        }
        if counter == self.next {
            self.next += 1;
        }
        Place::Now
    }

    /// The next packet that is to be delivered; all that wait if there is no room.
    pub(crate) fn pop(&mut self, has_room: bool, now: Instant) -> Option<Vec<u8>> {
        let (first, _) = self.held.first_key_value()?;
        let is_due = *first == self.next
            || self.held.len() > HELD_PACKETS_MAX
            || !has_room
            || *first <= self.brought_by_all(now)
            || self.deadline().is_some_and(|at| at <= now);
        if !is_due {
            return None;
        }
        let (counter, packet) = self.held.pop_first()?;
        self.next = counter + 1;
        self.forget_arrivals();
        Some(packet)
    }

    /// When the packet that waits longest is to be delivered.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.arrivals.front().map(|(at, _)| *at + HOLD_MAX)
    }

    /// When anything came last.
    pub(crate) fn last_arrival(&self) -> Option<Instant> {
        self.newest.iter().flatten().map(|(_, at)| *at).max()
    }

    /// The counter that every path in use has reached: whatever is missing before it is lost.
    fn brought_by_all(&self, now: Instant) -> u64 {
        if self.since.is_none_or(|since| now.since(since) < HOLD_MAX) {
            return 0;
        }
        let in_use = self.newest.iter().flatten().filter(|(_, at)| now.since(*at) < SILENT_AFTER);
        in_use.map(|(newest, _)| *newest).min().unwrap_or(0)
    }

    fn forget_arrivals(&mut self) {
        while self.arrivals.front().is_some_and(|(_, counter)| *counter < self.next) {
            self.arrivals.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(1_000 + millis)
    }

    /// Feeds arrivals (member, counter, ms) and lets time pass; what is delivered, and when.
    fn deliver(arrivals: &[(u8, u64, u64)]) -> Vec<(u64, u64)> {
        let mut reorder = Reorder::default();
        let mut delivered = Vec::new();
        let last = arrivals.iter().map(|(_, _, ms)| *ms).max().unwrap_or(0);
        for ms in 0..=last + 110 {
            let due = |reorder: &mut Reorder, delivered: &mut Vec<(u64, u64)>| {
                while let Some(packet) = reorder.pop(true, at(ms)) {
                    delivered.push((number(&packet), ms));
                }
            };
            due(&mut reorder, &mut delivered);
            for (member, counter, _) in arrivals.iter().filter(|(_, _, when)| *when == ms) {
                let packet = counter.to_be_bytes();
                if reorder.arrive(*member, *counter, &packet, at(ms)) == Place::Now {
                    delivered.push((*counter, ms));
                }
                due(&mut reorder, &mut delivered);
            }
        }
        assert_eq!((reorder.held.len(), reorder.deadline()), (0, None), "nothing is left");
        delivered
    }

    fn number(packet: &[u8]) -> u64 {
        u64::from_be_bytes(packet.try_into().unwrap())
    }

    #[test]
    fn packets_that_overtook_wait_for_the_others() {
        let delivered = deliver(&[(0, 0, 0), (0, 2, 1), (0, 4, 2), (1, 1, 10), (1, 3, 11)]);
        assert_eq!(delivered, [(0, 0), (1, 10), (2, 10), (3, 11), (4, 11)]);
    }

    #[test]
    fn a_loss_is_known_when_every_path_has_brought_more() {
        let delivered = deliver(&[(0, 0, 0), (1, 1, 0), (0, 2, 111), (0, 4, 112), (1, 5, 118)]);
        assert_eq!(delivered, [(0, 0), (1, 0), (2, 111), (4, 118), (5, 118)]);
    }

    #[test]
    fn a_path_that_is_silent_is_waited_for_only_so_long() {
        let delivered = deliver(&[(1, 0, 0), (0, 2, 5), (0, 3, 7)]);
        assert_eq!(delivered, [(0, 0), (2, 105), (3, 105)]);
    }

    #[test]
    fn what_comes_too_late_is_delivered_late() {
        let delivered = deliver(&[(0, 0, 0), (0, 2, 1), (1, 1, 140)]);
        assert_eq!(delivered.last(), Some(&(1, 140)));
    }

    #[test]
    fn a_single_path_waits_for_nothing() {
        let delivered = deliver(&[(0, 0, 0), (0, 3, 101), (0, 7, 102)]);
        assert_eq!(delivered, [(0, 0), (3, 101), (7, 102)]);
    }

    #[test]
    fn a_slower_path_that_was_not_seen_yet_is_waited_for_at_the_start() {
        let delivered = deliver(&[(0, 0, 0), (0, 2, 1), (1, 1, 20)]);
        assert_eq!(delivered, [(0, 0), (1, 20), (2, 20)]);
    }

    #[test]
    fn no_more_than_the_bound_waits() {
        let mut reorder = Reorder::default();
        reorder.arrive(1, 0, b"x", at(0));
        let mut out = 0;
        for counter in (2..20_000).step_by(2) {
            reorder.arrive(0, counter, b"x", at(0));
            while reorder.pop(true, at(0)).is_some() {
                out += 1;
            }
            assert!(reorder.held.len() <= HELD_PACKETS_MAX);
        }
        assert_eq!(out + reorder.held.len(), 9_999);
    }

    #[test]
    fn nothing_waits_where_there_is_no_room() {
        let mut reorder = Reorder::default();
        reorder.arrive(1, 0, b"x", at(0));
        reorder.arrive(0, 2, b"y", at(0));
        assert_eq!(reorder.pop(false, at(0)), Some(b"y".to_vec()));
    }

    /// Packets that take turns over paths with these delays in ms; some are lost.
    fn sent() -> impl Strategy<Value = (Vec<u64>, Vec<(u64, bool)>)> {
        let delays = proptest::collection::vec(0_u64..80, 1..4);
        let packets = proptest::collection::vec((0_u64..5, proptest::bool::weighted(0.1)), 1..150);
        (delays, packets)
    }

    fn arrivals(delays: &[u64], packets: &[(u64, bool)]) -> Vec<(u8, u64, u64)> {
        let mut now = 0;
        let mut arrivals = Vec::new();
        for (counter, (gap, is_lost)) in packets.iter().enumerate() {
            now += gap;
            let path = counter % delays.len();
            // Each path is seen at the start: see `since`.
            if !is_lost || counter < delays.len() {
                let counter = u64::try_from(counter).unwrap();
                arrivals.push((u8::try_from(path).unwrap(), counter, now + delays[path]));
            }
        }
        arrivals.sort_by_key(|(_, counter, ms)| (*ms, *counter));
        arrivals
    }

    proptest! {
        /// Paths that keep their order and differ by less than the hold: order is restored in full.
        #[test]
        fn order_is_restored_and_each_packet_delivered_once((delays, packets) in sent()) {
            let arrivals = arrivals(&delays, &packets);
            let delivered = deliver(&arrivals);
            let mut expected: Vec<u64> = arrivals.iter().map(|(_, counter, _)| *counter).collect();
            expected.sort_unstable();
            let order: Vec<u64> = delivered.iter().map(|(counter, _)| *counter).collect();
            prop_assert_eq!(order, expected);
        }

        /// Whatever arrives in whatever order: once, and no later than the hold allows.
        #[test]
        fn nothing_waits_longer_than_the_hold_nor_is_delivered_twice(
            arrivals in proptest::collection::btree_map(0_u64..200, (0_u8..3, 0_u64..300), 1..100),
        ) {
            let arrivals: Vec<_> = arrivals.into_iter().map(|(c, (m, ms))| (m, c, ms)).collect();
            let mut delivered = deliver(&arrivals);
            let hold = u64::try_from(HOLD_MAX.as_millis()).unwrap();
            for (_, counter, came) in &arrivals {
                let (_, left) = *delivered.iter().find(|(c, _)| c == counter).unwrap();
                prop_assert!((*came..=came + hold).contains(&left), "{came} to {left}");
            }
            delivered.sort_unstable();
            delivered.dedup_by_key(|(counter, _)| *counter);
            prop_assert_eq!(delivered.len(), arrivals.len());
        }
    }
}
