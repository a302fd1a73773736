//! Three data planes in a row, with sessions, a lane and a policy: A seals, R forwards, B opens.
//!
//! The datagrams of their handshakes are carried by hand; after that no timer is needed, because time stands still.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;

use anyhow::{Context, Result};
use srwan_dataplane::{
    Dataplane, Frame, HEADROOM, Identity, LaneEntry, PeerConfig, PolicyEntry, Reach, TAILROOM,
    Verdict,
};
use srwan_wire::id::{LaneLabel, NodeId, Octets, PathId};
use srwan_wire::segment::HeaderView;
use srwan_wire::time::{Instant, Timestamp, WallClock};

/// Packets that are done together: as many as one super-packet holds.
pub const BATCH: usize = 64;

/// The three routers and a batch of packets.
pub struct Chain {
    planes: [Dataplane; 3],
    now: Instant,
    packet: Vec<u8>,
    /// All packets side by side, each with its head- and tailroom.
    buffer: Vec<u8>,
    stride: usize,
    /// Where the datagrams are in their strides after sealing.
    datagram: Range<usize>,
}

impl Chain {
    /// Inner packets of `octets`, at least the 28 of IPv4 and UDP headers.
    pub fn new(octets: usize) -> Result<Self> {
        let now = Instant::from_nanos(1_000_000_000);
        let planes = [1, 2, 3].map(|number| plane(number, now));
        let stride = HEADROOM + octets + TAILROOM;
        let buffer = vec![0; BATCH * stride];
        let packet = udp_packet(octets)?;
        let mut chain = Self { planes, now, packet, buffer, stride, datagram: 0..0 };
        chain.introduce()?;
        chain.connect()?;
        chain.pave()?;
        Ok(chain)
    }

    /// Lays the inner packets where they will be sealed.
    pub fn restore(&mut self) {
        let end = HEADROOM + self.packet.len();
        for cell in self.buffer.chunks_exact_mut(self.stride) {
            cell[HEADROOM..end].copy_from_slice(&self.packet);
        }
    }

    /// A wraps and seals all packets.
    pub fn seal(&mut self) -> Result<()> {
        let range = HEADROOM..HEADROOM + self.packet.len();
        for cell in self.buffer.chunks_exact_mut(self.stride) {
            let mut frame = Frame::new(cell, range.clone()).context("the cell has the room")?;
            match self.planes[0].headend(&mut frame, self.now) {
                Verdict::Forward(forward) => self.datagram = forward.range,
                other => anyhow::bail!("the headend said {other:?}"),
            }
        }
        Ok(())
    }

    /// Anybody finds the fields of all headers.
    pub fn parse(&mut self) -> Result<()> {
        for cell in self.buffer.chunks_exact(self.stride) {
            let header = HeaderView::parse(&cell[self.datagram.clone()])?;
            black_box((header.link(), header.session(), header.path_and_counter(), header.lane()));
        }
        Ok(())
    }

    /// R checks, bills and rewrites all datagrams.
    pub fn forward(&mut self) -> Result<()> {
        for cell in self.buffer.chunks_exact_mut(self.stride) {
            let datagram = &mut cell[self.datagram.clone()];
            match self.planes[1].receive(address(1), datagram, 0, self.now) {
                Verdict::Forward(_) => {}
                other => anyhow::bail!("the relay said {other:?}"),
            }
        }
        Ok(())
    }

    /// B opens all datagrams.
    pub fn open(&mut self) -> Result<()> {
        for cell in self.buffer.chunks_exact_mut(self.stride) {
            let datagram = &mut cell[self.datagram.clone()];
            match self.planes[2].receive(address(2), datagram, 0, self.now) {
                Verdict::Deliver { .. } => {}
                other => anyhow::bail!("the endpoint said {other:?}"),
            }
        }
        Ok(())
    }

    /// Tells everybody of everybody.
    fn introduce(&mut self) -> Result<()> {
        for (plane, own) in self.planes.iter_mut().zip(NUMBERS) {
            for other in NUMBERS {
                if other != own {
                    let key = identity(other).public();
                    let peer = PeerConfig::new(key, vec![address(other)], PSK);
                    plane.set_peer(node(other), peer, self.now);
                }
                plane.allow_source(node(other), vec![prefix(other)?])?;
            }
        }
        Ok(())
    }

    /// Has the lower number of each pair call the other one.
    fn connect(&mut self) -> Result<()> {
        for (caller, called) in [(1, 2), (1, 3), (2, 3)] {
            let now = self.now;
            self.plane(caller).connect(node(called), Reach::Direct, now);
            self.plane(called).connect(node(caller), Reach::Direct, now);
            // The second time it calls with the cookie that the first call got.
            for _ in 0..2 {
                self.plane(caller).handle_timeout(now);
                self.carry();
            }
        }
        let is_up = |own: u8, other: u8| self.planes[usize::from(own) - 1].is_up(node(other));
        let all = [(1, 2), (1, 3), (2, 3), (2, 1), (3, 1), (3, 2)];
        anyhow::ensure!(all.into_iter().all(|(own, other)| is_up(own, other)), "no sessions");
        Ok(())
    }

    /// Hands datagrams over until nobody has one to send.
    fn carry(&mut self) {
        let mut is_moving = true;
        while is_moving {
            is_moving = false;
            for from in NUMBERS {
                while let Some(transmit) = self.plane(from).poll_transmit() {
                    let (mut bytes, now) = (transmit.bytes, self.now);
                    let to = NUMBERS.into_iter().find(|number| address(*number) == transmit.to);
                    if let Some(to) = to {
                        self.plane(to).receive(address(from), &mut bytes, 0, now);
                    }
                    is_moving = true;
                }
            }
        }
    }

    /// Installs the policy at A and the lane everywhere.
    fn pave(&mut self) -> Result<()> {
        let mut policy = PolicyEntry::new(node(3), vec![node(2)], Some(LANE), PathId(1));
        policy.inner_mtu = INNER_MTU;
        self.plane(1).install_policy(prefix(3)?, &policy)?;
        let hops = [(1, 1, Some(2)), (2, 1, Some(3)), (3, 2, None)];
        for (own, previous, next) in hops {
            let entry = LaneEntry {
                label: LANE,
                previous: node(previous),
                next: next.map(node),
                octets: Octets(0),
                allowed: Octets(u64::MAX),
            };
            self.plane(own).install_lane(entry)?;
        }
        Ok(())
    }

    fn plane(&mut self, number: u8) -> &mut Dataplane {
        &mut self.planes[usize::from(number) - 1]
    }
}

fn plane(number: u8, now: Instant) -> Dataplane {
    let mut plane = Dataplane::new(identity(number), [number; 32], now);
    plane.set_inner_mtu(INNER_MTU);
    plane
}

fn identity(number: u8) -> Identity {
    Identity {
        node: node(number),
        secret: [number + 100; 32].into(),
        clock: WallClock::new(Timestamp::from_nanos(1_700_000_000_000_000_000)),
        last_stamp: Timestamp::default(),
    }
}

fn node(number: u8) -> NodeId {
    NodeId::new(u32::from(number)).expect("one to three are numbers of nodes")
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(198, 18, number, 1), 4_766))
}

fn prefix(number: u8) -> Result<ipnet::IpNet> {
    Ok(ipnet::Ipv4Net::new(Ipv4Addr::new(10, 0, number, 0), 24)?.into())
}

/// A UDP packet from behind A to behind B, with a right header checksum.
fn udp_packet(octets: usize) -> Result<Vec<u8>> {
    anyhow::ensure!(octets >= 28, "no room for headers");
    let mut packet = vec![0x5a; octets];
    let length = u16::try_from(octets).context("an IP packet has 16 bits for its length")?;
    packet[..20]
        .copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 1, 5, 10, 0, 3, 9]);
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    let words = packet[..20].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    packet[20..28].copy_from_slice(&[0x03, 0xe8, 0, 53, 0, 0, 0, 0]);
    packet[24..26].copy_from_slice(&(length - 20).to_be_bytes());
    Ok(packet)
}

const NUMBERS: [u8; 3] = [1, 2, 3];
const PSK: [u8; 32] = [42; 32];
const LANE: LaneLabel = LaneLabel(77);
/// Room for the largest packet here.
const INNER_MTU: u16 = 1_500;
