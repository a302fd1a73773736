//! TCP's maximum segment size, clamped to what fits the path, in SYN packets of both directions.
//!
//! Without it a connection whose hosts ignore ICMP would stall on the first full segment. Hosts
//! that follow RFC 8899 or RFC 1191 do not need it. **Source:** RFC 9293 section 3.7.1 (the
//! option), RFC 6691 (what it counts).

use crate::checksum;
use crate::ip::{IPV4_HEADER_LEN, IPV6_HEADER_LEN, Inner, PROTOCOL_TCP, be16};
use core::net::IpAddr;

const TCP_HEADER_LEN: usize = 20;
const CHECKSUM: usize = 16;
const FLAG_SYN: u8 = 0x02;
const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_MSS: u8 = 2;

/// Lowers the MSS option of a SYN to what fits `mtu`; leaves everything else alone.
pub(crate) fn clamp(packet: &mut [u8], inner: &Inner, mtu: usize) {
    let Some(tcp) = syn_at(packet, inner) else { return };
    let Some(option) = mss_option(&packet[tcp..]) else { return };
    let network = match inner.destination {
        IpAddr::V4(_) => IPV4_HEADER_LEN,
        IpAddr::V6(_) => IPV6_HEADER_LEN,
    };
    let fitting = mtu.saturating_sub(network + TCP_HEADER_LEN);
    let fitting = u16::try_from(fitting).unwrap_or(u16::MAX);
    if be16(packet, tcp + option) > fitting {
        checksum::rewrite(packet, tcp + CHECKSUM, tcp + option, fitting);
    }
}

/// Whether the packet is one whose MSS option is clamped, if it has one.
pub(crate) fn is_syn(packet: &[u8], inner: &Inner) -> bool {
    syn_at(packet, inner).is_some()
}

/// Where the TCP header starts, if the packet is a SYN with a whole header.
fn syn_at(packet: &[u8], inner: &Inner) -> Option<usize> {
    let at = inner.transport.filter(|_| inner.protocol == PROTOCOL_TCP)?;
    let header: &[u8; TCP_HEADER_LEN] = packet.get(at..)?.first_chunk()?;
    (header[13] & FLAG_SYN != 0).then_some(at)
}

/// Where in `tcp` the value of the MSS option stands.
fn mss_option(tcp: &[u8]) -> Option<usize> {
    let header_len = usize::from(tcp[12] >> 4) * 4;
    let options = tcp.get(..header_len)?;
    let mut at = TCP_HEADER_LEN;
    loop {
        match *options.get(at..)? {
            [OPTION_NOP, ..] => at += 1,
            [OPTION_MSS, 4, _, _, ..] => return Some(at + 2),
            [OPTION_END, ..] | [_] | [] | [_, 0 | 1, ..] => return None,
            [_, len, ..] => at += usize::from(len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Sum;
    use proptest::prelude::*;

    /// An IPv4 SYN with the given TCP options and a right checksum.
    fn syn(options: &[u8]) -> Vec<u8> {
        let words = u8::try_from(5 + options.len() / 4).unwrap();
        let mut tcp = vec![0; TCP_HEADER_LEN];
        tcp[12] = words << 4;
        tcp[13] = FLAG_SYN;
        tcp.extend(options);
        let sum = tcp_sum(&tcp);
        tcp[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        let mut packet = vec![0; IPV4_HEADER_LEN];
        packet[0] = 0x45;
        packet[3] = u8::try_from(IPV4_HEADER_LEN + tcp.len()).unwrap();
        packet[9] = PROTOCOL_TCP;
        packet.extend(tcp);
        packet
    }

    /// The checksum over the pseudo header (addresses zero) and the segment.
    fn tcp_sum(tcp: &[u8]) -> u16 {
        let len = u8::try_from(tcp.len()).unwrap();
        Sum::default().add(&[0, PROTOCOL_TCP, 0, len]).add(tcp).finish()
    }

    fn clamped(options: &[u8], mtu: usize) -> Vec<u8> {
        let mut packet = syn(options);
        let inner = Inner::parse(&packet).unwrap();
        clamp(&mut packet, &inner, mtu);
        assert_eq!(tcp_sum(&packet[IPV4_HEADER_LEN..]), 0, "the checksum still holds");
        packet[IPV4_HEADER_LEN + TCP_HEADER_LEN..].to_vec()
    }

    #[test]
    fn the_option_is_lowered_and_never_raised() {
        assert_eq!(clamped(&[2, 4, 5, 0xb4], 1_380), [2, 4, 5, 0x3c]);
        assert_eq!(clamped(&[2, 4, 1, 0], 1_380), [2, 4, 1, 0]);
        assert_eq!(clamped(&[1, 2, 4, 5, 0xb4, 0, 0, 0], 1_380), [1, 2, 4, 5, 0x3c, 0, 0, 0]);
    }

    #[test]
    fn other_options_are_skipped_and_broken_ones_end_the_search() {
        assert_eq!(clamped(&[3, 3, 7, 1, 2, 4, 9, 9], 1_380)[6..], [5, 0x3c]);
        assert_eq!(clamped(&[3, 0, 2, 4, 9, 9, 0, 0], 1_380), [3, 0, 2, 4, 9, 9, 0, 0]);
        assert_eq!(clamped(&[0, 0, 2, 4], 1_380), [0, 0, 2, 4]);
    }

    proptest! {
        #[test]
        fn no_options_make_it_panic(mut options in proptest::collection::vec(any::<u8>(), 0..40)) {
            options.truncate(options.len() / 4 * 4);
            clamped(&options, 1_000);
        }
    }
}
