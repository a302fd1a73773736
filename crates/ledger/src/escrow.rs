//! Escrows: what a payer has set aside for lanes.
//!
//! Coins go account -> escrow -> lane -> payees, and back the same way. An escrow row holds only
//! what no lane has: a lane's cap leaves the escrow when the lane opens. So a withdrawal can never
//! touch what a payee may still claim, in whatever order a block has them (promise I10).

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::Amount;
use crate::rejection::Rejection;
use crate::table::{Holds, Table};
use srwan_wire::id::AccountKey;

/// Lanes one payer may have at once: bounds what one end of block has to close for one fee payer.
pub const LANES_PER_PAYER_MAX: u32 = 1_024;

/// What one payer has set aside and no lane holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Escrow {
    /// Free for lanes, or for withdrawal.
    pub free: Amount,
    /// Lanes that exist, open or closing.
    pub lanes: u32,
}

impl Holds for Escrow {
    fn held(&self) -> Amount {
        self.free
    }
}

/// All escrows by payer. A row that holds nothing and has no lanes is removed.
pub type Escrows = Table<AccountKey, Escrow>;

impl Escrows {
    /// The escrow of `payer`; one that never existed is empty.
    pub fn of(&self, payer: &AccountKey) -> Escrow {
        self.get(payer).copied().unwrap_or_default()
    }

    /// Checks that `amount` is free.
    pub fn check_take(&self, payer: &AccountKey, amount: Amount) -> Result<(), Rejection> {
        let free = self.of(payer).free;
        match free.checked_sub(amount) {
            Some(_) => Ok(()),
            None => Err(Rejection::EscrowTooLow { free, needed: amount }),
        }
    }

    /// Takes `amount`, which [`Escrows::check_take`] has allowed.
    pub fn take(&mut self, payer: AccountKey, amount: Amount) {
        self.rewrite(payer, |escrow| {
            escrow.free = escrow.free.checked_sub(amount).expect("the take was checked");
        });
    }

    /// Puts `amount` in.
    pub fn add(&mut self, payer: AccountKey, amount: Amount) {
        self.rewrite(payer, |escrow| {
            escrow.free = escrow.free.checked_add(amount).expect("an escrow is at most the supply");
        });
    }

    /// Counts one more lane.
    pub fn lane_opened(&mut self, payer: AccountKey) {
        self.rewrite(payer, |escrow| escrow.lanes += 1);
    }

    /// Counts one lane less.
    pub fn lane_removed(&mut self, payer: AccountKey) {
        self.rewrite(payer, |escrow| {
            escrow.lanes = escrow.lanes.checked_sub(1).expect("each removed lane was opened");
        });
    }

    fn rewrite(&mut self, payer: AccountKey, change: impl FnOnce(&mut Escrow)) {
        let mut escrow = self.of(&payer);
        change(&mut escrow);
        if escrow == Escrow::default() {
            self.remove(&payer);
        } else {
            self.put(payer, escrow);
        }
    }
}
