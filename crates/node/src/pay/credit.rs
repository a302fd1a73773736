//! How many octets a payee lets a payer send without a receipt.
//!
//! 1 MiB for a stranger, doubling with each honest settlement up to 64 MiB (economics, "Lane", 7).

use srwan_wire::id::{AccountKey, Octets};
use std::collections::BTreeMap;

/// Credit of a payer that never settled. Bounds what a stranger can take: 0.01 coin at the reference price.
pub const CREDIT_STRANGER: Octets = Octets(1 << 20);

/// Most credit anyone gets (promise I27).
pub const CREDIT_MAX: Octets = Octets(64 << 20);

/// Payers remembered; beyond it the one with the least credit is forgotten, which only lowers its credit.
const PAYERS_MAX: usize = 4_096;

/// Who settled honestly, and how often.
#[derive(Debug, Default)]
pub struct CreditBook {
    settlements: BTreeMap<AccountKey, u32>,
}

impl CreditBook {
    /// The credit of `payer`.
    #[must_use]
    pub fn of(&self, payer: &AccountKey) -> Octets {
        let doublings = self.settlements.get(payer).copied().unwrap_or(0);
        let credit = CREDIT_STRANGER.0.checked_shl(doublings).unwrap_or(CREDIT_MAX.0);
        Octets(credit.clamp(CREDIT_STRANGER.0, CREDIT_MAX.0))
    }

    /// Notes that a lane of `payer` was settled in full.
    pub fn settled(&mut self, payer: AccountKey) {
        if self.settlements.len() >= PAYERS_MAX && !self.settlements.contains_key(&payer) {
            self.forget_least();
        }
        let count = self.settlements.entry(payer).or_insert(0);
        *count = count.saturating_add(1).min(DOUBLINGS_MAX);
    }

    fn forget_least(&mut self) {
        if let Some(least) = self.settlements.iter().min_by_key(|(_, count)| **count) {
            let key = *least.0;
            self.settlements.remove(&key);
        }
    }
}

/// Doublings from 1 MiB to 64 MiB.
const DOUBLINGS_MAX: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_doubles_per_settlement_up_to_its_bound() {
        let (mut book, payer) = (CreditBook::default(), AccountKey([1; 32]));
        let mut seen = Vec::new();
        for _ in 0..9 {
            seen.push(book.of(&payer).0 >> 20);
            book.settled(payer);
        }
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(book.of(&AccountKey([2; 32])), CREDIT_STRANGER);
    }
}
