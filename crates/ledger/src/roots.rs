//! The roots of the last states, so that a block can name one that its proposer had reached.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::VecDeque;

use crate::block::BlockError;
use crate::hash::StateRoot;
use crate::lane::wide;
use srwan_wire::id::Height;

/// States whose roots are kept: a proposer may be this many blocks behind what it proposes.
///
/// More than two hours of blocks of two seconds, or seven minutes at ten blocks a second, in 128 KiB.
pub const ROOTS_MAX: usize = 4_096;

/// Roots of the states after the last blocks, oldest first. They are no part of the root.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Roots {
    oldest: Height,
    roots: VecDeque<StateRoot>,
}

impl Roots {
    /// No state yet; the first that is put in is that of height zero.
    pub const fn new() -> Self {
        Self { oldest: Height(0), roots: VecDeque::new() }
    }

    /// Puts in the root after the next block.
    pub fn push(&mut self, root: StateRoot) {
        if self.roots.len() >= ROOTS_MAX {
            self.roots.pop_front();
            self.oldest = Height(self.oldest.0.saturating_add(1));
        }
        self.roots.push_back(root);
    }

    /// The root after the block of `height`.
    pub fn at(&self, height: Height) -> Result<StateRoot, BlockError> {
        let too_old = BlockError::StateTooOld { oldest: self.oldest, got: height };
        let index = height.0.checked_sub(self.oldest.0).ok_or(too_old)?;
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let unknown = BlockError::StateUnknown { known: self.newest(), got: height };
        self.roots.get(index).copied().ok_or(unknown)
    }

    /// The height of the newest root.
    pub fn newest(&self) -> Height {
        Height(self.oldest.0.saturating_add(wide(self.roots.len())).saturating_sub(1))
    }

    /// The newest root.
    pub fn last(&self) -> Option<StateRoot> {
        self.roots.back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(height: u64) -> StateRoot {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&height.to_le_bytes());
        StateRoot(bytes)
    }

    #[test]
    fn the_last_roots_are_kept_and_older_ones_are_named_too_old() {
        let mut roots = Roots::new();
        let last = wide(ROOTS_MAX) + 9;
        (0..=last).for_each(|height| roots.push(root(height)));
        assert_eq!((roots.newest(), roots.last()), (Height(last), Some(root(last))));
        assert_eq!(roots.at(Height(10)), Ok(root(10)));
        assert_eq!(roots.at(Height(last)), Ok(root(last)));
        let (oldest, got) = (Height(10), Height(9));
        assert_eq!(roots.at(got), Err(BlockError::StateTooOld { oldest, got }));
        let (known, got) = (Height(last), Height(last + 1));
        assert_eq!(roots.at(got), Err(BlockError::StateUnknown { known, got }));
    }
}
