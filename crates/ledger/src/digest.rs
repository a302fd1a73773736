//! A digest of a set of rows that is updated row by row, in any order.
//!
//! Each row is stretched by BLAKE3 to 1,024 words of 16 bits and added, word by word modulo 2^16,
//! into an accumulator; removing a row subtracts it. Equal sets have equal accumulators, whatever
//! their history; finding two sets with one accumulator is as hard as a short-vector problem.
//!
//! Source: Bellare, Micciancio, "A new paradigm for collision-free hashing" (AdHash / LtHash), with
//! the parameters lthash16-1024 of Lewi, Kim, Maykov, Weis, "Securing update propagation with
//! homomorphic hashing". It does not prove that a row is in the set: the authenticated store that
//! comes with the consensus engine does.

/// Words of an accumulator. Source: lthash16-1024, at least 200 bits of security.
const WORDS: usize = 1024;

/// What the rows of one table add up to.
#[derive(Clone, PartialEq, Eq)]
pub struct SetDigest {
    words: Box<[u16; WORDS]>,
}

impl SetDigest {
    /// The digest of no rows.
    pub fn empty() -> Self {
        Self { words: Box::new([0; WORDS]) }
    }

    /// Puts a row in.
    pub fn add(&mut self, row: &[u8]) {
        self.combine(row, u16::wrapping_add);
    }

    /// Takes a row out; it must have been put in with the same bytes.
    pub fn remove(&mut self, row: &[u8]) {
        self.combine(row, u16::wrapping_sub);
    }

    /// The digest in 32 bytes.
    pub fn finish(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for word in self.words.iter() {
            hasher.update(&word.to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    fn combine(&mut self, row: &[u8], operation: fn(u16, u16) -> u16) {
        let mut stretched = [0_u8; 2 * WORDS];
        blake3::Hasher::new().update(row).finalize_xof().fill(&mut stretched);
        let (pairs, _) = stretched.as_chunks::<2>();
        for (word, pair) in self.words.iter_mut().zip(pairs) {
            *word = operation(*word, u16::from_le_bytes(*pair));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(rows: &[&[u8]]) -> [u8; 32] {
        let mut digest = SetDigest::empty();
        rows.iter().for_each(|row| digest.add(row));
        digest.finish()
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        assert_eq!(digest_of(&[b"a", b"b", b"c"]), digest_of(&[b"c", b"a", b"b"]));
        assert_ne!(digest_of(&[b"a", b"b"]), digest_of(&[b"a", b"c"]));
        assert_ne!(digest_of(&[b"a"]), digest_of(&[b"a", b"a"]));
    }

    #[test]
    fn a_row_put_in_and_taken_out_leaves_nothing() {
        let mut digest = SetDigest::empty();
        digest.add(b"a");
        digest.add(b"b");
        digest.remove(b"a");
        assert_eq!(digest.finish(), digest_of(&[b"b"]));
    }
}
