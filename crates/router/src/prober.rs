//! Measures destinations without a router: one ICMP echo request over the default path, and how long its answer took.
//!
//! Own destinations are measured as the operator listed them. For other members this router measures only if it is an
//! egress, and only what its egress rules would let a stranger's packet reach: neither private networks nor this host.
//! What exceeds [`UNANSWERED_MAX`] is not sent; the node takes a missing result for an old one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant as WallInstant};

use ipnet::IpNet;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use srwan_control::Place;
use srwan_node::Node;
use srwan_node::destination::{MeasuredFor, Measurement};
use srwan_wire::roster::{ASN_UNKNOWN, Location};
use srwan_wire::time::Instant;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

use crate::geo::{Geo, Tuple};
use crate::kernel::MARK_OWN;
use crate::nft::ruleset::DENIED;
use crate::packet_loop::{Handle, Order};

/// Requests that wait for their answer. With [`PATIENCE`] silent targets get at most this many requests a second in
/// all, which also bounds what members can make an egress send.
const UNANSWERED_MAX: usize = 64;

/// An answer that takes longer is as good as none: destinations are measured once a second.
const PATIENCE: Duration = Duration::from_millis(950);

/// Octets of an ICMP echo header; the nonce follows.
const HEADER_OCTETS: usize = 8;

/// Octets that tell our answer from others'.
const NONCE_OCTETS: usize = 16;

/// Room for an answer with the longest IPv4 header; what is longer is none of ours.
const REPLY_OCTETS_MAX: usize = 256;

/// Sends echo requests, a bounded number at a time.
pub struct Prober {
    node: Handle,
    rules: Rules,
    room: Arc<Semaphore>,
}

/// What may be measured for whom.
struct Rules {
    is_egress: bool,
    denied: Vec<IpNet>,
}

impl Prober {
    /// A prober that tells `node` its results.
    pub fn new(node: Handle, is_egress: bool) -> Self {
        let room = Arc::new(Semaphore::new(UNANSWERED_MAX));
        Self { node, rules: Rules::new(is_egress), room }
    }

    /// Starts a measurement; the node hears of its result.
    pub fn measure(&self, wanted: Measurement) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            tracing::debug!(address = %wanted.address, "too many measurements");
            return;
        };
        let (node, may_measure) = (self.node.clone(), self.rules.allow(&wanted));
        tokio::spawn(async move {
            let rtt = if may_measure { round_trip(wanted.address).await } else { None };
            drop(permit);
            let tell = move |router: &mut Node, now: Instant, _| {
                router.handle_measured(&wanted, rtt, now);
            };
            // An error means that the router ends.
            let _ended = node.tell(Order::Call(Box::new(tell))).await;
        });
    }
}

impl Rules {
    fn new(is_egress: bool) -> Self {
        let denied = DENIED.iter().map(|text| text.parse().expect("the list holds prefixes"));
        Self { is_egress, denied: denied.collect() }
    }

    /// Nobody learns through an egress what no packet of his could reach.
    fn allow(&self, wanted: &Measurement) -> bool {
        match wanted.wanted_by {
            MeasuredFor::Own(_) => true,
            MeasuredFor::Member(_) => {
                self.is_egress && !self.denied.iter().any(|net| net.contains(&wanted.address))
            }
        }
    }
}

async fn round_trip(target: IpAddr) -> Option<Duration> {
    match tokio::time::timeout(PATIENCE, echo(target)).await {
        Ok(Ok(rtt)) => Some(rtt),
        Ok(Err(error)) => {
            tracing::debug!(%target, %error, "not measured");
            None
        }
        Err(_) => None,
    }
}

/// One echo request and its answer, over the default path: the socket carries the mark of the router's own datagrams.
///
/// # Errors
/// No route, no permission for ICMP, or the target is this host.
pub async fn echo(target: IpAddr) -> io::Result<Duration> {
    let (socket, is_raw) = open(target)?;
    socket.set_mark(MARK_OWN)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::from(SocketAddr::new(target, 0)))?;
    let source = socket.local_addr()?.as_socket().map(|address| address.ip());
    if source == Some(target) {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    let mut nonce = [0; NONCE_OCTETS];
    getrandom::fill(&mut nonce).map_err(|_| io::ErrorKind::Other)?;
    // Only `send` and `recv` are used, which are the same for every kind of datagram socket.
    let socket = UdpSocket::from_std(socket.into())?;
    let sent = WallInstant::now();
    socket.send(&request(target, &nonce)).await?;
    let reply = if target.is_ipv4() { ICMP_ECHO_REPLY } else { ICMPV6_ECHO_REPLY };
    let mut buffer = [0; REPLY_OCTETS_MAX];
    loop {
        let size = socket.recv(&mut buffer).await?;
        let packet = &buffer[..size];
        let header = if is_raw && target.is_ipv4() { ipv4_header_octets(packet) } else { 0 };
        let Some(icmp) = packet.get(header..) else { continue };
        if icmp.first() == Some(&reply) && icmp.get(HEADER_OCTETS..) == Some(&nonce) {
            return Ok(sent.elapsed());
        }
    }
}

/// A ping socket where the host lets this user have one, else a raw one; says whether it is raw.
fn open(target: IpAddr) -> io::Result<(Socket, bool)> {
    let (domain, protocol) = match target {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => Ok((socket, false)),
        Err(_) => Ok((Socket::new(domain, Type::RAW, Some(protocol))?, true)),
    }
}

const ICMP_ECHO_REQUEST: u8 = 8;
const ICMP_ECHO_REPLY: u8 = 0;
const ICMPV6_ECHO_REQUEST: u8 = 128;
const ICMPV6_ECHO_REPLY: u8 = 129;

/// An echo request (RFC 792, RFC 4443). For IPv6 the kernel fills in the checksum, on a ping socket also the
/// identifier.
fn request(target: IpAddr, nonce: &[u8; NONCE_OCTETS]) -> Vec<u8> {
    let kind = if target.is_ipv4() { ICMP_ECHO_REQUEST } else { ICMPV6_ECHO_REQUEST };
    let mut packet = vec![kind, 0, 0, 0, nonce[0], nonce[1], 0, 1];
    packet.extend(nonce);
    if target.is_ipv4() {
        let words = packet.chunks_exact(2).map(|pair| u32::from_be_bytes([0, 0, pair[0], pair[1]]));
        let sum: u32 = words.sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let [_, _, high, low] = (!((folded & 0xffff) + (folded >> 16))).to_be_bytes();
        packet[2..4].copy_from_slice(&[high, low]);
    }
    packet
}

/// Length of an IPv4 header: a raw socket hands it over too.
fn ipv4_header_octets(packet: &[u8]) -> usize {
    packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4)
}

/// Starts to watch the operator's prefixes.
pub fn watch(node: &mut Node, prefixes: &[IpNet], geo: &Geo, now: Instant) {
    for prefix in prefixes.iter().map(IpNet::trunc) {
        let address = probed_address(prefix);
        if !node.watch_destination(prefix, address, place(geo.find(address)), now) {
            tracing::warn!(%prefix, "too many destinations are watched; this one is not");
        }
    }
}

/// The first host address of a prefix, which is the address itself if there is but one.
fn probed_address(prefix: IpNet) -> IpAddr {
    prefix.hosts().next().unwrap_or_else(|| prefix.addr())
}

fn place(tuple: Tuple<'_>) -> Place {
    let location = tuple.place.map_or_else(Location::default, |place| Location {
        city: place.city.clone(),
        country: place.country.clone(),
        lat_e6: micro_degrees(place.latitude),
        lon_e6: micro_degrees(place.longitude),
    });
    Place { asn: tuple.asn.unwrap_or(ASN_UNKNOWN), location }
}

fn micro_degrees(degrees: f64) -> i32 {
    format!("{:.0}", degrees * 1e6).parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use srwan_wire::id::NodeId;

    #[test]
    fn the_first_host_is_probed() {
        let check = |prefix: &str, expected: &str| {
            let address = probed_address(prefix.parse::<IpNet>().unwrap().trunc());
            assert_eq!(address, expected.parse::<IpAddr>().unwrap(), "{prefix}");
        };
        check("203.0.113.0/24", "203.0.113.1");
        check("203.0.113.7/32", "203.0.113.7");
        check("203.0.113.6/31", "203.0.113.6");
        check("2001:db8::5/128", "2001:db8::5");
    }

    #[test]
    fn members_learn_nothing_of_private_networks_and_nothing_without_an_egress() {
        let check = |is_egress, address: &str, expected| {
            let wanted_by = MeasuredFor::Member(NodeId::new(7).unwrap());
            let wanted = Measurement { address: address.parse().unwrap(), wanted_by };
            assert_eq!(Rules::new(is_egress).allow(&wanted), expected, "{address}");
        };
        check(true, "203.0.113.1", true);
        check(false, "203.0.113.1", false);
        for address in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fd00::1", "::1", "fe80::1"] {
            check(true, address, false);
        }
    }

    #[tokio::test]
    async fn this_host_itself_is_not_measured() {
        assert!(echo(IpAddr::from([127, 0, 0, 1])).await.is_err());
    }
}
