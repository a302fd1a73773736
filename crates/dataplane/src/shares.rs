//! Which of several paths takes the next packet: shares of flows by weight, or turns.
//!
//! *Flows*: [`SLOTS_LEN`] slots are dealt to the paths by their weights, to the nearest slot (largest
//! remainder), and a flow's hash picks one. When paths come, go or change their weight, only as many
//! slots change hands as must, so most flows stay where they are. *Turns*: smooth weighted round
//! robin, which spreads the turns of a heavy path evenly.
//!
//! **Source:** RFC 9256 section 2.11 (weighted load balancing over segment lists); RFC 2992 (why
//! flows should not move).

use core::cmp::Reverse;

/// Slots that flows are spread over: a share is right to 0.4 %.
pub(crate) const SLOTS_LEN: usize = 256;

/// Paths of one policy: more than two or three uplinks are rare, and each is probed and paid.
pub const PATHS_MAX: usize = 4;

/// The path of each slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slots(Box<[u8; SLOTS_LEN]>);

impl Slots {
    /// Deals the slots to paths of these weights (at most [`PATHS_MAX`], none zero). `before` tells
    /// which of the paths had a slot until now; `None` if none of them.
    pub(crate) fn deal(weights: &[u8], before: impl Fn(usize) -> Option<u8>) -> Self {
        let has = |path| (0..SLOTS_LEN).filter(|at| before(*at) == u8::try_from(path).ok()).count();
        let mut open = quotas(weights, has);
        let mut slots = Box::new([u8::MAX; SLOTS_LEN]);
        for (at, slot) in slots.iter_mut().enumerate() {
            let kept =
                before(at).filter(|path| open.get(usize::from(*path)).is_some_and(|q| *q > 0));
            if let Some(path) = kept {
                open[usize::from(path)] -= 1;
                *slot = path;
            }
        }
        for slot in slots.iter_mut().filter(|slot| **slot == u8::MAX) {
            let most = (0..open.len()).max_by_key(|path| open[*path]).unwrap_or(0);
            open[most] = open[most].saturating_sub(1);
            *slot = u8::try_from(most).unwrap_or(0);
        }
        Self(slots)
    }

    /// The path of a slot.
    pub(crate) fn at(&self, slot: usize) -> u8 {
        self.0[slot % SLOTS_LEN]
    }

    /// The path of a flow. The high octet decides: the low one chooses the outer source port.
    pub(crate) fn of(&self, flow: u16) -> usize {
        usize::from(self.at(usize::from(flow >> 8)))
    }
}

/// How many slots each weight is worth: all of them together, each to the nearest. Of equal
/// remainders the path that was rounded up stays so, so that none moves for the rounding.
fn quotas(weights: &[u8], has: impl Fn(usize) -> usize) -> Vec<usize> {
    let total: usize = weights.iter().map(|weight| usize::from(*weight)).sum::<usize>().max(1);
    let exact = |weight: &u8| usize::from(*weight) * SLOTS_LEN;
    let mut quotas: Vec<usize> = weights.iter().map(|weight| exact(weight) / total).collect();
    let mut by_rest: Vec<usize> = (0..weights.len()).collect();
    let is_up = |path: usize| has(path) > quotas[path];
    by_rest.sort_by_key(|path| Reverse((exact(&weights[*path]) % total, is_up(*path))));
    let missing = SLOTS_LEN.saturating_sub(quotas.iter().sum());
    by_rest.into_iter().take(missing).for_each(|path| quotas[path] += 1);
    quotas
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turns([i32; PATHS_MAX]);

impl Turns {
    /// The path whose turn it is, given the weights of all.
    pub(crate) fn next(&mut self, weights: impl Iterator<Item = u8>) -> usize {
        let (mut best, mut total) = (0, 0);
        for (path, weight) in weights.enumerate().take(PATHS_MAX) {
            self.0[path] += i32::from(weight);
            total += i32::from(weight);
            if self.0[path] > self.0[best] {
                best = path;
            }
        }
        self.0[best] -= total;
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fresh(weights: &[u8]) -> Slots {
        Slots::deal(weights, |_| None)
    }

    fn count(slots: &Slots, path: u8) -> usize {
        (0..SLOTS_LEN).filter(|at| slots.at(*at) == path).count()
    }

    #[test]
    fn equal_paths_get_equal_shares_and_unequal_ones_theirs() {
        assert_eq!([0, 1].map(|path| count(&fresh(&[1, 1]), path)), [128, 128]);
        assert_eq!([0, 1].map(|path| count(&fresh(&[1, 3]), path)), [64, 192]);
        assert_eq!([0, 1, 2].map(|path| count(&fresh(&[1, 1, 1]), path)), [86, 85, 85]);
        assert_eq!(count(&fresh(&[5]), 0), SLOTS_LEN);
    }

    #[test]
    fn turns_are_spread_evenly() {
        let mut turns = Turns::default();
        let taken: Vec<usize> = (0..8).map(|_| turns.next([1, 3].into_iter())).collect();
        assert_eq!(taken, [1, 0, 1, 1, 1, 0, 1, 1]);
        let mut turns = Turns::default();
        let taken: Vec<usize> = (0..4).map(|_| turns.next([1, 1].into_iter())).collect();
        assert_eq!(taken, [0, 1, 0, 1]);
    }

    fn weights() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(1_u8..=100, 1..=PATHS_MAX)
    }

    proptest! {
        #[test]
        fn shares_follow_the_weights_to_one_slot(weights in weights()) {
            let slots = fresh(&weights);
            let total: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            for (path, weight) in weights.iter().enumerate() {
                let share = count(&slots, u8::try_from(path).unwrap());
                let exact = usize::from(*weight) * SLOTS_LEN / total;
                prop_assert!(share == exact || share == exact + 1, "{share} for {exact}");
            }
        }

        #[test]
        fn when_a_path_goes_only_its_flows_move(weights in weights(), gone in 0_usize..PATHS_MAX) {
            prop_assume!(weights.len() > 1 && gone < weights.len());
            let before = fresh(&weights);
            let mut left = weights.clone();
            left.remove(gone);
            let renumbered = |slot| {
                let path = usize::from(before.at(slot));
                let shifted = if path > gone { path - 1 } else { path };
                (path != gone).then(|| u8::try_from(shifted).unwrap())
            };
            let after = Slots::deal(&left, renumbered);
            let moved = (0..SLOTS_LEN).filter(|slot| Some(after.at(*slot)) != renumbered(*slot));
            // Rounding may move one slot more for each path that is left.
            let share = count(&before, u8::try_from(gone).unwrap());
            prop_assert!(moved.count() <= share + left.len());
        }

        #[test]
        fn when_nothing_changes_no_flow_moves(weights in weights()) {
            let before = fresh(&weights);
            prop_assert_eq!(Slots::deal(&weights, |slot| Some(before.at(slot))), before);
        }

        #[test]
        fn each_round_gives_a_path_exactly_its_turns(weights in weights(), rounds in 1_usize..4) {
            let total: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            let mut turns = Turns::default();
            for _ in 0..rounds {
                let mut taken = vec![0_usize; weights.len()];
                (0..total).for_each(|_| taken[turns.next(weights.iter().copied())] += 1);
                let expected: Vec<usize> = weights.iter().map(|w| usize::from(*w)).collect();
                prop_assert_eq!(taken, expected);
            }
        }
    }
}
