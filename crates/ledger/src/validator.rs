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
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::amount::Amount;
use crate::canary::{self, Canary};
use crate::equivocation::Equivocation;
use crate::genesis::GenesisValidator;
use crate::merkle::Key;
use crate::rejection::Rejection;
use crate::table::{Holds, Table};
use srwan_wire::id::{AccountKey, ChainId, Height, ValidatorKey};
use srwan_wire::receipt::Signable;
use srwan_wire::sign::Signature;

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

impl Validator {
    fn due(&self) -> Option<Height> {
        match self.phase {
            ValidatorPhase::Active => None,
            ValidatorPhase::Leaving { until } => Some(until),
            ValidatorPhase::Slashed { until } => (!self.bond.is_zero()).then_some(until),
        }
    }
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

/// What a validator may do.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ValidatorAction {
    /// Locks a bond behind a consensus key; in the committees from two epochs on.
    Join(Join),
    /// Changes the address that peers reach it at, and locks more.
    Update {
        /// From the next committee on.
        address: SocketAddr,
        /// Besides what is locked; may be zero.
        bond: Amount,
    },
    /// Leaves the next committees; the bond comes back after the unbonding time.
    Leave,
    /// Convicts a validator of contradicting itself.
    Report(Equivocation),
}

/// What a new validator says.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Join {
    /// Its consensus key.
    pub key: ValidatorKey,
    /// That key's word that the account may use it.
    pub consent: Signature,
    /// Where its peers reach it.
    pub address: SocketAddr,
    /// What it locks; at least [`crate::genesis::Params::validator_bond`].
    pub bond: Amount,
}

/// What a consensus key signs for the account that stands behind it, so that nobody takes another's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Consent {
    /// On which ledger.
    pub chain: ChainId,
    /// For which account.
    pub account: AccountKey,
}

impl Signable for Consent {
    const DOMAIN: &'static str = "srwan validator consent v1";
}

/// All validators by consensus key, and the committees of the last and next epochs.
///
/// Invariant: `keys` and `due` follow from `rows`.
#[derive(Clone)]
pub struct Validators {
    rows: Table<ValidatorKey, Validator>,
    committees: Table<Epoch, Committee>,
    keys: BTreeMap<AccountKey, ValidatorKey>,
    due: BTreeSet<(Height, ValidatorKey)>,
}

impl Validators {
    /// Those that a ledger begins with. All are in the first two committees.
    pub(crate) fn new(genesis: &BTreeMap<ValidatorKey, GenesisValidator>) -> Self {
        let mut validators = Self::from_tables(Table::new(), Table::new());
        for (key, first) in genesis {
            let GenesisValidator { account, address, power, bond } = *first;
            let phase = ValidatorPhase::Active;
            validators.put(*key, Validator { account, address, power, bond, phase });
        }
        let first = validators.ranked(usize::MAX, |_| 0);
        validators.committees.put(Epoch::new(0), first.clone());
        validators.committees.put(Epoch::new(1), first);
        validators
    }

    fn from_tables(
        rows: Table<ValidatorKey, Validator>,
        committees: Table<Epoch, Committee>,
    ) -> Self {
        let keys = rows.iter().map(|(key, row)| (row.account, *key)).collect();
        let due = rows.iter().filter_map(|(key, row)| row.due().map(|due| (due, *key))).collect();
        Self { rows, committees, keys, due }
    }

    /// The validator whose consensus key is `key`.
    pub fn get(&self, key: &ValidatorKey) -> Option<&Validator> {
        self.rows.get(key)
    }

    /// The validator that `account` stands behind.
    pub fn of_account(&self, account: &AccountKey) -> Option<(ValidatorKey, &Validator)> {
        let key = self.keys.get(account)?;
        self.rows.get(key).map(|row| (*key, row))
    }

    /// The active validator that `account` stands behind.
    pub fn check_active(
        &self,
        account: &AccountKey,
    ) -> Result<(ValidatorKey, &Validator), Rejection> {
        let (key, row) = self.of_account(account).ok_or(Rejection::NotAValidator)?;
        match row.phase {
            ValidatorPhase::Active => Ok((key, row)),
            ValidatorPhase::Leaving { .. } => Err(Rejection::ValidatorLeft),
            ValidatorPhase::Slashed { .. } => Err(Rejection::ValidatorSlashed),
        }
    }

    /// Whether another validator is active besides one.
    pub fn has_another_active(&self) -> bool {
        let active = self.rows.iter().filter(|(_, row)| row.phase == ValidatorPhase::Active);
        active.take(2).count() == 2
    }

    /// All validators.
    pub fn iter(&self) -> impl Iterator<Item = (&ValidatorKey, &Validator)> {
        self.rows.iter()
    }

    /// Writes a validator.
    pub fn put(&mut self, key: ValidatorKey, row: Validator) {
        self.forget(&key);
        self.keys.insert(row.account, key);
        self.due.extend(row.due().map(|due| (due, key)));
        self.rows.put(key, row);
    }

    /// Removes a validator.
    pub fn remove(&mut self, key: &ValidatorKey) {
        self.forget(key);
        self.rows.remove(key);
    }

    /// Validators whose bond is due at `height` or before.
    pub fn due_by(&self, height: Height) -> Vec<ValidatorKey> {
        self.due.iter().take_while(|(due, _)| *due <= height).map(|(_, key)| *key).collect()
    }

    /// Who votes in an epoch; `None` if it is not fixed yet, or long over.
    pub fn committee(&self, epoch: u64) -> Option<&Committee> {
        self.committees.get(&Epoch::new(epoch))
    }

    /// Fixes the committee of the epoch after the next one: the `most` active validators with the most
    /// bond and votes, ties to the lower key. With no active one the committee before goes on.
    pub fn fix_committee(&mut self, ended: u64, most: u16, votes: &BTreeMap<AccountKey, u128>) {
        let votes_of = |row: &Validator| votes.get(&row.account).copied().unwrap_or(0);
        let mut next = self.ranked(usize::from(most), votes_of);
        if next.0.is_empty() {
            let before = self.committee(ended.saturating_add(1)).cloned();
            next = before.unwrap_or_default();
        }
        self.committees.put(Epoch::new(ended.saturating_add(2)), next);
        if let Some(past) = ended.checked_sub(COMMITTEES_KEPT) {
            self.committees.remove(&Epoch::new(past));
        }
    }

    fn ranked(&self, most: usize, votes_of: impl Fn(&Validator) -> u128) -> Committee {
        let active = self.rows.iter().filter(|(_, row)| row.phase == ValidatorPhase::Active);
        let weight = |row: &Validator| u128::from(row.bond.base()) + votes_of(row);
        let mut ranked: Vec<_> =
            active.map(|(key, row)| (core::cmp::Reverse(weight(row)), *key, row)).collect();
        ranked.sort_by_key(|(weight, key, _)| (*weight, *key));
        if canary::is(Canary::TieToHigher) {
            ranked.reverse();
            ranked.sort_by_key(|(weight, _, _)| *weight);
        }
        ranked.truncate(most);
        let member = |(_, key, row): (_, ValidatorKey, &Validator)| Member {
            key,
            address: row.address,
            power: row.power,
        };
        let mut members: Vec<Member> = ranked.into_iter().map(member).collect();
        members.sort_by_key(|member| member.key);
        Committee(members)
    }

    /// The table below.
    pub const fn rows(&self) -> &Table<ValidatorKey, Validator> {
        &self.rows
    }

    /// The table of committees.
    pub const fn committee_rows(&self) -> &Table<Epoch, Committee> {
        &self.committees
    }

    /// Brings the roots up to date.
    pub fn seal(&mut self) {
        self.rows.seal();
        self.committees.seal();
    }

    fn forget(&mut self, key: &ValidatorKey) {
        if let Some(row) = self.rows.get(key) {
            self.keys.remove(&row.account);
            if let Some(due) = row.due() {
                self.due.remove(&(due, *key));
            }
        }
    }
}

impl BorshSerialize for Validators {
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        self.rows.serialize(writer)?;
        self.committees.serialize(writer)
    }
}

impl BorshDeserialize for Validators {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let rows = Table::deserialize_reader(reader)?;
        Ok(Self::from_tables(rows, Table::deserialize_reader(reader)?))
    }
}

/// Epochs that are over whose committees are kept, for whoever proves their certificates.
const COMMITTEES_KEPT: u64 = 8;
