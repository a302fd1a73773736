//! Routes for a kernel that does SRv6: what is planned for which path, and how one plan becomes another.

use crate::world::node;
use ipnet::IpNet;
use proptest::prelude::*;
use srwan_dataplane::seg6::{
    Encaps, EngagedPath, LocalSid, LocatorRoute, RouteAction, RouteChange, RouteKey, RoutePlan,
    RouteTable, SrDomain,
};
use srwan_wire::srv6::SidBlock;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

fn prefix(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// Node 1 of a domain with the nodes 2 (a neighbour) and 3 (which the underlay leads to).
fn domain() -> SrDomain {
    SrDomain {
        block: SidBlock::new("fd53:5257:1::/48".parse().unwrap()).unwrap(),
        me: node(1),
        encaps: Encaps::Reduced,
        locators: BTreeMap::from([
            (node(2), LocatorRoute::Via(address("2001:db8::2"))),
            (node(3), LocatorRoute::Routed),
        ]),
        next_hop_v4: None,
        next_hop_v6: None,
        policies: BTreeMap::new(),
    }
}

fn path(relays: &[u32], prefixes: &[&str]) -> EngagedPath {
    EngagedPath {
        relays: relays.iter().map(|raw| node(*raw)).collect(),
        is_billed: false,
        prefixes: prefixes.iter().map(|text| prefix(text)).collect(),
    }
}

/// What packets to `prefix` meet when `path` is engaged to `endpoint`.
fn way(domain: Option<&SrDomain>, endpoint: u32, path: EngagedPath, to: &str) -> RouteAction {
    let plan = RoutePlan::new(domain, &BTreeMap::from([(node(endpoint), path)]));
    let key = RouteKey { table: RouteTable::Engaged, prefix: prefix(to) };
    plan.action(&key).unwrap().clone()
}

fn encaps(segments: &[&str]) -> RouteAction {
    RouteAction::Encaps(Encaps::Reduced, segments.iter().map(|text| address(text)).collect())
}

#[test]
fn the_last_sid_suits_the_family_of_the_packet() {
    let both = ["10.3.0.0/24", "fd03::/64"];
    let check = |to, expected| {
        assert_eq!(way(Some(&domain()), 3, path(&[2], &both), to), encaps(expected));
    };
    check("10.3.0.0/24", &["fd53:5257:1:0:2001::", "fd53:5257:1:0:3003::"]);
    check("fd03::/64", &["fd53:5257:1:0:2001::", "fd53:5257:1:0:3004::"]);
}

#[test]
fn a_path_without_relays_is_the_endpoints_sid_alone() {
    let direct = way(Some(&domain()), 2, path(&[], &["10.2.0.0/24"]), "10.2.0.0/24");
    assert_eq!(direct, encaps(&["fd53:5257:1:0:2003::"]));
}

#[test]
fn what_is_not_for_the_kernel_stays_in_the_overlay() {
    let to = "10.3.0.0/24";
    let check = |domain: Option<&SrDomain>, endpoint, path: EngagedPath| {
        assert_eq!(way(domain, endpoint, path.clone(), to), RouteAction::Tunnel, "{path:?}");
    };
    let billed = EngagedPath { is_billed: true, ..path(&[2], &[to]) };
    check(None, 3, path(&[2], &[to]));
    check(Some(&domain()), 3, billed);
    check(Some(&domain()), 3, path(&[4], &[to]));
    check(Some(&domain()), 4, path(&[2], &[to]));
    check(Some(&domain()), 3, path(&[2, 2], &[to]));
    check(Some(&domain()), 3, path(&[3], &[to]));
    check(Some(&domain()), 3, path(&[1], &[to]));
}

#[test]
fn a_node_has_its_own_sids_and_the_way_to_its_neighbours() {
    let plan = RoutePlan::new(Some(&domain()), &BTreeMap::new());
    let local = |sid| RouteAction::Local(sid);
    let expected = [
        ("fd53:5257:1:0:1000::/68", RouteAction::Tunnel),
        ("fd53:5257:1:0:1001::/128", local(LocalSid::End)),
        ("fd53:5257:1:0:1003::/128", local(LocalSid::EndDx4(None))),
        ("fd53:5257:1:0:1004::/128", local(LocalSid::EndDt6)),
        ("fd53:5257:1:0:2000::/68", RouteAction::Via(address("2001:db8::2"))),
    ];
    let key = |text| RouteKey { table: RouteTable::Sids, prefix: prefix(text) };
    let expected: Vec<_> = expected.map(|(text, action)| (key(text), action)).into();
    let planned: Vec<_> = plan.routes().map(|(key, action)| (*key, action.clone())).collect();
    assert_eq!(planned, expected);
}

#[test]
fn next_hops_that_are_given_are_what_the_cross_connects_lead_to() {
    let given = SrDomain {
        next_hop_v4: Some([10, 1, 0, 2].into()),
        next_hop_v6: Some(address("fd01::2")),
        ..domain()
    };
    let plan = RoutePlan::new(Some(&given), &BTreeMap::new());
    let sid = |text| plan.action(&RouteKey { table: RouteTable::Sids, prefix: prefix(text) });
    let dx4 = LocalSid::EndDx4(Some([10, 1, 0, 2].into()));
    assert_eq!(sid("fd53:5257:1:0:1003::/128"), Some(&RouteAction::Local(dx4)));
    let dx6 = LocalSid::EndDx6(address("fd01::2"));
    assert_eq!(sid("fd53:5257:1:0:1005::/128"), Some(&RouteAction::Local(dx6)));
}

#[test]
fn a_policy_is_there_whatever_is_engaged() {
    let segments = vec![address("fd53:5257:1:0:9003::")];
    let policies = BTreeMap::from([(prefix("10.9.0.0/24"), segments.clone())]);
    let plan = RoutePlan::new(Some(&SrDomain { policies, ..domain() }), &BTreeMap::new());
    let key = RouteKey { table: RouteTable::Policies, prefix: prefix("10.9.0.0/24") };
    assert_eq!(plan.action(&key), Some(&RouteAction::Encaps(Encaps::Reduced, segments)));
}

#[test]
fn sids_come_before_what_leads_to_them_and_go_after_it() {
    let all =
        RoutePlan::new(Some(&domain()), &BTreeMap::from([(node(2), path(&[], &["10.2.0.0/24"]))]));
    let none = RoutePlan::default();
    let key = |change: &RouteChange| match change {
        RouteChange::Put(key, _) | RouteChange::Remove(key) => *key,
    };
    let there: Vec<_> = none.changes(&all).iter().map(key).collect();
    let mut back: Vec<_> = all.changes(&none).iter().map(key).collect();
    assert_eq!(there.len(), 6);
    assert_eq!(there.last().unwrap().table, RouteTable::Engaged);
    back.reverse();
    assert_eq!(there, back);
}

#[test]
fn a_path_that_changes_is_replaced_and_nothing_else_is_touched() {
    let engaged = |path| BTreeMap::from([(node(3), path)]);
    let before = RoutePlan::new(Some(&domain()), &engaged(path(&[], &["10.3.0.0/24"])));
    let after = RoutePlan::new(Some(&domain()), &engaged(path(&[2], &["10.3.0.0/24"])));
    let key = RouteKey { table: RouteTable::Engaged, prefix: prefix("10.3.0.0/24") };
    let expected = encaps(&["fd53:5257:1:0:2001::", "fd53:5257:1:0:3003::"]);
    assert_eq!(before.changes(&after), [RouteChange::Put(key, expected)]);
}

/// Any plan of a small world: any paths engaged, with or without a domain.
fn plan() -> impl Strategy<Value = RoutePlan> {
    let prefixes = vec!["10.3.0.0/24", "10.4.0.0/24", "fd03::/64"];
    let prefixes = proptest::sample::subsequence(prefixes, 0..=3);
    let relays = proptest::sample::subsequence(vec![2_u32, 3, 4], 0..=3);
    let one = (relays, any::<bool>(), prefixes).prop_map(|(relays, is_billed, prefixes)| {
        EngagedPath { is_billed, ..path(&relays, &prefixes) }
    });
    let engaged = proptest::collection::btree_map((2_u32..=4).prop_map(node), one, 0..=3);
    (engaged, any::<bool>()).prop_map(|(engaged, has_domain)| {
        RoutePlan::new(has_domain.then(domain).as_ref(), &engaged)
    })
}

proptest! {
    #[test]
    fn the_changes_lead_from_any_plan_to_any_other(before in plan(), after in plan()) {
        let mut there = before.clone();
        for change in before.changes(&after) {
            // A route that both have is never gone in between.
            let both = before.routes().filter(|(key, _)| after.action(key).is_some());
            for (key, _) in both {
                prop_assert!(there.action(key).is_some());
            }
            there.note(change);
        }
        prop_assert_eq!(&there, &after);
        prop_assert_eq!(there.changes(&after), []);
    }

    #[test]
    fn nothing_that_is_right_already_is_done_again(before in plan(), after in plan()) {
        for change in before.changes(&after) {
            match change {
                RouteChange::Put(key, action) => {
                    prop_assert_ne!(before.action(&key), Some(&action));
                    prop_assert_eq!(after.action(&key), Some(&action));
                }
                RouteChange::Remove(key) => {
                    prop_assert!(before.action(&key).is_some() && after.action(&key).is_none());
                }
            }
        }
    }

    #[test]
    fn every_sid_of_a_path_is_one_of_its_nodes_or_the_path_stays_in_the_overlay(plan in plan()) {
        let block = domain().block;
        for (_, action) in plan.routes() {
            if let RouteAction::Encaps(_, segments) = action {
                let nodes = segments.iter().map(|sid| block.sid(*sid).unwrap().node());
                let nodes: Vec<_> = nodes.collect();
                prop_assert!(nodes.iter().all(|n| [Some(node(2)), Some(node(3))].contains(n)));
                prop_assert!((1..=2).contains(&nodes.len()));
            }
        }
    }
}
