//! Blocks: transactions in order, under a header that names a state its proposer had reached.
//!
//! Blocks are ordered first and executed once they are final, so a proposer may be some blocks
//! behind what it proposes. Its header says up to which height it had executed and the root after
//! that block; whoever votes for the block has the same root there. So each final block makes an
//! earlier state provable, and the state is always a function of the final blocks alone.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::hash::{BlockHash, StateRoot, TxHash, digest};
use crate::tx::SignedTx;
use srwan_wire::id::{ChainId, Height, ValidatorKey};
use srwan_wire::time::Timestamp;

/// Largest sum of encoded transactions in a block. Source: the design note on the engine, 1 MB.
pub const BLOCK_OCTETS_MAX: u64 = 1_000_000;

/// What a block says about itself; its digest names the block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// Which ledger.
    pub chain: ChainId,
    /// One more than the parent's.
    pub height: Height,
    /// The block before; for the first one, the chain's name.
    pub parent: BlockHash,
    /// Up to where the proposer had executed: at least the parent's, below `height`.
    pub state_height: Height,
    /// The state after the block of `state_height`.
    pub state_root: StateRoot,
    /// Digest of the transactions' names in order.
    pub tx_root: [u8; 32],
    /// The proposer's wall clock, for people; no rule reads it.
    pub time: Timestamp,
    /// Who made it.
    pub proposer: ValidatorKey,
    /// Who made `state_height` final, in ascending order: they are paid the validators' part of
    /// fees. None if `state_height` is the parent's: no one is paid twice for one certificate.
    pub voters: Vec<ValidatorKey>,
}

impl Header {
    /// The block's name.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        let bytes = borsh::to_vec(self).expect("writing to a Vec does not fail");
        BlockHash(digest("srwan block v2", &[&bytes]))
    }

    /// What a header that follows this one has to know of it.
    #[must_use]
    pub fn parent(&self) -> Parent {
        Parent { height: self.height, hash: self.hash(), state_height: self.state_height }
    }
}

/// What a header follows: a block, final or not, or the genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its height.
    pub height: Height,
    /// Its name.
    pub hash: BlockHash,
    /// Up to where its proposer had executed.
    pub state_height: Height,
}

/// What a proposer says in a header of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maker {
    /// Who it is.
    pub proposer: ValidatorKey,
    /// Who signed the certificate that it has for what it executed, in ascending order.
    pub voters: Vec<ValidatorKey>,
    /// Its wall clock.
    pub time: Timestamp,
}

/// A header and its transactions.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// What the block says about itself.
    pub header: Header,
    /// What it executes, in order.
    pub txs: Vec<SignedTx>,
}

/// The digest of transactions in order.
#[must_use]
pub fn tx_root(txs: &[SignedTx]) -> [u8; 32] {
    root_of_names(txs.iter().map(|tx| tx.body.hash()))
}

/// The digest of transactions' names in order.
pub(crate) fn root_of_names(hashes: impl Iterator<Item = TxHash>) -> [u8; 32] {
    let names: Vec<[u8; 32]> = hashes.map(|hash| hash.0).collect();
    digest("srwan tx root v1", &[names.as_flattened()])
}

/// Why a block does not follow the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Another ledger's.
    #[error("the block is of another ledger")]
    WrongChain,
    /// Not the next one.
    #[error("the next block has height {expected}, this one {got}")]
    WrongHeight {
        /// What would follow.
        expected: Height,
        /// What came.
        got: Height,
    },
    /// A fork.
    #[error("the block follows another parent")]
    WrongParent,
    /// Its proposer cannot have executed the block itself or a later one.
    #[error("the block names the state of height {got}, which is not before it")]
    StateNotBefore {
        /// What it names.
        got: Height,
    },
    /// It goes back behind what its parent named.
    #[error("the block names the state of height {got}, its parent that of {parent}")]
    StateFell {
        /// What the parent names.
        parent: Height,
        /// What it names.
        got: Height,
    },
    /// It may be right: ask again after more blocks were executed.
    #[error("the block names the state of height {got}, this ledger is at {known}")]
    StateUnknown {
        /// Up to where this ledger has executed.
        known: Height,
        /// What it names.
        got: Height,
    },
    /// Its proposer is further behind than a proposer may be.
    #[error("the block names the state of height {got}, the oldest that is kept is {oldest}")]
    StateTooOld {
        /// The oldest whose root is kept.
        oldest: Height,
        /// What it names.
        got: Height,
    },
    /// Another state at that height: a divergence, which must stop a validator.
    #[error("the block says that the state at height {height} is {got}, it is {expected}")]
    WrongState {
        /// At which height.
        height: Height,
        /// Ours.
        expected: StateRoot,
        /// The block's.
        got: StateRoot,
    },
    /// A voter twice would be paid twice.
    #[error("the voters are not distinct and in ascending order, or too many")]
    WrongVoters,
    /// They were paid with the parent.
    #[error("the block names voters but no later state than its parent")]
    VotersWithoutState,
    /// Header and transactions do not belong together.
    #[error("the transactions are not those that the header names")]
    WrongTransactions,
}
