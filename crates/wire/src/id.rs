//! Names of things: nodes, groups, sessions, lanes, chains. Each is a type of its own, so that none can be swapped.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;

/// Largest node number: a SID keeps 20 bits for the node (docs/protocol.md, "SIDs").
pub const NODE_ID_MAX: u32 = (1 << 20) - 1;

/// A router's number in the SR domain, given by the controller when it joins.
///
/// - **Range:** 1..=`NODE_ID_MAX`; zero is never given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize)]
pub struct NodeId(u32);

impl NodeId {
    /// The node number `raw`, or `None` if it is zero or needs more than 20 bits.
    #[must_use]
    pub const fn new(raw: u32) -> Option<Self> {
        if raw == 0 || raw > NODE_ID_MAX { None } else { Some(Self(raw)) }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl BorshDeserialize for NodeId {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let raw = u32::deserialize_reader(reader)?;
        Self::new(raw).ok_or_else(|| invalid("node id out of range"))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

fn invalid(what: &'static str) -> borsh::io::Error {
    borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, what)
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
        )]
        pub struct $name(pub $raw);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// A group of up to 100 routers that pulse one another.
    GroupId(u32)
}
number! {
    /// Names a session at the node that chose it (the receiver of the packets that carry it). Zero means "no session".
    SessionIndex(u32)
}
number! {
    /// Names a link at the node that chose it: the low 16 bits of the session index of the same handshake.
    LinkIndex(u16)
}
number! {
    /// Tells the paths of one session apart; each has its own packet counter and replay window.
    PathId(u8)
}
number! {
    /// Which escrow lane a packet is billed to, as agreed with each hop at lane set-up. Zero is the unbilled class.
    LaneLabel(u32)
}
number! {
    /// The height of a block of the ledger: the ledger's only clock.
    Height(u64)
}
number! {
    /// A count of bytes on the wire or in a meter.
    ///
    /// - **Units:** octets. 1 GB is 10^9 octets.
    Octets(u64)
}

impl SessionIndex {
    /// The link index that belongs to the same handshake.
    #[must_use]
    pub fn link(self) -> LinkIndex {
        LinkIndex(u16::try_from(self.0 & 0xffff).expect("masked to 16 bits"))
    }
}

macro_rules! bytes32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
        )]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Reads 64 hexadecimal digits.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                parse_hex32(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "("))?;
                write_hex(f, &self.0[..4])?;
                write!(f, "..)")
            }
        }
    };
}

bytes32! {
    /// A router's X25519 static public key: who it is in a handshake.
    NodeKey
}
bytes32! {
    /// An ed25519 public key: an account of the ledger, and the signer of rows, receipts and transactions.
    AccountKey
}
bytes32! {
    /// An ed25519 public key that signs votes on blocks: a validator, whichever account stands behind it.
    ValidatorKey
}
bytes32! {
    /// Names an escrow lane on the ledger.
    LaneId
}
bytes32! {
    /// Names a path: the digest of its headend, relays and endpoint in order (see [`path_hash`]).
    PathHash
}
bytes32! {
    /// Names a ledger: the digest of its genesis.
    ChainId
}

/// The name of the path `headend -> relays.. -> endpoint`.
#[must_use]
pub fn path_hash(headend: NodeId, relays: &[NodeId], endpoint: NodeId) -> PathHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"srwan path v1\0");
    hasher.update(&headend.get().to_le_bytes());
    for relay in relays {
        hasher.update(&relay.get().to_le_bytes());
    }
    hasher.update(&endpoint.get().to_le_bytes());
    PathHash(*hasher.finalize().as_bytes())
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex32(text: &str) -> Option<[u8; 32]> {
    let text = text.trim().as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut out = [0_u8; 32];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(out)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(raw: u32) -> NodeId {
        NodeId::new(raw).unwrap()
    }

    #[test]
    fn zero_and_numbers_over_twenty_bits_are_no_node() {
        assert_eq!(NodeId::new(0), None);
        assert_eq!(NodeId::new(NODE_ID_MAX + 1), None);
        assert_eq!(NodeId::new(NODE_ID_MAX).map(NodeId::get), Some(NODE_ID_MAX));
    }

    #[test]
    fn a_decoded_node_id_is_always_in_range() {
        assert!(borsh::from_slice::<NodeId>(&0_u32.to_le_bytes()).is_err());
        assert!(borsh::from_slice::<NodeId>(&u32::MAX.to_le_bytes()).is_err());
    }

    #[test]
    fn keys_read_what_they_print() {
        let key = AccountKey(core::array::from_fn(|i| u8::try_from(i * 7).unwrap()));
        assert_eq!(AccountKey::from_hex(&key.to_string()), Some(key));
        assert_eq!(AccountKey::from_hex("zz"), None);
    }

    #[test]
    fn a_path_is_named_by_its_order() {
        let (a, b, c, d) = (node(1), node(2), node(3), node(4));
        assert_ne!(path_hash(a, &[b, c], d), path_hash(a, &[c, b], d));
        assert_ne!(path_hash(a, &[], d), path_hash(d, &[], a));
    }
}
