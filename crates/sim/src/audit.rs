//! The audit hash: one number that two runs share only if the same things happened in the same order.
//!
//! It is for finding out that a run was not determined by its seed, not for withstanding forgers: two lanes of
//! multiply and rotate over words of eight octets, several gigabytes a second, so that it is always on.

use srwan_wire::time::Instant;
use std::fmt;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A datagram came to a router.
    Arrival,
    /// A router's timer went off.
    Timer,
    /// A block of the ledger.
    Block,
    /// A router or host put a datagram on a link.
    Sending,
    /// A host got a packet.
    Delivery,
    /// A router told its shell something.
    Event,
    /// Something was done to the world: a fault, a crash, a command.
    Change,
}

impl Happening {
    const fn number(self) -> u64 {
        match self {
            Self::Arrival => 1,
            Self::Timer => 2,
            Self::Block => 3,
            Self::Sending => 4,
            Self::Delivery => 5,
            Self::Event => 6,
            Self::Change => 7,
        }
    }
}

/// Everything that happened so far, in 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditHash(pub u128);

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The running hash.
#[derive(Clone, Debug)]
pub struct Audit {
    left: u64,
    right: u64,
    events: u64,
}

/// Odd numbers of the fractional parts of the golden ratio and of the square root of two.
const FACTORS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0x6a09_e667_f3bc_c909];

impl Default for Audit {
    fn default() -> Self {
        Self { left: FACTORS[1], right: FACTORS[0], events: 0 }
    }
}

impl Audit {
    /// Takes in one happening at router `who` with what belongs to it.
    pub fn note(&mut self, what: Happening, at: Instant, who: usize, bytes: &[u8]) {
        self.events += 1;
        self.mix(what.number() << 56 | u64::try_from(bytes.len()).unwrap_or(u64::MAX) >> 8);
        self.mix(at.as_nanos());
        self.mix(u64::try_from(who).unwrap_or(u64::MAX));
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last) ^ u64::try_from(bytes.len()).unwrap_or(0));
    }

    /// How many happenings there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The hash of everything so far.
    #[must_use]
    pub fn hash(&self) -> AuditHash {
        let high = u128::from(avalanche(self.left ^ self.events));
        AuditHash(high << 64 | u128::from(avalanche(self.right.wrapping_add(self.left))))
    }

    #[inline]
    fn mix(&mut self, word: u64) {
        self.left = (self.left.rotate_left(23) ^ word).wrapping_mul(FACTORS[0]);
        self.right = (self.right.rotate_left(29).wrapping_add(word)).wrapping_mul(FACTORS[1]);
    }
}

/// The finaliser of SplitMix64: every bit of the input moves half of the output.
fn avalanche(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
