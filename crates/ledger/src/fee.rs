//! What a transaction costs, how a block's fees are split, and the three-year subsidy.
//!
//! Source: the design note on money, "Who gets what"; docs/ledger.md, "Fees".

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::{Amount, BPS_WHOLE};
use crate::canary::{self, Canary};
use srwan_wire::id::Height;

/// Blocks of three years at one block in two seconds (3 * 365 * 86,400 / 2).
pub const SUBSIDY_BLOCKS_DEFAULT: u64 = 47_304_000;

/// The price list of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FeeSchedule {
    /// No transaction costs less.
    pub min_fee: Amount,
    /// Part that does not depend on size.
    pub base_fee: Amount,
    /// Part per octet of the encoded signed transaction.
    pub byte_fee: Amount,
}

impl FeeSchedule {
    /// About 0.001 coin per transaction, so that opening, settling and closing a lane costs well
    /// below 1 % of a 10-coin gigabyte.
    pub const DEFAULT: Self = Self {
        min_fee: Amount::from_base(1_000_000),
        base_fee: Amount::from_base(500_000),
        byte_fee: Amount::from_base(1_000),
    };

    /// The least fee of a transaction of `size_octets`: max(min, base + byte * size).
    ///
    /// Saturates: a fee that cannot be counted cannot be paid either.
    #[must_use]
    pub fn required(&self, size_octets: u64) -> Amount {
        let by_size = u128::from(self.byte_fee.base()) * u128::from(size_octets);
        let total = by_size.saturating_add(u128::from(self.base_fee.base()));
        let total = Amount::from_u128(total).unwrap_or(Amount::from_base(u64::MAX));
        total.max(self.min_fee)
    }
}

/// A block's fees, split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeSplit {
    /// V = F * bps / 10^4, rounded down.
    pub validators: Amount,
    /// D = F - V, so that no unit is lost: odd units go to dividends.
    pub dividends: Amount,
}

/// Splits what a block took in: 25 % to validators with the default 2500 bps, the rest to
/// dividends.
#[must_use]
pub fn split(fees: Amount, validator_bps: u16) -> FeeSplit {
    let bps = validator_bps.min(BPS_WHOLE);
    let validators = fees.bps(bps).expect("a fraction of at most one fits");
    let dividends = fees.checked_sub(validators).expect("a fraction of at most one is not more");
    FeeSplit { validators, dividends }
}

/// The account that pays the subsidy: funded at genesis, emptied over a fixed number of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SubsidySchedule {
    /// S_sub: what was put in at genesis.
    pub total: Amount,
    /// N: the blocks over which it is released; at least one.
    pub blocks: u64,
}

impl SubsidySchedule {
    /// What block `height` releases. It depends on the height alone: anything else could be farmed.
    #[must_use]
    pub fn at(&self, height: Height) -> Amount {
        let before = self.released(height.0.saturating_sub(1));
        self.released(height.0).saturating_sub(before)
    }

    /// released(h) = S_sub * min(h, N) / N.
    fn released(&self, height: u64) -> Amount {
        let until =
            if canary::is(Canary::SubsidyGoesOn) { height } else { height.min(self.blocks) };
        self.total.fraction(until, self.blocks).unwrap_or(Amount::ZERO)
    }
}

/// Divides `pot` by power; the odd units go to the largest remainders, ties to the earlier.
///
/// - **Shape:** as long as `powers`, same order. All zero if no one has power.
#[must_use]
pub fn by_largest_remainder(pot: Amount, powers: &[u64]) -> Vec<Amount> {
    let total: u128 = powers.iter().copied().map(u128::from).sum();
    if total == 0 && !canary::is(Canary::DivideByNone) {
        return vec![Amount::ZERO; powers.len()];
    }
    let scaled = |power: &u64| u128::from(pot.base()) * u128::from(*power);
    let mut parts: Vec<u128> = powers.iter().map(|power| scaled(power) / total).collect();
    let mut by_remainder: Vec<usize> = (0..powers.len()).collect();
    by_remainder.sort_by_key(|&i| core::cmp::Reverse(scaled(&powers[i]) % total));
    let odd = u128::from(pot.base()) - parts.iter().sum::<u128>();
    for &index in by_remainder.iter().take(usize::try_from(odd).unwrap_or(usize::MAX)) {
        parts[index] += 1;
    }
    parts
        .into_iter()
        .map(|part| Amount::from_u128(part).expect("a part is at most the pot"))
        .collect()
}
