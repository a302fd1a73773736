//! JSON shapes of what proves something: headers, certificates, proofs, and who finalizes.

use serde::{Deserialize, Serialize};

/// A final header as a light client needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// `srwan.ledger.header/1`.
    pub schema: String,
    /// Its height.
    pub height: u64,
    /// The ledger's name of the block.
    pub hash: String,
    /// The engine's name of the block: a digest of `context` and `header`.
    pub digest: String,
    /// The block before.
    pub parent: String,
    /// The newest executed height that the proposer knew.
    pub state_height: u64,
    /// The state after the block of that height.
    pub state_root: String,
    /// Digest of the transactions' names.
    pub tx_root: String,
    /// Its proposer's clock, nanoseconds since the UNIX epoch.
    pub time_ns: u64,
    /// Who made it.
    pub proposer: String,
    /// Who signed the finalization that it carries.
    pub voters: Vec<String>,
    /// The header's bytes, base64 with padding.
    pub header: String,
    /// The engine's part of what the digest covers, base64 with padding.
    pub context: String,
}

/// A header with the proof that its block, and every block before it, is final.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// `srwan.ledger.certificate/1`.
    pub schema: String,
    /// Of the block that was certified: the one asked for, or the next that has a certificate.
    pub height: u64,
    /// The engine's name of that block.
    pub digest: String,
    /// Consensus keys of those who signed, ascending.
    pub signers: Vec<String>,
    /// The ledger's header of that block, base64 with padding.
    pub header: String,
    /// The engine's part of what the digest covers, base64 with padding.
    pub context: String,
    /// The encoded finalization, base64 with padding.
    pub certificate: String,
}

/// That a row is, or is not, in the state of a final header. Check it with [`super::light`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// `srwan.ledger.proof/1`.
    pub schema: String,
    /// `account` or `lane`.
    pub kind: String,
    /// The account's key or the lane's name.
    pub key: String,
    /// The row's bytes (borsh), base64 with padding; `null` if there is none.
    pub row: Option<String>,
    /// The proof's bytes, base64 with padding.
    pub proof: String,
    /// The height after which the state is this.
    pub state_height: u64,
    /// The state's root, which the header names.
    pub state_root: String,
    /// The header that names the root, and the proof that it is final.
    pub certificate: Certificate,
}

/// Who finalizes, and who could.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `srwan.ledger.validators/1`.
    pub schema: String,
    /// At this height.
    pub height: u64,
    /// The epoch of the next block.
    pub epoch: u64,
    /// Blocks of an epoch of the committee.
    pub epoch_blocks: u64,
    /// In the order of their consensus keys.
    pub validators: Vec<ValidatorInfo>,
}

/// One validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorInfo {
    /// Its consensus key.
    pub key: String,
    /// Its account.
    pub account: String,
    /// Where its peers reach it; empty for a ledger of one.
    pub address: String,
    /// Its power: by which it is paid.
    pub power: u64,
    /// What it locked.
    pub bond_coins: String,
    /// Whether it is in the committee of this epoch.
    pub in_committee: bool,
    /// Whether it is in the committee of the next epoch.
    pub in_next_committee: bool,
    /// The newest block whose certificate in the chain has its signature, as far as this validator
    /// has seen since it started.
    pub last_signed_height: Option<u64>,
    /// Whether it spoke to this validator within the last half minute, or is this validator.
    pub connected: bool,
}
