//! Packets of every kind that a host may send, each checked byte by byte at the other end and again when it comes
//! back.
//!
//! A probe is a datagram whose bytes follow from its kind and number, so that both ends know what it must be. The
//! [`server`] checks and returns it, the [`client`] sends one of each [`Kind`] again and again. [`craft`] builds
//! the packets that no ordinary socket sends. What a lost probe means is for the reader of the counts: only a
//! damaged one is always wrong.

pub mod client;
mod craft;
pub mod server;
mod tcp;

/// Port of the server, UDP and TCP.
pub const PORT: u16 = 7;

/// A kind of packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A small datagram.
    Small,
    /// A datagram that fills the sender's link.
    Full,
    /// A datagram that its sender's kernel fragments.
    Large,
    /// An ICMP echo that both ends fragment.
    Echo,
    /// A run of datagrams sent as one (`UDP_SEGMENT`).
    Run,
    /// A datagram in fragments, the last one first.
    Fragments,
    /// IPv4 with options.
    Options,
    /// IPv6 with a hop-by-hop header.
    HopByHop,
    /// IPv6 with destination options.
    DestinationOptions,
    /// IPv6 with a routing header of a type that nobody knows and no segment left.
    Routing,
    /// IPv6 with a fragment header on a packet that is whole.
    AtomicFragment,
    /// IPv6 with hop-by-hop, destination and routing headers before fragments.
    Chain,
    /// A TCP connection, both ways as fast as it goes.
    Tcp,
    /// The same with destination options in every segment.
    TcpOptions,
}

impl Kind {
    /// What goes over IPv4.
    pub const V4: &[Self] = &[
        Self::Small,
        Self::Full,
        Self::Large,
        Self::Echo,
        Self::Run,
        Self::Fragments,
        Self::Options,
        Self::Tcp,
    ];
    /// What goes over IPv6.
    pub const V6: &[Self] = &[
        Self::Small,
        Self::Full,
        Self::Large,
        Self::Echo,
        Self::Run,
        Self::Fragments,
        Self::HopByHop,
        Self::DestinationOptions,
        Self::Routing,
        Self::AtomicFragment,
        Self::Chain,
        Self::Tcp,
        Self::TcpOptions,
    ];

    /// Word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Full => "full",
            Self::Large => "large",
            Self::Echo => "echo",
            Self::Run => "run",
            Self::Fragments => "fragments",
            Self::Options => "options",
            Self::HopByHop => "hop-by-hop",
            Self::DestinationOptions => "destination-options",
            Self::Routing => "routing",
            Self::AtomicFragment => "atomic-fragment",
            Self::Chain => "chain",
            Self::Tcp => "tcp",
            Self::TcpOptions => "tcp-options",
        }
    }

    fn octet(self) -> u8 {
        self as u8
    }
}

/// The probe of a kind with a number: `octets` long, but never shorter than its header.
pub fn probe(kind: u8, number: u64, octets: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(octets.max(HEADER_OCTETS) + 8);
    bytes.extend(MAGIC);
    bytes.extend([kind, 0, 0, 0]);
    bytes.extend(number.to_be_bytes());
    let seed = number ^ u64::from(kind) << 56;
    let mut word = 0;
    while bytes.len() < octets {
        bytes.extend(mixed(seed.wrapping_add(word)).to_be_bytes());
        word += 1;
    }
    bytes.truncate(octets.max(HEADER_OCTETS));
    bytes
}

/// Kind and number of a probe whose bytes are all right.
pub fn read(bytes: &[u8]) -> Option<(u8, u64)> {
    let (kind, number) = name(bytes)?;
    (probe(kind, number, bytes.len()) == bytes).then_some((kind, number))
}

/// Kind and number that a probe says it has.
fn name(bytes: &[u8]) -> Option<(u8, u64)> {
    let header: &[u8; HEADER_OCTETS] = bytes.first_chunk()?;
    let number = u64::from_be_bytes(*header.last_chunk()?);
    (header[..4] == MAGIC).then_some((header[4], number))
}

/// SplitMix64: neighbouring words have nothing in common.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Octets of a probe before its pattern: magic, kind, three zeroes, number.
pub const HEADER_OCTETS: usize = 16;
const MAGIC: [u8; 4] = *b"SRWV";
/// What a server returns in place of a probe that was damaged on its way.
pub const DAMAGED: [u8; 4] = *b"SRWX";
