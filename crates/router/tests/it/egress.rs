//! One-ended delivery: what the tunnel hands over leaves with our own address, returns into the tunnel, and reaches
//! nothing that is denied. The packets are made here; the kernel does the rest.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use srwan_router::config::Config;
use srwan_router::host::Host;
use srwan_router::tun::{BUFFER_OCTETS, READ_PACKETS_MAX, Tun, WRITE_HEADROOM};

use crate::namespace::link_up;
use crate::network::{Netns, add_address, add_default_route, add_veth};

const FOREIGN: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 9);
const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 1);
const SITE_HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 5, 5);
const WEB: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 1);
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// How long a packet that should come may take, and how long one that should not is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// A router's namespace with its TUN and filter, and the Internet with all of the addresses above.
struct Egress {
    internet: Netns,
    router: Netns,
    tun: Tun,
    _host: Host,
    _dir: tempfile::TempDir,
}

impl Egress {
    fn new(is_enabled: bool) -> Option<Self> {
        let (internet, router) = (Netns::new()?, Netns::new()?);
        internet.enter(|| {
            link_up("lo").unwrap();
            add_veth("far0", "up0", &router);
            link_up("far0").unwrap();
            add_address("far0", [198, 18, 1, 254], 24);
            for address in [WEB, PRIVATE, METADATA, SITE_HOST] {
                add_address("lo", address.octets(), 32);
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), is_enabled);
        let (tun, host) = router.enter(|| {
            link_up("lo").unwrap();
            link_up("up0").unwrap();
            add_address("up0", OWN.octets(), 24);
            add_default_route("up0", [198, 18, 1, 254]);
            let tun = Tun::open(&config.tun).unwrap();
            (tun, Host::prepare(&config).unwrap())
        });
        Some(Self { internet, router, tun, _host: host, _dir: dir })
    }

    /// Sends a datagram out of the tunnel; returns whom its receiver sees, if it arrives.
    fn deliver(
        &mut self,
        target: Ipv4Addr,
        port: u16,
    ) -> Option<(UdpSocket, std::net::SocketAddr)> {
        let netns = if target == OWN { &self.router } else { &self.internet };
        let socket = netns.enter(|| UdpSocket::bind((target, port)).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut packet = Vec::with_capacity(BUFFER_OCTETS);
        packet.resize(WRITE_HEADROOM, 0);
        packet.extend(datagram(FOREIGN, target, port));
        self.tun.write(&mut [packet]).unwrap();
        let (_, from) = socket.recv_from(&mut [0; 100]).ok()?;
        Some((socket, from))
    }

    /// The next packet of the kernel to the tunnel from `source`.
    fn returned(&mut self, source: Ipv4Addr) -> Option<Vec<u8>> {
        let mut buffers = vec![vec![0; 2_000]; READ_PACKETS_MAX];
        let mut sizes = vec![0; READ_PACKETS_MAX];
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.tun.read(&mut buffers, &mut sizes, 0) {
                Ok(_) if buffers[0][12..16] == source.octets() => {
                    return buffers.into_iter().next();
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
        None
    }
}

fn config(state_dir: &std::path::Path, is_enabled: bool) -> Config {
    let text = format!(
        "name = \"a\"\nstate_dir = {state_dir:?}\nlisten = \"0.0.0.0:4766\"\n\
         endpoints = [\"198.18.1.1:4766\"]\n[controller]\nurl = \"http://127.0.0.1:1\"\n\
         key = \"{}\"\n[site]\nprefixes = [\"198.18.5.0/24\"]\n\
         [egress]\nenabled = {is_enabled}\nports = [53]\n",
        "01".repeat(32)
    );
    Config::parse(&text, "router.toml").unwrap()
}

/// An IPv4 packet with a UDP datagram from port 5000; a UDP checksum of zero means "none" (RFC 768).
fn datagram(source: Ipv4Addr, target: Ipv4Addr, port: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(source.octets());
    packet.extend(target.octets());
    let sum: u32 =
        packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(5_000_u16.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.extend([0, 13, 0, 0]);
    packet.extend(b"hello");
    packet
}

#[test]
fn an_allowed_flow_leaves_with_our_address_and_returns_into_the_tunnel() {
    let Some(mut egress) = Egress::new(true) else { return };
    let (web, from) = egress.deliver(WEB, 53).expect("port 53 is allowed");
    assert_eq!(from.ip(), OWN);
    web.send_to(b"answer", from).unwrap();
    let answer = egress.returned(WEB).expect("the answer comes back into the tunnel");
    assert_eq!(answer[16..20], FOREIGN.octets());
    assert_eq!(answer[22..24], 5_000_u16.to_be_bytes());
}

#[test]
fn denied_ports_and_targets_are_never_reached() {
    let Some(mut egress) = Egress::new(true) else { return };
    for (target, port) in [(WEB, 25), (WEB, 54), (PRIVATE, 53), (METADATA, 53), (OWN, 53)] {
        assert!(egress.deliver(target, port).is_none(), "{target}:{port}");
    }
    assert!(egress.deliver(WEB, 53).is_some(), "the way is open for what is allowed");
}

#[test]
fn without_egress_only_the_site_is_reached_and_with_the_original_address() {
    let Some(mut egress) = Egress::new(false) else { return };
    assert!(egress.deliver(WEB, 53).is_none());
    let (_, from) = egress.deliver(SITE_HOST, 4_000).expect("the site is two-ended");
    assert_eq!(from.ip(), FOREIGN);
}
