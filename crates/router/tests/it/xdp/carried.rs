//! Real routers, one of them with the XDP relay: what it carries arrives, is billed to the octet, and nothing stays
//! behind when it dies.

use std::net::UdpSocket;
use std::time::Duration;

use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, include_bytes_aligned};
use nix::sys::socket::SockProtocol;
use srwan_api::router::{Events, Host, Paths, Pin, Status, Wallet};
use srwan_router::config::Config;
use srwan_router::kernel::netlink::{CREATE, Netlink, find};
use srwan_router::kernel::route::interface_index;
use srwan_router::{doctor, fault};

use crate::namespace;
use crate::network::{Netns, Network, add_address, add_veth, block_on, wait};

static BENCH: &[u8] = include_bytes_aligned!("../../../xdp/bench.bpf.o");

const DATAGRAMS: usize = 3_000;
const DATAGRAM_OCTETS: usize = 1_000;

/// Sent before the receiver must have all of them, so that no queue overflows.
const WINDOW: usize = 25;

/// IPv4 and UDP headers of an inner packet.
const INNER_HEADERS: usize = 28;

/// The relay's index.
const RELAY: usize = 2;

#[test]
fn a_paid_flow_goes_back_by_the_interface_it_came_by_and_is_billed_to_the_octet() {
    let Some(mut network) = Network::new(3) else { return };
    let Some(_alive) = pass_at(&network.hub, "hub3") else { return };
    check_carried(&mut network, "\"up0\"");
    kill_relay(&mut network);
}

#[test]
fn a_paid_flow_goes_on_by_another_interface_and_is_billed_to_the_octet() {
    let Some(mut network) = Network::new(3) else { return };
    join_relay_and_endpoint(&network);
    let Some(_hub) = pass_at(&network.hub, "hub3") else { return };
    let Some(_endpoint) = pass_at(&network.sites[1].netns, "up1") else { return };
    check_carried(&mut network, "\"up0\", \"up1\"");
}

#[test]
fn a_router_whose_relay_cannot_be_attached_relays_in_user_space_and_says_so() {
    let Some(mut network) = Network::new(3) else { return };
    start(&mut network, "\"nowhere0\"");
    let status = network.wait_status(RELAY, "a fault", |status| !status.health.is_empty());
    assert_eq!(status.health[0].code, fault::XDP);
    assert!(status.health[0].what.contains("nowhere0"), "{:?}", status.health);
    let events: Events = network.get(RELAY, "/v1/events").unwrap();
    assert!(events.events.iter().any(|event| event.kind == "xdp_refused"), "{events:?}");
    pin_over_the_relay(&network);
    send(&network, 100);
    let relayed = |status: &Status| status.relayed_bytes >= 100 * 1_000;
    network.wait_status(RELAY, "relayed octets", relayed);
    assert_eq!(relay_shown(&network), None);
}

#[test]
fn doctor_says_what_the_relay_lacks() {
    namespace::run(|| {
        namespace::veth("up0", [198, 18, 1, 1]).unwrap();
        let check = |xdp: &str| {
            let text = format!(
                "name = \"a\"\nstate_dir = \"/nonexistent\"\nlisten = \"127.0.0.1:4766\"\n\
                 endpoints = [\"198.18.1.1:4766\"]\n[controller]\nurl = \"http://127.0.0.1:1\"\n\
                 key = \"{}\"\n[xdp]\n{xdp}\n",
                "01".repeat(32)
            );
            let config = Config::parse(&text, "router.toml").unwrap();
            let findings = block_on(doctor::run(Some(&config), Some("xdp")));
            assert_eq!(findings.len(), 1);
            findings.into_iter().next().unwrap().fault
        };
        assert_eq!(check("mode = \"off\""), None);
        assert_eq!(check("mode = \"native\"\ninterfaces = [\"up0\"]"), None);
        for (interface, word) in [("nowhere0", "No such device"), ("lo", "not supported")] {
            let found = check(&format!("mode = \"native\"\ninterfaces = [\"{interface}\"]"));
            let found = found.unwrap();
            assert_eq!(found.code, doctor::XDP);
            assert!(found.what.contains(interface) && found.why.contains(word), "{found}");
        }
    });
}

/// A flow over the relay: all of it arrives, and relay and endpoint count it the same.
fn check_carried(network: &mut Network, interfaces: &str) {
    start(network, interfaces);
    pin_over_the_relay(network);
    send(network, DATAGRAMS);
    let octets = u64::try_from(DATAGRAMS * (DATAGRAM_OCTETS + INNER_HEADERS)).unwrap();
    for (index, role) in [(1, "endpoint"), (RELAY, "relay")] {
        let counted =
            || Some(lane_octets(network, index, role)).filter(|counted| *counted >= octets);
        assert_eq!(network.wait_for(index, role, counted), octets, "{role}");
    }
    let status: Status = network.get(RELAY, "/v1/status").unwrap();
    assert_eq!(status.relayed_bytes, octets);
    let carried = relay_shown(network).expect("the relay is shown");
    let most = DATAGRAMS * 9 / 10;
    assert!(carried > most, "{carried} of {DATAGRAMS} by XDP\n{}", network.explain(RELAY));
}

/// Starts three routers, the relay with `[xdp]`, and waits until they know one another and have coins.
fn start(network: &mut Network, interfaces: &str) {
    network.start(0);
    network.start(1);
    let xdp = format!("[xdp]\nmode = \"native\"\ninterfaces = [{interfaces}]\n");
    network.start_with(RELAY, &xdp);
    for index in 0..3 {
        network.wait_status(index, "a full matrix", |s| s.matrix_complete && s.peers_up == 2);
    }
    let funded = |wallet: &Wallet| wallet.escrow_coins.as_deref().is_some_and(|c| c != "0");
    network.wait_for(0, "the escrow", || network.get(0, "/v1/wallet").filter(funded));
}

/// Site 1 sends to site 2 over router 3.
fn pin_over_the_relay(network: &Network) {
    let pin = Pin { dest: "r2".into(), via: vec!["r3".into()] };
    let client = network.client(0);
    let _pinned: Paths = block_on(async move { client.post("/v1/pin", &pin).await }).unwrap();
    network.wait_status(0, "the pinned path", |status| {
        status.engaged.iter().any(|engaged| engaged.relays == ["r3"])
    });
}

/// Sends datagrams from site 1 to site 2; each must arrive.
fn send(network: &Network, count: usize) {
    let receiver = network.sites[1].netns.enter(|| UdpSocket::bind("198.18.2.1:0").unwrap());
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let to = receiver.local_addr().unwrap();
    let sender = network.sites[0].netns.enter(|| UdpSocket::bind("198.18.1.1:0").unwrap());
    let mut received = [0; DATAGRAM_OCTETS];
    for _ in 0..count / WINDOW {
        for _ in 0..WINDOW {
            sender.send_to(&[7; DATAGRAM_OCTETS], to).unwrap();
        }
        for _ in 0..WINDOW {
            let read = receiver.recv(&mut received);
            let read = read.unwrap_or_else(|error| panic!("{error}\n{}", network.explain(RELAY)));
            assert_eq!(read, DATAGRAM_OCTETS);
        }
    }
}

/// Octets of all lanes that a router serves in this role.
fn lane_octets(network: &Network, index: usize, role: &str) -> u64 {
    let wallet: Wallet = network.get(index, "/v1/wallet").unwrap();
    wallet.lanes.iter().filter(|lane| lane.role == role).map(|lane| lane.bytes).sum()
}

/// Packets that the XDP relay says it carried; `None` if there is none.
fn relay_shown(network: &Network) -> Option<usize> {
    let host: Host = network.get(RELAY, "/v1/host").unwrap();
    let change = host.changes.into_iter().find(|change| change.kind == "xdp")?;
    let (before, _) = change.what.split_once(" packets carried").unwrap();
    Some(before.rsplit(' ').next().unwrap().parse().unwrap())
}

/// After SIGKILL no program is attached.
fn kill_relay(network: &mut Network) {
    let is_attached = |network: &Network| network.sites[RELAY].netns.enter(|| attached("up0"));
    assert!(is_attached(network));
    network.sites[RELAY].router.take().unwrap().kill();
    wait("the program to go", || (!is_attached(network)).then_some(()));
}

/// Whether an XDP program is attached to an interface.
fn attached(name: &str) -> bool {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&interface_index(name).unwrap().to_ne_bytes());
    let mut netlink = Netlink::open(SockProtocol::NetlinkRoute).unwrap();
    // RTM_GETLINK 18, IFLA_XDP 43, IFLA_XDP_ATTACHED 2
    let answers = netlink.call(18, 0, |message| message.fixed(&header)).unwrap();
    let xdp = find(&answers[0][16..], 43).unwrap();
    find(xdp, 2).is_some_and(|mode| mode[0] != 0)
}

/// A program that passes everything on, without which the other end of a veth takes no frames.
fn pass_at(netns: &Netns, interface: &str) -> Option<Ebpf> {
    netns.enter(|| {
        let mut ebpf = Ebpf::load(BENCH).unwrap();
        let program: &mut Xdp = ebpf.program_mut("pass").unwrap().try_into().unwrap();
        if let Err(error) = program.load() {
            super::twin::skip(&error.into());
            return None;
        }
        program.attach(interface, XdpMode::Driver).unwrap();
        Some(ebpf)
    })
}

/// A second link from the relay, straight to the endpoint.
fn join_relay_and_endpoint(network: &Network) {
    let (endpoint, relay) = (&network.sites[1].netns, &network.sites[RELAY].netns);
    relay.enter(|| {
        add_veth("up1", "up1", endpoint);
        namespace::link_up("up1").unwrap();
        add_address("up1", [198, 18, 23, 3], 24);
    });
    endpoint.enter(|| {
        namespace::link_up("up1").unwrap();
        add_address("up1", [198, 18, 23, 2], 24);
    });
    relay.enter(|| {
        // family, lengths, TOS, table main, protocol static, universe, unicast, flags; RTM_NEWROUTE 24, RTA_DST 1,
        // RTA_GATEWAY 5
        let header = [2, 32, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
        let mut netlink = Netlink::open(SockProtocol::NetlinkRoute).unwrap();
        let build = |message: srwan_router::kernel::netlink::Message| {
            message.fixed(&header).attr(1, &[198, 18, 2, 1]).attr(5, &[198, 18, 23, 2])
        };
        netlink.call(24, CREATE, build).unwrap();
    });
}
