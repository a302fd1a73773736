//! What a route does beyond leading to an interface: seg6 (H.Encaps) and seg6local (a SID), written and read in
//! netlink.
//!
//! All of these routes point at the TUN interface. The kernel never sends a packet of theirs there: seg6 looks the
//! first SID up anew, seg6local the next SID or the inner destination. The interface is what takes them along when this
//! process dies, so a killed router leaves no segment routes behind, as it leaves no others.
//!
//! - **Source:** include/uapi/linux/{lwtunnel,seg6,seg6_iptunnel,seg6_local}.h; RFC 8754 section 2.

use std::net::{Ipv4Addr, Ipv6Addr};

use srwan_dataplane::seg6::{Encaps, LocalSid, RouteAction};

use super::netlink::{Message, find, find_u32};
use super::route::{RTA_GATEWAY, RTA_METRICS, RTAX_MTU};

const RTA_ENCAP_TYPE: u16 = 21;
const RTA_ENCAP: u16 = 22;
const LWTUNNEL_ENCAP_SEG6: u16 = 5;
const LWTUNNEL_ENCAP_SEG6_LOCAL: u16 = 7;

const SEG6_IPTUNNEL_SRH: u16 = 1;
const SEG6_IPTUN_MODE_ENCAP: u32 = 1;
const SEG6_IPTUN_MODE_ENCAP_RED: u32 = 3;

const SEG6_LOCAL_ACTION: u16 = 1;
const SEG6_LOCAL_TABLE: u16 = 3;
const SEG6_LOCAL_NH4: u16 = 4;
const SEG6_LOCAL_NH6: u16 = 5;
const SEG6_LOCAL_COUNTERS: u16 = 10;
const SEG6_LOCAL_ACTION_END: u32 = 1;
const SEG6_LOCAL_ACTION_END_DX6: u32 = 5;
const SEG6_LOCAL_ACTION_END_DX4: u32 = 6;
const SEG6_LOCAL_ACTION_END_DT6: u32 = 7;
const SEG6_LOCAL_CNT_PACKETS: u16 = 2;
const SEG6_LOCAL_CNT_BYTES: u16 = 3;
const SEG6_LOCAL_CNT_ERRORS: u16 = 4;

/// `RT_TABLE_UNSPEC`: End.DT6 then asks the host's rules, as for any packet, and so reaches this host itself too.
const TABLE_BY_RULES: u32 = 0;

/// Routing header type of RFC 8754.
const SRH_TYPE: u8 = 4;

/// Octets of a segment routing header before its list.
const SRH_FIXED_OCTETS: usize = 8;

/// Octets of a segment.
const SEGMENT_OCTETS: usize = 16;

/// Octets of the outer IPv6 header.
const IPV6_OCTETS: usize = 40;

/// What went by a SID of this node since its route was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SidCounters {
    /// Packets that the behavior was applied to.
    pub packets: u64,
    /// Their octets, outer headers included.
    pub octets: u64,
    /// Packets that did not suit the behavior.
    pub errors: u64,
}

/// Writes what makes a route do `action`; `inner_mtu` is the largest packet that an encapsulating route takes.
///
/// The kernel subtracts the room for its headers from a route's MTU, a whole segment routing header in both modes. So
/// the MTU is written as the inner one plus that room, and a packet may be as large on each way to an endpoint.
pub(super) fn write(message: Message, action: &RouteAction, inner_mtu: u16) -> Message {
    match action {
        RouteAction::Tunnel => message,
        RouteAction::Via(neighbour) => message.attr(RTA_GATEWAY, &neighbour.octets()),
        RouteAction::Encaps(encaps, segments) => {
            let srh = segment_routing_header(segments);
            let room = u32::try_from(IPV6_OCTETS + srh.len()).expect("at most four segments");
            let mut tunnel = mode(*encaps).to_ne_bytes().to_vec();
            tunnel.extend(srh);
            message
                .attr(RTA_ENCAP_TYPE, &LWTUNNEL_ENCAP_SEG6.to_ne_bytes())
                .nested(RTA_ENCAP, |inner| inner.attr(SEG6_IPTUNNEL_SRH, &tunnel))
                .nested(RTA_METRICS, |inner| inner.attr_u32(RTAX_MTU, u32::from(inner_mtu) + room))
        }
        RouteAction::Local(sid) => message
            .attr(RTA_ENCAP_TYPE, &LWTUNNEL_ENCAP_SEG6_LOCAL.to_ne_bytes())
            .nested(RTA_ENCAP, |inner| write_counters(write_sid(inner, *sid))),
    }
}

/// What a listed route does, and what its SID counted, if it is one.
pub(super) fn parse(attributes: &[u8]) -> Option<(RouteAction, Option<SidCounters>)> {
    let encap = find(attributes, RTA_ENCAP);
    let kind = find(attributes, RTA_ENCAP_TYPE).and_then(|raw| raw.try_into().ok());
    match (kind.map(u16::from_ne_bytes), encap) {
        (Some(LWTUNNEL_ENCAP_SEG6), Some(encap)) => {
            parse_encaps(encap).map(|action| (action, None))
        }
        (Some(LWTUNNEL_ENCAP_SEG6_LOCAL), Some(encap)) => {
            Some((RouteAction::Local(parse_sid(encap)?), parse_counters(encap)))
        }
        (Some(_), _) => None,
        (None, _) => Some((parse_plain(attributes), None)),
    }
}

/// The list as a header holds it: in reverse order of travel.
fn segment_routing_header(segments: &[Ipv6Addr]) -> Vec<u8> {
    let last = u8::try_from(segments.len()).unwrap_or(u8::MAX).saturating_sub(1);
    let units = u8::try_from(2 * segments.len()).expect("at most four segments");
    let mut header = vec![0, units, SRH_TYPE, last, last, 0, 0, 0];
    segments.iter().rev().for_each(|segment| header.extend(segment.octets()));
    header
}

fn mode(encaps: Encaps) -> u32 {
    match encaps {
        Encaps::Full => SEG6_IPTUN_MODE_ENCAP,
        Encaps::Reduced => SEG6_IPTUN_MODE_ENCAP_RED,
    }
}

fn write_sid(message: Message, sid: LocalSid) -> Message {
    let action = |action| message.attr_u32(SEG6_LOCAL_ACTION, action);
    match sid {
        LocalSid::End => action(SEG6_LOCAL_ACTION_END),
        LocalSid::EndDx4(next_hop) => {
            // Linux takes an unspecified next hop as "wherever the packet's own destination leads".
            let next_hop = next_hop.unwrap_or(Ipv4Addr::UNSPECIFIED);
            action(SEG6_LOCAL_ACTION_END_DX4).attr(SEG6_LOCAL_NH4, &next_hop.octets())
        }
        LocalSid::EndDt6 => {
            action(SEG6_LOCAL_ACTION_END_DT6).attr_u32(SEG6_LOCAL_TABLE, TABLE_BY_RULES)
        }
        LocalSid::EndDx6(next_hop) => {
            action(SEG6_LOCAL_ACTION_END_DX6).attr(SEG6_LOCAL_NH6, &next_hop.octets())
        }
    }
}

/// Asks for counters. A kernel before 5.13 does not know them, and counts nothing.
fn write_counters(message: Message) -> Message {
    message.nested(SEG6_LOCAL_COUNTERS, |inner| {
        [SEG6_LOCAL_CNT_PACKETS, SEG6_LOCAL_CNT_BYTES, SEG6_LOCAL_CNT_ERRORS]
            .into_iter()
            .fold(inner, |inner, kind| inner.attr(kind, &0_u64.to_ne_bytes()))
    })
}

fn parse_plain(attributes: &[u8]) -> RouteAction {
    let gateway = find(attributes, RTA_GATEWAY).and_then(ipv6);
    gateway.map_or(RouteAction::Tunnel, RouteAction::Via)
}

fn parse_encaps(encap: &[u8]) -> Option<RouteAction> {
    let (mode, srh) = find(encap, SEG6_IPTUNNEL_SRH)?.split_first_chunk::<4>()?;
    let encaps = match u32::from_ne_bytes(*mode) {
        SEG6_IPTUN_MODE_ENCAP => Encaps::Full,
        SEG6_IPTUN_MODE_ENCAP_RED => Encaps::Reduced,
        _ => return None,
    };
    let count = usize::from(*srh.get(4)?) + 1;
    let list = srh.get(SRH_FIXED_OCTETS..SRH_FIXED_OCTETS + count * SEGMENT_OCTETS)?;
    let segments = list.chunks_exact(SEGMENT_OCTETS).rev().filter_map(ipv6);
    Some(RouteAction::Encaps(encaps, segments.collect()))
}

fn parse_sid(encap: &[u8]) -> Option<LocalSid> {
    match find_u32(encap, SEG6_LOCAL_ACTION)? {
        SEG6_LOCAL_ACTION_END => Some(LocalSid::End),
        SEG6_LOCAL_ACTION_END_DX4 => {
            let next_hop = <[u8; 4]>::try_from(find(encap, SEG6_LOCAL_NH4)?).ok()?;
            let next_hop = Ipv4Addr::from(next_hop);
            Some(LocalSid::EndDx4(Some(next_hop).filter(|address| !address.is_unspecified())))
        }
        SEG6_LOCAL_ACTION_END_DT6 => Some(LocalSid::EndDt6),
        SEG6_LOCAL_ACTION_END_DX6 => {
            find(encap, SEG6_LOCAL_NH6).and_then(ipv6).map(LocalSid::EndDx6)
        }
        _ => None,
    }
}

fn parse_counters(encap: &[u8]) -> Option<SidCounters> {
    let counters = find(encap, SEG6_LOCAL_COUNTERS)?;
    let count = |kind| find(counters, kind)?.try_into().ok().map(u64::from_ne_bytes);
    Some(SidCounters {
        packets: count(SEG6_LOCAL_CNT_PACKETS)?,
        octets: count(SEG6_LOCAL_CNT_BYTES)?,
        errors: count(SEG6_LOCAL_CNT_ERRORS)?,
    })
}

fn ipv6(octets: &[u8]) -> Option<Ipv6Addr> {
    <[u8; SEGMENT_OCTETS]>::try_from(octets).ok().map(Ipv6Addr::from)
}

/// What a route does, in the words of `ip route`.
pub fn explain(action: &RouteAction) -> String {
    match action {
        RouteAction::Tunnel => "into the tunnel".to_owned(),
        RouteAction::Via(neighbour) => format!("via {neighbour}"),
        RouteAction::Encaps(encaps, segments) => {
            let mode = match encaps {
                Encaps::Full => "encap",
                Encaps::Reduced => "encap.red",
            };
            let segments: Vec<String> = segments.iter().map(Ipv6Addr::to_string).collect();
            format!("encap seg6 mode {mode} segs {}", segments.join(","))
        }
        RouteAction::Local(sid) => format!("seg6local {}", explain_sid(*sid)),
    }
}

fn explain_sid(sid: LocalSid) -> String {
    match sid {
        LocalSid::End => "End".to_owned(),
        LocalSid::EndDx4(None) => "End.DX4 by destination".to_owned(),
        LocalSid::EndDx4(Some(next_hop)) => format!("End.DX4 nh4 {next_hop}"),
        LocalSid::EndDt6 => "End.DT6 by destination".to_owned(),
        LocalSid::EndDx6(next_hop) => format!("End.DX6 nh6 {next_hop}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(count: u16) -> Vec<Ipv6Addr> {
        (1..=count).map(|n| Ipv6Addr::new(0xfd53, 0, 0, 0, n << 12 | 1, 0, 0, 0)).collect()
    }

    fn written(action: &RouteAction) -> Vec<u8> {
        let empty = Message::new(0, 0, 0).finish().len();
        write(Message::new(0, 0, 0), action, 1_380).finish().split_off(empty)
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let next_hop = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
        let mut actions = vec![RouteAction::Tunnel, RouteAction::Via(next_hop)];
        for count in 1..=4 {
            let encaps = |encaps| RouteAction::Encaps(encaps, segments(count));
            actions.extend([encaps(Encaps::Full), encaps(Encaps::Reduced)]);
        }
        let dx4 = LocalSid::EndDx4(Some(Ipv4Addr::new(10, 0, 0, 2)));
        let (dt6, dx6) = (LocalSid::EndDt6, LocalSid::EndDx6(next_hop));
        let sids = [LocalSid::End, LocalSid::EndDx4(None), dx4, dt6, dx6];
        actions.extend(sids.map(RouteAction::Local));
        for action in actions {
            let (read, counters) = parse(&written(&action)).unwrap();
            assert_eq!(read, action);
            let is_sid = matches!(action, RouteAction::Local(_));
            assert_eq!(counters, is_sid.then(SidCounters::default));
        }
    }

    #[test]
    fn a_cut_route_is_not_read_past_its_end() {
        for action in [
            RouteAction::Encaps(Encaps::Full, segments(4)),
            RouteAction::Local(LocalSid::EndDx6(Ipv6Addr::LOCALHOST)),
        ] {
            let whole = written(&action);
            for end in 0..whole.len() {
                // Whether it is read as something less or not at all: it must not panic.
                let _read = parse(&whole[..end]);
            }
        }
    }

    #[test]
    fn the_list_stands_in_reverse_order_of_travel() {
        let header = segment_routing_header(&segments(3));
        assert_eq!(header[..8], [0, 6, 4, 2, 2, 0, 0, 0]);
        assert_eq!(header[8..24], segments(3)[2].octets());
        assert_eq!(header[40..], segments(3)[0].octets());
    }

    #[test]
    fn the_inner_mtu_is_left_when_the_kernel_has_taken_its_room() {
        for (count, expected) in [(1, 1_380 + 64), (4, 1_380 + 112)] {
            let attributes = written(&RouteAction::Encaps(Encaps::Reduced, segments(count)));
            let metrics = find(&attributes, RTA_METRICS).unwrap();
            assert_eq!(find_u32(metrics, RTAX_MTU), Some(expected));
        }
    }
}
