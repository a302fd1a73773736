//! Keys of a session and what they do: AEAD between headend and endpoint, link tag between
//! neighbours.
//!
//! Both come from one handshake, one of each per direction. The AEAD's nonce is four zero octets
//! and the header's path id and counter, which never repeat under one key; the AAD is the header as
//! [`HeaderView::write_aad`] gives it.
//!
//! [`HeaderView::write_aad`]: srwan_wire::segment::HeaderView::write_aad

use crate::aead::{Aes256Gcm, Nonce};
use siphasher::sip::SipHasher24;
use srwan_wire::segment::{AEAD_TAG_LEN, LINK_TAG_LEN};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret of 32 octets that is wiped when it is dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

const AEAD_CONTEXT: &str = "srwan v1 session key, AES-256-GCM";
const LINK_CONTEXT: &str = "srwan v1 link key, SipHash-2-4-64";

/// The payload or its AAD was not sealed with this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unauthentic;

/// AES-256-GCM in one direction of a session.
pub(crate) struct AeadKey(Aes256Gcm);

impl AeadKey {
    /// The key of the direction that the handshake gave `split` for.
    pub(crate) fn derive(split: &Secret) -> Self {
        let secret = Zeroizing::new(blake3::derive_key(AEAD_CONTEXT, &**split));
        Self::from_secret(&secret)
    }

    /// The key with exactly these octets.
    pub(crate) fn from_secret(secret: &Secret) -> Self {
        Self(Aes256Gcm::new(secret))
    }

    /// Seals `payload` in place and returns its tag. `nonce` must never repeat under this key.
    pub(crate) fn seal(&self, nonce: u64, aad: &[u8], payload: &mut [u8]) -> [u8; AEAD_TAG_LEN] {
        self.0.seal(nonce_of(nonce), aad, payload)
    }

    /// Opens `sealed` (payload and tag) in place and returns the payload's length.
    pub(crate) fn open(
        &self,
        nonce: u64,
        aad: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, Unauthentic> {
        self.0.open(nonce_of(nonce), aad, sealed)
    }
}

fn nonce_of(path_and_counter: u64) -> Nonce {
    let mut octets = Nonce::default();
    octets[4..].copy_from_slice(&path_and_counter.to_be_bytes());
    octets
}

/// SipHash-2-4-64 in one direction of a link.
pub(crate) struct LinkKey(SipHasher24);

impl LinkKey {
    /// The key of the direction that the handshake gave `split` for.
    pub(crate) fn derive(split: &Secret) -> Self {
        let secret = Zeroizing::new(blake3::derive_key(LINK_CONTEXT, &**split));
        let key: &[u8; 16] = secret.first_chunk().expect("a prefix of 32 octets");
        Self(SipHasher24::new_with_key(key))
    }

    /// The key itself, for whoever checks or makes tags elsewhere.
    pub(crate) fn secret(&self) -> Zeroizing<[u8; 16]> {
        Zeroizing::new(self.0.key())
    }

    /// The link tag of `header`, in the byte order of SipHash's specification (little-endian).
    pub(crate) fn tag(&self, header: &[u8]) -> [u8; LINK_TAG_LEN] {
        self.0.hash(header).to_le_bytes()
    }

    /// Whether `tag` is the tag of `header`, in constant time.
    pub(crate) fn verify(&self, header: &[u8], tag: [u8; LINK_TAG_LEN]) -> bool {
        self.0.hash(header).ct_eq(&u64::from_le_bytes(tag)).into()
    }
}

/// What one handshake yields, seen from one side.
pub(crate) struct KeyPair {
    /// What this side seals and tags with.
    pub(crate) send: Secret,
    /// What the other side seals and tags with.
    pub(crate) receive: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_opens_only_with_its_nonce_and_header() {
        let key = AeadKey::derive(&Zeroizing::new([7; 32]));
        let mut sealed = b"inner packet".to_vec();
        let tag = key.seal(5, b"header", &mut sealed);
        sealed.extend(tag);
        let open = |nonce, aad: &[u8]| key.open(nonce, aad, &mut sealed.clone());
        assert_eq!(open(5, b"header"), Ok(12));
        assert_eq!(open(6, b"header"), Err(Unauthentic));
        assert_eq!(open(5, b"Header"), Err(Unauthentic));
    }

    #[test]
    fn a_link_tag_is_of_its_key_and_header() {
        let key = LinkKey::derive(&Zeroizing::new([7; 32]));
        let other = LinkKey::derive(&Zeroizing::new([8; 32]));
        let tag = key.tag(b"header");
        assert!(key.verify(b"header", tag));
        assert!(!key.verify(b"headeR", tag));
        assert!(!other.verify(b"header", tag));
    }
}
