//! Proofs out of a state, each against the root of that state; checked by [`crate::proof::verify`].

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::Amount;
use crate::genesis::Params;
use crate::hash::{BlockHash, LeaseId, ListingId, SlaId};
use crate::merkle::Key;
use crate::proof::{KINDS_MAX, Kind, Leaf, Proof, Step, kind_siblings, leaf_hash};
use crate::state::{Pools, State};
use crate::table::{Holds, Table};
use crate::validator::Epoch;
use srwan_wire::id::{AccountKey, ChainId, Height, LaneId, ValidatorKey};

/// What a state has once: the row of [`Kind::Fixed`], under the key of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Fixed {
    /// Which ledger.
    pub chain: ChainId,
    /// The rules' parameters.
    pub params: Params,
    /// All coins there are.
    pub supply: Amount,
    /// What genesis gave to the subsidy.
    pub subsidy_total: Amount,
    /// The height of the last block.
    pub height: Height,
    /// The name of the last block.
    pub tip: BlockHash,
    /// Up to where the proposer of the last block had executed.
    pub stated: Height,
    /// Coins that belong to rules.
    pub pools: Pools,
    /// BLAKE3 of the approvals' bytes.
    pub approvals: [u8; 32],
}

/// A row, or that there is none, with the proof of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Canonical bytes; `None` if there is no such row.
    pub row: Option<Vec<u8>>,
    /// What [`crate::proof::verify`] checks against the root of the state.
    pub proof: Proof,
}

impl State {
    /// What this state has once.
    #[must_use]
    pub fn fixed(&self) -> Fixed {
        Fixed {
            chain: self.chain,
            params: self.params,
            supply: self.supply,
            subsidy_total: self.subsidy_total,
            height: self.height,
            tip: self.tip,
            stated: self.stated,
            pools: self.pools,
            approvals: *blake3::hash(&encode(&self.approvals)).as_bytes(),
        }
    }

    /// The row of `kind` under `key`, or its absence, with a proof against [`State::root`].
    ///
    /// **Panics:** inside a block; between blocks it never does.
    #[must_use]
    pub fn prove(&self, kind: Kind, key: &[u8; 32]) -> Proven {
        let contracts = &self.contracts.tables;
        let (row, (steps, leaf)) = match kind {
            Kind::Fixed => self.find_fixed(key),
            Kind::Account => find(&self.accounts, AccountKey(*key)),
            Kind::Escrow => find(&self.escrows, AccountKey(*key)),
            Kind::Lane => find(self.lanes.rows(), LaneId(*key)),
            Kind::Router => find(self.routers.rows(), AccountKey(*key)),
            Kind::VoteGroup => find(self.votes.group_rows(), AccountKey(*key)),
            Kind::Voter => find(self.votes.voter_rows(), AccountKey(*key)),
            Kind::Validator => find(self.validators.rows(), ValidatorKey(*key)),
            Kind::Committee => find(self.validators.committee_rows(), Epoch(*key)),
            Kind::Listing => find(&contracts.listings, ListingId(*key)),
            Kind::Lease => find(&contracts.leases, LeaseId(*key)),
            Kind::Pseudonym => find(&contracts.pseudonyms, AccountKey(*key)),
            Kind::Sla => find(&contracts.slas, SlaId(*key)),
            Kind::Quarantine => find(&contracts.quarantines, AccountKey(*key)),
            Kind::Rating => find(&contracts.ratings, AccountKey(*key)),
            Kind::LaneBook => find(&contracts.books, LaneId(*key)),
        };
        let kinds = kind_siblings(&self.table_roots(), kind);
        Proven { row, proof: Proof { steps, leaf, kinds } }
    }

    /// The root of each kind's table as last sealed, at its place.
    pub(crate) fn table_roots(&self) -> [[u8; 32]; KINDS_MAX] {
        let mut roots = [[0; 32]; KINDS_MAX];
        let tables = Kind::ALL.map(|kind| match kind {
            Kind::Fixed => leaf_hash(&[0; 32], blake3::hash(&encode(&self.fixed())).as_bytes()),
            Kind::Account => self.accounts.sealed_root(),
            Kind::Escrow => self.escrows.sealed_root(),
            Kind::Lane => self.lanes.rows().sealed_root(),
            Kind::Router => self.routers.rows().sealed_root(),
            Kind::VoteGroup => self.votes.group_rows().sealed_root(),
            Kind::Voter => self.votes.voter_rows().sealed_root(),
            Kind::Validator => self.validators.rows().sealed_root(),
            Kind::Committee => self.validators.committee_rows().sealed_root(),
            Kind::Listing => self.contracts.tables.listings.sealed_root(),
            Kind::Lease => self.contracts.tables.leases.sealed_root(),
            Kind::Pseudonym => self.contracts.tables.pseudonyms.sealed_root(),
            Kind::Sla => self.contracts.tables.slas.sealed_root(),
            Kind::Quarantine => self.contracts.tables.quarantines.sealed_root(),
            Kind::Rating => self.contracts.tables.ratings.sealed_root(),
            Kind::LaneBook => self.contracts.tables.books.sealed_root(),
        });
        roots[..tables.len()].copy_from_slice(&tables);
        roots
    }

    fn find_fixed(&self, key: &[u8; 32]) -> (Option<Vec<u8>>, (Vec<Step>, Leaf)) {
        let bytes = encode(&self.fixed());
        if *key == [0; 32] {
            return (Some(bytes), (Vec::new(), Leaf::Same));
        }
        let other = Leaf::Other { key: [0; 32], row: *blake3::hash(&bytes).as_bytes() };
        (None, (Vec::new(), other))
    }
}

fn find<K, V>(table: &Table<K, V>, key: K) -> (Option<Vec<u8>>, (Vec<Step>, Leaf))
where
    K: Key,
    V: BorshSerialize + Holds,
{
    (table.get(&key).map(encode), table.path(key.octets()))
}

fn encode<T: BorshSerialize>(row: &T) -> Vec<u8> {
    borsh::to_vec(row).expect("writing to a Vec does not fail")
}
