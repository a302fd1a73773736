//! Values drawn from a name and a number: the same ones in every run, on every machine.

/// A stream of octets that follows from its name and number alone.
pub struct Draw(blake3::OutputReader);

impl Draw {
    pub fn new(name: &str, number: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(name.as_bytes());
        hasher.update(&number.to_be_bytes());
        Self(hasher.finalize_xof())
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.0.fill(&mut out);
        out
    }

    pub fn word(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// Any of `0..bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.word() % u64::from(bound)).unwrap()
    }

    pub fn chance(&mut self) -> bool {
        self.below(2) == 1
    }
}
