//! A small deterministic generator for the draws of links; never for keys.
//!
//! Source: SplitMix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

/// A stream of draws that one seed decides.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A stream of its own for each pair of numbers.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed ^ mix(stream)))
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// Uniform below `bound`, but for a bias of at most `bound` in 2^64; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// True with a chance given in parts per million.
    pub fn happens(&mut self, ppm: u32) -> bool {
        // A draw is made only where it matters, so that switching loss on does not shift other draws.
        ppm > 0 && self.next_u64() % 1_000_000 < u64::from(ppm)
    }
}

/// A uniform draw in (0, 1] that depends on its arguments alone.
pub fn uniform_at(seed: u64, position: u64) -> f64 {
    let bits = u32::try_from(mix(seed ^ mix(position)) >> 32).expect("32 bits remain");
    (f64::from(bits) + 1.0) / (f64::from(u32::MAX) + 1.0)
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The odd constant of SplitMix64: 2^64 over the golden ratio.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
