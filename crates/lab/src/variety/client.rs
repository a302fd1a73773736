//! The near end: one probe of each kind after the other, until its time is over.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::craft::{self, Ends};
use super::{DAMAGED, HEADER_OCTETS, Kind, PORT, name, probe, tcp};
use crate::fetch::Line;

/// What to send.
#[derive(Clone, Debug)]
pub struct Variety {
    /// Own address and the server's, by family.
    pub pairs: Vec<(IpAddr, IpAddr)>,
    /// MTU of the own link.
    pub mtu: u16,
    pub time: Duration,
}

/// What became of the probes of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub sent: u64,
    /// Came back as they were sent.
    pub intact: u64,
    /// Differed, here or there.
    pub damaged: u64,
}

/// What became of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Intact,
    Damaged,
    Lost,
}

/// Sends until the time is over and hands every line to `print`.
pub fn run(variety: &Variety, mut print: impl FnMut(&Line)) -> Result<()> {
    let start = Instant::now();
    let mut senders: Vec<Sender> =
        variety.pairs.iter().map(|pair| Sender::open(*pair, variety.mtu)).collect::<Result<_>>()?;
    for sender in &mut senders {
        sender.learn_mtu()?;
    }
    let mut octets = 0;
    while start.elapsed() < variety.time {
        for sender in &mut senders {
            octets +=
                sender.round(|octets_so_far| print(&progress(start, octets + octets_so_far)))?;
        }
    }
    for sender in &senders {
        for (kind, count) in &sender.counts {
            let Count { sent, intact, damaged } = *count;
            let kind = format!("{} {}", sender.family(), kind.word());
            print(&Line::Kind { kind, sent, intact, damaged });
        }
    }
    let t_ms = millis(start.elapsed());
    print(&Line::End { t_ms, bytes: octets, error: None });
    Ok(())
}

fn progress(start: Instant, bytes: u64) -> Line {
    let t_ms = millis(start.elapsed());
    Line::Progress { t_ms, bytes, mbps: 0.0, rtt_ms: Vec::new() }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The sockets of one family.
struct Sender {
    ends: Ends,
    mtu: usize,
    /// Sends ordinary datagrams and hears all answers.
    socket: UdpSocket,
    echo: Socket,
    raw: Socket,
    number: u64,
    counts: BTreeMap<Kind, Count>,
    buffer: Vec<u8>,
}

impl Sender {
    fn open((source, target): (IpAddr, IpAddr), mtu: u16) -> Result<Self> {
        let socket = UdpSocket::bind((source, 0)).context("cannot open a UDP socket")?;
        socket.set_read_timeout(Some(LOOK))?;
        let ends = Ends { source: socket.local_addr()?, target: SocketAddr::new(target, PORT) };
        let (domain, icmp) = match target {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let echo = Socket::new(domain, Type::DGRAM, Some(icmp)).context("no echo socket")?;
        echo.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
        echo.set_read_timeout(Some(LOOK))?;
        let raw = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)));
        Ok(Self {
            ends,
            mtu: usize::from(mtu),
            socket,
            echo,
            raw: raw.context("no raw socket; it takes the capability NET_RAW")?,
            number: 0,
            counts: BTreeMap::new(),
            buffer: vec![0; 65_536],
        })
    }

    fn family(&self) -> &'static str {
        if self.ends.target.is_ipv4() { "ipv4" } else { "ipv6" }
    }

    fn kinds(&self) -> &'static [Kind] {
        if self.ends.target.is_ipv4() { Kind::V4 } else { Kind::V6 }
    }

    /// Sends some of each kind that are not counted: by ICMP both ends hear what the path carries, and a datagram
    /// that was too long is nobody's loss but its sender's (RFC 8201 section 4).
    fn learn_mtu(&mut self) -> Result<()> {
        for _ in 0..LEARNING_ROUNDS {
            self.round(|_| {})?;
            for (kind, count) in std::mem::take(&mut self.counts) {
                if count.intact < count.sent {
                    eprintln!("{} {}: lost while learning the MTU", self.family(), kind.word());
                }
            }
        }
        Ok(())
    }

    /// Sends one of each kind; the octets that came back.
    fn round(&mut self, mut tell: impl FnMut(u64)) -> Result<u64> {
        let mut octets = 0;
        for kind in self.kinds() {
            octets += self.try_one(*kind)?;
            tell(octets);
        }
        Ok(octets)
    }

    /// Sends one and waits for it; the octets that came back.
    fn try_one(&mut self, kind: Kind) -> Result<u64> {
        let (fate, octets) = match kind {
            Kind::Tcp | Kind::TcpOptions => self.connection(kind),
            Kind::Run => self.run(),
            Kind::Echo => self.echo()?,
            _ => self.datagram(kind)?,
        };
        let count = self.counts.entry(kind).or_default();
        count.sent += 1;
        match fate {
            Fate::Intact => count.intact += 1,
            Fate::Damaged => count.damaged += 1,
            Fate::Lost => {}
        }
        Ok(if fate == Fate::Intact { octets } else { 0 })
    }

    fn connection(&self, kind: Kind) -> (Fate, u64) {
        match tcp::ask(self.ends.source, self.ends.target, kind == Kind::TcpOptions) {
            Ok(octets) => (Fate::Intact, octets),
            Err(error) => {
                eprintln!("{} {}: {error:#}", self.family(), kind.word());
                let is_damaged = error.to_string().starts_with("damaged");
                (if is_damaged { Fate::Damaged } else { Fate::Lost }, 0)
            }
        }
    }

    /// A datagram, by the ordinary socket or in packets made by hand.
    fn datagram(&mut self, kind: Kind) -> Result<(Fate, u64)> {
        let bytes = self.next_probe(kind, self.octets_of(kind));
        let packets = craft::packets(kind, self.ends, &bytes, self.fragment_id());
        for packet in &packets {
            self.raw.send_to(packet, &SockAddr::from(SocketAddr::new(self.ends.target.ip(), 0)))?;
        }
        if packets.is_empty() {
            self.send_plainly(&bytes)?;
        }
        Ok((self.hear(std::slice::from_ref(&bytes)), length(&bytes)))
    }

    /// The sender of a datagram that is too long for the path hears of it at the next one: then it is sent again.
    fn send_plainly(&self, bytes: &[u8]) -> Result<()> {
        match self.socket.send_to(bytes, self.ends.target) {
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                self.socket.send_to(bytes, self.ends.target)?;
            }
            sent => {
                sent?;
            }
        }
        Ok(())
    }

    fn run(&mut self) -> (Fate, u64) {
        let probes: Vec<Vec<u8>> =
            (0..RUN_DATAGRAMS).map(|_| self.next_probe(Kind::Run, RUN_OCTETS)).collect();
        let set = |octets: usize| {
            setsockopt(&self.socket, UdpGsoSegment, &i32::try_from(octets).unwrap_or(0))
        };
        let sent = set(RUN_OCTETS).is_ok()
            && self.socket.send_to(&probes.concat(), self.ends.target).is_ok();
        let is_reset = set(0).is_ok();
        let octets = probes.iter().map(|bytes| length(bytes)).sum();
        if !sent || !is_reset {
            return (Fate::Lost, 0);
        }
        (self.hear(&probes), octets)
    }

    /// Waits until all of `probes` are back, or one of them is damaged.
    fn hear(&mut self, probes: &[Vec<u8>]) -> Fate {
        let deadline = Instant::now() + ANSWER_WAIT;
        let mut left: Vec<&Vec<u8>> = probes.iter().collect();
        while !left.is_empty() {
            if Instant::now() > deadline {
                return Fate::Lost;
            }
            let Ok((octets, _)) = self.socket.recv_from(&mut self.buffer) else { continue };
            let bytes = &self.buffer[..octets];
            match left.iter().position(|probe| name_of(probe) == name_of(bytes)) {
                Some(at) if left[at].as_slice() == bytes => drop(left.swap_remove(at)),
                Some(_) => return Fate::Damaged,
                // The late answer to an earlier probe, or one that says that nothing of it can be believed.
                None if bytes.starts_with(&DAMAGED) => return Fate::Damaged,
                None => {}
            }
        }
        Fate::Intact
    }

    fn echo(&mut self) -> Result<(Fate, u64)> {
        let bytes = self.next_probe(Kind::Echo, ECHO_OCTETS);
        let request = if self.ends.target.is_ipv4() { 8 } else { 128 };
        let [high, low] = u16::try_from(self.number & 0xffff).unwrap_or(0).to_be_bytes();
        let message = [&[request, 0, 0, 0, 0, 0, high, low], &bytes[..]].concat();
        let target = SockAddr::from(SocketAddr::new(self.ends.target.ip(), 0));
        if let Err(error) = self.echo.send_to(&message, &target) {
            anyhow::ensure!(error.raw_os_error() == Some(libc::EMSGSIZE), "echo: {error}");
            self.echo.send_to(&message, &target)?;
        }
        Ok((self.hear_echo(&bytes), length(&bytes)))
    }

    fn hear_echo(&mut self, expected: &[u8]) -> Fate {
        let deadline = Instant::now() + ANSWER_WAIT;
        while Instant::now() < deadline {
            let octets = match std::io::Read::read(&mut &self.echo, &mut self.buffer) {
                Ok(octets) => octets,
                Err(error) if is_quiet(error.kind()) => continue,
                Err(_) => return Fate::Lost,
            };
            let answer = self.buffer[..octets].get(ICMP_HEADER..).unwrap_or_default();
            if answer == expected {
                return Fate::Intact;
            }
            if name(answer) == name(expected) {
                return Fate::Damaged;
            }
        }
        Fate::Lost
    }

    fn next_probe(&mut self, kind: Kind, octets: usize) -> Vec<u8> {
        self.number += 1;
        probe(kind.octet(), self.number, octets)
    }

    fn fragment_id(&self) -> u32 {
        u32::try_from(self.number & 0xffff).unwrap_or(0) | 0x5a00_0000
    }

    /// Payload of a datagram of a kind.
    fn octets_of(&self, kind: Kind) -> usize {
        let headers = if self.ends.target.is_ipv4() { 28 } else { 48 };
        match kind {
            Kind::Full => self.mtu - headers,
            Kind::Large => LARGE_OCTETS,
            Kind::Fragments | Kind::Chain => FRAGMENTED_OCTETS,
            // Every link carries it whole, with eight octets of options or one extension header.
            Kind::Options
            | Kind::HopByHop
            | Kind::DestinationOptions
            | Kind::Routing
            | Kind::AtomicFragment => IPV6_MTU_MIN - headers - 8,
            Kind::Small | Kind::Echo | Kind::Run | Kind::Tcp | Kind::TcpOptions => SMALL_OCTETS,
        }
    }
}

fn is_quiet(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// What stands in a probe's header behind the magic, which says whether it is damaged.
fn name_of(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(DAMAGED.len()..HEADER_OCTETS)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(0)
}

/// In the first the question of full size is too long, and the near end hears of it; in the second the answer is, and
/// the far end hears of it.
const LEARNING_ROUNDS: usize = 2;
const SMALL_OCTETS: usize = 64;
/// The issue's: 8 KiB, six fragments on an ordinary link.
const LARGE_OCTETS: usize = 8_192;
const ECHO_OCTETS: usize = 4_000;
const FRAGMENTED_OCTETS: usize = 3_000;
const RUN_DATAGRAMS: usize = 16;
const RUN_OCTETS: usize = 1_000;
const ICMP_HEADER: usize = 8;
/// RFC 8200 section 5.
const IPV6_MTU_MIN: usize = 1_280;
/// Several round trips of any lab.
const ANSWER_WAIT: Duration = Duration::from_millis(800);
/// How often a silent socket is looked at.
const LOOK: Duration = Duration::from_millis(20);
