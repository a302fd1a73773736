//! DSCP and ECN across the tunnel.
//!
//! At the headend the outer TOS octet is a copy of the inner one; relays copy it on; at the
//! endpoint a congestion mark that the outer packet caught is moved to the inner one. **Source:**
//! RFC 6040, normal mode and section 4.2; RFC 2983 (pipe model for DSCP: the inner one is left as
//! the host set it).

use crate::checksum;
use crate::ip::be16;

const ECN_MASK: u8 = 0b11;

/// The four ECN codepoints (RFC 3168 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ecn {
    NotEct,
    Ect1,
    Ect0,
    Ce,
}

impl Ecn {
    const fn of(tos: u8) -> Self {
        match tos & ECN_MASK {
            0b00 => Self::NotEct,
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0b00,
            Self::Ect1 => 0b01,
            Self::Ect0 => 0b10,
            Self::Ce => 0b11,
        }
    }
}

/// The outer packet was marked "congested", but the inner one's sender does not understand marks:
/// it must be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Congested;

/// Carries the outer packet's congestion mark over to the inner packet.
///
/// `packet` must have been parsed as an inner packet.
pub(crate) fn decapsulate(packet: &mut [u8], inner: u8, outer: u8) -> Result<(), Congested> {
    let combined = combine(Ecn::of(inner), Ecn::of(outer))?;
    if combined != Ecn::of(inner) {
        write(packet, inner & !ECN_MASK | combined.bits());
    }
    Ok(())
}

/// Figure 4 of RFC 6040.
const fn combine(inner: Ecn, outer: Ecn) -> Result<Ecn, Congested> {
    match (inner, outer) {
        (Ecn::NotEct, Ecn::Ce) => Err(Congested),
        (Ecn::NotEct, Ecn::NotEct | Ecn::Ect0 | Ecn::Ect1) => Ok(Ecn::NotEct),
        (Ecn::Ce, _) | (Ecn::Ect0 | Ecn::Ect1, Ecn::Ce) => Ok(Ecn::Ce),
        (Ecn::Ect0 | Ecn::Ect1, Ecn::Ect1) => Ok(Ecn::Ect1),
        (Ecn::Ect0 | Ecn::Ect1, Ecn::NotEct | Ecn::Ect0) => Ok(inner),
    }
}

/// Writes the TOS octet or the traffic class.
fn write(packet: &mut [u8], tos: u8) {
    if packet[0] >> 4 == 4 {
        let word = u16::from_be_bytes([packet[0], tos]);
        checksum::rewrite(packet, 10, 0, word);
    } else {
        let word = be16(packet, 0) & 0xf00f | u16::from(tos) << 4;
        packet[..2].copy_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ip::Inner;

    const NAMES: [Ecn; 4] = [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce];

    /// Rows: inner Not-ECT, ECT(0), ECT(1), CE; columns: outer in the same order (RFC 6040, figure
    /// 4).
    #[test]
    fn every_pair_is_as_in_figure_4() {
        use Ecn::{Ce, Ect0, Ect1, NotEct};
        let figure = [
            [Ok(NotEct), Ok(NotEct), Ok(NotEct), Err(Congested)],
            [Ok(Ect0), Ok(Ect0), Ok(Ect1), Ok(Ce)],
            [Ok(Ect1), Ok(Ect1), Ok(Ect1), Ok(Ce)],
            [Ok(Ce), Ok(Ce), Ok(Ce), Ok(Ce)],
        ];
        for (inner, row) in NAMES.iter().zip(figure) {
            for (outer, expected) in NAMES.iter().zip(row) {
                assert_eq!(combine(*inner, *outer), expected, "{inner:?} in {outer:?}");
            }
        }
    }

    #[test]
    fn a_mark_keeps_dscp_and_the_header_checksum() {
        let mut packet = [0; 20];
        packet[..4].copy_from_slice(&[0x45, 0xb9, 0, 20]);
        let sum = checksum::Sum::default().add(&packet).finish();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        decapsulate(&mut packet, 0xb9, 0x03).unwrap();
        assert_eq!(packet[1], 0xbb);
        assert_eq!(checksum::Sum::default().add(&packet).finish(), 0);
    }

    #[test]
    fn the_traffic_class_of_ipv6_is_marked_too() {
        let mut packet = [0; 40];
        packet[..2].copy_from_slice(&[0x6b, 0x9f]);
        let before = Inner::parse(&packet).unwrap();
        assert_eq!(before.tos, 0xb9);
        decapsulate(&mut packet, before.tos, 0x03).unwrap();
        assert_eq!(Inner::parse(&packet).unwrap().tos, 0xbb);
        assert_eq!(packet[1] & 0x0f, 0x0f);
    }
}
