//! A lane's credit and replay windows in memory on which several executors work at the same time.
//!
//! ```text
//!  word  what                                                        written by
//!  0     octets up to which it is served                             the data plane
//!  1     octets billed, with those on record before                  every executor
//!  2     packets that others carried, with a header of 24 octets     the other executors
//!  3     the same, with a header of 32 octets                        the other executors
//!  4     label of the lane that has this place; 0 = none             the data plane
//!  8-12  stream of each window: 1 <<40 | session <<8 | path; 0 = no  the data plane
//!  16..  five windows: next counter, 7 unused, 512 words of bits     every executor
//! ```
//!
//! Whoever carries a packet first takes its counter, then bills its octets. Both are one compare-and-swap, so no
//! counter is billed twice, nothing is billed beyond what is allowed, and there is nothing to merge afterwards.
//!
//! A word of a window holds 32 counters and above them the number of its round (counter / 16,384): a newer round
//! replaces the word, so nobody has to clear words first, as RFC 6479 does. 512 words are twice the window, so what
//! is replaced lies always behind it. Counters from 2^45 on, for whose rounds a word has no room, are left to the data
//! plane; no honest session gets there.
//!
//! Only the data plane gives windows to streams. The one that was taken from the oldest stream rests until the next
//! is needed: an executor that found it just before does not write into what has another owner by then.

use crate::drop_reason::DropReason;
use crate::lane::LANES_MAX;
use crate::replay::{REPLAY_WINDOW, ReplayError, ReplayWindow};
use core::sync::atomic::{AtomicU64, Ordering};
use srwan_wire::id::{LaneLabel, Octets, PathId, SessionIndex};
use srwan_wire::segment::{AEAD_TAG_LEN, FIXED_LEN, LINK_TAG_LEN};
use std::collections::VecDeque;

/// Words of one lane.
pub const LANE_WORDS: usize = FIRST_STREAM + STREAMS * STREAM_WORDS;

/// Lanes that share their state at most: 21 MB. Further ones are carried by the data plane alone.
pub const SHARED_LANES_MAX: usize = 1_024;
const _: () = assert!(SHARED_LANES_MAX <= LANES_MAX, "there are never more than that");

/// Words of [`FastPathMemory`] for what was refused: replays, packets beyond their lane's credit, and packets with a
/// valid link tag that were left to the data plane.
pub const REFUSED_WORDS: usize = 8;

const ALLOWED: usize = 0;
const OCTETS: usize = 1;
const PACKETS_SHORT: usize = 2;
const PACKETS_LONG: usize = 3;
const OWNER: usize = 4;
const FIRST_KEY: usize = 8;
const FIRST_STREAM: usize = 16;

/// Four windows in use, as many as a lane that is not shared has, and one at rest.
const STREAMS: usize = 5;
const STREAM_WORDS: usize = STREAM_HEAD + WINDOW_WORDS;
const STREAM_HEAD: usize = 8;
const WINDOW_WORDS: usize = 512;
const WORD_COUNTERS: u64 = 32;

/// Counters from here on are taken in windows that the data plane does not share.
const COUNTER_HIGH: u64 = 1 << 45;

const REPLAYED: usize = 0;
const CREDIT: usize = 1;

/// Octets of a datagram besides the inner packet, with one SID listed and with two or three.
const OVERHEAD_SHORT: u64 = 48;
const OVERHEAD_LONG: u64 = 56;
const _: () = assert!(FIXED_LEN + 8 + LINK_TAG_LEN + AEAD_TAG_LEN == 48, "OVERHEAD_SHORT");

/// Memory that the data plane shares with the executor that the shell started.
///
/// It must be all zeroes, and may be in use by one data plane only.
#[derive(Clone, Copy, Debug)]
pub struct FastPathMemory {
    lanes: &'static [AtomicU64],
    refused: &'static [AtomicU64],
}

impl FastPathMemory {
    /// Room for as many lanes as `lanes` has [`LANE_WORDS`] for; `None` if there is none, or `refused` has not
    /// [`REFUSED_WORDS`].
    #[must_use]
    pub fn new(lanes: &'static [AtomicU64], refused: &'static [AtomicU64]) -> Option<Self> {
        let is_whole = !lanes.is_empty() && lanes.len().is_multiple_of(LANE_WORDS);
        (is_whole && refused.len() == REFUSED_WORDS).then_some(Self { lanes, refused })
    }
}

/// A lane's place in the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneSlot(pub u32);

/// Which places are free, and what was refused.
#[derive(Debug)]
pub(crate) struct SharedLanes {
    memory: FastPathMemory,
    free: VecDeque<LaneSlot>,
    refused: [u64; 2],
}

impl SharedLanes {
    pub(crate) fn new(memory: FastPathMemory) -> Self {
        let count = (memory.lanes.len() / LANE_WORDS).min(SHARED_LANES_MAX);
        let slots = 0..u32::try_from(count).expect("at most 1,024");
        Self { memory, free: slots.map(LaneSlot).collect(), refused: [0; 2] }
    }

    /// Gives a lane a place; the longest free one, so that late packets rarely meet another lane.
    pub(crate) fn open(
        &mut self,
        label: LaneLabel,
        octets: Octets,
        allowed: Octets,
    ) -> Option<SharedLane> {
        let slot = self.free.pop_front()?;
        let words = self.memory.lanes.chunks_exact(LANE_WORDS).nth(place(slot))?;
        words[..FIRST_STREAM].iter().for_each(|word| word.store(0, Ordering::Relaxed));
        words[OCTETS].store(octets.0, Ordering::Relaxed);
        words[ALLOWED].store(allowed.0, Ordering::Relaxed);
        words[OWNER].store(u64::from(label.0), Ordering::Release);
        Some(SharedLane {
            slot,
            words,
            cursor: 0,
            high: Default::default(),
            folded: Carried::default(),
        })
    }

    /// Takes a lane's place back: from here on nobody else carries its packets.
    pub(crate) fn close(&mut self, lane: &SharedLane) {
        lane.words[OWNER].store(0, Ordering::Release);
        self.free.push_back(lane.slot);
    }

    /// What others refused since the last call.
    pub(crate) fn fold_refused(&mut self) -> [(DropReason, u64); 2] {
        let replayed = since(&self.memory.refused[REPLAYED], &mut self.refused[0]);
        let credit = since(&self.memory.refused[CREDIT], &mut self.refused[1]);
        [(DropReason::Replayed, replayed), (DropReason::LaneCredit, credit)]
    }
}

/// What other executors carried of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Datagrams.
    pub(crate) packets: u64,
    /// Octets of their inner packets.
    pub(crate) octets: u64,
    /// Octets of their UDP payloads.
    pub(crate) wire: u64,
}

/// The shared state of one lane, as the data plane holds it.
#[derive(Debug)]
pub(crate) struct SharedLane {
    pub(crate) slot: LaneSlot,
    words: &'static [AtomicU64],
    /// Which window the next new stream gets.
    cursor: usize,
    /// Of each stream, the counters that the shared windows have no room for.
    high: [Option<Box<ReplayWindow>>; STREAMS],
    folded: Carried,
}

impl SharedLane {
    /// Octets billed, by whomever.
    pub(crate) fn octets(&self) -> Octets {
        Octets(self.load(OCTETS))
    }

    /// Packets that others carried.
    pub(crate) fn packets(&self) -> u64 {
        self.load(PACKETS_SHORT).saturating_add(self.load(PACKETS_LONG))
    }

    pub(crate) fn set_allowed(&self, allowed: Octets) {
        self.words[ALLOWED].store(allowed.0, Ordering::Relaxed);
    }

    /// Takes the counter of a packet of `octets` and bills it.
    pub(crate) fn bill(
        &mut self,
        stream: (SessionIndex, PathId),
        counter: u64,
        octets: u64,
    ) -> Result<(), DropReason> {
        let at = self.stream(stream);
        self.take(at, counter).map_err(|_| DropReason::Replayed)?;
        if self.charge(octets) { Ok(()) } else { Err(DropReason::LaneCredit) }
    }

    /// What others carried since the last call; `own` is what the data plane itself billed, with what was on record.
    pub(crate) fn fold(&mut self, own: Octets) -> Carried {
        let (short, long) = (self.load(PACKETS_SHORT), self.load(PACKETS_LONG));
        let octets = self.octets().0.saturating_sub(own.0);
        let overhead = OVERHEAD_SHORT.saturating_mul(short) + OVERHEAD_LONG.saturating_mul(long);
        let seen = Carried { packets: short + long, octets, wire: octets.saturating_add(overhead) };
        let before = core::mem::replace(&mut self.folded, seen);
        Carried {
            packets: seen.packets.saturating_sub(before.packets),
            octets: seen.octets.saturating_sub(before.octets),
            wire: seen.wire.saturating_sub(before.wire),
        }
    }

    fn load(&self, word: usize) -> u64 {
        self.words[word].load(Ordering::Acquire)
    }

    fn charge(&self, octets: u64) -> bool {
        let more = |billed: u64| {
            let after = billed.checked_add(octets)?;
            (after <= self.load(ALLOWED)).then_some(after)
        };
        self.words[OCTETS].try_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    fn take(&mut self, at: usize, counter: u64) -> Result<(), ReplayError> {
        let window = SharedWindow(self.stream_words(at));
        if counter < COUNTER_HIGH {
            window.take(counter)?;
        } else {
            self.high[at].get_or_insert_default().accept(counter)?;
        }
        window.raise(counter);
        Ok(())
    }

    /// The window of a stream; the oldest stream loses its own when there are more than four.
    fn stream(&mut self, stream: (SessionIndex, PathId)) -> usize {
        let key = 1 << 40 | u64::from(stream.0.0) << 8 | u64::from(stream.1.0);
        let known = (0..STREAMS).find(|at| self.load(FIRST_KEY + at) == key);
        match known {
            Some(at) => at,
            None => self.begin(key),
        }
    }

    /// Gives the window at rest to a new stream, and lets the oldest one rest.
    fn begin(&mut self, key: u64) -> usize {
        let at = self.cursor;
        self.cursor = (at + 1) % STREAMS;
        self.words[FIRST_KEY + self.cursor].store(0, Ordering::Release);
        self.stream_words(at).iter().for_each(|word| word.store(0, Ordering::Relaxed));
        self.high[at] = None;
        self.words[FIRST_KEY + at].store(key, Ordering::Release);
        at
    }

    fn stream_words(&self, at: usize) -> &'static [AtomicU64] {
        &self.words[FIRST_STREAM + at * STREAM_WORDS..][..STREAM_WORDS]
    }
}

/// The counters of one stream that were taken, all below [`COUNTER_HIGH`]; it judges as [`ReplayWindow`] does.
struct SharedWindow(&'static [AtomicU64]);

impl SharedWindow {
    fn take(&self, counter: u64) -> Result<(), ReplayError> {
        let (next, words) = (&self.0[0], &self.0[STREAM_HEAD..]);
        if counter.saturating_add(REPLAY_WINDOW) < next.load(Ordering::Acquire) {
            return Err(ReplayError::TooOld);
        }
        let at = usize::try_from(counter / WORD_COUNTERS).unwrap_or_default() % WINDOW_WORDS;
        let mark = |word: u64| marked(word, counter).ok();
        let taken = words[at].try_update(Ordering::AcqRel, Ordering::Acquire, mark);
        let refused = |word| marked(word, counter).err().unwrap_or(ReplayError::Seen);
        taken.map(|_| ()).map_err(refused)
    }

    /// Makes `counter` the newest, unless a newer one was.
    fn raise(&self, counter: u64) {
        self.0[0].fetch_max(counter.saturating_add(1), Ordering::AcqRel);
    }
}

/// The word with the bit of `counter` set.
fn marked(word: u64, counter: u64) -> Result<u64, ReplayError> {
    let round = low32(counter >> 14);
    let held = low32(word >> 32);
    let bit = 1 << (counter % WORD_COUNTERS);
    let bits = match held.cmp(&round) {
        core::cmp::Ordering::Greater => return Err(ReplayError::TooOld),
        core::cmp::Ordering::Equal => u64::from(low32(word)),
        core::cmp::Ordering::Less => 0,
    };
    if bits & bit != 0 {
        return Err(ReplayError::Seen);
    }
    Ok(u64::from(round) << 32 | bits | bit)
}

fn low32(word: u64) -> u32 {
    u32::try_from(word & 0xffff_ffff).expect("masked")
}

/// By how much a counter went up since it was `seen`.
fn since(word: &AtomicU64, seen: &mut u64) -> u64 {
    let now = word.load(Ordering::Acquire);
    now.wrapping_sub(core::mem::replace(seen, now))
}

fn place(slot: LaneSlot) -> usize {
    usize::try_from(slot.0).expect("at most 1,024")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::ReplayWindow;
    use proptest::prelude::*;

    fn zeroes(count: usize) -> &'static [AtomicU64] {
        Box::leak((0..count).map(|_| AtomicU64::new(0)).collect())
    }

    fn shared(lanes: usize) -> SharedLanes {
        let memory = FastPathMemory::new(zeroes(lanes * LANE_WORDS), zeroes(REFUSED_WORDS));
        SharedLanes::new(memory.unwrap())
    }

    fn stream(session: u32) -> (SessionIndex, PathId) {
        (SessionIndex(session), PathId(1))
    }

    fn lane(shared: &mut SharedLanes, allowed: u64) -> SharedLane {
        shared.open(LaneLabel(7), Octets(0), Octets(allowed)).unwrap()
    }

    #[test]
    fn memory_of_another_size_is_refused() {
        assert!(FastPathMemory::new(zeroes(LANE_WORDS - 1), zeroes(REFUSED_WORDS)).is_none());
        assert!(FastPathMemory::new(zeroes(0), zeroes(REFUSED_WORDS)).is_none());
        assert!(FastPathMemory::new(zeroes(LANE_WORDS), zeroes(REFUSED_WORDS + 1)).is_none());
    }

    #[test]
    fn the_layout_is_that_of_the_kernel_program() {
        assert_eq!(LANE_WORDS, 2_616, "lane.h has the same number");
    }

    #[test]
    fn a_place_is_used_again_only_after_all_others() {
        let mut shared = shared(3);
        let first = lane(&mut shared, 1);
        shared.close(&first);
        let later: Vec<_> = (0..3).map(|_| lane(&mut shared, 1).slot.0).collect();
        assert_eq!(later, [1, 2, 0]);
        assert!(shared.open(LaneLabel(8), Octets(0), Octets(1)).is_none());
    }

    #[test]
    fn a_fifth_stream_takes_the_window_of_the_first() {
        let mut shared = shared(1);
        let mut lane = lane(&mut shared, u64::MAX);
        for session in 1..=4 {
            assert_eq!(lane.bill(stream(session), 5, 1), Ok(()));
        }
        for session in 1..=4 {
            assert_eq!(lane.bill(stream(session), 5, 1), Err(DropReason::Replayed));
        }
        assert_eq!(lane.bill(stream(5), 5, 1), Ok(()));
        for session in 2..=5 {
            assert_eq!(lane.bill(stream(session), 5, 1), Err(DropReason::Replayed));
        }
        assert_eq!(lane.bill(stream(1), 5, 1), Ok(()), "forgotten, as in a lane of its own");
    }

    #[test]
    fn many_threads_bill_each_counter_once_and_never_beyond_the_credit() {
        const ALLOWED: u64 = 30_000;
        let mut shared = shared(1);
        let mut lane = lane(&mut shared, ALLOWED);
        lane.bill(stream(1), 0, 1).unwrap();
        let lane = &lane;
        let carried: u64 = std::thread::scope(|scope| {
            let work = || (1..20_000).filter(|counter| take_and_charge(lane, *counter)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| u64::try_from(thread.join().unwrap()).unwrap()).sum()
        });
        assert!(carried <= 19_999, "a counter was billed twice: {carried}");
        assert_eq!(lane.octets().0, 1 + 2 * carried);
        assert!(lane.octets().0 <= ALLOWED);
        assert_eq!(lane.octets().0, ALLOWED - 1, "all of the credit was of use");
    }

    fn take_and_charge(lane: &SharedLane, counter: u64) -> bool {
        let window = SharedWindow(lane.stream_words(0));
        let is_taken = window.take(counter).is_ok();
        window.raise(counter);
        is_taken && lane.charge(2)
    }

    proptest! {
        #[test]
        fn a_shared_window_agrees_with_the_window_of_one_owner(
            steps in proptest::collection::vec((0_u8..8, 0_u64..40_000), 1..400),
        ) {
            let mut shared = shared(1);
            let mut lane = lane(&mut shared, u64::MAX);
            let (mut alone, mut top) = (ReplayWindow::new(), 0_u64);
            for (kind, step) in steps {
                let counter = match kind {
                    0 => (top + (step << 34)).min((1 << 56) - 1),
                    7 => COUNTER_HIGH - 20_000 + step,
                    1..4 => top + step / 500,
                    _ => top.saturating_sub(step / 3),
                };
                top = top.max(counter);
                let expected = alone.accept(counter).map(|_| ()).map_err(|_| DropReason::Replayed);
                prop_assert_eq!(lane.bill(stream(9), counter, 1), expected, "{}", counter);
            }
        }
    }
}
