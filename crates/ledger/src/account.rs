//! Accounts: a balance and the number of the next transaction.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::Amount;
use crate::rejection::Rejection;
use crate::table::{Holds, Table};
use srwan_wire::id::AccountKey;

/// What one key holds, free to move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Account {
    /// Free coins.
    pub balance: Amount,
    /// The nonce that the account's next transaction must carry.
    pub nonce: u64,
}

impl Holds for Account {
    fn held(&self) -> Amount {
        self.balance
    }
}

/// All accounts. A row is made by the first credit and stays: its nonce keeps old transactions
/// dead.
pub type Accounts = Table<AccountKey, Account>;

impl Accounts {
    /// The account of `key`; one that never existed is empty.
    pub fn of(&self, key: &AccountKey) -> Account {
        self.get(key).copied().unwrap_or_default()
    }

    /// Checks that `key` can give `amount`.
    pub fn check_debit(&self, key: &AccountKey, amount: Amount) -> Result<(), Rejection> {
        let balance = self.of(key).balance;
        match balance.checked_sub(amount) {
            Some(_) => Ok(()),
            None => Err(Rejection::BalanceTooLow { balance, needed: amount }),
        }
    }

    /// Takes `amount`, which [`Accounts::check_debit`] has allowed; returns the balance left.
    pub fn debit(&mut self, key: AccountKey, amount: Amount) -> Amount {
        let left = self.change(&key, |account| {
            account.balance = account.balance.checked_sub(amount).expect("the debit was checked");
            account.balance
        });
        left.expect("an account that can give has a row")
    }

    /// Gives `amount`. All coins together fit an [`Amount`], so any one balance does.
    pub fn credit(&mut self, key: AccountKey, amount: Amount) {
        let added = self.change(&key, |account| {
            let balance = account.balance.checked_add(amount);
            account.balance = balance.expect("a balance is at most the supply");
        });
        if added.is_none() {
            self.put(key, Account { balance: amount, nonce: 0 });
        }
    }

    /// Uses up the account's current nonce.
    pub fn use_nonce(&mut self, key: AccountKey) {
        let next = |account: &mut Account| {
            let next = account.nonce.checked_add(1);
            account.nonce = next.expect("2^64 transactions are not reached");
        };
        if self.change(&key, next).is_none() {
            self.put(key, Account { balance: Amount::ZERO, nonce: 1 });
        }
    }
}
