//! What a block's body holds beside its header: transactions, and the certificate that its header's
//! voters are named from.
//!
//! The certificate stands beside the header, and with all that checking it takes, so that a voter
//! needs nothing but the committee.

use borsh::{BorshDeserialize, BorshSerialize};
use srwan_engine::light;
use srwan_engine::seam::{FinalBlock, Payload};
use srwan_ledger::block::{BLOCK_OCTETS_MAX, Block, Header};
use srwan_ledger::state::State;
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::{Height, ValidatorKey};

use crate::committee;

/// A block as the engine carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Header and transactions.
    pub block: Block,
    /// Where the header's voters come from; none if it names none.
    pub evidence: Option<Evidence>,
}

/// A finalization with the header that it certifies.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Evidence {
    /// The engine's part of what the certified block's digest covers.
    pub context: Vec<u8>,
    /// The certified block's header.
    pub header: Vec<u8>,
    /// The encoded finalization.
    pub certificate: Vec<u8>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Body {
    evidence: Option<Evidence>,
    txs: Vec<SignedTx>,
}

impl Carried {
    /// The bytes of header and body.
    #[must_use]
    pub fn encode(self) -> Payload {
        let body = Body { evidence: self.evidence, txs: self.block.txs };
        Payload { header: encode(&self.block.header), body: encode(&body) }
    }

    /// A block out of someone's bytes; `None` if they are none, or hold too much.
    #[must_use]
    pub fn decode(payload: &Payload) -> Option<Self> {
        let header: Header = borsh::from_slice(&payload.header).ok()?;
        let body: Body = borsh::from_slice(&payload.body).ok()?;
        // All that the body has beside its transactions: their number, and the evidence.
        let beside = 4 + encode(&body.evidence).len();
        let octets = u64::try_from(payload.body.len().saturating_sub(beside)).ok()?;
        let carried = Self { block: Block { header, txs: body.txs }, evidence: body.evidence };
        (octets <= BLOCK_OCTETS_MAX).then_some(carried)
    }

    /// A block that is final.
    ///
    /// **Panics:** if it is none, which a quorum of validators never lets happen.
    #[must_use]
    pub fn of_final(block: &FinalBlock) -> Self {
        Self::decode(&block.payload).expect("a quorum checked the block before it became final")
    }
}

/// Why a header's voters are not shown to have voted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VotersError {
    /// They are not, and never will be.
    Unproved,
    /// The committee that they would be of is not known yet.
    UnknownCommittee,
}

impl Carried {
    /// Checks that the header's voters are who signed a certificate of the state that it names, or of
    /// a later block before it. A header without voters carries no certificate.
    ///
    /// **Errors:** [`VotersError`].
    pub fn check_voters(&self, state: &State) -> Result<(), VotersError> {
        let header = &self.block.header;
        let evidence = match &self.evidence {
            None if header.voters.is_empty() => return Ok(()),
            None => return Err(VotersError::Unproved),
            Some(evidence) => evidence,
        };
        let certified: Header =
            borsh::from_slice(&evidence.header).map_err(|_| VotersError::Unproved)?;
        let is_between =
            certified.height >= header.state_height && certified.height < header.height;
        let signers = evidence.signers(state, certified.height)?;
        if is_between && signers == header.voters { Ok(()) } else { Err(VotersError::Unproved) }
    }
}

impl Evidence {
    /// Who signed the certificate, if it is one of the block of `height`.
    ///
    /// **Errors:** [`VotersError`].
    pub fn signers(&self, state: &State, height: Height) -> Result<Vec<ValidatorKey>, VotersError> {
        let epoch = committee::epoch_of(state, height);
        let members = committee::members(state, epoch).ok_or(VotersError::UnknownCommittee)?;
        let keys: Vec<[u8; 32]> = members.iter().map(|member| member.key.0).collect();
        let namespace = &state.chain().0;
        let (context, header) = (&self.context, &self.header);
        let verified = light::verify(namespace, &keys, context, header, &self.certificate)
            .map_err(|_| VotersError::Unproved)?;
        if verified.height != height.0 || verified.epoch != epoch {
            return Err(VotersError::Unproved);
        }
        Ok(verified.signers.into_iter().map(ValidatorKey).collect())
    }
}

/// The bytes of a value.
pub fn encode(value: &impl BorshSerialize) -> Vec<u8> {
    borsh::to_vec(value).expect("writing to a Vec does not fail")
}
