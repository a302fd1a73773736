//! Proofs that a row is in a state, or that none of its key is: pure functions over bytes.
//!
//! ```text
//! row -> table (see `merkle`) -> tree of the 32 kinds of tables -> state root in a header
//! ```
//!
//! A light client needs nothing else of this crate: the root from a header whose block is final, the
//! kind, the key, and the row's canonical bytes.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::canary::{self, Canary};
use crate::hash::StateRoot;

/// A kind of row. The number is its place in the tree of kinds and never changes; there is room for
/// [`KINDS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Kind {
    /// One row under the key of zeros: [`crate::prove::Fixed`].
    Fixed,
    /// [`crate::account::Account`] by account.
    Account,
    /// [`crate::escrow::Escrow`] by payer.
    Escrow,
    /// [`crate::lane::Lane`] by lane.
    Lane,
    /// [`crate::router::Router`] by account.
    Router,
    /// [`crate::vote::VoteGroup`] by leader.
    VoteGroup,
    /// [`crate::vote::Voter`] by account.
    Voter,
    /// [`crate::validator::Validator`] by consensus key.
    Validator,
    /// [`crate::validator::Committee`] by epoch: 8 octets, lowest first, then zeros.
    Committee,
    /// [`crate::contract::listing::Listing`] by name.
    Listing,
    /// [`crate::contract::listing::Lease`] by name.
    Lease,
    /// [`crate::contract::pseudonym::Pseudonym`] by account.
    Pseudonym,
    /// [`crate::contract::sla::Sla`] by name.
    Sla,
    /// [`crate::contract::quarantine::Quarantine`] by account.
    Quarantine,
    /// [`crate::contract::rating::Rating`] by account.
    Rating,
    /// [`crate::contract::review::LaneBook`] by lane.
    LaneBook,
}

impl Kind {
    /// All kinds, each at its place.
    pub const ALL: [Self; 16] = [
        Self::Fixed,
        Self::Account,
        Self::Escrow,
        Self::Lane,
        Self::Router,
        Self::VoteGroup,
        Self::Voter,
        Self::Validator,
        Self::Committee,
        Self::Listing,
        Self::Lease,
        Self::Pseudonym,
        Self::Sla,
        Self::Quarantine,
        Self::Rating,
        Self::LaneBook,
    ];

    fn place(self) -> usize {
        Self::ALL.iter().position(|kind| *kind == self).expect("`ALL` names every kind")
    }
}

/// Kinds that the tree has room for.
pub const KINDS_MAX: usize = 1 << KIND_LEVELS;

/// Levels of the tree of kinds.
const KIND_LEVELS: usize = 5;

/// A node on the way from the root of a table to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Step {
    /// In which bit the places below it first differ.
    pub bit: u8,
    /// The hash of the child that the way does not go to.
    pub sibling: [u8; 32],
}

/// What stands at the end of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Leaf {
    /// The row itself.
    Same,
    /// Another row, so there is none of the key.
    Other {
        /// Its key.
        key: [u8; 32],
        /// BLAKE3 of its bytes.
        row: [u8; 32],
    },
    /// Nothing: the table has no rows.
    None,
}

/// A proof about one key: about 900 octets in a table of a million rows.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    /// From the root of the table down; at most 256, because bits rise.
    pub steps: Vec<Step>,
    /// What they lead to.
    pub leaf: Leaf,
    /// From the root of the table up to the state root.
    pub kinds: [[u8; 32]; KIND_LEVELS],
}

/// The proof does not prove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It speaks of a row where none is claimed, or the other way round.
    #[error("the proof shows something else than what is claimed")]
    OtherClaim,
    /// No tree has such a way.
    #[error("the proof's steps do not go down")]
    Disordered,
    /// It leads to another root.
    #[error("the proof leads to another root")]
    OtherRoot,
}

/// Checks that the state with `root` has `row` (canonical bytes) under `key`, or no row if `None`.
///
/// **Errors:** [`ProofError`]; nothing is known then.
pub fn verify(
    root: &StateRoot,
    kind: Kind,
    key: &[u8; 32],
    row: Option<&[u8]>,
    proof: &Proof,
) -> Result<(), ProofError> {
    let mut hash = match (row, proof.leaf) {
        (Some(row), Leaf::Same) => leaf_hash(key, blake3::hash(row).as_bytes()),
        (None, Leaf::Other { key: other, row })
            if other != *key || canary::is(Canary::SameAsOther) =>
        {
            leaf_hash(&other, &row)
        }
        (None, Leaf::None) if proof.steps.is_empty() => [0; 32],
        (Some(_) | None, _) => return Err(ProofError::OtherClaim),
    };
    if !proof.steps.is_sorted_by(|upper, lower| upper.bit < lower.bit) {
        return Err(ProofError::Disordered);
    }
    let place = place_of(key);
    for step in proof.steps.iter().rev() {
        hash = match side(&place, step.bit) {
            0 => node_hash(step.bit, &hash, &step.sibling),
            _ => node_hash(step.bit, &step.sibling, &hash),
        };
    }
    let found = climb(kind.place(), hash, &proof.kinds);
    if found == root.0 { Ok(()) } else { Err(ProofError::OtherRoot) }
}

/// The root over the roots of all tables, each at its kind's place.
pub fn root_of_kinds(tables: &[[u8; 32]; KINDS_MAX]) -> StateRoot {
    let mut level = tables.to_vec();
    while level.len() > 1 {
        level = next_level(&level);
    }
    StateRoot(level[0])
}

/// The siblings on the way from a kind's table up to the root.
pub fn kind_siblings(tables: &[[u8; 32]; KINDS_MAX], kind: Kind) -> [[u8; 32]; KIND_LEVELS] {
    let (mut level, mut place) = (tables.to_vec(), kind.place());
    core::array::from_fn(|_| {
        let sibling = level[place ^ 1];
        level = next_level(&level);
        place /= 2;
        sibling
    })
}

fn next_level(level: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let (pairs, _) = level.as_chunks::<2>();
    pairs.iter().map(|[left, right]| pair_hash(left, right)).collect()
}

fn climb(place: usize, hash: [u8; 32], siblings: &[[u8; 32]; KIND_LEVELS]) -> [u8; 32] {
    let up = |(place, hash): (usize, [u8; 32]), sibling: &[u8; 32]| {
        let is_right = place % 2 == 1;
        let hash = if is_right { pair_hash(sibling, &hash) } else { pair_hash(&hash, sibling) };
        (place / 2, hash)
    };
    siblings.iter().fold((place, hash), up).1
}

/// Where the row of `key` is in its table.
pub fn place_of(key: &[u8; 32]) -> [u8; 32] {
    *blake3::hash(key).as_bytes()
}

/// Which child is towards `place`: 0 left, 1 right. Bits count from the highest of the first octet.
pub fn side(place: &[u8; 32], bit: u8) -> usize {
    usize::from(place[usize::from(bit / 8)] >> (7 - bit % 8) & 1)
}

/// The hash of a row in its table.
pub fn leaf_hash(key: &[u8; 32], row: &[u8; 32]) -> [u8; 32] {
    two(LEAF, key, row)
}

/// The hash of an inner node.
pub fn node_hash(bit: u8, left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut key = *NODE;
    key[31] = bit;
    two(&key, left, right)
}

fn pair_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    two(KINDS, left, right)
}

fn two(key: &[u8; 32], left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    *blake3::keyed_hash(key, &both).as_bytes()
}

/// Keys that tell the hashes of different things apart; `NODE` ends with the bit.
const LEAF: &[u8; 32] = b"srwan ledger leaf v1............";
const NODE: &[u8; 32] = b"srwan ledger node v1............";
const KINDS: &[u8; 32] = b"srwan ledger kinds v1...........";
