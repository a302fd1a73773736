//! The seeded generator that spreads probes and pulses: phases only, never a decision.

use core::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct PhaseRng(u64);

impl PhaseRng {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let digest = blake3::derive_key("srwan control phases v1", &seed);
        let (first, _) = digest.split_first_chunk().expect("a digest has 32 octets");
        Self(u64::from_le_bytes(*first))
    }

    /// A length in `0..bound`.
    pub(crate) fn below(&mut self, bound: Duration) -> Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(self.next() % nanos)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
