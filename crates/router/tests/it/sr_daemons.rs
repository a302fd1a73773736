//! Real routers in an SR domain: what control engages is carried by kernels, a dead router diverts nothing, and what
//! the overlay delivers goes on over native SRv6.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use srwan_api::router::{Host, HostCounters, Paths, Pin};
use srwan_router::host;
use srwan_wire::sid::EndpointBehavior::{End, EndDx4};

use crate::namespace::link_up;
use crate::network::{
    Netns, Network, add_address, add_address_v6, add_default_route_v6, add_route, add_route_v6,
    block_on, transfer, wait,
};
use crate::sr_domain::{Node, block, join_nodes, node, quiet_netns, sid};

/// Octets of a flow: several receipt steps.
const FLOW_OCTETS: usize = 4 << 20;

fn uplink(n: u16, end: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xf0, n, 0, 0, 0, end)
}

/// Gives hub and sites an IPv6 underlay that routes the locator of each router.
fn add_underlay(network: &Network) {
    for (index, site) in network.sites.iter().enumerate() {
        let n = u16::try_from(index + 1).unwrap();
        network.hub.enter(|| {
            let near = format!("hub{n}");
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
            add_address_v6(&near, uplink(n, 0xfe), 64);
            add_route_v6(block().locator(node(u32::from(n))), &near, uplink(n, 1));
        });
        site.netns.enter(|| {
            add_address_v6("up0", uplink(n, 1), 64);
            add_default_route_v6("up0", uplink(n, 0xfe));
        });
    }
}

/// Free of charge, and in a domain of three routers and one node that does not exist.
fn private(n: u16) -> String {
    format!(
        "[price]\ncoins_per_gb = \"0\"\n\
         [srv6]\nmode = \"kernel\"\nblock = \"{}\"\ninterfaces = [\"up0\"]\n\
         [srv6.underlay]\n1 = \"routed\"\n2 = \"routed\"\n3 = \"routed\"\n99 = \"{}\"\n",
        block().prefix(),
        uplink(n, 0xfe)
    )
}

/// Starts the routers one after the other, so that router `n` is node `n`.
fn start_in_order(network: &mut Network, edit: impl Fn(usize, String) -> String) {
    for index in 0..network.sites.len() {
        network.start_edited(index, |config| edit(index, config));
        let number = u32::try_from(index + 1).unwrap();
        network.wait_status(index, "its number", |status| status.node == Some(number));
    }
    let peers = u32::try_from(network.sites.len()).unwrap() - 1;
    for index in 0..network.sites.len() {
        network.wait_status(index, "sessions with all", |status| status.peers_up == peers);
    }
}

fn pin(network: &Network, index: usize, dest: &str, via: &str) {
    let pin = Pin { dest: dest.into(), via: vec![via.into()] };
    let client = network.client(index);
    let _pinned: Paths = block_on(async move { client.post("/v1/pin", &pin).await }).unwrap();
    network.wait_status(index, "the pinned path", |status| {
        status.engaged.iter().any(|engaged| engaged.relays == [via])
    });
}

fn changes(network: &Network, index: usize) -> Vec<String> {
    let host: Host = network.get(index, "/v1/host").unwrap();
    host.changes.into_iter().map(|change| change.what).collect()
}

/// What a SID of a router counted, as `srwan host show --json` tells it.
fn counted(network: &Network, index: usize, start: &str) -> HostCounters {
    let host: Host = network.get(index, "/v1/host").unwrap();
    let sid = host.changes.iter().find(|change| change.what.starts_with(start));
    sid.unwrap_or_else(|| panic!("{start} is not in {host:#?}")).counters.unwrap()
}

#[test]
fn an_unbilled_path_is_carried_by_kernels_and_a_dead_router_diverts_nothing() {
    let Some(mut network) = Network::new(3) else { return };
    add_underlay(&network);
    start_in_order(&mut network, |index, config| {
        config + &private(u16::try_from(index + 1).unwrap())
    });
    pin(&network, 0, "r2", "r3");
    let encaps = format!(
        "198.18.2.0/24 table 4766 (engaged): encap seg6 mode encap.red segs {},{}",
        sid(3, End),
        sid(2, EndDx4)
    );
    network.wait_for(0, "the seg6 route", || changes(&network, 0).contains(&encaps).then_some(()));

    let relayed = network.wait_status(2, "its status", |_| true).relayed_bytes;
    flow(&network);
    let end = counted(&network, 2, &format!("{}/128", sid(3, End)));
    assert!(end.octets > 4 << 20, "{end:?}");
    let deliver = counted(&network, 1, &format!("{}/128", sid(2, EndDx4)));
    assert!(deliver.octets > 4 << 20, "{deliver:?}");
    let after = network.wait_status(2, "its status", |_| true).relayed_bytes;
    assert_eq!(after, relayed, "the overlay carried none of it");

    network.sites[0].router.take().unwrap().kill();
    let (netns, state_dir) = (&network.sites[0].netns, network.dir.path().join("r1"));
    let kinds = |kind: &'static str| show(netns, &state_dir, kind);
    let neighbour = format!("{} table 4769 (SIDs): via", block().locator(node(99)));
    wait("the kernel to take the interface away", || (kinds("route").len() == 1).then_some(()));
    assert!(kinds("route")[0].starts_with(&neighbour), "{:?}", kinds("route"));
    flow(&network);

    netns.enter(|| host::cleanup(&state_dir).unwrap());
    for kind in ["route", "rule", "nft", "sysctl"] {
        assert_eq!(kinds(kind), [""; 0], "{kind}");
    }
    flow(&network);
    let ended = [1, 2].map(|index: usize| network.sites[index].router.take().unwrap().terminate());
    assert_eq!(ended, [true; 2]);
    for index in [1, 2] {
        let state_dir = network.dir.path().join(&network.sites[index].name);
        for kind in ["route", "rule", "nft", "sysctl"] {
            assert_eq!(show(&network.sites[index].netns, &state_dir, kind), [""; 0], "{kind}");
        }
    }
}

fn show(netns: &Netns, state_dir: &Path, kind: &str) -> Vec<String> {
    let changes = netns.enter(|| host::show(state_dir).unwrap());
    changes.into_iter().filter(|change| change.kind == kind).map(|change| change.what).collect()
}

/// From site 1 to site 2.
fn flow(network: &Network) {
    let (from, to) = (&network.sites[0].netns, &network.sites[1].netns);
    transfer(from, to, "198.18.2.1".parse().unwrap(), FLOW_OCTETS);
}

/// ```text
///  r1 --- overlay, relay r3 --- r2 --- native SRv6: node 8 --- node 9 (198.19.9.1)
/// ```
#[test]
fn what_the_overlay_delivers_goes_on_over_native_srv6_and_back() {
    let Some(mut network) = Network::new(3) else { return };
    let [relay, far] = attach_island(&network);
    start_in_order(&mut network, |index, config| match index {
        1 => gateway(config),
        _ => config,
    });
    pin(&network, 0, "r2", "r3");

    let target: IpAddr = "198.19.9.1".parse().unwrap();
    transfer(&network.sites[0].netns, &far.netns, target, FLOW_OCTETS);
    assert!(relay.counted(End).octets > 4 << 20, "{:?}", relay.counted(End));
    assert!(far.counted(EndDx4).octets > 4 << 20, "{:?}", far.counted(EndDx4));
    let overlay = network.wait_status(2, "its relayed octets", |s| s.relayed_bytes > 4 << 20);
    assert!(overlay.relayed_bytes < 12 << 20, "{}", overlay.relayed_bytes);

    let delivered = network.wait_status(0, "its status", |_| true).delivered_bytes;
    let host: IpAddr = "198.18.1.1".parse().unwrap();
    transfer(&far.netns, &network.sites[0].netns, host, FLOW_OCTETS);
    let gateway = counted(&network, 1, &format!("{}/128", sid(2, EndDx4)));
    assert!(gateway.octets > 4 << 20, "{gateway:?}");
    network.wait_status(0, "delivered octets", |s| s.delivered_bytes > delivered + (4 << 20));
}

/// Two nodes without a daemon behind the second site, the last of them with a host address.
fn attach_island(network: &Network) -> [Node; 2] {
    let (relay, far) = (quiet_netns().unwrap(), quiet_netns().unwrap());
    let entrance = &network.sites[1].netns;
    join_nodes(1, entrance, &relay);
    join_nodes(2, &relay, &far);
    far.enter(|| {
        link_up("lo").unwrap();
        add_address("lo", [198, 19, 9, 1], 32);
    });
    // The island has a default path too, so that the first packets are not lost.
    network.hub.enter(|| add_route("198.19.9.0/24".parse().unwrap(), "hub2", [198, 18, 2, 1]));
    let body = |site: &str, interfaces: &str, underlay: &str| {
        format!(
            "[site]\nprefixes = [{site}]\n[srv6]\nmode = \"kernel\"\nblock = \"{}\"\n\
             interfaces = [{interfaces}]\n[srv6.underlay]\n{underlay}",
            block().prefix()
        )
    };
    let middle = "2 = \"2001:db8:1::1\"\n9 = \"2001:db8:2::2\"\n";
    let relay = Node::start(relay, 8, &body("", "\"west\", \"east\"", middle));
    let end = "2 = \"2001:db8:2::1\"\n8 = \"2001:db8:2::1\"\n";
    let mut far = Node::start(far, 9, &body("\"198.19.9.0/24\"", "\"west\"", end));
    far.engage(2, &[8], &["198.18.1.0/24"]);
    relay.settle();
    [relay, far]
}

/// The second router announces the island, and reaches it over native SRv6.
fn gateway(config: String) -> String {
    let announced = "prefixes = [\"198.18.2.0/24\", \"198.19.9.0/24\"]";
    config.replace("prefixes = [\"198.18.2.0/24\"]", announced)
        + &format!(
            "[srv6]\nmode = \"kernel\"\nblock = \"{}\"\ninterfaces = [\"east\"]\n\
             policies = [{{ prefix = \"198.19.9.0/24\", segments = [\"{}\", \"{}\"] }}]\n\
             [srv6.underlay]\n8 = \"2001:db8:1::2\"\n9 = \"2001:db8:1::2\"\n",
            block().prefix(),
            sid(8, End),
            sid(9, EndDx4)
        )
}
