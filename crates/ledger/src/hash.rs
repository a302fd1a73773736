//! Digests of the ledger's things, each a type of its own.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use srwan_wire::id::LaneId;

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(BorshSerialize, BorshDeserialize)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Reads 64 hexadecimal digits.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                LaneId::from_hex(text).map(|id| Self(id.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                LaneId(self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

digest! {
    /// Names a transaction: the digest of what is signed, so that it does not depend on the
    /// signature.
    TxHash
}
digest! {
    /// Names a block: the digest of its header.
    BlockHash
}
digest! {
    /// Names a state: the digest of all rows and pools.
    StateRoot
}

digest! {
    /// Names a listing.
    ListingId
}
digest! {
    /// Names a lease.
    LeaseId
}
digest! {
    /// Names a service level agreement.
    SlaId
}

/// BLAKE3 of `parts` under `domain`. Each part has a fixed size or is the last.
pub fn digest(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain.as_bytes()).update(&[0]);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
