//! Which heights an epoch has: epoch `e` is `e * n + 1 ..= (e + 1) * n`; genesis counts to epoch 0.

use std::num::NonZeroU64;

use commonware_consensus::types::{Epoch, EpochInfo, Epocher, Height};

/// Epochs of equal length after genesis.
#[derive(Clone, Copy, Debug)]
pub struct Epochs(u64);

impl Epochs {
    /// Epochs of so many blocks.
    pub fn new(blocks: NonZeroU64) -> Self {
        Self(blocks.get())
    }

    /// The epoch of a height.
    pub(crate) fn of(self, height: u64) -> u64 {
        height.saturating_sub(1) / self.0
    }

    /// The last height of an epoch.
    pub(crate) fn last_height(self, epoch: u64) -> u64 {
        epoch.saturating_add(1).saturating_mul(self.0)
    }

    /// The height before the first of an epoch.
    pub(crate) fn height_before(self, epoch: u64) -> u64 {
        epoch.saturating_mul(self.0)
    }

    /// Blocks in an epoch.
    pub(crate) fn blocks(self) -> u64 {
        self.0
    }
}

impl Epocher for Epochs {
    fn containing(&self, height: Height) -> Option<EpochInfo> {
        let epoch = Epoch::new(self.of(height.get()));
        Some(EpochInfo::new(epoch, height, self.first(epoch)?, self.last(epoch)?))
    }

    fn first(&self, epoch: Epoch) -> Option<Height> {
        if epoch.get() == 0 {
            return Some(Height::zero());
        }
        let before = epoch.get().checked_mul(self.0)?;
        before.checked_add(1).map(Height::new)
    }

    fn last(&self, epoch: Epoch) -> Option<Height> {
        let next = epoch.get().checked_add(1)?;
        next.checked_mul(self.0).map(Height::new)
    }
}
