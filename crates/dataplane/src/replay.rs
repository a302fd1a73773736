//! The replay window: which packet counters were already taken.
//!
//! A ring of bits behind the highest counter seen. Moving forward clears whole words, so a window
//! costs one compare, one word and one bit per packet. It judges and records in two steps, because
//! a counter may only be recorded after its packet proved authentic.
//!
//! **Source:** RFC 6479 (IPsec anti-replay without bit shifting).

use srwan_wire::canary::{self, Canary};

/// How far behind the highest counter a packet may arrive.
///
/// - **Units:** packets. At 1 Mpps it covers 8 ms of reordering; the same value is WireGuard's
///   (promise I18).
pub const REPLAY_WINDOW: u64 = 8_192;

const WORD_BITS: u64 = 64;

/// One word more than the window holds: the word of the highest counter is only partly in use (RFC
/// 6479 section 2).
const WORDS: u64 = REPLAY_WINDOW / WORD_BITS + 1;

const WORDS_LEN: usize = 129;
const _: () = assert!(WORDS == 129, "WORDS_LEN is WORDS");

/// Why a counter is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// This very counter was recorded before.
    #[error("the counter was already taken")]
    Seen,
    /// It lies further back than [`REPLAY_WINDOW`], so nobody can tell.
    #[error("the counter lies behind the window")]
    TooOld,
}

/// Counters taken so far: everything up to `next - 1 - REPLAY_WINDOW` counts as taken, `next` and
/// later as free.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    next: u64,
    words: [u64; WORDS_LEN],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplayWindow {
    /// A window in which no counter was taken.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: 0, words: [0; WORDS_LEN] }
    }

    /// Judges `counter` and changes nothing.
    ///
    /// # Errors
    /// [`ReplayError`] if it was recorded or is too old to tell; the packet is to be dropped.
    pub fn check(&self, counter: u64) -> Result<(), ReplayError> {
        if counter >= self.next {
            return Ok(());
        }
        let slack = if canary::is(Canary::WindowTooWide) { WORD_BITS } else { 0 };
        if self.next - counter > REPLAY_WINDOW + slack {
            return Err(ReplayError::TooOld);
        }
        let (word, bit) = place(counter);
        if self.words[word] & bit == 0 { Ok(()) } else { Err(ReplayError::Seen) }
    }

    /// Records `counter`, whose packet proved authentic; returns whether it is the newest so far.
    ///
    /// # Errors
    /// As [`ReplayWindow::check`]; then nothing was recorded.
    pub fn accept(&mut self, counter: u64) -> Result<bool, ReplayError> {
        self.check(counter)?;
        let newest = counter >= self.next;
        if newest {
            self.advance(counter);
        }
        let (word, bit) = place(counter);
        self.words[word] |= bit;
        Ok(newest)
    }

    /// Makes `counter` the highest: clears the words between.
    fn advance(&mut self, counter: u64) {
        let first = self.next.div_ceil(WORD_BITS);
        let last = counter / WORD_BITS;
        if last >= first {
            let cleared = (last - first).min(WORDS - 1);
            for word in last - cleared..=last {
                self.words[index(word)] = 0;
            }
        }
        self.next = counter.saturating_add(1);
    }
}

fn place(counter: u64) -> (usize, u64) {
    (index(counter / WORD_BITS), 1 << (counter % WORD_BITS))
}

fn index(word: u64) -> usize {
    usize::try_from(word % WORDS).expect("less than WORDS")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_counter_is_taken_once() {
        let mut window = ReplayWindow::new();
        assert_eq!(window.accept(0), Ok(true));
        assert_eq!(window.accept(0), Err(ReplayError::Seen));
        assert_eq!(window.accept(5), Ok(true));
        assert_eq!(window.accept(3), Ok(false));
        assert_eq!(window.accept(3), Err(ReplayError::Seen));
    }

    #[test]
    fn the_window_is_exactly_8192_wide() {
        for top in [REPLAY_WINDOW, REPLAY_WINDOW + 1, REPLAY_WINDOW + 63, 1 << 40] {
            let mut window = ReplayWindow::new();
            window.accept(top).unwrap();
            assert_eq!(window.check(top - REPLAY_WINDOW), Err(ReplayError::TooOld), "{top}");
            assert_eq!(window.check(top - REPLAY_WINDOW + 1), Ok(()), "{top}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_all_counters(
            steps in proptest::collection::vec((any::<bool>(), 0_u64..20_000), 1..300),
        ) {
            let mut window = ReplayWindow::new();
            let (mut seen, mut top) = (BTreeSet::new(), 0_u64);
            for (forward, step) in steps {
                let counter = if forward { top + step / 20 } else { top.saturating_sub(step) };
                let next = seen.last().map_or(0, |last| last + 1);
                let expected = if seen.contains(&counter) && next - counter <= REPLAY_WINDOW {
                    Err(ReplayError::Seen)
                } else if next > counter && next - counter > REPLAY_WINDOW {
                    Err(ReplayError::TooOld)
                } else {
                    Ok(counter >= next)
                };
                prop_assert_eq!(window.accept(counter), expected);
                if expected.is_ok() {
                    seen.insert(counter);
                    top = top.max(counter);
                }
            }
        }
    }
}
