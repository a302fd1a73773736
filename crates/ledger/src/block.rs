//! Blocks: transactions in order, under a header that names the state they start from.
//!
//! A header carries the root of the state *before* its block. So a block can be ordered and made
//! durable before it is executed, and the state is always a function of the block log alone.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::hash::{BlockHash, StateRoot, digest};
use crate::tx::SignedTx;
use srwan_wire::id::{AccountKey, ChainId, Height};
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
    /// The state that this block starts from: that after its parent.
    pub state_root: StateRoot,
    /// Digest of the transactions' names in order.
    pub tx_root: [u8; 32],
    /// The proposer's wall clock, for people; no rule reads it.
    pub time: Timestamp,
    /// Who made it.
    pub proposer: AccountKey,
    /// Who finalized the parent, in ascending order: they are paid the validators' part of this
    /// block's fees.
    pub voters: Vec<AccountKey>,
}

impl Header {
    /// The block's name.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        let bytes = borsh::to_vec(self).expect("writing to a Vec does not fail");
        BlockHash(digest("srwan block v1", &[&bytes]))
    }
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
    let mut names = Vec::with_capacity(32 * txs.len());
    txs.iter().for_each(|tx| names.extend_from_slice(&tx.body.hash().0));
    digest("srwan tx root v1", &[&names])
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
    /// Made from another state: a divergence, which must stop a validator.
    #[error("the block starts from state {got}, this ledger is at {expected}")]
    WrongState {
        /// Ours.
        expected: StateRoot,
        /// The block's.
        got: StateRoot,
    },
    /// A voter twice would be paid twice.
    #[error("the voters are not distinct and in ascending order")]
    WrongVoters,
    /// Header and transactions do not belong together.
    #[error("the transactions are not those that the header names")]
    WrongTransactions,
}
