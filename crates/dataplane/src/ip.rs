//! Reading inner packets: who to whom, which transport, where its header is.
//!
//! One checked view of IPv4 and IPv6 alike. Extension headers of IPv6 are walked as far as a bound;
//! what lies behind it is simply "no transport header known", which costs entropy and MSS clamping,
//! never the packet.

use core::hash::Hasher;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use siphasher::sip::SipHasher13;

/// Octets of an IPv6 header, and of an IPv4 header without options.
pub(crate) const IPV6_HEADER_LEN: usize = 40;
/// Octets of an IPv4 header without options.
pub(crate) const IPV4_HEADER_LEN: usize = 20;

pub(crate) const PROTOCOL_ICMP: u8 = 1;
pub(crate) const PROTOCOL_TCP: u8 = 6;
pub(crate) const PROTOCOL_UDP: u8 = 17;
pub(crate) const PROTOCOL_ICMPV6: u8 = 58;

/// Most IPv6 extension headers that are walked; real packets have one or two.
const EXTENSIONS_MAX: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// The bytes are not one whole IPv4 or IPv6 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What the data plane needs to know of an inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inner {
    /// Who sent it.
    pub(crate) source: IpAddr,
    /// To whom.
    pub(crate) destination: IpAddr,
    /// DSCP and ECN: the TOS octet of IPv4, the traffic class of IPv6.
    pub(crate) tos: u8,
    /// The transport protocol, or the first one that could not be walked over.
    pub(crate) protocol: u8,
    /// Where the transport header starts; `None` in a later fragment or when it cannot be found.
    pub(crate) transport: Option<usize>,
    /// Whether it is one fragment of a packet, also the first one.
    pub(crate) is_fragment: bool,
}

impl Inner {
    /// Reads the headers of `packet`, which must be one packet and nothing else.
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        match packet.first().ok_or(Malformed)? >> 4 {
            4 => parse_v4(packet),
            6 => parse_v6(packet),
            _ => Err(Malformed),
        }
    }

    /// A number that is equal for the packets of a flow: for the choice of a path, and of an outer
    /// source port (ECMP, RSS, GRO). Fragments have no ports, the first one's are left out too.
    pub(crate) fn flow(&self, packet: &[u8], hasher: SipHasher13) -> u16 {
        let mut hasher = hasher;
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                hasher.write(&source.octets());
                hasher.write(&destination.octets());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                hasher.write(&source.octets());
                hasher.write(&destination.octets());
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
        }
        hasher.write_u8(self.protocol);
        hasher.write_u32(self.ports(packet));
        fold16(hasher.finish())
    }

    fn ports(&self, packet: &[u8]) -> u32 {
        let has_ports = matches!(self.protocol, PROTOCOL_TCP | PROTOCOL_UDP) && !self.is_fragment;
        let at = self.transport.filter(|_| has_ports);
        let ports = at.and_then(|at| packet.get(at..)).and_then(|rest| rest.first_chunk());
        ports.copied().map_or(0, u32::from_be_bytes)
    }
}

/// The low 16 bits of `hash`.
pub(crate) fn fold16(hash: u64) -> u16 {
    u16::try_from(hash & 0xffff).expect("masked to 16 bits")
}

fn parse_v4(packet: &[u8]) -> Result<Inner, Malformed> {
    let header: &[u8; IPV4_HEADER_LEN] = packet.first_chunk().ok_or(Malformed)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(be16(header, 2));
    if header_len < IPV4_HEADER_LEN || total < header_len || total != packet.len() {
        return Err(Malformed);
    }
    let is_first_fragment = be16(header, 6) & 0x1fff == 0;
    let is_fragment = be16(header, 6) & 0x3fff != 0;
    Ok(Inner {
        source: Ipv4Addr::from(array(header, 12)).into(),
        destination: Ipv4Addr::from(array(header, 16)).into(),
        tos: header[1],
        protocol: header[9],
        transport: is_first_fragment.then_some(header_len),
        is_fragment,
    })
}

fn parse_v6(packet: &[u8]) -> Result<Inner, Malformed> {
    let header: &[u8; IPV6_HEADER_LEN] = packet.first_chunk().ok_or(Malformed)?;
    if usize::from(be16(header, 4)) + IPV6_HEADER_LEN != packet.len() {
        return Err(Malformed);
    }
    let Walked { protocol, transport, is_fragment } = walk_extensions(packet, header[6]);
    Ok(Inner {
        source: Ipv6Addr::from(array(header, 8)).into(),
        destination: Ipv6Addr::from(array(header, 24)).into(),
        tos: header[0] << 4 | header[1] >> 4,
        protocol,
        transport,
        is_fragment,
    })
}

/// What lies behind the extension headers.
struct Walked {
    protocol: u8,
    transport: Option<usize>,
    is_fragment: bool,
}

/// The transport protocol behind the extension headers and where it starts.
fn walk_extensions(packet: &[u8], first: u8) -> Walked {
    let (mut protocol, mut at, mut is_fragment) = (first, IPV6_HEADER_LEN, false);
    for _ in 0..EXTENSIONS_MAX {
        let Some(&[next, len, fragment_high, fragment_low]) =
            packet.get(at..).and_then(|rest| rest.first_chunk())
        else {
            break;
        };
        match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => at += (usize::from(len) + 1) * 8,
            FRAGMENT if u16::from_be_bytes([fragment_high, fragment_low]) & 0xfff8 != 0 => {
                return Walked { protocol: next, transport: None, is_fragment: true };
            }
            FRAGMENT => {
                at += 8;
                is_fragment = true;
            }
            _ => return Walked { protocol, transport: Some(at), is_fragment },
        }
        protocol = next;
    }
    Walked { protocol, transport: None, is_fragment }
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("callers pass a header that contains it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; IPV6_HEADER_LEN];
        packet[0] = 0x60;
        packet[6] = next;
        packet[4..6].copy_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        packet.extend(payload);
        packet
    }

    fn transport(packet: &[u8]) -> (u8, Option<usize>) {
        let inner = Inner::parse(packet).unwrap();
        (inner.protocol, inner.transport)
    }

    #[test]
    fn extension_headers_are_walked_to_the_transport() {
        let tcp = [0; 20];
        assert_eq!(transport(&v6(6, &tcp)), (6, Some(40)));
        let options = [&[6, 0, 0, 0, 0, 0, 0, 0][..], &tcp].concat();
        assert_eq!(transport(&v6(DESTINATION_OPTIONS, &options)), (6, Some(48)));
        let first_fragment = [&[6, 0, 0, 1, 0, 0, 0, 0][..], &tcp].concat();
        assert_eq!(transport(&v6(FRAGMENT, &first_fragment)), (6, Some(48)));
        let later_fragment = [&[6, 0, 1, 0, 0, 0, 0, 0][..], &tcp].concat();
        assert_eq!(transport(&v6(FRAGMENT, &later_fragment)), (6, None));
    }

    #[test]
    fn a_packet_is_exactly_as_long_as_it_says() {
        let packet = v6(17, &[0; 8]);
        assert!(Inner::parse(&packet).is_ok());
        assert!(Inner::parse(&packet[..47]).is_err());
        assert!(Inner::parse(&[&packet[..], &[0]].concat()).is_err());
        assert!(Inner::parse(&[]).is_err());
        assert!(Inner::parse(&[0x50; 40]).is_err());
    }

    #[test]
    fn flows_differ_by_their_ports() {
        let hasher = SipHasher13::new_with_keys(1, 2);
        let flow = |port: u8| {
            let packet = v6(17, &[0, port, 0, 53, 0, 8, 0, 0]);
            Inner::parse(&packet).unwrap().flow(&packet, hasher)
        };
        assert_eq!(flow(1), flow(1));
        assert!((2..20).any(|port| flow(port) != flow(1)));
    }

    #[test]
    fn all_fragments_of_a_packet_are_of_one_flow() {
        let hasher = SipHasher13::new_with_keys(1, 2);
        let flow = |offset: u8, payload: [u8; 4]| {
            let header = [17, 0, 0, offset << 3 | 1, 0, 0, 0, 9];
            let packet = v6(FRAGMENT, &[&header[..], &payload, &[0; 12]].concat());
            Inner::parse(&packet).unwrap().flow(&packet, hasher)
        };
        assert_eq!(flow(0, [0, 1, 0, 53]), flow(2, [9, 9, 9, 9]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            first in prop_oneof![Just(0x45_u8), Just(0x60), any::<u8>()],
            rest in proptest::collection::vec(any::<u8>(), 0..120),
        ) {
            let mut packet = vec![first];
            packet.extend(rest);
            if packet.len() >= 6 {
                let len = u16::try_from(packet.len()).unwrap();
                let rest = len.saturating_sub(40);
                let (at, value) = if first == 0x60 { (4, rest) } else { (2, len) };
                packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
            }
            if let Ok(inner) = Inner::parse(&packet) {
                inner.flow(&packet, SipHasher13::new_with_keys(1, 2));
            }
        }
    }
}
