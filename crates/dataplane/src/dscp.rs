//! Sets of differentiated services code points (RFC 2474 section 3), by which a headend tells forwarding classes apart.

/// Code points there are: six bits.
pub const DSCP_COUNT: u8 = 64;

/// Some of the 64 code points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DscpSet(u64);

impl DscpSet {
    /// The set of these code points; what is not below [`DSCP_COUNT`] is none and left out.
    #[must_use]
    pub fn of(points: impl IntoIterator<Item = u8>) -> Self {
        let bits = points.into_iter().filter_map(|point| 1_u64.checked_shl(point.into()));
        Self(bits.fold(0, |set, bit| set | bit))
    }

    /// Whether a code point is in the set.
    #[must_use]
    pub fn contains(self, point: u8) -> bool {
        self.0.checked_shr(point.into()).is_some_and(|bits| bits & 1 == 1)
    }

    /// Whether two sets have a code point in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The code point of a packet's TOS or traffic class octet; the other two bits are ECN (RFC 3168 section 5).
pub(crate) fn point_of(tos: u8) -> u8 {
    tos >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in_and_nothing_else() {
        let set = DscpSet::of([0, 46, 63, 64, 255]);
        let within: Vec<u8> = (0..=255).filter(|point| set.contains(*point)).collect();
        assert_eq!(within, [0, 46, 63]);
        assert!(set.overlaps(DscpSet::of([46])));
        assert!(!set.overlaps(DscpSet::of([1, 45])));
    }

    #[test]
    fn congestion_bits_are_no_part_of_a_code_point() {
        assert_eq!([0xb8, 0xb9, 0xba, 0xbb].map(point_of), [46; 4]);
    }
}
