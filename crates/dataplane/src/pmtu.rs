//! "Packet too big": the ICMP message to the host whose packet does not fit the path.
//!
//! Built in the frame that held the packet, so nothing is allocated. It is sent in the name of the
//! packet's destination: the router need not own an inner address, and the host's reverse-path
//! filter sees the address it expects there.
//!
//! **Source:** RFC 1191 section 4 and RFC 792 (IPv4), RFC 4443 sections 2.4 and 3.2 (IPv6), RFC
//! 8899 (why both matter). Packets that may be fragmented do not come here: see `fragment`.

use crate::checksum::Sum;
use crate::frame::Frame;
use crate::ip::{IPV4_HEADER_LEN, IPV6_HEADER_LEN, Inner, PROTOCOL_ICMP, PROTOCOL_ICMPV6};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;

/// Octets of an ICMP message quoted at most: RFC 1812 section 4.3.2.3 and RFC 4443 section 2.4 (c).
const MESSAGE_LEN_MAX_V4: usize = 576;
const MESSAGE_LEN_MAX_V6: usize = 1_280;

const ICMP_HEADER_LEN: usize = 8;
const HOP_LIMIT: u8 = 64;
const UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
const TOO_BIG_V6: u8 = 2;
const ECHO_V4: [u8; 2] = [0, 8];
const ERRORS_V6_END: u8 = 128;

/// No message may be sent about this packet, or the frame cannot hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unanswerable;

/// Replaces the packet in `frame` by the message that tells its sender to stay within `mtu`.
pub(crate) fn answer_too_big(
    frame: &mut Frame<'_>,
    inner: &Inner,
    mtu: u16,
) -> Result<Range<usize>, Unanswerable> {
    if !may_answer(frame.packet(), inner) {
        return Err(Unanswerable);
    }
    match (inner.source, inner.destination) {
        (IpAddr::V4(host), IpAddr::V4(far)) => answer_v4(frame, (far, host), mtu),
        (IpAddr::V6(host), IpAddr::V6(far)) => answer_v6(frame, (far, host), mtu),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Err(Unanswerable),
    }
}

/// Errors are not sent about errors, later fragments, or to what is not one host (RFC 1122 §3.2.2,
/// RFC 4443 §2.4 (e)).
fn may_answer(packet: &[u8], inner: &Inner) -> bool {
    let icmp_type = inner.transport.and_then(|at| packet.get(at)).copied();
    let is_about_error = match (inner.protocol, icmp_type) {
        (PROTOCOL_ICMP, Some(kind)) => !ECHO_V4.contains(&kind),
        (PROTOCOL_ICMPV6, Some(kind)) => kind < ERRORS_V6_END,
        (_, Some(_)) => false,
        (_, None) => inner.source.is_ipv4(),
    };
    let is_one_host = !inner.source.is_unspecified() && !inner.source.is_multicast();
    is_one_host && !inner.destination.is_multicast() && !is_about_error
}

fn answer_v4(
    frame: &mut Frame<'_>,
    (source, destination): (Ipv4Addr, Ipv4Addr),
    mtu: u16,
) -> Result<Range<usize>, Unanswerable> {
    let headers = IPV4_HEADER_LEN + ICMP_HEADER_LEN;
    let range = frame.quote(headers, MESSAGE_LEN_MAX_V4).ok_or(Unanswerable)?;
    let message = frame.bytes_mut(&range);
    let len = u16::try_from(message.len()).map_err(|_| Unanswerable)?;
    let (header, icmp) = message.split_at_mut(IPV4_HEADER_LEN);
    header.fill(0);
    header[0] = 0x45;
    header[2..4].copy_from_slice(&len.to_be_bytes());
    header[8] = HOP_LIMIT;
    header[9] = PROTOCOL_ICMP;
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&destination.octets());
    let sum = Sum::default().add(header).finish();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    icmp[..ICMP_HEADER_LEN].fill(0);
    icmp[0] = UNREACHABLE;
    icmp[1] = FRAGMENTATION_NEEDED;
    icmp[6..8].copy_from_slice(&mtu.to_be_bytes());
    let sum = Sum::default().add(icmp).finish();
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    Ok(range)
}

fn answer_v6(
    frame: &mut Frame<'_>,
    (source, destination): (Ipv6Addr, Ipv6Addr),
    mtu: u16,
) -> Result<Range<usize>, Unanswerable> {
    let headers = IPV6_HEADER_LEN + ICMP_HEADER_LEN;
    let range = frame.quote(headers, MESSAGE_LEN_MAX_V6).ok_or(Unanswerable)?;
    let message = frame.bytes_mut(&range);
    let (header, icmp) = message.split_at_mut(IPV6_HEADER_LEN);
    let len = u16::try_from(icmp.len()).map_err(|_| Unanswerable)?;
    header.fill(0);
    header[0] = 0x60;
    header[4..6].copy_from_slice(&len.to_be_bytes());
    header[6] = PROTOCOL_ICMPV6;
    header[7] = HOP_LIMIT;
    header[8..24].copy_from_slice(&source.octets());
    header[24..40].copy_from_slice(&destination.octets());
    icmp[..ICMP_HEADER_LEN].fill(0);
    icmp[0] = TOO_BIG_V6;
    icmp[6..8].copy_from_slice(&mtu.to_be_bytes());
    let pseudo = Sum::default().add(&header[8..40]).add(&header[4..6]).add(&[0, PROTOCOL_ICMPV6]);
    let sum = pseudo.add(icmp).finish();
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    Ok(range)
}
