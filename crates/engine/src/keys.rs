//! Between key bytes and the engine's key types.

use bytes::Bytes;
use commonware_codec::DecodeExt;
use commonware_cryptography::Signer as _;
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_utils::TryFromIterator;
use commonware_utils::ordered::Set;

/// The private key of a seed.
pub(crate) fn private(seed: &[u8; 32]) -> PrivateKey {
    PrivateKey::decode(Bytes::copy_from_slice(seed)).expect("any 32 octets are an ed25519 seed")
}

/// The public key of a seed.
pub(crate) fn public(seed: &[u8; 32]) -> PublicKey {
    private(seed).public_key()
}

/// A public key, if the bytes are one.
pub(crate) fn parse(bytes: &[u8; 32]) -> Option<PublicKey> {
    PublicKey::decode(Bytes::copy_from_slice(bytes)).ok()
}

/// The bytes of a public key.
pub(crate) fn bytes(key: &PublicKey) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(key.as_ref());
    out
}

/// A committee as the engine orders it; `None` if it is empty, or names a key twice or one that is none.
pub(crate) fn committee(keys: &[[u8; 32]]) -> Option<Set<PublicKey>> {
    let parsed: Option<Vec<PublicKey>> = keys.iter().map(parse).collect();
    Set::try_from_iter(parsed?).ok().filter(|set: &Set<PublicKey>| !set.is_empty())
}
