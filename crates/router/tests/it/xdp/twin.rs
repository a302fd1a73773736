//! Two routers that are the same to the last key: one judges in user space alone, the other has the XDP program below
//! it. Whatever is given to both must be judged alike.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use aya::programs::{TestRun, TestRunOptions, Xdp, XdpMode};
use nix::sys::socket::SockProtocol;
use srwan_dataplane::{Dataplane, DropReason, FibChange, FibLink, Verdict};
use srwan_router::clock::Clock;
use srwan_router::kernel::netlink::{CREATE, Netlink};
use srwan_router::kernel::route::interface_index;
use srwan_router::xdp::program::{Me, Program, RELAY};
use srwan_router::xdp::table::{Place, Table};
use srwan_wire::id::LinkIndex;

use super::frame;
use super::world::{Datagram, PORT, World, node};
use crate::namespace;

/// The router under test is node 2.
pub const ME: u32 = 2;

/// Where every neighbour is, below IP.
const NEIGHBOUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// Frames come in by the loopback interface, unless a test says otherwise.
const LOOPBACK: u32 = 1;

/// What the program did with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Below {
    /// Sent on, by the interface that it came by or another one.
    Sent(frame::Seen),
    /// Dropped.
    Dropped,
    /// Left to the router, untouched.
    Left,
}

/// The pair.
pub struct Twins {
    /// All routers; router 2 judges alone.
    pub world: World,
    /// The same routers; the second one has the program below it.
    pub twin: World,
    pub table: Table,
    /// The links of router 2.
    pub links: BTreeMap<LinkIndex, FibLink>,
    /// Index of the interface that packets leave by.
    pub uplink: u32,
    /// What the program did, in sum.
    pub sent: usize,
    pub dropped: usize,
    pub left: usize,
}

/// Runs `test` with a pair of connected routers in a namespace of their own, or says why it cannot.
pub fn run(is_v6: bool, test: impl FnOnce(Twins) + Send + 'static) {
    run_object(RELAY, is_v6, test);
}

/// The same with another object that has the relay in it.
pub fn run_object(object: &'static [u8], is_v6: bool, test: impl FnOnce(Twins) + Send + 'static) {
    namespace::run(move || {
        let address = if is_v6 { "fd12::2".parse() } else { "198.18.2.1".parse() }.unwrap();
        let uplink = interface(address);
        let node = srwan_wire::id::NodeId::new(ME).unwrap();
        let program = match Program::load(object, Me { node, port: PORT }) {
            Ok(program) => program,
            Err(error) => return skip(&error),
        };
        test(Twins::new(program, uplink, is_v6));
    });
}

/// Says that a test did not run.
pub fn skip(error: &anyhow::Error) {
    let text = format!("SKIPPED: the kernel does not take the XDP program: {error:#}");
    let _unseen = writeln!(io::stderr(), "{text}");
}

impl Twins {
    fn new(mut program: Program, uplink: u32, is_v6: bool) -> Self {
        program.attach(uplink).unwrap();
        // A veth takes frames from a program only if there is one at its other end, too.
        match program.object().program_mut("drop") {
            Some(drop) => attach_drop(drop.try_into().unwrap()),
            None => program.attach(interface_index("veth0").unwrap()).unwrap(),
        }
        let memory = program.memory();
        let [mut world, mut twin] = [0, 1].map(|_| World::with_family(6, is_v6));
        world.connect_all(6);
        twin.connect_all(6);
        twin.plane(ME).enable_fast_path(memory);
        // Nothing that is sent reaches router 2, except by `give`.
        world.cut.extend((1..=6).flat_map(|other| [(other, ME), (ME, other)]));
        let listen = if is_v6 { IpAddr::from([0_u16; 8]) } else { IpAddr::from([0_u8; 4]) };
        let place = Place { interfaces: vec![uplink], listen };
        let table = Table::new(program, place, Clock::start(0)).unwrap();
        let links = BTreeMap::new();
        let mut twins = Self { world, twin, table, links, uplink, sent: 0, dropped: 0, left: 0 };
        twins.follow();
        twins
    }

    /// A path from router 1 or 4 to router 3, with a lane, in both worlds.
    pub fn steer(&mut self, from: u32, relays: &[u32], lane: u32) {
        self.world.steer(from, relays, 3, lane);
        self.twin.steer(from, relays, 3, lane);
        self.follow();
    }

    /// What the hosts behind `from` send arrives at router 2 as this.
    pub fn caught(&mut self, from: u32, packets: &[Vec<u8>]) -> Vec<Datagram> {
        self.world.sent.clear();
        for packet in packets {
            self.world.host_sends(from, packet);
        }
        self.world.run_millis(50);
        self.twin.now = self.world.now;
        let me = self.world.address(ME);
        let is_here = |datagram: &Datagram| datagram.to == me && datagram.bytes[0] >> 4 == 8;
        self.world.sent.iter().filter(|datagram| is_here(datagram)).cloned().collect()
    }

    /// Gives a datagram to both; they must do the same with it. Returns what the program did.
    pub fn give(&mut self, datagram: &Datagram) -> Below {
        let mut alone = datagram.bytes.clone();
        let now = self.world.now;
        let plane = self.world.plane(ME);
        let expected = plane.receive(datagram.from, &mut alone, datagram.tos, now);
        let frame = frame::make(datagram.from, datagram.to, datagram.tos, &datagram.bytes);
        let below = self.run_program(&frame, LOOPBACK);
        match &below {
            Below::Sent(seen) => self.check_sent(seen, &expected, &alone),
            Below::Dropped => {
                let reasons = [DropReason::Replayed, DropReason::LaneCredit];
                let is_one = matches!(expected, Verdict::Drop(reason) if reasons.contains(&reason));
                assert!(is_one, "dropped below, but {expected:?}: {datagram:?}");
            }
            Below::Left => {
                let mut bytes = datagram.bytes.clone();
                let plane = self.twin.plane(ME);
                let verdict = plane.receive(datagram.from, &mut bytes, datagram.tos, now);
                assert_eq!(verdict, expected, "{datagram:?}");
                assert_eq!(bytes, alone, "{datagram:?}");
            }
        }
        self.drain();
        self.compare();
        below
    }

    /// Runs the program over a frame that came by an interface.
    pub fn run_program(&mut self, frame: &[u8], interface: u32) -> Below {
        let length = u32::try_from(frame.len()).unwrap();
        let context = [0, length, 0, interface, 0, 0].map(u32::to_ne_bytes).concat();
        let mut after = vec![0; frame.len() + 64];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut after),
            ctx_in: Some(&context),
            repeat: 1,
            ..Default::default()
        };
        let program: &Xdp =
            self.table.program().object().program("relay").unwrap().try_into().unwrap();
        let result = program.test_run(options).unwrap();
        after.truncate(usize::try_from(result.data_size_out).unwrap());
        let way_out = if interface == self.uplink { 3 } else { 4 };
        match result.return_value {
            1 => self.dropped += 1,
            2 => self.left += 1,
            _ => self.sent += 1,
        }
        match result.return_value {
            1 => Below::Dropped,
            2 => {
                assert_eq!(after, frame, "what is left to the router is untouched");
                Below::Left
            }
            action => {
                assert_eq!(action, way_out, "XDP_TX or XDP_REDIRECT");
                Below::Sent(frame::read(&after))
            }
        }
    }

    /// Meters, lanes, drops and sums are the same in both.
    pub fn compare(&mut self) {
        let now = self.world.now;
        self.twin.plane(ME).fold_fast_path(now);
        let [alone, with] = [self.world.plane(ME).lanes(), self.twin.plane(ME).lanes()]
            .map(|lanes| lanes.map(|(entry, meter)| (entry.label, meter)).collect::<Vec<_>>());
        assert_eq!(with, alone);
        assert_eq!(self.twin.plane(ME).drops(), self.world.plane(ME).drops());
        assert_eq!(self.twin.plane(ME).totals(), self.world.plane(ME).totals());
        let meters = |plane: &Dataplane| plane.meters().collect::<Vec<_>>();
        assert_eq!(meters(self.twin.plane(ME)), meters(self.world.plane(ME)));
    }

    /// Hands changes of the FIB to the program.
    pub fn follow(&mut self) {
        while let Some(change) = self.twin.plane(ME).poll_fib_change() {
            if let FibChange::Link(index, link) = &change {
                match link {
                    Some(link) => drop(self.links.insert(*index, link.clone())),
                    None => drop(self.links.remove(index)),
                }
            }
            self.table.apply(change).unwrap();
        }
    }

    /// The link by which router `from` sends to router 2.
    pub fn link_from(&self, from: u32) -> (LinkIndex, FibLink) {
        let mut links = self.links.iter();
        let (index, link) = links.find(|(_, link)| link.previous == node(from)).unwrap();
        (*index, link.clone())
    }

    fn check_sent(&self, seen: &frame::Seen, expected: &Verdict, alone: &[u8]) {
        let Verdict::Forward(forward) = expected else {
            panic!("sent below, but {expected:?}");
        };
        assert_eq!(seen.payload, alone[forward.range.clone()]);
        assert_eq!((seen.to, seen.tos, seen.hops), (forward.to, forward.tos, 64));
        let me: SocketAddr = self.routers_address();
        assert_eq!(seen.from, me);
        assert_eq!(seen.target_mac, NEIGHBOUR_MAC);
        assert_ne!(seen.source_mac, [0xee; 6]);
    }

    fn routers_address(&self) -> SocketAddr {
        self.world.address(ME)
    }

    /// What both routers want to send or tell is of no interest here.
    fn drain(&mut self) {
        for plane in [self.world.plane(ME), self.twin.plane(ME)] {
            while plane.poll_transmit().is_some() {}
            while plane.poll_event().is_some() {}
        }
        self.follow();
    }
}

/// What comes out of the far end goes nowhere.
fn attach_drop(drop: &mut Xdp) {
    drop.load().unwrap();
    drop.attach("veth0", XdpMode::Driver).unwrap();
}

const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTM_NEWNEIGH: u16 = 28;

/// An interface with this address, a default route, and a known MAC address for each router.
fn interface(address: IpAddr) -> u32 {
    namespace::veth("up0", [198, 18, 2, 1]).unwrap();
    let index = interface_index("up0").unwrap();
    if let IpAddr::V6(v6) = address {
        // IFA_F_NODAD, or the address could not be used for a second; IFA_ADDRESS 1
        let mut header = vec![10, 64, 2, 0];
        header.extend(index.to_ne_bytes());
        call(RTM_NEWADDR, &header, &[(1, &v6.octets())]);
        let route = [10, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
        call(RTM_NEWROUTE, &route, &[(4, &index.to_ne_bytes())]);
    } else {
        namespace::default_route(index).unwrap();
    }
    for raw in 1..=6 {
        let v6 = IpAddr::from([0xfd12, 0, 0, 0, 0, 0, 0, raw]);
        let v4 = IpAddr::from([198, 18, raw.to_be_bytes()[1], 1]);
        add_neighbour(index, if address.is_ipv6() { v6 } else { v4 });
    }
    index
}

fn add_neighbour(interface: u32, address: IpAddr) {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (2, v4.octets().to_vec()),
        IpAddr::V6(v6) => (10, v6.octets().to_vec()),
    };
    // family, padding, interface, NUD_PERMANENT, flags, type; NDA_DST 1, NDA_LLADDR 2
    let mut header = vec![family, 0, 0, 0];
    header.extend(interface.to_ne_bytes());
    header.extend([0x80, 0, 0, 0]);
    call(RTM_NEWNEIGH, &header, &[(1, &octets), (2, &NEIGHBOUR_MAC)]);
}

fn call(kind: u16, header: &[u8], attributes: &[(u16, &[u8])]) {
    let mut netlink = Netlink::open(SockProtocol::NetlinkRoute).unwrap();
    let build = |message: srwan_router::kernel::netlink::Message| {
        let attributes = attributes.iter();
        attributes.fold(message.fixed(header), |message, (kind, value)| message.attr(*kind, value))
    };
    netlink.call(kind, CREATE, build).unwrap();
}
