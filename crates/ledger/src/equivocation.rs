//! Proofs that a validator contradicted itself: two signed votes of one view, in the consensus engine's
//! bytes, read and checked by pure code so that every validator comes to the same verdict.
//!
//! ```text
//! proof    = tag | vote | vote          1: two notarize votes, 2: two finalize, 3: nullify, then finalize
//! proposal = epoch | view | parent view | digest 32         integers are varints, seven bits an octet,
//! round    = epoch | view                                   lowest first, shortest form only
//! vote     = proposal (nullify: round) | index of the signer | signature 64
//! signed   = length of namespace | chain, "_NOTARIZE" / "_FINALIZE" / "_NULLIFY" | proposal or round
//! ```
//!
//! Two proposals in one round, or a finalized one in a round that the same key skipped, are what an honest
//! validator never signs. Which committee it was in does not matter. Source: simplex votes of the
//! engine that `srwan-engine` wraps; its `light::verify_equivocation` says the same.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::canary::{self, Canary};
use srwan_wire::id::{ChainId, ValidatorKey};
use srwan_wire::sign::claim::Claim;

/// Largest proof that is read: two votes have less than 300 octets.
pub const PROOF_OCTETS_MAX: usize = 512;

/// A validator's contradiction, as someone reports it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Equivocation {
    /// Whose votes.
    pub key: ValidatorKey,
    /// The votes, in the engine's bytes; at most [`PROOF_OCTETS_MAX`].
    pub proof: Vec<u8>,
}

/// What a vote is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ballot {
    Notarize,
    Finalize,
    Nullify,
}

/// A signed vote.
struct Vote<'a> {
    ballot: Ballot,
    epoch: u64,
    view: u64,
    /// What was signed.
    subject: &'a [u8],
    signature: &'a [u8; 64],
}

impl Equivocation {
    /// Whether the votes prove it; the epoch that they are of, or `None`.
    #[must_use]
    pub fn check(&self, chain: &ChainId) -> Option<u64> {
        if self.proof.len() > PROOF_OCTETS_MAX {
            return None;
        }
        let (tag, mut rest) = self.proof.split_first()?;
        let (left, right) = match tag {
            1 => (Ballot::Notarize, Ballot::Notarize),
            2 => (Ballot::Finalize, Ballot::Finalize),
            3 => (Ballot::Nullify, Ballot::Finalize),
            _ => return None,
        };
        let (left, right) = (Vote::read(left, &mut rest)?, Vote::read(right, &mut rest)?);
        let is_one_round = (left.epoch, left.view) == (right.epoch, right.view);
        let contradicts = left.ballot != right.ballot || left.subject != right.subject;
        let is_any = canary::is(Canary::AnyVotesConvict);
        let is_proof = rest.is_empty() && (is_any || (is_one_round && contradicts));
        let is_signed = || left.is_by(&self.key, chain) && right.is_by(&self.key, chain);
        (is_proof && is_signed()).then_some(left.epoch)
    }
}

impl<'a> Vote<'a> {
    fn read(ballot: Ballot, bytes: &mut &'a [u8]) -> Option<Self> {
        let start = *bytes;
        let (epoch, view) = (varint(bytes)?, varint(bytes)?);
        if ballot != Ballot::Nullify {
            varint(bytes)?;
            let (_digest, rest) = bytes.split_first_chunk::<32>()?;
            *bytes = rest;
        }
        let subject = &start[..start.len() - bytes.len()];
        let _signer = varint(bytes)?;
        let (signature, rest) = bytes.split_first_chunk::<64>()?;
        *bytes = rest;
        Some(Self { ballot, epoch, view, subject, signature })
    }

    fn is_by(&self, key: &ValidatorKey, chain: &ChainId) -> bool {
        let suffix: &[u8] = match self.ballot {
            Ballot::Notarize => b"_NOTARIZE",
            Ballot::Finalize => b"_FINALIZE",
            Ballot::Nullify => b"_NULLIFY",
        };
        let octets = u8::try_from(chain.0.len() + suffix.len()).expect("about 40 octets");
        let parts: [&[u8]; 4] = [&[octets], &chain.0, suffix, self.subject];
        Claim::raw(&parts, &key.0, self.signature).is_true()
    }
}

/// An integer of seven bits an octet, lowest first; `None` if cut short, too large, or not the shortest form.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (octet, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(octet & 0x7f);
        if part << shift >> shift != part || (*octet == 0 && shift > 0) {
            return None;
        }
        value |= part << shift;
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_encoding() {
        let read = |mut bytes: &[u8]| varint(&mut bytes);
        assert_eq!(read(&[5]), Some(5));
        assert_eq!(read(&[0x80, 1]), Some(128));
        assert_eq!(read(&[0x80, 0]), None);
        assert_eq!(read(&[0x80]), None);
        assert_eq!(read(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]), Some(u64::MAX));
        assert_eq!(read(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2]), None);
        assert_eq!(read(&[255; 11]), None);
    }
}
