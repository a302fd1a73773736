//! What a light client checks: pure functions over bytes.
//!
//! ```text
//! proof of a row -> state root in the header -> digest(context, header) -> certificate -> committee
//! ```
//!
//! A block's digest covers the engine's context and the application's header. The context holds the
//! BLAKE3 hash of the body, so that a light client needs no body and a block with another body is another
//! block.
//!
//! ```text
//! context (120 octets, integers little-endian):
//! height 8 | epoch 8 | view 8 | parent digest 32 | proposer key 32 | BLAKE3(body) 32
//! ```

use bytes::Bytes;
use commonware_codec::{Decode, Encode, ReadExt};
use commonware_consensus::simplex::scheme::Namespace;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Finalization, Finalize, Notarize, Nullify, Subject};
use commonware_consensus::types::Round;
use commonware_cryptography::Verifier as _;
use commonware_cryptography::certificate::{Attestation, Namespace as _, Subject as _};
use commonware_cryptography::ed25519::PublicKey;
use commonware_utils::N3f1;
use commonware_utils::ordered::{Quorum, Set};
use thiserror::Error;

use crate::block::{Digest, digest_bytes, usize_of};
use crate::keys;

/// Why bytes prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LightError {
    /// They are not what they should be.
    #[error("malformed bytes")]
    Malformed,
    /// The committee is empty, or names a key twice or one that is no key.
    #[error("not a committee")]
    Committee,
    /// The certificate is for another block.
    #[error("the certificate is for another block")]
    OtherBlock,
    /// Too few members signed, or a signature is wrong.
    #[error("signatures do not prove it")]
    Signature,
    /// The votes do not contradict each other, or are of different validators.
    #[error("no contradiction")]
    NoContradiction,
}

/// What a valid certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Of the block.
    pub height: u64,
    /// The epoch whose committee signed. The caller checks that the committee is of this epoch.
    pub epoch: u64,
    /// The block's digest.
    pub digest: [u8; 32],
    /// Consensus keys of those who signed, ascending.
    pub signers: Vec<[u8; 32]>,
}

/// The engine's part of what a block's digest covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// One above the parent's.
    pub height: u64,
    /// The epoch that the block was proposed in.
    pub epoch: u64,
    /// The view inside the epoch.
    pub view: u64,
    /// The parent's digest.
    pub parent: [u8; 32],
    /// Consensus key of who proposed the block.
    pub proposer: [u8; 32],
    /// BLAKE3 hash of the body.
    pub body_hash: [u8; 32],
}

impl Context {
    /// The layout above.
    pub fn encode(&self) -> [u8; CONTEXT_OCTETS] {
        let mut out = [0; CONTEXT_OCTETS];
        out[..8].copy_from_slice(&self.height.to_le_bytes());
        out[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        out[16..24].copy_from_slice(&self.view.to_le_bytes());
        out[24..56].copy_from_slice(&self.parent);
        out[56..88].copy_from_slice(&self.proposer);
        out[88..].copy_from_slice(&self.body_hash);
        out
    }

    /// Reads the layout above; `None` if the length is another.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; CONTEXT_OCTETS] = bytes.try_into().ok()?;
        let integer = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        let hash = |at: usize| bytes[at..at + 32].try_into().ok();
        Some(Self {
            height: integer(0)?,
            epoch: integer(8)?,
            view: integer(16)?,
            parent: hash(24)?,
            proposer: hash(56)?,
            body_hash: hash(88)?,
        })
    }
}

/// The public key of a consensus key's seed.
pub fn public_key(seed: &[u8; 32]) -> [u8; 32] {
    keys::bytes(&keys::public(seed))
}

/// A block's digest: BLAKE3 over a domain, the context and the header, each with its length.
pub fn digest(context: &[u8], header: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"srwan consensus block v1\0");
    for part in [context, header] {
        let octets = u64::try_from(part.len()).unwrap_or(u64::MAX);
        hasher.update(&octets.to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// Checks that the committee made the block of `context` and `header` final.
///
/// - `committee`: consensus keys in any order; a quorum of them (`n - (n - 1) / 3`) must have signed.
/// - The caller checks that `committee` is the one of the answer's `epoch`.
pub fn verify(
    namespace: &[u8],
    committee: &[[u8; 32]],
    context: &[u8],
    header: &[u8],
    certificate: &[u8],
) -> Result<Verified, LightError> {
    let committee = keys::committee(committee).ok_or(LightError::Committee)?;
    let parsed = Context::decode(context).ok_or(LightError::Malformed)?;
    let finalization = decode_finalization(certificate, committee.len())?;
    let digest = digest(context, header);
    if digest_bytes(&finalization.proposal.payload) != digest {
        return Err(LightError::OtherBlock);
    }
    let signers = check_signatures(namespace, &committee, &finalization)?;
    Ok(Verified {
        height: parsed.height,
        epoch: finalization.proposal.round.epoch().get(),
        digest,
        signers,
    })
}

/// Checks that `key` signed two votes that an honest validator never signs both.
///
/// Which validators were in the epoch's committee does not matter to the proof: the caller looks up whom
/// the key belongs to. Returns the epoch of the votes.
pub fn verify_equivocation(
    namespace: &[u8],
    key: &[u8; 32],
    proof: &[u8],
) -> Result<u64, LightError> {
    let key = keys::parse(key).ok_or(LightError::Malformed)?;
    let (first, second) = decode_votes(proof)?;
    if first.round() != second.round() || !first.contradicts(&second) {
        return Err(LightError::NoContradiction);
    }
    let namespace = Namespace::derive(namespace);
    if first.is_signed(&namespace, &key) && second.is_signed(&namespace, &key) {
        Ok(first.round().epoch().get())
    } else {
        Err(LightError::Signature)
    }
}

/// Reads a certificate of a committee of at most `members`.
pub(crate) fn decode_finalization(
    bytes: &[u8],
    members: usize,
) -> Result<Finalization<Scheme, Digest>, LightError> {
    Finalization::decode_cfg(Bytes::copy_from_slice(bytes), &members)
        .map_err(|_| LightError::Malformed)
}

/// The keys of those whom a finalization names as signers, ascending.
pub(crate) fn signers(
    committee: &Set<PublicKey>,
    finalization: &Finalization<Scheme, Digest>,
) -> Option<Vec<PublicKey>> {
    let indices = finalization.certificate.signers.iter();
    indices.map(|index| committee.key(index).cloned()).collect()
}

fn check_signatures(
    namespace: &[u8],
    committee: &Set<PublicKey>,
    finalization: &Finalization<Scheme, Digest>,
) -> Result<Vec<[u8; 32]>, LightError> {
    let signers = signers(committee, finalization).ok_or(LightError::Malformed)?;
    if signers.len() < usize_of(committee.quorum::<N3f1>()) {
        return Err(LightError::Signature);
    }
    let namespace = Namespace::derive(namespace);
    let subject = Subject::Finalize { proposal: &finalization.proposal };
    let signatures = &finalization.certificate.signatures;
    let valid = signers.iter().zip(signatures).all(|(key, signature)| {
        let signature = signature.get();
        signature
            .is_some_and(|it| key.verify(subject.namespace(&namespace), &subject.message(), it))
    });
    if valid { Ok(signers.iter().map(keys::bytes).collect()) } else { Err(LightError::Signature) }
}

/// One signed vote of a proof of equivocation.
pub(crate) enum Vote {
    Notarize(Notarize<Scheme, Digest>),
    Finalize(Finalize<Scheme, Digest>),
    Nullify(Nullify<Scheme>),
}

impl Vote {
    fn round(&self) -> Round {
        match self {
            Self::Notarize(vote) => vote.proposal.round,
            Self::Finalize(vote) => vote.proposal.round,
            Self::Nullify(vote) => vote.round,
        }
    }

    /// Two proposals notarized or finalized in one round, or one finalized and the round skipped.
    fn contradicts(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Notarize(a), Self::Notarize(b)) => a.proposal != b.proposal,
            (Self::Finalize(a), Self::Finalize(b)) => a.proposal != b.proposal,
            (Self::Nullify(_), Self::Finalize(_)) => true,
            (Self::Notarize(_) | Self::Finalize(_) | Self::Nullify(_), _) => false,
        }
    }

    fn is_signed(&self, namespace: &Namespace, key: &PublicKey) -> bool {
        let (subject, attestation): (Subject<'_, Digest>, &Attestation<Scheme>) = match self {
            Self::Notarize(vote) => {
                (Subject::Notarize { proposal: &vote.proposal }, &vote.attestation)
            }
            Self::Finalize(vote) => {
                (Subject::Finalize { proposal: &vote.proposal }, &vote.attestation)
            }
            Self::Nullify(vote) => (Subject::Nullify { round: vote.round }, &vote.attestation),
        };
        let signature = attestation.signature.get();
        signature.is_some_and(|it| key.verify(subject.namespace(namespace), &subject.message(), it))
    }
}

/// A proof as [`verify_equivocation`] takes it: a tag, then the two votes in the engine's encoding.
pub(crate) fn encode_votes(tag: u8, votes: &impl Encode) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&votes.encode());
    out
}

fn decode_votes(proof: &[u8]) -> Result<(Vote, Vote), LightError> {
    let malformed = |_| LightError::Malformed;
    let (tag, rest) = proof.split_first().ok_or(LightError::Malformed)?;
    let mut rest = Bytes::copy_from_slice(rest);
    let reader = &mut rest;
    let votes = match *tag {
        TAG_NOTARIZE => (
            Vote::Notarize(Notarize::read(reader).map_err(malformed)?),
            Vote::Notarize(Notarize::read(reader).map_err(malformed)?),
        ),
        TAG_FINALIZE => (
            Vote::Finalize(Finalize::read(reader).map_err(malformed)?),
            Vote::Finalize(Finalize::read(reader).map_err(malformed)?),
        ),
        TAG_NULLIFY_FINALIZE => (
            Vote::Nullify(Nullify::read(reader).map_err(malformed)?),
            Vote::Finalize(Finalize::read(reader).map_err(malformed)?),
        ),
        _ => return Err(LightError::Malformed),
    };
    if rest.is_empty() { Ok(votes) } else { Err(LightError::Malformed) }
}

/// Octets of an encoded [`Context`].
pub const CONTEXT_OCTETS: usize = 120;

/// A proof of two notarize votes.
pub(crate) const TAG_NOTARIZE: u8 = 1;
/// A proof of two finalize votes.
pub(crate) const TAG_FINALIZE: u8 = 2;
/// A proof of a vote to skip a view and one to finalize a block in it.
pub(crate) const TAG_NULLIFY_FINALIZE: u8 = 3;
