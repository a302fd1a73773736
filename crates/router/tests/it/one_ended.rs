//! Destinations without a router: flows that begin over an egress stay there, flows that began before stay away.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use nix::sys::socket::SockProtocol;
use srwan_router::config::Config;
use srwan_router::host::{Flows, Host};
use srwan_router::kernel::netlink::{CREATE, EXCLUSIVE, Netlink};
use srwan_router::tun::{READ_PACKETS_MAX, Tun};

use crate::namespace::link_up;
use crate::network::{Netns, Network, add_address, add_default_route, add_veth, wait};

const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 1);
const WEB: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const EGRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 2, 1);
const PORT: u16 = 53;

/// How long a packet may take to show up.
const PATIENCE: Duration = Duration::from_millis(200);

fn web() -> IpNet {
    "203.0.113.0/24".parse().unwrap()
}

/// A router's namespace, and the Internet with the web on it.
struct Headend {
    _internet: Netns,
    router: Netns,
    tun: Tun,
    server: UdpSocket,
    host: Host,
    _dir: tempfile::TempDir,
}

#[derive(Debug, PartialEq, Eq)]
enum Side {
    Default,
    Tunnel,
    Nowhere,
}

impl Headend {
    fn new() -> Option<Self> {
        let (internet, router) = (Netns::new()?, Netns::new()?);
        let server = internet.enter(|| {
            link_up("lo").unwrap();
            add_veth("far0", "up0", &router);
            link_up("far0").unwrap();
            add_address("far0", [198, 18, 1, 254], 24);
            add_address("lo", WEB.octets(), 32);
            UdpSocket::bind((WEB, PORT)).unwrap()
        });
        server.set_nonblocking(true).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "name = \"a\"\nstate_dir = {:?}\nlisten = \"0.0.0.0:4766\"\n\
             endpoints = [\"198.18.1.1:4766\"]\n[controller]\nurl = \"http://127.0.0.1:1\"\n\
             key = \"{}\"\n[site]\nprefixes = [\"198.18.1.0/24\"]\n\
             [destinations]\nwatch = [\"203.0.113.0/24\"]\n",
            dir.path(),
            "01".repeat(32)
        );
        let config = Config::parse(&text, "router.toml").unwrap();
        let (tun, host) = router.enter(|| {
            link_up("lo").unwrap();
            link_up("up0").unwrap();
            add_address("up0", OWN.octets(), 24);
            add_default_route("up0", [198, 18, 1, 254]);
            (Tun::open(&config.tun).unwrap(), Host::prepare(&config).unwrap())
        });
        Some(Self { _internet: internet, router, tun, server, host, _dir: dir })
    }

    /// A new flow from this host.
    fn flow(&self) -> UdpSocket {
        self.router.enter(|| {
            let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
            socket.connect((WEB, PORT)).unwrap();
            socket
        })
    }

    /// Sends a packet of a flow; says where it came out. On the default side it is answered.
    fn send(&mut self, flow: &UdpSocket) -> Side {
        let port = flow.local_addr().unwrap().port();
        flow.send(b"hello").unwrap();
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.answers(port) {
                return Side::Default;
            }
            if self.tunnel_has(port) {
                return Side::Tunnel;
            }
            std::thread::yield_now();
        }
        Side::Nowhere
    }

    fn answers(&self, port: u16) -> bool {
        let Ok((_, from)) = self.server.recv_from(&mut [0; 100]) else { return false };
        self.server.send_to(b"answer", from).unwrap();
        from.port() == port
    }

    fn tunnel_has(&mut self, port: u16) -> bool {
        let mut buffers = vec![vec![0; 2_000]; READ_PACKETS_MAX];
        let mut sizes = vec![0; READ_PACKETS_MAX];
        match self.tun.read(&mut buffers, &mut sizes, 0) {
            Ok(count) => buffers[..count].iter().any(|packet| {
                let source = packet[12..16] == OWN.octets();
                let target = packet[16..20] == WEB.octets();
                source && target && packet[20..22] == port.to_be_bytes()
            }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until new flows take this side; returns one.
    fn new_flow_on(&mut self, side: &Side) -> UdpSocket {
        wait(&format!("new flows on the side {side:?}"), || {
            let flow = self.flow();
            (self.send(&flow) == *side).then_some(flow)
        })
    }
}

#[test]
fn flows_keep_the_side_they_began_on() {
    let Some(mut headend) = Headend::new() else { return };
    let before = headend.flow();
    assert_eq!(headend.send(&before), Side::Default);

    headend.host.steer_flows(Flows::Engage(web()));
    let during = headend.new_flow_on(&Side::Tunnel);
    assert_eq!(headend.send(&before), Side::Default, "it began on the default path");

    headend.host.steer_flows(Flows::Release(web()));
    let _after = headend.new_flow_on(&Side::Default);
    assert_eq!(headend.send(&during), Side::Tunnel, "it began over the egress");

    headend.host.steer_flows(Flows::End(web()));
    wait("the last flow to be given up", || (headend.send(&during) == Side::Default).then_some(()));
}

#[test]
fn after_an_end_of_the_router_nothing_is_left_in_the_tunnel() {
    let Some(mut headend) = Headend::new() else { return };
    headend.host.steer_flows(Flows::Engage(web()));
    let during = headend.new_flow_on(&Side::Tunnel);
    headend.host.undo();
    assert_eq!(headend.send(&during), Side::Default);
}

/// The web has no router. The hub stops forwarding from the first site to it; the second router is an egress.
#[test]
fn a_new_flow_reaches_the_web_through_an_egress_when_the_default_path_is_cut() {
    let Some(mut network) = Network::new(2) else { return };
    let netns = attach_web(&network);
    let _server = netns.enter(|| serve(UdpSocket::bind((WEB, PORT)).unwrap()));
    network.start_with(0, "[destinations]\nwatch = [\"203.0.113.0/24\"]\n");
    network.start_with(1, "[egress]\nenabled = true\nports = [53]\n");
    network.wait_status(0, "a session", |status| status.peers_up == 1);
    assert_eq!(network.wait_for(0, "the default path", || ask(&network)).ip(), OWN);

    cut_default_path(&network);
    let seen =
        network.wait_for(0, "the egress", || ask(&network).filter(|source| source.ip() == EGRESS));
    assert_eq!(seen.ip(), EGRESS, "the web sees the egress's own address");
}

fn attach_web(network: &Network) -> Netns {
    let netns = Netns::new().unwrap();
    network.hub.enter(|| {
        add_veth("hubw", "up0", &netns);
        link_up("hubw").unwrap();
        add_address("hubw", [203, 0, 113, 254], 24);
    });
    netns.enter(|| {
        link_up("up0").unwrap();
        add_address("up0", WEB.octets(), 24);
        add_default_route("up0", [203, 0, 113, 254]);
    });
    netns
}

/// Answers every datagram with the address it came from.
fn serve(socket: UdpSocket) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 100]) {
            // A lost answer is asked for again.
            let _lost = socket.send_to(from.to_string().as_bytes(), from);
        }
    })
}

/// The first site's host asks the web, in a flow of its own, how it is seen.
fn ask(network: &Network) -> Option<SocketAddr> {
    let socket = network.sites[0].netns.enter(|| UdpSocket::bind((OWN, 0)).unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"who am I", (WEB, PORT)).ok()?;
    let mut answer = [0; 100];
    let size = socket.recv(&mut answer).ok()?;
    std::str::from_utf8(&answer[..size]).ok()?.parse().ok()
}

/// `ip rule add iif hub1 to 203.0.113.0/24 blackhole`
fn cut_default_path(network: &Network) {
    const RTM_NEWRULE: u16 = 32;
    // FRA_DST 1, FRA_IIFNAME 3, FRA_PRIORITY 6, FR_ACT_BLACKHOLE 6
    let header = [2, 24, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0];
    network.hub.enter(|| {
        let mut netlink = Netlink::open(SockProtocol::NetlinkRoute).unwrap();
        let rule = netlink.call(RTM_NEWRULE, CREATE | EXCLUSIVE, |message| {
            let message = message.fixed(&header).attr(1, &[203, 0, 113, 0]);
            message.attr_text(3, "hub1").attr_u32(6, 100)
        });
        rule.unwrap();
    });
}
