//! One number that two runs share only if the same things happened in the same order; no guard against forgers.
//!
//! Source of the mixing step: SplitMix64, Steele, Lea and Flood, OOPSLA 2014.

use srwan_wire::time::Instant;

/// Everything noted so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Takes in what happened at a router.
    pub fn note(&mut self, at: Instant, router: usize, bytes: &[u8]) {
        self.mix(at.as_nanos());
        self.mix(u64::try_from(router).unwrap_or(u64::MAX));
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    /// In hexadecimal digits.
    pub fn text(self) -> String {
        format!("{:016x}", self.0)
    }

    fn mix(&mut self, word: u64) {
        let mut z = (self.0 ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = z ^ (z >> 31);
    }
}
