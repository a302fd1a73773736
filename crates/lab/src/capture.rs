//! Packets of one interface of one machine into a pcap file, by a packet socket in its namespace.
//!
//! The socket is cooked (`SOCK_DGRAM`): packets begin at the IP header on every kind of interface.

use std::fs::File;
use std::io::{BufWriter, IoSliceMut, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeSpec, TimeVal, TimeValLike};

use crate::netns;
use crate::pcap::{self, Frame};

/// A capture that runs until it is stopped.
pub struct Capture {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Captured>>,
}

/// What a capture saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    pub packets: u64,
    /// Packets that the kernel had no room for.
    pub lost: u64,
}

impl Capture {
    /// Begins to write the packets of an interface in a namespace.
    pub fn start(namespace: &Path, interface: &str, file: &Path) -> Result<Self> {
        let (socket, index) = netns::within(namespace, || open(interface))??;
        let mut out = BufWriter::new(
            File::create(file).with_context(|| format!("cannot write {}", file.display()))?,
        );
        pcap::write_header(&mut out)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || record(&socket, index, out, &stopped));
        Ok(Self { stop, thread })
    }

    /// Asks it to end, without waiting: so several captures end together.
    pub fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Ends it; the file is complete after this.
    pub fn stop(self) -> Result<Captured> {
        self.ask_to_stop();
        self.thread.join().map_err(|_| anyhow::anyhow!("the capturing thread panicked"))?
    }
}

fn open(interface: &str) -> Result<(OwnedFd, usize)> {
    let index = if_nametoindex(interface).with_context(|| format!("no interface {interface}"))?;
    let opened =
        socket(AddressFamily::Packet, SockType::Datagram, SockFlag::empty(), SockProtocol::EthAll);
    let opened = opened.context("cannot open a packet socket")?;
    // More than the limit only with the right to; what the kernel still loses is counted.
    let _limited = setsockopt(&opened, sockopt::RcvBufForce, &BUFFER_OCTETS)
        .or_else(|_| setsockopt(&opened, sockopt::RcvBuf, &BUFFER_OCTETS));
    setsockopt(&opened, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&opened, sockopt::ReceiveTimeout, &TimeVal::milliseconds(WAIT_MS))?;
    Ok((opened, usize::try_from(index)?))
}

fn record(
    socket: &OwnedFd,
    index: usize,
    mut out: impl Write,
    stop: &AtomicBool,
) -> Result<Captured> {
    let mut captured = Captured::default();
    let mut buffer = vec![0; 65_536];
    let mut ended: Option<Instant> = None;
    loop {
        // Read before the receive: what came before the end is taken out of the socket after it.
        let ending = stop.load(Ordering::Relaxed);
        ended = ended.or_else(|| ending.then(Instant::now));
        match receive(socket, &mut buffer) {
            Ok(seen) if seen.interface == Some(index) => {
                let frame = Frame { time_ns: seen.time_ns, packet: buffer[..seen.octets].to_vec() };
                pcap::write_frame(&mut out, &frame)?;
                captured.packets += 1;
            }
            Err(Errno::EAGAIN) if ending => break,
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(error).context("the capture failed"),
        }
        let drained = ended.is_some_and(|ended| ended.elapsed() > DRAIN_MAX);
        if drained || captured.packets >= PACKETS_MAX {
            break;
        }
    }
    out.flush()?;
    captured.lost = lost(socket);
    Ok(captured)
}

/// A packet in the buffer.
struct Seen {
    octets: usize,
    interface: Option<usize>,
    /// When the kernel had it: this thread may come much later, and hops are ordered by time.
    time_ns: u64,
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> nix::Result<Seen> {
    let mut parts = [IoSliceMut::new(buffer)];
    let mut control = nix::cmsg_space!(TimeSpec);
    let flags = MsgFlags::empty();
    let message = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let stamp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
        _ => None,
    });
    Ok(Seen {
        octets: message.bytes,
        interface: message.address.map(|from| from.ifindex()),
        time_ns: stamp.map_or_else(now_ns, nanos),
    })
}

fn nanos(stamp: TimeSpec) -> u64 {
    u64::try_from(stamp.num_nanoseconds()).unwrap_or(0)
}

/// Packets that did not fit; the kernel keeps the number for each packet socket.
fn lost(socket: &OwnedFd) -> u64 {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tpacket_stats>()).unwrap_or(0);
    let target = (&raw mut statistics).cast();
    // SAFETY: the pointer is to a live struct of the type that PACKET_STATISTICS fills, `length` is its
    // size, and the descriptor is open for the whole call. Neither std nor nix offers this option.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            target,
            &raw mut length,
        )
    };
    if result == 0 { u64::from(statistics.tp_drops) } else { 0 }
}

fn now_ns() -> u64 {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A forgotten capture ends before it fills a disk: about 15 GB of full packets.
const PACKETS_MAX: u64 = 10_000_000;
/// Room for 50 ms at 1 Gbit/s with the kernel's overhead per packet.
const BUFFER_OCTETS: usize = 16 * 1024 * 1024;
/// Reading out what had come before the end; on a busy interface there is always more.
const DRAIN_MAX: Duration = Duration::from_millis(100);
/// How often a quiet capture looks whether it should stop.
const WAIT_MS: i64 = 50;
