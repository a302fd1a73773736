//! Validators: who makes blocks final, where its peers reach it, and the bond that answers for its
//! votes.
//!
//! A validator is named by its consensus key; an account stands behind it, locks the bond and is
//! paid. Who votes in a consensus epoch is its committee, fixed two epochs ahead:
//!
//! ```text
//! epoch e = heights e * n + 1 ..= (e + 1) * n        n = Params::committee_blocks
//! committee of e + 2 = top K of the active validators after the last block of e
//! ```

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::amount::Amount;
use crate::genesis::GenesisValidator;
use crate::table::{Holds, Table};
use srwan_wire::id::{AccountKey, Height, ValidatorKey};

/// Where a validator is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ValidatorPhase {
    /// May be in the next committees.
    Active,
    /// Leaves; the bond is returned at this height and can be slashed until then.
    Leaving {
        /// When.
        until: Height,
    },
    /// Convicted; what is left of the bond is returned at this height, the row stays.
    Slashed {
        /// When.
        until: Height,
    },
}

/// One validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Validator {
    /// Who locked the bond and is paid.
    pub account: AccountKey,
    /// Where its peers reach it.
    pub address: SocketAddr,
    /// Its part of the fees, and its word on parameters, relative to the others.
    pub power: u64,
    /// What it locked.
    pub bond: Amount,
    /// Where in its life.
    pub phase: ValidatorPhase,
}

impl Holds for Validator {
    fn held(&self) -> Amount {
        self.bond
    }
}

/// A validator as a member of a committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Member {
    /// Its consensus key.
    pub key: ValidatorKey,
    /// Where its peers reach it.
    pub address: SocketAddr,
    /// Its part of the fees relative to the others.
    pub power: u64,
}

/// All validators by consensus key.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub struct Validators {
    rows: Table<ValidatorKey, Validator>,
}

impl Validators {
    /// Those that a ledger begins with.
    pub(crate) fn new(genesis: &BTreeMap<ValidatorKey, GenesisValidator>) -> Self {
        let mut rows = Table::new();
        for (key, first) in genesis {
            let GenesisValidator { account, address, power, bond } = *first;
            let phase = ValidatorPhase::Active;
            rows.put(*key, Validator { account, address, power, bond, phase });
        }
        Self { rows }
    }

    /// The validator whose consensus key is `key`.
    pub fn get(&self, key: &ValidatorKey) -> Option<&Validator> {
        self.rows.get(key)
    }

    /// All validators.
    pub fn iter(&self) -> impl Iterator<Item = (&ValidatorKey, &Validator)> {
        self.rows.iter()
    }

    /// The table below.
    pub const fn rows(&self) -> &Table<ValidatorKey, Validator> {
        &self.rows
    }

    /// Brings the digest up to date and returns it.
    pub fn seal(&mut self) -> [u8; 32] {
        self.rows.seal()
    }
}
