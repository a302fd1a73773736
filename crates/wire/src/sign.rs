//! Domain-separated ed25519 signatures over canonical bytes.
//!
//! What is signed is `domain || 0x00 || payload`: a signature made for one kind of object never verifies as another.
//! Which signatures are valid is [`claim`]'s matter.

use crate::id::AccountKey;
use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use ed25519_dalek::{Signer, SigningKey};

pub mod claim;

use claim::Claim;

/// A signing key: the secret half of an [`AccountKey`]. Zeroed when dropped, never printed.
pub struct AccountSecret(SigningKey);

impl AccountSecret {
    /// The key with this 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> AccountKey {
        AccountKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `payload` as an object of `domain`.
    #[must_use]
    pub fn sign(&self, domain: &'static str, payload: &[u8]) -> Signature {
        Signature(self.0.sign(&message(domain, payload)).to_bytes())
    }
}

impl Clone for AccountSecret {
    fn clone(&self) -> Self {
        Self(SigningKey::from_bytes(&self.0.to_bytes()))
    }
}

impl fmt::Debug for AccountSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountSecret({})", self.public())
    }
}

/// An ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

/// The signature is not by this key over this object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// Checks that `signature` is `signer`'s over `payload` as an object of `domain`.
///
/// # Errors
/// [`BadSignature`] for a wrong key, a wrong object, or a wrong domain.
pub fn verify(
    domain: &'static str,
    payload: &[u8],
    signer: &AccountKey,
    signature: &Signature,
) -> Result<(), BadSignature> {
    let claim = Claim::new(domain, payload, signer, signature);
    if claim.is_true() { Ok(()) } else { Err(BadSignature) }
}

fn message(domain: &'static str, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(domain.len() + 1 + payload.len());
    message.extend_from_slice(domain.as_bytes());
    message.push(0);
    message.extend_from_slice(payload);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_domain_and_payload_only() {
        let secret = AccountSecret::from_seed(&[7; 32]);
        let signature = secret.sign("srwan test v1", b"payload");
        let check = |domain, payload: &[u8]| verify(domain, payload, &secret.public(), &signature);
        assert_eq!(check("srwan test v1", b"payload"), Ok(()));
        assert_eq!(check("srwan test v2", b"payload"), Err(BadSignature));
        assert_eq!(check("srwan test v1", b"payloae"), Err(BadSignature));
    }

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = AccountSecret::from_seed(&[7; 32]);
        assert!(!format!("{secret:?}").contains("0707"));
    }
}
