//! Checking a validator's answers without trusting it.
//!
//! ```text
//! row -> state root -> header -> certificate -> committee, which the reader knows
//! ```
//!
//! A reader starts with the chain id and the committee of genesis. Committees change with epochs; the
//! committee of a later epoch is a row like any other ([`srwan_ledger::proof::Kind::Committee`]), so a
//! reader that is handed such a row with its proof can go on from epoch to epoch. Nothing here asks the
//! network or a clock, so an answer may be old: compare heights if that matters.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use borsh::BorshDeserialize;
use srwan_engine::light::{self, LightError};
use srwan_ledger::account::Account;
use srwan_ledger::block::Header;
use srwan_ledger::hash::StateRoot;
use srwan_ledger::lane::Lane;
use srwan_ledger::proof::{self, Kind, ProofError};
use srwan_wire::id::{AccountKey, ChainId, Height, LaneId};

use super::{Certificate, Proof};

/// What a reader trusts: a chain, and who may make its blocks final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The chain's id.
    pub chain: ChainId,
    /// Consensus keys of the committee.
    pub committee: Vec<[u8; 32]>,
    /// Epochs in which it votes: genesis names that of the epochs 0 and 1. A ledger whose committee
    /// never changed has the same in all.
    pub epochs: std::ops::RangeInclusive<u64>,
}

/// Why an answer proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProof {
    /// A field is not what it should be.
    #[error("`{field}` is malformed")]
    Malformed {
        /// Which field.
        field: &'static str,
    },
    /// It is about something else than was asked.
    #[error("the proof is about something else")]
    OtherSubject,
    /// The header is of another chain, or not the one that the certificate names.
    #[error("the header is of another chain or height")]
    OtherHeader,
    /// The header names another state.
    #[error("the header names another state than the proof")]
    OtherState,
    /// The committee of that epoch is not known to the reader.
    #[error("the committee of epoch {epoch} is not known here")]
    UnknownEpoch {
        /// Which.
        epoch: u64,
    },
    /// The certificate does not hold.
    #[error("the certificate does not hold: {0}")]
    Certificate(#[from] LightError),
    /// The proof does not lead to the state.
    #[error("the proof does not hold: {0}")]
    Proof(#[from] ProofError),
}

/// What an answer proved: the row, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved<T> {
    /// The row; `None` if there is none.
    pub row: Option<T>,
    /// After the block of this height.
    pub height: Height,
    /// The state's root.
    pub root: StateRoot,
}

impl Trust {
    /// Checks that a certified header is final.
    ///
    /// **Errors:** [`NoProof`].
    pub fn check_certificate(&self, certificate: &Certificate) -> Result<Header, NoProof> {
        let header_bytes = bytes("header", &certificate.header)?;
        let context = bytes("context", &certificate.context)?;
        let proof = bytes("certificate", &certificate.certificate)?;
        let (chain, committee) = (&self.chain.0, &self.committee);
        let verified = light::verify(chain, committee, &context, &header_bytes, &proof)?;
        if !self.epochs.contains(&verified.epoch) {
            return Err(NoProof::UnknownEpoch { epoch: verified.epoch });
        }
        let header: Header = decode("header", &header_bytes)?;
        let is_same = header.chain == self.chain && header.height.0 == verified.height;
        if is_same { Ok(header) } else { Err(NoProof::OtherHeader) }
    }

    /// Checks a proof of the account of `key`.
    ///
    /// **Errors:** [`NoProof`].
    pub fn check_account(
        &self,
        key: &AccountKey,
        proof: &Proof,
    ) -> Result<Proved<Account>, NoProof> {
        self.check(Subject { kind: Kind::Account, name: "account", key: key.0 }, proof)
    }

    /// Checks a proof of the lane called `id`.
    ///
    /// **Errors:** [`NoProof`].
    pub fn check_lane(&self, id: &LaneId, proof: &Proof) -> Result<Proved<Lane>, NoProof> {
        self.check(Subject { kind: Kind::Lane, name: "lane", key: id.0 }, proof)
    }

    fn check<T: BorshDeserialize>(
        &self,
        subject: Subject,
        answer: &Proof,
    ) -> Result<Proved<T>, NoProof> {
        if answer.kind != subject.name || answer.key != hex::encode(subject.key) {
            return Err(NoProof::OtherSubject);
        }
        let header = self.check_certificate(&answer.certificate)?;
        let root = header.state_root;
        let is_same =
            header.state_height.0 == answer.state_height && root.to_string() == answer.state_root;
        if !is_same {
            return Err(NoProof::OtherState);
        }
        let row = answer.row.as_deref().map(|row| bytes("row", row)).transpose()?;
        let steps: proof::Proof = decode("proof", &bytes("proof", &answer.proof)?)?;
        proof::verify(&root, subject.kind, &subject.key, row.as_deref(), &steps)?;
        let row = row.map(|row| decode("row", &row)).transpose()?;
        Ok(Proved { row, height: header.state_height, root })
    }
}

/// What a proof should be about.
struct Subject {
    kind: Kind,
    name: &'static str,
    key: [u8; 32],
}

fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, NoProof> {
    STANDARD.decode(text).map_err(|_| NoProof::Malformed { field })
}

fn decode<T: BorshDeserialize>(field: &'static str, bytes: &[u8]) -> Result<T, NoProof> {
    borsh::from_slice(bytes).map_err(|_| NoProof::Malformed { field })
}
