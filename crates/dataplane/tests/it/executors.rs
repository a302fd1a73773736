//! A SID means the same in all executors: the pure data plane and the plan for a kernel lead a packet over the same
//! routers, with the same segments left.

use crate::inner::udp;
use crate::world::{World, node, prefixes, receiver};
use ipnet::{IpNet, Ipv6Net};
use proptest::prelude::*;
use srwan_dataplane::seg6::{
    Encaps, EngagedPath, LocalSid, LocatorRoute, RouteAction, RouteKey, RoutePlan, RouteTable,
    SrDomain,
};
use srwan_wire::segment::HeaderView;
use srwan_wire::sid::{EndpointBehavior, Sid};
use srwan_wire::srv6::SidBlock;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Routers of the world; the first is the headend, the last the endpoint.
const ROUTERS: u32 = 5;

/// What a router sees of a packet.
#[derive(Debug, PartialEq, Eq)]
struct Arrival {
    router: u32,
    segments_left: usize,
    /// The nodes still to visit, the next one first.
    ahead: Vec<u32>,
}

fn block() -> SidBlock {
    SidBlock::new("fd53:5257:1::/48".parse().unwrap()).unwrap()
}

fn underlay(raw: u32) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::try_from(raw).unwrap())
}

fn domain(me: u32, encaps: Encaps) -> SrDomain {
    let others = (1..=ROUTERS).filter(|raw| *raw != me);
    SrDomain {
        block: block(),
        me: node(me),
        encaps,
        locators: others.map(|raw| (node(raw), LocatorRoute::Via(underlay(raw)))).collect(),
        next_hop_v4: None,
        next_hop_v6: None,
        policies: BTreeMap::new(),
    }
}

/// The same FIB for both: what `1` sends to `ROUTERS` goes over `relays`.
fn overlay(relays: &[u32], packet: &[u8]) -> Vec<Arrival> {
    let mut world = World::new(ROUTERS);
    world.connect_all(ROUTERS);
    world.steer(1, relays, ROUTERS, 77);
    world.host_sends(1, packet);
    world.run_millis(200);
    assert_eq!(world.router(ROUTERS).delivered, [(node(1), packet.to_vec())]);
    let seen = world.sent.iter().map(|datagram| {
        let header = HeaderView::parse(&datagram.bytes).unwrap();
        let left = header.segments_left();
        let ahead = (0..left).rev().map(|i| header.sid(i).unwrap().node().unwrap().get());
        Arrival { router: receiver(datagram), segments_left: left, ahead: ahead.collect() }
    });
    seen.collect()
}

/// An outer header as a kernel writes and rewrites it (RFC 8754 sections 4.1 and 4.3.1.1).
struct Outer {
    destination: Ipv6Addr,
    /// In reverse order of travel.
    list: Vec<Ipv6Addr>,
    left: usize,
}

impl Outer {
    fn new(encaps: Encaps, segments: &[Ipv6Addr]) -> Self {
        let listed = match encaps {
            Encaps::Full => segments,
            Encaps::Reduced => &segments[1..],
        };
        let list = listed.iter().rev().copied().collect();
        Self { destination: segments[0], list, left: segments.len() - 1 }
    }

    fn end(&mut self) {
        self.left -= 1;
        self.destination = self.list[self.left];
    }

    fn arrival(&self, router: u32) -> Arrival {
        let ahead = self.list[..self.left].iter().rev();
        let nodes = ahead.map(|address| block().sid(*address).unwrap().node().unwrap().get());
        Arrival { router, segments_left: self.left, ahead: nodes.collect() }
    }
}

fn kernel(relays: &[u32], prefix: IpNet, encaps: Encaps) -> Vec<Arrival> {
    let path = EngagedPath {
        relays: relays.iter().map(|raw| node(*raw)).collect(),
        is_billed: false,
        prefixes: vec![prefix],
    };
    let engaged = BTreeMap::from([(node(ROUTERS), path)]);
    let headend = RoutePlan::new(Some(&domain(1, encaps)), &engaged);
    let key = RouteKey { table: RouteTable::Engaged, prefix };
    let Some(RouteAction::Encaps(mode, segments)) = headend.action(&key) else { panic!("none") };
    let mut outer = Outer::new(*mode, segments);
    let (mut at, mut seen) = (1, Vec::new());
    loop {
        let plan = RoutePlan::new(Some(&domain(at, encaps)), &BTreeMap::new());
        match lookup(&plan, outer.destination) {
            RouteAction::Via(neighbour) => {
                at = (1..=ROUTERS).find(|raw| underlay(*raw) == neighbour).unwrap();
                seen.push(outer.arrival(at));
            }
            RouteAction::Local(LocalSid::End) => outer.end(),
            RouteAction::Local(LocalSid::EndDx4(None)) if prefix.addr().is_ipv4() => return seen,
            RouteAction::Local(LocalSid::EndDt6) if prefix.addr().is_ipv6() => return seen,
            other => panic!("{other:?} at {at}"),
        }
    }
}

/// The longest prefix that holds the SID, as a kernel finds it.
fn lookup(plan: &RoutePlan, destination: Ipv6Addr) -> RouteAction {
    let destination = IpAddr::V6(destination);
    let sids = plan.routes().filter(|(key, _)| key.table == RouteTable::Sids);
    let holding = sids.filter(|(key, _)| key.prefix.contains(&destination));
    let longest = holding.max_by_key(|(key, _)| key.prefix.prefix_len());
    longest.expect("the domain has a route to each of its SIDs").1.clone()
}

/// Up to three relays out of the routers between headend and endpoint, in any order.
fn relays() -> impl Strategy<Value = Vec<u32>> {
    let order = Just(vec![2_u32, 3, 4]).prop_shuffle();
    (order, 0_usize..=3).prop_map(|(order, count)| order[..count].to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn overlay_and_kernel_lead_over_the_same_routers(relays in relays(), is_v6: bool) {
        let packet = match is_v6 {
            false => udp("10.0.1.5:1000", "10.0.5.9:53", b"x"),
            true => udp("[fd00:1::5]:1000", "[fd00:5::9]:53", b"x"),
        };
        let prefix = prefixes(ROUTERS)[usize::from(is_v6)];
        let expected = overlay(&relays, &packet);
        let routers: Vec<u32> = expected.iter().map(|arrival| arrival.router).collect();
        prop_assert_eq!(routers, [relays.as_slice(), &[ROUTERS]].concat());
        for encaps in [Encaps::Full, Encaps::Reduced] {
            prop_assert_eq!(&kernel(&relays, prefix, encaps), &expected, "{:?}", encaps);
        }
    }
}

#[test]
fn a_sid_without_a_behavior_ends_at_its_node() {
    let plan = RoutePlan::new(Some(&domain(2, Encaps::Reduced)), &BTreeMap::new());
    let overlay_only = block().srv6_sid(Sid::new(node(2), EndpointBehavior::EndDt46));
    for address in [overlay_only, block().srv6_sid(Sid::from_bits(2 << 12 | 0x7ff))] {
        assert_eq!(lookup(&plan, address), RouteAction::Tunnel, "{address}");
    }
}

#[test]
fn no_two_nodes_share_a_locator() {
    let locators: Vec<Ipv6Net> = (1..=ROUTERS).map(|raw| block().locator(node(raw))).collect();
    for (index, locator) in locators.iter().enumerate() {
        assert!(locators[..index].iter().all(|other| !other.contains(locator)), "{locator}");
    }
}
