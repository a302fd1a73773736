//! Fragments of host packets that a path cannot carry whole and whose sender cannot be told to send smaller ones.
//!
//! Two kinds: IPv4 without DF, which any router may fragment; and IPv6 up to 1,280 octets, which every IPv6 link must
//! carry, on a path that carries less. The far host puts them together again. Everything else is answered with "packet
//! too big" (`pmtu`).
//!
//! **Source:** RFC 791 section 3.2 and RFC 8200 section 4.5. Deviates from RFC 8200, where only the
//! source fragments: RFC 2473 section 7.1 has the tunnel fragment its own packets, but ours carry
//! DF, and NATs drop fragments without ports.

use crate::checksum::Sum;
use crate::ip::{IPV4_HEADER_LEN, IPV6_HEADER_LEN, Inner, be16};
use core::net::IpAddr;
use core::ops::Range;

/// What every link that carries IPv6 must carry whole: RFC 8200 section 5.
pub(crate) const IPV6_MTU_MIN: usize = 1_280;

const FRAGMENT_HEADER_LEN: usize = 8;
const FRAGMENT: u8 = 44;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION_OPTIONS: u8 = 60;
/// Extension headers before a fragment header at most; real packets have one or two.
const EXTENSIONS_MAX: usize = 4;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_V4: u16 = 0x2000;
const OFFSET_V4: u16 = 0x1fff;
const MORE_V6: u16 = 1;
const OFFSET_UNIT: usize = 8;

/// The fragments of `packet` that fit `mtu`; empty if it may not be fragmented. `id` names them, if the packet is not a
/// fragment already.
pub(crate) fn split(packet: &[u8], inner: &Inner, mtu: usize, id: u32) -> Vec<Vec<u8>> {
    match inner.destination {
        IpAddr::V4(_) => split_v4(packet, mtu),
        IpAddr::V6(_) => split_v6(packet, mtu, id),
    }
    .unwrap_or_default()
}

fn split_v4(packet: &[u8], mtu: usize) -> Option<Vec<Vec<u8>>> {
    let (header, payload) = packet.split_first_chunk::<IPV4_HEADER_LEN>()?;
    let field = be16(header, 6);
    // Options would have to be sorted into those of the first and those of all fragments; nobody sends them.
    if field & DONT_FRAGMENT != 0 || header[0] != 0x45 {
        return None;
    }
    let pieces = pieces(payload.len(), mtu.checked_sub(IPV4_HEADER_LEN)?)?;
    let one = |range: Range<usize>| {
        let more = if range.end < payload.len() { MORE_V4 } else { field & MORE_V4 };
        let offset = (field & OFFSET_V4).checked_add(units(range.start)?)?;
        (offset <= OFFSET_V4).then(|| v4(header, &payload[range], more | offset))
    };
    pieces.map(one).collect()
}

fn v4(header: &[u8; IPV4_HEADER_LEN], payload: &[u8], field: u16) -> Vec<u8> {
    let mut fragment = [&header[..], payload].concat();
    let total = u16::try_from(fragment.len()).unwrap_or(u16::MAX);
    fragment[2..4].copy_from_slice(&total.to_be_bytes());
    fragment[6..8].copy_from_slice(&field.to_be_bytes());
    fragment[10..12].fill(0);
    let sum = Sum::default().add(&fragment[..IPV4_HEADER_LEN]).finish();
    fragment[10..12].copy_from_slice(&sum.to_be_bytes());
    fragment
}

/// Where an IPv6 packet is cut, and what its fragment headers say.
struct Cut<'a> {
    next: u8,
    offset: u16,
    more: u16,
    id: u32,
    payload: &'a [u8],
}

impl<'a> Cut<'a> {
    fn of(next: u8, rest: &'a [u8], id: u32) -> Option<Self> {
        if next != FRAGMENT {
            return Some(Self { next, offset: 0, more: 0, id, payload: rest });
        }
        let (header, payload) = rest.split_first_chunk::<FRAGMENT_HEADER_LEN>()?;
        let id = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let field = be16(header, 2);
        Some(Self { next: header[0], offset: field >> 3, more: field & MORE_V6, id, payload })
    }

    fn header(&self, range: &Range<usize>) -> Option<[u8; FRAGMENT_HEADER_LEN]> {
        let more = if range.end < self.payload.len() { MORE_V6 } else { self.more };
        let offset = self.offset.checked_add(units(range.start)?)?;
        let [high, low] = (offset.checked_mul(8)? | more).to_be_bytes();
        let [a, b, c, d] = self.id.to_be_bytes();
        Some([self.next, 0, high, low, a, b, c, d])
    }
}

/// The headers that every fragment repeats, and where the octet is that names the header behind them.
struct Repeated {
    len: usize,
    next_at: usize,
}

impl Repeated {
    /// The IPv6 header and all extension headers up to a routing header, else to a hop-by-hop header: RFC 8200 section
    /// 4.5, per-fragment headers.
    fn of(packet: &[u8]) -> Option<Self> {
        let mut repeated = Self { len: IPV6_HEADER_LEN, next_at: 6 };
        let Self { len: mut at, next_at: mut named } = repeated;
        for _ in 0..EXTENSIONS_MAX {
            let kind = *packet.get(named)?;
            if !matches!(kind, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
                return Some(repeated);
            }
            named = at;
            at += (usize::from(*packet.get(at + 1)?) + 1) * OFFSET_UNIT;
            if kind != DESTINATION_OPTIONS {
                repeated = Self { len: at, next_at: named };
            }
        }
        None
    }
}

fn split_v6(packet: &[u8], mtu: usize, id: u32) -> Option<Vec<Vec<u8>>> {
    if packet.len() > IPV6_MTU_MIN {
        return None;
    }
    let Repeated { len, next_at } = Repeated::of(packet)?;
    let (headers, rest) = packet.split_at_checked(len)?;
    let cut = Cut::of(headers[next_at], rest, id)?;
    let room = mtu.checked_sub(len + FRAGMENT_HEADER_LEN)?;
    let one = |range: Range<usize>| {
        let mut fragment = [headers, &cut.header(&range)?, &cut.payload[range]].concat();
        let len = u16::try_from(fragment.len() - IPV6_HEADER_LEN).ok()?;
        fragment[4..6].copy_from_slice(&len.to_be_bytes());
        fragment[next_at] = FRAGMENT;
        Some(fragment)
    };
    pieces(cut.payload.len(), room)?.map(one).collect()
}

/// `len` octets in pieces of at most `room`, each but the last a multiple of eight; `None` if there is no room.
fn pieces(len: usize, room: usize) -> Option<impl Iterator<Item = Range<usize>>> {
    let step = room / OFFSET_UNIT * OFFSET_UNIT;
    (step > 0).then(|| (0..len).step_by(step).map(move |start| start..len.min(start + step)))
}

fn units(octets: usize) -> Option<u16> {
    u16::try_from(octets / OFFSET_UNIT).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v4_packet(payload: &[u8], field: u16) -> Vec<u8> {
        let mut header = [0; IPV4_HEADER_LEN];
        (header[0], header[8], header[9]) = (0x45, 64, 17);
        (header[4], header[5]) = (0x12, 0x34);
        v4(&header, payload, field)
    }

    fn v6_packet(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; IPV6_HEADER_LEN];
        (packet[0], packet[6], packet[7]) = (0x60, next, 64);
        packet[4..6].copy_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        packet.extend(payload);
        packet
    }

    fn parts(packet: &[u8], mtu: usize) -> Vec<Vec<u8>> {
        split(packet, &Inner::parse(packet).unwrap(), mtu, 7)
    }

    /// Puts fragments together as a host does: offset, whether more follow, payload.
    fn reassemble(mut fragments: Vec<(usize, bool, Vec<u8>)>) -> Vec<u8> {
        fragments.sort();
        let mut whole = Vec::new();
        let last = fragments.len() - 1;
        for (index, (offset, more, payload)) in fragments.into_iter().enumerate() {
            assert_eq!((offset, more), (whole.len(), index < last));
            whole.extend(payload);
        }
        whole
    }

    fn read_v4(fragment: &[u8], base: usize) -> (usize, bool, Vec<u8>) {
        assert!(Inner::parse(fragment).is_ok());
        assert_eq!(Sum::default().add(&fragment[..IPV4_HEADER_LEN]).finish(), 0);
        assert_eq!(fragment[4..6], [0x12, 0x34]);
        let field = be16(fragment, 6);
        let offset = usize::from(field & OFFSET_V4) * 8 - base;
        (offset, field & MORE_V4 != 0, fragment[IPV4_HEADER_LEN..].to_vec())
    }

    fn read_v6(fragment: &[u8], (next, id): (u8, u32)) -> (usize, bool, Vec<u8>) {
        assert!(Inner::parse(fragment).is_ok());
        assert_eq!((fragment[6], fragment[40]), (FRAGMENT, next));
        assert_eq!(fragment[44..48], id.to_be_bytes());
        let field = be16(fragment, 42);
        (usize::from(field & !7), field & MORE_V6 != 0, fragment[48..].to_vec())
    }

    #[test]
    fn what_must_stay_whole_is_not_split() {
        assert!(parts(&v4_packet(&[1; 1_300], DONT_FRAGMENT), 1_000).is_empty());
        assert!(parts(&v6_packet(17, &[1; 1_241]), 1_000).is_empty());
        // Extension headers that reach beyond the packet.
        assert!(parts(&v6_packet(0, &[200; 1_240]), 1_000).is_empty());
        assert!(parts(&v6_packet(17, &[1; 1_240]), 48).is_empty());
        let mut with_options = v4_packet(&[1; 1_300], 0);
        with_options[0] = 0x46;
        assert!(parts(&with_options, 1_000).is_empty());
    }

    #[test]
    fn a_fragment_is_split_into_fragments_of_the_same_packet() {
        let middle = v4_packet(&[5; 800], MORE_V4 | 100);
        let fragments = parts(&middle, 500);
        let read: Vec<_> = fragments.iter().map(|f| read_v4(f, 800)).collect();
        assert!(read.iter().all(|(_, more, _)| *more), "more follow after the middle one");
        let header = [17, 0, 0, 0x51, 0, 0, 0, 9];
        let fragment = v6_packet(FRAGMENT, &[&header[..], &[6; 1_000]].concat());
        let read: Vec<_> = parts(&fragment, 600).iter().map(|f| read_v6(f, (17, 9))).collect();
        assert_eq!(read[0].0, 0x50);
        assert!(read.iter().all(|(_, more, _)| *more));
    }

    #[test]
    fn headers_that_every_hop_reads_stand_before_the_fragment_header() {
        let (hop, options, routing) = ([60, 0, 1, 4, 0, 0, 0, 0], [43, 0, 1, 4, 0, 0, 0, 0], 43);
        let route = [17, 0, 253, 0, 0, 0, 0, 0];
        let repeated = [hop, options, route].concat();
        let packet = v6_packet(HOP_BY_HOP, &[&repeated[..], &[8; 1_200]].concat());
        let fragments = parts(&packet, 700);
        let cut: Vec<_> = fragments
            .iter()
            .map(|fragment| {
                assert!(fragment.len() <= 700 && Inner::parse(fragment).is_ok());
                assert_eq!(fragment[40..56], repeated[..16]);
                assert_eq!((fragment[48], fragment[56], fragment[64]), (routing, FRAGMENT, 17));
                let field = be16(fragment, 66);
                (usize::from(field & !7), field & MORE_V6 != 0, fragment[72..].to_vec())
            })
            .collect();
        assert_eq!(reassemble(cut), [8; 1_200]);
        let for_the_far_host =
            v6_packet(60, &[&[17, 0, 1, 4, 0, 0, 0, 0][..], &[8; 1_200]].concat());
        let fragments = parts(&for_the_far_host, 700);
        assert!(fragments.iter().all(|fragment| fragment[6] == FRAGMENT && fragment[40] == 60));
    }

    proptest! {
        #[test]
        fn fragments_fit_and_make_the_packet_again(
            payload in proptest::collection::vec(any::<u8>(), 60..1_240),
            mtu in 68_usize..1_279,
        ) {
            let packet = v4_packet(&payload, 0);
            let fragments = parts(&packet, mtu);
            prop_assert!(fragments.iter().all(|f| f.len() <= mtu));
            let read = fragments.iter().map(|f| read_v4(f, 0)).collect();
            prop_assert_eq!(reassemble(read), &payload[..]);
            let packet = v6_packet(17, &payload);
            let fragments = parts(&packet, mtu);
            prop_assert!(fragments.iter().all(|f| f.len() <= mtu));
            let read = fragments.iter().map(|f| read_v6(f, (17, 7))).collect();
            prop_assert_eq!(reassemble(read), &payload[..]);
        }
    }
}
