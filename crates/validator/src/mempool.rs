//! Transactions that wait for a block: bounded per account and in all, taken by fee.
//!
//! Within an account transactions run by nonce; between accounts the one that pays most per octet
//! goes first, and among equals who came first. Nothing here is durable: a transaction is promised
//! nothing before it is in a block.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use srwan_api::http::ApiError;
use srwan_ledger::hash::TxHash;
use srwan_ledger::signature::Form;
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::{AccountKey, Height};

/// Transactions of one account that may wait: a router settles a few lanes at once.
pub const PER_ACCOUNT_MAX: u64 = 64;
/// Transactions that may wait in all: some seconds of full blocks.
pub const POOL_MAX: usize = 20_000;
/// Octets that may wait in all.
pub const POOL_OCTETS_MAX: u64 = 16 << 20;
/// What a transaction must pay to take the place of one with its nonce: 10 % more.
const REPLACE_PERCENT: u128 = 110;

/// Why a transaction cannot wait here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Its turn would never come.
    #[error("nonce {got} was used, the next is {next}")]
    NonceUsed {
        /// The account's next.
        next: u64,
        /// The transaction's.
        got: u64,
    },
    /// Too far ahead.
    #[error("nonce {got} is more than {PER_ACCOUNT_MAX} ahead of {next}")]
    NonceTooFar {
        /// The account's next.
        next: u64,
        /// The transaction's.
        got: u64,
    },
    /// Another transaction has the nonce.
    #[error("another transaction with this nonce waits; to replace it, pay 10 % more")]
    NonceTaken,
    /// Everything that waits pays more.
    #[error("the pool is full, and everything in it pays more")]
    Full,
}

impl PoolError {
    /// As every srwan program shows errors.
    pub fn problem(&self) -> ApiError {
        let (status, code, fix) = match self {
            Self::NonceUsed { .. } => {
                (422, "SRW-L104", "take next_nonce from GET /v1/account/{key}")
            }
            Self::NonceTooFar { .. } => (422, "SRW-L701", "wait until earlier ones are final"),
            Self::NonceTaken => (409, "SRW-L702", "use the next nonce, or pay more"),
            Self::Full => (429, "SRW-L703", "wait, or pay more"),
        };
        ApiError::new(status, code, "the transaction is not taken").why(self.to_string()).fix(fix)
    }
}

/// Waiting transactions.
///
/// Invariant: all else follows from `by_account`; no account has an empty map.
#[derive(Debug, Default)]
pub struct Mempool {
    by_account: BTreeMap<AccountKey, BTreeMap<u64, Waiting>>,
    hashes: BTreeMap<TxHash, (AccountKey, u64)>,
    /// The last of each account, worst-paying first: who goes when there is no room.
    lasts: BTreeSet<(u128, AccountKey, u64)>,
    expiries: BTreeSet<(Height, AccountKey, u64)>,
    octets: u64,
    /// How many were taken so far.
    arrivals: u64,
}

#[derive(Debug)]
struct Waiting {
    hash: TxHash,
    /// Its number among all that were taken.
    arrival: u64,
    octets: u64,
    tx: SignedTx,
}

impl Waiting {
    /// Fee per octet, scaled so that it compares as an integer.
    fn rate(&self) -> u128 {
        (u128::from(self.tx.body.fee.base()) << 32) / u128::from(self.octets.max(1))
    }
}

impl Mempool {
    /// Lets a checked transaction wait; `next` is its account's next nonce in the state.
    ///
    /// **Errors:** [`PoolError`].
    pub fn insert(&mut self, tx: SignedTx, form: &Form, next: u64) -> Result<TxHash, PoolError> {
        let (account, nonce) = (tx.body.sender, tx.body.nonce);
        if nonce < next {
            return Err(PoolError::NonceUsed { next, got: nonce });
        }
        if nonce - next >= PER_ACCOUNT_MAX {
            return Err(PoolError::NonceTooFar { next, got: nonce });
        }
        let waiting =
            Waiting { hash: form.hash, arrival: self.arrivals, octets: form.size_octets, tx };
        let hash = waiting.hash;
        if self.hashes.contains_key(&hash) {
            return Ok(hash);
        }
        self.check_replaces(&waiting)?;
        self.make_room(&waiting)?;
        self.remove(account, nonce);
        self.put(waiting);
        self.arrivals += 1;
        Ok(hash)
    }

    /// Whether the transaction waits.
    pub fn contains(&self, hash: &TxHash) -> bool {
        self.hashes.contains_key(hash)
    }

    /// The transaction as it waits.
    pub fn get(&self, hash: &TxHash) -> Option<&SignedTx> {
        let (account, nonce) = self.hashes.get(hash)?;
        Some(&self.by_account.get(account)?.get(nonce)?.tx)
    }

    /// Octets that wait.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The nonce behind all that wait in a row from `next`.
    pub fn next_nonce(&self, account: &AccountKey, next: u64) -> u64 {
        let waiting = self.by_account.get(account);
        let mut nonce = next;
        while waiting.is_some_and(|waiting| waiting.contains_key(&nonce)) {
            nonce += 1;
        }
        nonce
    }

    /// Whether some account's next transaction waits: whether a block would have anything in it.
    pub fn has_ready(&self, next_nonce_of: impl Fn(&AccountKey) -> u64) -> bool {
        self.by_account.iter().any(|(key, waiting)| waiting.contains_key(&next_nonce_of(key)))
    }

    /// The best-paying transactions of at most `octets_max`, each account's in order. They stay
    /// here.
    pub fn select(
        &self,
        octets_max: u64,
        next_nonce_of: impl Fn(&AccountKey) -> u64,
    ) -> Vec<SignedTx> {
        let head = |account: &AccountKey, nonce: u64| {
            let waiting = self.by_account.get(account)?.get(&nonce)?;
            // Who came first goes first among equals: by key or name some would wait for ever.
            Some((waiting.rate(), Reverse(waiting.arrival), *account, nonce))
        };
        let heads = self.by_account.keys().filter_map(|key| head(key, next_nonce_of(key)));
        let mut heads: BinaryHeap<_> = heads.collect();
        let (mut chosen, mut octets) = (Vec::new(), 0);
        while let Some((_, _, account, nonce)) = heads.pop() {
            let waiting = &self.by_account[&account][&nonce];
            if octets + waiting.octets > octets_max {
                continue;
            }
            octets += waiting.octets;
            chosen.push(waiting.tx.clone());
            heads.extend(head(&account, nonce + 1));
        }
        chosen
    }

    /// Forgets a block's transactions and all whose nonce its senders have used.
    pub fn forget(&mut self, txs: &[SignedTx], next_nonce_of: impl Fn(&AccountKey) -> u64) {
        for tx in txs {
            let account = tx.body.sender;
            self.remove(account, tx.body.nonce);
            let next = next_nonce_of(&account);
            let used: Vec<u64> = self
                .by_account
                .get(&account)
                .map(|waiting| waiting.range(..next).map(|(nonce, _)| *nonce).collect())
                .unwrap_or_default();
            used.into_iter().for_each(|nonce| self.remove(account, nonce));
        }
    }

    /// Forgets all that no block above `height` may hold.
    pub fn forget_expired(&mut self, height: Height) {
        while let Some((until, account, nonce)) = self.expiries.first().copied()
            && until <= height
        {
            self.remove(account, nonce);
        }
    }

    fn check_replaces(&self, incoming: &Waiting) -> Result<(), PoolError> {
        let body = &incoming.tx.body;
        let waiting = self.by_account.get(&body.sender).and_then(|all| all.get(&body.nonce));
        let Some(waiting) = waiting else {
            return Ok(());
        };
        let needed = u128::from(waiting.tx.body.fee.base()) * REPLACE_PERCENT;
        if u128::from(body.fee.base()) * 100 < needed {
            return Err(PoolError::NonceTaken);
        }
        Ok(())
    }

    /// Drops the worst-paying last transactions of accounts until `incoming` fits.
    fn make_room(&mut self, incoming: &Waiting) -> Result<(), PoolError> {
        while self.hashes.len() >= POOL_MAX || self.octets + incoming.octets > POOL_OCTETS_MAX {
            match self.lasts.first().copied() {
                Some((rate, account, nonce)) if rate < incoming.rate() => {
                    self.remove(account, nonce);
                }
                Some(_) | None => return Err(PoolError::Full),
            }
        }
        Ok(())
    }

    fn put(&mut self, waiting: Waiting) {
        let (account, nonce) = (waiting.tx.body.sender, waiting.tx.body.nonce);
        self.forget_last(&account);
        self.octets += waiting.octets;
        self.hashes.insert(waiting.hash, (account, nonce));
        self.expiries.insert((waiting.tx.body.valid_until, account, nonce));
        self.by_account.entry(account).or_default().insert(nonce, waiting);
        self.note_last(&account);
    }

    fn remove(&mut self, account: AccountKey, nonce: u64) {
        self.forget_last(&account);
        let Some(waiting) = self.by_account.get_mut(&account) else {
            return;
        };
        if let Some(removed) = waiting.remove(&nonce) {
            self.hashes.remove(&removed.hash);
            self.expiries.remove(&(removed.tx.body.valid_until, account, nonce));
            self.octets -= removed.octets;
        }
        if waiting.is_empty() {
            self.by_account.remove(&account);
        }
        self.note_last(&account);
    }

    fn last_of(&self, account: &AccountKey) -> Option<(u128, AccountKey, u64)> {
        let (nonce, last) = self.by_account.get(account)?.last_key_value()?;
        Some((last.rate(), *account, *nonce))
    }

    fn forget_last(&mut self, account: &AccountKey) {
        if let Some(last) = self.last_of(account) {
            self.lasts.remove(&last);
        }
    }

    fn note_last(&mut self, account: &AccountKey) {
        self.lasts.extend(self.last_of(account));
    }
}
