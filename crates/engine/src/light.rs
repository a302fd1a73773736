//! What a light client checks: pure functions over bytes.
//!
//! ```text
//! proof of a row -> state root in the header -> digest(context, header) -> certificate -> committee
//! ```
//!
//! A block's digest covers the engine's context and the application's header. The context holds the
//! BLAKE3 hash of the body, so that a light client needs no body and a block with another body is another
//! block.

use thiserror::Error;

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

/// The public key of a consensus key's seed.
pub fn public_key(seed: &[u8; 32]) -> [u8; 32] {
    let _ = seed;
    unimplemented!("the wiring follows")
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
/// - `committee`: consensus keys in any order; a quorum of them must have signed.
/// - The answer's `epoch` must be the one that `committee` is of.
pub fn verify(
    namespace: &[u8],
    committee: &[[u8; 32]],
    context: &[u8],
    header: &[u8],
    certificate: &[u8],
) -> Result<Verified, LightError> {
    let _ = (namespace, committee, context, header, certificate);
    Err(LightError::Malformed)
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
    let _ = (namespace, key, proof);
    Err(LightError::Malformed)
}
