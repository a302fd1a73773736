//! Variable-length integers and the bounded reader of a pulse body.
//!
//! LEB128 (as in DWARF and QPACK's relatives): seven bits an octet, low bits first, and only the
//! shortest form is accepted, so every value has one encoding. Signed values are zigzag-coded
//! first.

use super::PulseError;
use crate::id::NodeId;

/// Most octets of a 64-bit number: ceil(64 / 7).
const VARINT_LEN_MAX: u32 = 10;

/// What is left to read of a pulse body.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn octet(&mut self) -> Result<u8, PulseError> {
        let (first, rest) = self.0.split_first().ok_or(PulseError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PulseError> {
        let (first, rest) = self.0.split_first_chunk().ok_or(PulseError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn slice(&mut self, len: usize) -> Result<&'a [u8], PulseError> {
        let (first, rest) = self.0.split_at_checked(len).ok_or(PulseError::Truncated)?;
        self.0 = rest;
        Ok(first)
    }

    pub(super) fn varint(&mut self) -> Result<u64, PulseError> {
        let mut value = 0_u64;
        for at in 0..VARINT_LEN_MAX {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            if at == VARINT_LEN_MAX - 1 && bits > 1 {
                return Err(PulseError::Malformed);
            }
            value |= bits << (7 * at);
            if octet & 0x80 == 0 {
                return if octet == 0 && at > 0 { Err(PulseError::Malformed) } else { Ok(value) };
            }
        }
        Err(PulseError::Malformed)
    }

    pub(super) fn varint32(&mut self) -> Result<u32, PulseError> {
        u32::try_from(self.varint()?).map_err(|_| PulseError::Malformed)
    }

    /// A list's length, at most `max`.
    pub(super) fn count(&mut self, max: usize) -> Result<usize, PulseError> {
        let count = usize::try_from(self.varint()?).map_err(|_| PulseError::Malformed)?;
        if count > max { Err(PulseError::Malformed) } else { Ok(count) }
    }

    pub(super) fn zigzag(&mut self) -> Result<i64, PulseError> {
        let raw = self.varint()?;
        let magnitude = i64::try_from(raw >> 1).map_err(|_| PulseError::Malformed)?;
        Ok(if raw & 1 == 0 { magnitude } else { !magnitude })
    }

    pub(super) fn node(&mut self) -> Result<NodeId, PulseError> {
        NodeId::new(self.varint32()?).ok_or(PulseError::Malformed)
    }

    /// A node above `previous` (zero at a list's start), coded as the distance to it.
    pub(super) fn node_after(&mut self, previous: u32) -> Result<NodeId, PulseError> {
        let gap = self.varint32()?;
        if gap == 0 {
            return Err(PulseError::Malformed);
        }
        previous.checked_add(gap).and_then(NodeId::new).ok_or(PulseError::Malformed)
    }
}

pub(super) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("masked to seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("below 128"));
}

pub(super) fn write_count(out: &mut Vec<u8>, count: usize) {
    write_varint(out, u64::try_from(count).expect("lists of a pulse are short"));
}

pub(super) fn write_zigzag(out: &mut Vec<u8>, value: i64) {
    let magnitude = if value < 0 { !value } else { value }.unsigned_abs();
    write_varint(out, magnitude << 1 | u64::from(value < 0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_read_back(value: u64, signed: i64) {
            let mut out = Vec::new();
            write_varint(&mut out, value);
            write_zigzag(&mut out, signed);
            let mut reader = Reader(&out);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.zigzag(), Ok(signed));
            prop_assert!(reader.0.is_empty());
        }
    }

    #[test]
    fn only_the_shortest_form_is_a_number() {
        assert_eq!(Reader(&[0x80, 0x00]).varint(), Err(PulseError::Malformed));
        assert_eq!(Reader(&[0xff; 11]).varint(), Err(PulseError::Malformed));
        assert_eq!(Reader(&[0x80]).varint(), Err(PulseError::Truncated));
    }
}
