//! The Internet checksum: whole, and updated for one changed word.
//!
//! **Source:** RFC 1071 (computation), RFC 1624 (incremental update, equation 3).

/// A running one's complement sum.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds `bytes`, which start at an even offset; an odd last octet counts as padded with zero.
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        let pairs = bytes.chunks_exact(2);
        let odd = pairs.remainder().first().map_or(0, |octet| u64::from(*octet) << 8);
        let words = pairs.map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]])));
        Self(self.0 + words.sum::<u64>() + odd)
    }

    /// The checksum of everything that was added.
    pub(crate) fn finish(self) -> u16 {
        !fold(self.0)
    }
}

/// The checksum after the word `old` under it became `new`.
pub(crate) fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(u64::from(!checksum) + u64::from(!old) + u64::from(new))
}

/// Changes the 16-bit word at `at` to `new` and the checksum at `checksum_at` with it.
///
/// The word need not be aligned to the checksummed data: an odd place swaps the octets of both
/// words (RFC 1071 §2.B).
pub(crate) fn rewrite(bytes: &mut [u8], checksum_at: usize, at: usize, new: u16) {
    let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let checksum = u16::from_be_bytes([bytes[checksum_at], bytes[checksum_at + 1]]);
    let is_odd = at.abs_diff(checksum_at) % 2 == 1;
    let (from, to) = if is_odd { (old.swap_bytes(), new.swap_bytes()) } else { (old, new) };
    bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
    let updated = update(checksum, from, to);
    bytes[checksum_at..checksum_at + 2].copy_from_slice(&updated.to_be_bytes());
}

fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    u16::try_from(sum).expect("folded to 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071_comes_out() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().add(&bytes).finish(), !0xddf2);
    }

    proptest! {
        #[test]
        fn an_updated_checksum_is_the_computed_one(
            mut bytes in proptest::collection::vec(any::<u8>(), 8..64), at in 0_usize..60, new: u16,
        ) {
            // Not all zero, before or after: one's complement has two zeros.
            bytes[0] = 1;
            let at = 4 + at % (bytes.len() - 5);
            bytes[2..4].fill(0);
            let checksum = Sum::default().add(&bytes).finish();
            bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
            rewrite(&mut bytes, 2, at, new);
            let updated = u16::from_be_bytes([bytes[2], bytes[3]]);
            bytes[2..4].fill(0);
            prop_assert_eq!(updated, Sum::default().add(&bytes).finish());
        }
    }
}
