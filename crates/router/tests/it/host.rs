//! Routes, rules, switches and the packet filter as the kernel sees them.

use std::net::IpAddr;

use ipnet::IpNet;
use srwan_dataplane::seg6::{RouteAction, RouteKey, RouteTable};
use srwan_router::config::{Config, Tun as TunConfig};
use srwan_router::fault;
use srwan_router::kernel::route::{Routing, Surroundings, interface_index};
use srwan_router::kernel::sysctl::{self, Switches};
use srwan_router::kernel::{MARK_OWN, MARK_RETURN};
use srwan_router::nft::{self, Filter, ruleset};
use srwan_router::tun::Tun;

use crate::namespace;

const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 5));

fn tun_config() -> TunConfig {
    TunConfig { name: "srwan0".into(), mtu: 1380 }
}

fn prefix(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn engaged(text: &str) -> RouteKey {
    RouteKey { table: RouteTable::Engaged, prefix: prefix(text) }
}

fn engage(routing: &mut Routing, text: &str, tunnel: u32) {
    let around = Surroundings { tunnel, inner_mtu: 1_380, site: Vec::new() };
    routing.put(&engaged(text), &RouteAction::Tunnel, &around).unwrap();
}

/// A namespace with a default path, a TUN and our rules.
fn with_router(test: impl FnOnce(Tun, u32, u32, Routing) + Send + 'static) {
    namespace::run(|| {
        let uplink = namespace::veth("up0", [198, 18, 1, 1]).unwrap();
        namespace::default_route(uplink).unwrap();
        let tun = Tun::open(&tun_config()).unwrap();
        let tunnel = interface_index("srwan0").unwrap();
        let mut routing = Routing::open().unwrap();
        routing.install_rules("srwan0").unwrap();
        test(tun, uplink, tunnel, routing);
    });
}

#[test]
fn an_engaged_prefix_enters_the_tunnel_and_leaves_it_again() {
    with_router(|_tun, uplink, tunnel, mut routing| {
        assert_eq!(routing.lookup(ELSEWHERE, 0).unwrap().interface, uplink);
        engage(&mut routing, "203.0.113.0/24", tunnel);
        engage(&mut routing, "203.0.113.0/24", tunnel);
        let hop = routing.lookup(ELSEWHERE, 0).unwrap();
        assert_eq!(hop.interface, tunnel);
        assert_eq!(hop.source, Some(IpAddr::from([198, 18, 1, 1])), "the default path's source");
        assert_eq!(routing.lookup(ELSEWHERE, MARK_OWN).unwrap().interface, uplink);
        routing.withdraw(&engaged("203.0.113.0/24")).unwrap();
        routing.withdraw(&engaged("203.0.113.0/24")).unwrap();
        assert_eq!(routing.lookup(ELSEWHERE, 0).unwrap().interface, uplink);
    });
}

#[test]
fn when_the_process_dies_traffic_takes_the_default_path() {
    with_router(|tun, uplink, tunnel, mut routing| {
        engage(&mut routing, "203.0.113.0/24", tunnel);
        routing.engage_return(tunnel).unwrap();
        assert_eq!(routing.lookup(ELSEWHERE, MARK_RETURN).unwrap().interface, tunnel);
        drop(tun);
        assert_eq!(routing.lookup(ELSEWHERE, 0).unwrap().interface, uplink);
        assert_eq!(routing.lookup(ELSEWHERE, MARK_RETURN).unwrap().interface, uplink);
        assert_eq!(routing.routes().unwrap(), []);
    });
}

#[test]
fn rules_are_not_doubled_by_a_restart_and_go_at_cleanup() {
    with_router(|_tun, _uplink, tunnel, mut routing| {
        let once = routing.rules().unwrap();
        routing.install_rules("srwan0").unwrap();
        assert_eq!(routing.rules().unwrap(), once);
        assert_eq!(once.len(), 10, "five for each version of IP");
        engage(&mut routing, "203.0.113.0/24", tunnel);
        engage(&mut routing, "2001:db8:5::/48", tunnel);
        assert_eq!(routing.routes().unwrap().len(), 2);
        routing.remove_routes().unwrap();
        routing.remove_rules().unwrap();
        assert_eq!((routing.routes().unwrap().len(), routing.rules().unwrap().len()), (0, 0));
    });
}

#[test]
fn a_taken_interface_name_is_said_to_be_taken() {
    with_router(|_tun, _uplink, _tunnel, _routing| {
        let fault = Tun::open(&tun_config()).err().expect("the name is in use");
        assert_eq!(fault.code, fault::TUN_MISSING);
    });
}

#[test]
fn the_packet_filter_is_installed_whole_replaced_and_goes_with_its_owner() {
    with_router(|_tun, _uplink, _tunnel, _routing| {
        let text = format!(
            "name = \"a\"\nstate_dir = \"/s\"\nlisten = \"0.0.0.0:4766\"\n\
             endpoints = [\"198.18.1.1:4766\"]\n[controller]\nurl = \"http://127.0.0.1:1\"\n\
             key = \"{}\"\n[site]\nprefixes = [\"198.18.1.0/24\", \"2001:db8:1::/48\"]\n\
             [destinations]\nwatch = [\"203.0.113.0/24\"]\n\
             [egress]\nenabled = true\nports = [53, 80, 443]\n\
             [srv6]\nmode = \"kernel\"\nblock = \"fd53::/48\"\ninterfaces = [\"up0\", \"up1\"]\n\
             policies = [{{ prefix = \"198.18.9.0/24\", segments = [\"fd53:0:0:0:7001::\"] }}]\n",
            "01".repeat(32)
        );
        let chains = ruleset::chains(&Config::parse(&text, "router.toml").unwrap());
        let first = Filter::install(&chains).unwrap();
        assert!(nft::is_installed().unwrap());
        assert!(Filter::install(&chains).is_err(), "a live router owns the table");
        drop(first);
        assert!(!nft::is_installed().unwrap(), "the kernel removes it with its owner");
        let _second = Filter::install(&chains).unwrap();
        assert!(nft::is_installed().unwrap());
    });
}

#[test]
fn switches_are_set_and_put_back_also_by_the_next_process() {
    with_router(|_tun, _uplink, _tunnel, _routing| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write("/proc/sys/net/ipv4/conf/up0/rp_filter", "1").unwrap();
        sysctl::quieten("srwan0").unwrap();
        let before = sysctl::read("ipv4/ip_forward").unwrap();
        let mut switches = Switches::open(dir.path());
        switches.forward_v4().unwrap();
        switches.forward_v6().unwrap();
        switches.loosen_reverse_path().unwrap();
        assert_eq!(sysctl::read("ipv4/ip_forward").unwrap(), "1");
        assert_eq!(sysctl::read("ipv4/conf/all/rp_filter").unwrap(), "2");
        drop(switches);
        Switches::open(dir.path()).restore().unwrap();
        assert_eq!(sysctl::read("ipv4/ip_forward").unwrap(), before);
        assert_eq!(sysctl::read("ipv4/conf/all/rp_filter").unwrap(), "0");
    });
}
