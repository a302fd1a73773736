//! Kernel SRv6 between real kernels: what is planned is what they have, and what they have leads packets as planned.

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use socket2::{Protocol, SockAddr, Socket, Type};
use srwan_dataplane::seg6::{RouteKey, RouteTable};
use srwan_router::host;
use srwan_wire::sid::EndpointBehavior::{End, EndDt6, EndDx4, EndDx6};

use crate::network::{Netns, transfer, wait};
use crate::sr_capture::{Outer, Tap};
use crate::sr_domain::{Domain, EAST, WEST, block, node, pings, sid};

/// `IPPROTO_ROUTING` and `IPPROTO_NONE`.
const ROUTING: u8 = 43;
const NO_NEXT_HEADER: u8 = 59;

/// Octets of a transfer: thousands of packets, dozens of super-packets.
const TRANSFER_OCTETS: usize = 4 << 20;

/// Router paths between node 1 and node 4.
const PATHS: [&[u32]; 3] = [&[], &[2], &[2, 3]];

#[test]
fn hosts_reach_each_other_over_none_one_and_two_relays() {
    let Some(mut domain) = Domain::new() else { return };
    assert!(!pings(&domain.west, EAST[0]), "nothing else leads there");
    for relays in PATHS {
        domain.engage(relays);
        for (west, east) in WEST.into_iter().zip(EAST) {
            let before = carried(&domain);
            assert!(pings(&domain.west, east), "{east} over {relays:?}");
            assert!(pings(&domain.east, west), "{west} over {relays:?}");
            send(&domain.west, &domain.east, east);
            send(&domain.east, &domain.west, west);
            let after = carried(&domain);
            for (raw, (before, after)) in [2, 3].into_iter().zip(before.into_iter().zip(after)) {
                assert_eq!(after > before, relays.contains(&raw), "End of {raw} over {relays:?}");
            }
        }
    }
    domain.node(1).release(4);
    assert!(!pings(&domain.west, EAST[0]), "the path was released");
}

/// Packets that went by the SIDs of the two nodes in the middle.
fn carried(domain: &Domain) -> [u64; 2] {
    [domain.nodes[1].counted(End).packets, domain.nodes[2].counted(End).packets]
}

/// A flow that fits its path: no packet with its inner headers is larger than what the tunnel takes.
fn send(from: &Netns, to: &Netns, target: IpAddr) {
    let headers = if target.is_ipv4() { 40 } else { 60 };
    let segment = transfer(from, to, target, TRANSFER_OCTETS);
    // Timestamps, an option of 12 octets, count as a part of what a segment holds.
    assert_eq!(segment, 1_380 - headers - 12, "{target}");
}

#[test]
fn each_hop_sees_the_next_sid_and_one_segment_less() {
    for encaps in ["encaps = \"reduced\"", "encaps = \"full\""] {
        let Some(mut domain) = Domain::with(|_| encaps) else { return };
        for relays in PATHS {
            domain.engage(relays);
            for (family, last) in [EndDx4, EndDt6].into_iter().enumerate() {
                let taps = taps(&domain);
                assert!(pings(&domain.west, EAST[family]));
                let seen = taps.map(|mut tap| one_way(&mut tap, EAST[family]));
                let expected =
                    expected(relays, last, encaps.contains("full"), (WEST[family], EAST[family]));
                assert_eq!(seen, expected, "{encaps}, {relays:?}");
            }
        }
    }
}

/// The interfaces by which packets to the east arrive at the nodes 2, 3 and 4.
fn taps(domain: &Domain) -> [Tap; 3] {
    [1, 2, 3].map(|index: usize| Tap::open(&domain.nodes[index].netns, "west"))
}

/// The one packet that passed towards a host.
fn one_way(tap: &mut Tap, target: IpAddr) -> Outer {
    let mut seen = tap.seen();
    seen.retain(|outer| outer.inner.1 == target);
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

/// What nodes 2, 3 and 4 see of a packet from node 1. A node that is no relay passes it on as it is.
fn expected(
    relays: &[u32],
    last: srwan_wire::sid::EndpointBehavior,
    is_full: bool,
    inner: (IpAddr, IpAddr),
) -> [Outer; 3] {
    let mut travel: Vec<Ipv6Addr> = relays.iter().map(|raw| sid(*raw, End)).collect();
    travel.push(sid(4, last));
    let listed = if is_full { &travel[..] } else { &travel[1..] };
    let list: Vec<Ipv6Addr> = listed.iter().rev().copied().collect();
    [2, 3, 4].map(|at: u32| {
        // Relays that the packet has left behind when it comes to node `at`.
        let done = relays.iter().filter(|relay| **relay < at).count();
        let left = u8::try_from(relays.len() - done).unwrap();
        Outer {
            source: block().address(node(1)),
            destination: travel[done],
            segments_left: (!list.is_empty()).then_some(left),
            list: list.clone(),
            inner,
        }
    })
}

#[test]
fn what_is_planned_is_what_the_kernel_has_and_shows_until_it_is_undone() {
    let policies = "policies = [{ prefix = \"10.9.0.0/24\", segments = [\"fd53:5257:1:0:2001::\", \
                    \"fd53:5257:1:0:9003::\"] }]\nnext_hop_v4 = \"10.2.0.2\"\n\
                    next_hop_v6 = \"fd02::2\"";
    let Some(mut domain) = Domain::with(|_| policies) else { return };
    domain.engage(&[3, 2]);
    let first = domain.node(1);
    assert_eq!(first.listed(), first.plan());
    let state_dir = first.config.state_dir.clone();
    let show = |netns: &Netns| netns.enter(|| host::show(&state_dir).unwrap());
    let shown: Vec<String> = show(&first.netns).into_iter().map(|change| change.what).collect();
    for line in [
        "10.2.0.0/24 table 4766 (engaged): encap seg6 mode encap.red segs \
         fd53:5257:1:0:3001::,fd53:5257:1:0:2001::,fd53:5257:1:0:4003::",
        "fd53:5257:1:0:1001::/128 table 4769 (SIDs): seg6local End",
        "fd53:5257:1:0:1003::/128 table 4769 (SIDs): seg6local End.DX4 nh4 10.2.0.2",
        "fd53:5257:1:0:1004::/128 table 4769 (SIDs): seg6local End.DT6 by destination",
        "fd53:5257:1:0:1005::/128 table 4769 (SIDs): seg6local End.DX6 nh6 fd02::2",
        "fd53:5257:1:0:2000::/68 table 4769 (SIDs): via 2001:db8:1::2",
        "10.9.0.0/24 table 4770 (behind this router over native SRv6): encap seg6 mode encap.red \
         segs fd53:5257:1:0:2001::,fd53:5257:1:0:9003::",
        "IPv6 priority 4755: packets for a SID of the SR domain go where SIDs go",
    ] {
        assert!(shown.iter().any(|what| what == line), "{line} is not in {shown:#?}");
    }
    first.host.release_all();
    wait("no path, but SIDs", || {
        let is_sid = |key: &RouteKey| key.table != RouteTable::Engaged;
        first.listed().keys().all(is_sid).then_some(())
    });
    assert!(!first.listed().is_empty());
    first.netns.enter(|| first.host.undo());
    let left: Vec<_> =
        show(&first.netns).into_iter().filter(|change| change.kind != "nft").collect();
    assert_eq!(left, []);
}

#[test]
fn cross_connects_lead_to_their_next_hop_though_no_route_does() {
    let next_hops = "next_hop_v4 = \"10.2.0.2\"\nnext_hop_v6 = \"fd02::2\"";
    let policies = "policies = [{ prefix = \"fd02:6::/64\", segments = [\"fd53:5257:1:0:2001::\", \
                     \"fd53:5257:1:0:4005::\"] }]";
    let Some(mut domain) = Domain::with(|raw| if raw == 1 { policies } else { next_hops }) else {
        return;
    };
    domain.engage(&[2]);
    let targets: [IpAddr; 2] = ["10.2.6.1".parse().unwrap(), "fd02:6::1".parse().unwrap()];
    for (target, behavior) in targets.into_iter().zip([EndDx4, EndDx6]) {
        let before = domain.node(4).counted(behavior).packets;
        assert!(pings(&domain.west, target), "{target}");
        send(&domain.west, &domain.east, target);
        assert!(domain.node(4).counted(behavior).packets > before);
    }
}

#[test]
fn a_packet_may_be_as_large_over_any_number_of_relays() {
    let Some(mut domain) = Domain::new() else { return };
    for relays in PATHS {
        domain.engage(relays);
        for target in EAST {
            let mtu = domain.node(1).netns.enter(|| mtu_towards(target));
            assert_eq!(mtu, 1_380, "{target} over {relays:?}");
        }
    }
}

/// The largest packet that this host sends to an address, as the kernel sees it.
fn mtu_towards(target: IpAddr) -> i32 {
    let any: IpAddr = if target.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.connect((target, 9)).unwrap();
    let (level, name) = match target {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
    };
    let mut mtu = 0_i32;
    let mut size = libc::socklen_t::try_from(size_of_val(&mtu)).unwrap();
    // SAFETY: both pointers are to live variables of the size that is named.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut mtu).cast(), &raw mut size)
    };
    assert_eq!(result, 0);
    mtu
}

#[test]
fn segment_lists_from_outside_end_at_the_edge() {
    let Some(mut domain) = Domain::new() else { return };
    domain.engage(&[2]);
    assert!(pings(&domain.west, EAST[1]));
    let before = all_counters(&domain);
    // A host behind node 1 wraps by itself: to a SID of node 1, and to one behind it.
    for target in [sid(1, EndDt6), sid(2, End), sid(4, EndDt6)] {
        domain.west.enter(|| send_wrapped(target, &to_the_east(NO_NEXT_HEADER, &[])));
    }
    // A neighbour in the domain, but with a source outside of the block.
    domain.nodes[1].netns.enter(|| send_wrapped(sid(1, EndDt6), &to_the_east(NO_NEXT_HEADER, &[])));
    // Then something that is let in, so that all of the above has been judged.
    assert!(pings(&domain.west, EAST[1]));
    let mut expected = before;
    for (raw, behavior) in [(2, 0), (4, 2), (2, 0), (1, 2)] {
        expected[raw - 1][behavior].0 += 1;
    }
    assert_eq!(all_counters(&domain), expected, "the question, and its answer, alone");
}

/// What End, End.DX4 and End.DT6 of each node counted: packets, errors.
fn all_counters(domain: &Domain) -> [[(u64, u64); 3]; 4] {
    [0, 1, 2, 3].map(|index: usize| {
        let counters = [End, EndDx4, EndDt6].map(|sid| domain.nodes[index].counted(sid));
        counters.map(|counters| (counters.packets, counters.errors))
    })
}

/// IPv6 in IPv6 (protocol 41) from whatever source this host has.
fn send_wrapped(target: Ipv6Addr, inner: &[u8]) {
    send_raw(41, target, inner);
}

fn send_raw(protocol: i32, target: Ipv6Addr, packet: &[u8]) {
    let protocol = Some(Protocol::from(protocol));
    let socket = Socket::new(socket2::Domain::IPV6, Type::RAW, protocol).unwrap();
    let to = SockAddr::from(SocketAddr::new(target.into(), 0));
    assert_eq!(socket.send_to(packet, &to).unwrap(), packet.len());
}

/// An IPv6 packet to the eastern host, of what `next` is the number of.
fn to_the_east(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next, 64];
    packet.extend(octets(WEST[1]));
    packet.extend(octets(EAST[1]));
    packet.extend(payload);
    packet
}

fn octets(address: IpAddr) -> [u8; 16] {
    v6(address).octets()
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(v6) => v6,
        IpAddr::V4(_) => panic!("the second of each is IPv6"),
    }
}

#[test]
fn a_segment_routing_header_of_a_host_goes_nowhere() {
    let Some(mut domain) = Domain::new() else { return };
    domain.engage(&[2]);
    assert!(pings(&domain.west, EAST[1]));
    let mut tap = Tap::open(&domain.nodes[1].netns, "west");
    // Next header, length in units of 8, type, segments left; then the list of one.
    for (kind, is_let_in) in [(4, false), (0, true)] {
        let mut header = vec![NO_NEXT_HEADER, 2, kind, 0, 0, 0, 0, 0];
        header.extend(octets(EAST[1]));
        let packet = to_the_east(ROUTING, &header);
        domain.west.enter(|| send_raw(libc::IPPROTO_RAW, v6(EAST[1]), &packet));
        assert!(pings(&domain.west, EAST[1]));
        let seen = tap.seen().into_iter().filter(|outer| outer.inner.1 == EAST[1]).count();
        assert_eq!(seen, 1 + usize::from(is_let_in), "routing header type {kind}, and a ping");
    }
}

#[test]
fn a_segment_list_delivers_to_the_site_and_nowhere_else() {
    let Some(mut domain) = Domain::new() else { return };
    // Node 2 is no site of node 4, and 2001:db8:3::1 no address of one.
    domain.node(4).engage(1, &[], &["10.1.0.0/24", "fd01::/64"]);
    domain.node(1).engage(4, &[], &["10.2.0.0/24", "2001:db8:3::/64"]);
    let before = domain.node(4).counted(EndDt6);
    assert_eq!(before.errors, 0);
    for target in ["2001:db8:3::1", "2001:db8:3::2"] {
        assert!(!pings(&domain.west, target.parse().unwrap()), "{target}");
    }
    let after = domain.node(4).counted(EndDt6);
    assert_eq!((after.packets, after.errors), (before.packets, 2), "that far they came");
    assert!(pings(&domain.west, EAST[0]));
}

#[test]
fn the_router_itself_is_reached_at_its_address_in_the_site() {
    let Some(mut domain) = Domain::new() else { return };
    domain.engage(&[3, 2]);
    for target in ["10.2.0.1", "fd02::1"] {
        assert!(pings(&domain.west, target.parse().unwrap()), "{target}");
    }
}

/// Nodes 3 and 4 are hosts without srwan: a relay and an endpoint that somebody set up by hand.
#[test]
fn a_domain_half_of_which_was_set_up_with_ip_works_the_same() {
    let Some(mut domain) = Domain::new() else { return };
    if std::process::Command::new("ip").arg("-V").output().is_err() {
        let _unseen = writeln!(std::io::stderr(), "SKIPPED: needs the program `ip`");
        return;
    }
    for raw in [3, 4] {
        let node = domain.node(raw);
        node.netns.enter(|| {
            node.host.undo();
            for switch in ["ipv4/conf/all/forwarding", "ipv6/conf/all/forwarding"] {
                std::fs::write(format!("/proc/sys/net/{switch}"), "1").unwrap();
            }
        });
    }
    domain.node(3).netns.enter(|| {
        ip(&format!("-6 route add {}/128 encap seg6local action End dev east", sid(3, End)));
        ip(&format!("-6 route add {} via 2001:db8:2::1", block().prefix()));
        ip(&format!("-6 route add {} via 2001:db8:3::2", block().locator(node(4))));
    });
    domain.node(4).netns.enter(|| {
        let local = |behavior, action: &str| {
            let sid = sid(4, behavior);
            ip(&format!("-6 route add {sid}/128 encap seg6local action {action} dev west"));
        };
        local(EndDx4, "End.DX4 nh4 10.2.0.2");
        local(EndDt6, "End.DT6 table main");
        ip(&format!("sr tunsrc set {}", block().address(node(4))));
        ip(&format!("-6 route add {} via 2001:db8:3::1", block().prefix()));
        for (version, prefix, mode, last) in
            [("-4", "10.1.0.0/24", "encap.red", EndDx4), ("-6", "fd01::/64", "encap", EndDt6)]
        {
            let segs = format!("{},{},{}", sid(3, End), sid(2, End), sid(1, last));
            ip(&format!(
                "{version} route add {prefix} encap seg6 mode {mode} segs {segs} dev west"
            ));
        }
    });
    domain.node(1).engage(4, &[2, 3], &["10.2.0.0/24", "fd02::/64"]);
    for (west, east) in WEST.into_iter().zip(EAST) {
        assert!(pings(&domain.west, east), "{east}");
        assert!(pings(&domain.east, west), "{west}");
        send(&domain.west, &domain.east, east);
        send(&domain.east, &domain.west, west);
    }
}

fn ip(arguments: &str) {
    let ran = std::process::Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(ran.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}
