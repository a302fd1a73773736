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
use crate::merkle::Key;
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

/// Who votes in one consensus epoch, ascending by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Committee(pub Vec<Member>);

impl Holds for Committee {
    fn held(&self) -> Amount {
        Amount::ZERO
    }
}

/// A consensus epoch as a key: 8 octets, lowest first, then zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Epoch(pub [u8; 32]);

impl Epoch {
    /// The epoch with this number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        let mut octets = [0; 32];
        octets[..8].copy_from_slice(&number.to_le_bytes());
        Self(octets)
    }
}

impl Key for Epoch {
    fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

/// All validators by consensus key, and the committees of the last and next epochs.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub struct Validators {
    rows: Table<ValidatorKey, Validator>,
    committees: Table<Epoch, Committee>,
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
        let mut validators = Self { rows, committees: Table::new() };
        let first = validators.next_committee();
        validators.committees.put(Epoch::new(0), first.clone());
        validators.committees.put(Epoch::new(1), first);
        validators
    }

    fn next_committee(&self) -> Committee {
        let member = |(key, row): (&ValidatorKey, &Validator)| Member {
            key: *key,
            address: row.address,
            power: row.power,
        };
        let mut members: Vec<Member> = self.rows.iter().map(member).collect();
        members.sort_by_key(|member| member.key);
        Committee(members)
    }

    /// Who votes in an epoch.
    pub fn committee(&self, epoch: u64) -> Option<&Committee> {
        self.committees.get(&Epoch::new(epoch))
    }

    /// The table of committees.
    pub const fn committee_rows(&self) -> &Table<Epoch, Committee> {
        &self.committees
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

    /// Brings the root up to date.
    pub fn seal(&mut self) {
        self.rows.seal();
        self.committees.seal();
    }
}
