//! Garbage for a router's port: random bytes, and bytes that resemble what routers send but for what only they
//! know.
//!
//! Everything is drawn before the first datagram leaves. For half of the time it is sent in runs of equal length
//! (`UDP_SEGMENT`), which reach the router joined: the most octets and datagrams that one core can send. For the
//! other half each datagram is sent by itself, which costs the receiving kernel the most per datagram.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use serde::{Deserialize, Serialize};
use srwan_wire::handshake::{COOKIE_REPLY_LEN, INITIATION_LEN, RESPONSE_LEN};
use srwan_wire::segment::{AEAD_TAG_LEN, LINK_TAG_LEN, PacketType, VERSION, header_len};

/// What a datagram resembles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    /// Nothing.
    Random,
    /// A handshake's first message, without the mac that takes the router's key.
    Initiation,
    /// The second one.
    Response,
    /// A cookie reply.
    Cookie,
    /// A data packet over relays, on a link that may exist, with a tag that is not that link's.
    Data,
    /// A control message.
    Control,
    /// The beginning of a data packet.
    Truncated,
}

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub datagrams: u64,
    pub octets: u64,
    /// Datagrams that were sent one by one, not as a run.
    pub singly: u64,
    /// Datagrams by what they resemble.
    pub by_likeness: BTreeMap<String, u64>,
}

/// A run of datagrams of one length, ready to be sent.
struct Run {
    likeness: Likeness,
    stride: u16,
    bytes: Vec<u8>,
}

/// Sends to all targets in turn until the time is over.
///
/// **Errors:** no socket. A run that a full queue refuses is not sent and not counted.
pub fn send(targets: &[SocketAddrV4], time: Duration, seed: u64) -> Result<Sent> {
    let sockets = (0..SOCKETS)
        .map(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))
        .collect::<std::io::Result<Vec<_>>>()
        .context("no socket to send from")?;
    let runs = draw(seed);
    let targets: Vec<SockaddrIn> = targets.iter().map(|target| SockaddrIn::from(*target)).collect();
    let mut sent = Sent::default();
    let (half, end) = (Instant::now() + time / 2, Instant::now() + time);
    let turns = runs.iter().cycle().zip(targets.iter().cycle()).zip(sockets.iter().cycle());
    // A run's turn and a target's would always meet if one number divided the other: the sockets' number shifts them.
    for ((run, target), socket) in turns {
        let now = Instant::now();
        if now > end {
            break;
        }
        let datagrams = run.bytes.chunks(usize::from(run.stride));
        if now > half {
            let gone = datagrams.filter(|datagram| send_one(socket, datagram, target)).count();
            sent.count(run, gone);
            sent.singly += u64::try_from(gone).unwrap_or(0);
        } else if send_run(socket, run, target) {
            sent.count(run, datagrams.count());
        }
    }
    Ok(sent)
}

fn send_run(socket: &UdpSocket, run: &Run, target: &SockaddrIn) -> bool {
    let parts = [IoSlice::new(&run.bytes)];
    let control = [ControlMessage::UdpGsoSegments(&run.stride)];
    sendmsg(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(target)).is_ok()
}

fn send_one(socket: &UdpSocket, datagram: &[u8], target: &SockaddrIn) -> bool {
    let parts = [IoSlice::new(datagram)];
    sendmsg(socket.as_raw_fd(), &parts, &[], MsgFlags::empty(), Some(target)).is_ok()
}

impl Sent {
    fn count(&mut self, run: &Run, datagrams: usize) {
        let datagrams = u64::try_from(datagrams).unwrap_or(0);
        self.datagrams += datagrams;
        self.octets += datagrams * u64::from(run.stride);
        *self.by_likeness.entry(run.likeness.word().to_owned()).or_default() += datagrams;
    }
}

impl Likeness {
    const ALL: [Self; 7] = [
        Self::Random,
        Self::Initiation,
        Self::Response,
        Self::Cookie,
        Self::Data,
        Self::Control,
        Self::Truncated,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Initiation => "initiation",
            Self::Response => "response",
            Self::Cookie => "cookie",
            Self::Data => "data",
            Self::Control => "control",
            Self::Truncated => "truncated",
        }
    }

    fn octets(self, draw: &mut Draw) -> usize {
        match self {
            Self::Random => draw.below(DATAGRAM_OCTETS_MAX) + 1,
            Self::Initiation => INITIATION_LEN,
            Self::Response => RESPONSE_LEN,
            Self::Cookie => COOKIE_REPLY_LEN,
            Self::Data | Self::Control => {
                WHOLE_OCTETS + draw.below(DATAGRAM_OCTETS_MAX - WHOLE_OCTETS)
            }
            Self::Truncated => draw.below(WHOLE_OCTETS) + 1,
        }
    }

    /// Makes random bytes resemble it.
    fn shape(self, bytes: &mut [u8], draw: &mut Draw) {
        match self {
            Self::Random => {}
            Self::Initiation => start(bytes, &[first(PacketType::Handshake, 0), 1, 0, 0]),
            Self::Response => start(bytes, &[first(PacketType::Handshake, 0), 2, 0, 0]),
            Self::Cookie => start(bytes, &[first(PacketType::Handshake, 0), 3, 0, 0]),
            Self::Data | Self::Truncated => header(bytes, PacketType::Data, draw),
            Self::Control => header(bytes, PacketType::Oam, draw),
        }
    }
}

/// Two SIDs, one to visit, a link that a small router has, padding as it must be.
fn header(bytes: &mut [u8], packet: PacketType, draw: &mut Draw) {
    let link = u8::try_from(draw.below(LINKS)).unwrap_or(0);
    start(bytes, &[first(packet, LANE_PRESENT), 0x21, 0, link]);
    if let Some(padding) = bytes.get_mut(28..32) {
        padding.fill(0);
    }
}

fn first(packet: PacketType, more: u8) -> u8 {
    packet.nibble() << 4 | more | VERSION
}

fn start(bytes: &mut [u8], with: &[u8]) {
    let octets = with.len().min(bytes.len());
    bytes[..octets].copy_from_slice(&with[..octets]);
}

fn draw(seed: u64) -> Vec<Run> {
    let mut draw = Draw(seed);
    let likenesses = Likeness::ALL.into_iter().cycle().take(RUNS);
    likenesses.map(|likeness| draw.run(likeness)).collect()
}

/// Random numbers that are the same for the same seed (SplitMix64).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    fn run(&mut self, likeness: Likeness) -> Run {
        let octets = likeness.octets(self);
        let datagrams = (RUN_OCTETS_MAX / octets).clamp(1, RUN_DATAGRAMS_MAX);
        let mut bytes = Vec::with_capacity(octets * datagrams + 8);
        while bytes.len() < octets * datagrams {
            bytes.extend(self.next().to_ne_bytes());
        }
        bytes.truncate(octets * datagrams);
        for datagram in bytes.chunks_mut(octets) {
            likeness.shape(datagram, self);
        }
        Run { likeness, stride: u16::try_from(octets).unwrap_or(u16::MAX), bytes }
    }
}

/// Bit of a data packet's first octet: docs/protocol.md.
const LANE_PRESENT: u8 = 0b1000;
/// Link indexes begin at 1; the benchmark's routers have five sessions at most.
const LINKS: usize = 8;
/// The shortest data packet of the drawn form.
const WHOLE_OCTETS: usize = header_len(true, 2) + LINK_TAG_LEN + AEAD_TAG_LEN;
/// Fits every link of the benchmark.
const DATAGRAM_OCTETS_MAX: usize = 1_400;
/// Linux takes no more in one call: `UDP_MAX_SEGMENTS` up to 6.8, and an IPv4 packet less its headers.
const RUN_DATAGRAMS_MAX: usize = 64;
const RUN_OCTETS_MAX: usize = 65_000;
/// 20 MB of garbage, of which each datagram is another one.
const RUNS: usize = 7 * 64;
/// A prime, so that all runs come from all ports.
const SOCKETS: usize = 11;
