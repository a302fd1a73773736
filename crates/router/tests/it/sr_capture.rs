//! What passes a node of an SR domain: outer IPv6 headers, from a packet socket in its namespace.

use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::network::Netns;
use crate::sr_domain::block;

/// A packet to a SID, as it came by an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    /// `None` without a segment routing header.
    pub segments_left: Option<u8>,
    /// In the order of the header: reverse order of travel.
    pub list: Vec<Ipv6Addr>,
    /// Source and destination of the packet inside.
    pub inner: (IpAddr, IpAddr),
}

/// Frames of the ring, and octets of each: room for what a ping makes, and for its neighbours' discovery.
const FRAMES: usize = 256;
const FRAME_OCTETS: usize = 2_048;
const RING_OCTETS: usize = FRAMES * FRAME_OCTETS;

/// Octets of `struct tpacket_hdr`, behind which `struct sockaddr_ll` stands.
const HEADER_OCTETS: usize = 32;

/// A packet socket with a ring. Without one it would share packets with the kernel, which rewrites them in place: one
/// would see a packet as it left.
pub struct Tap {
    _socket: OwnedFd,
    ring: NonNull<u8>,
    next: usize,
    interface: u32,
}

impl Tap {
    /// Sees what passes `interface` from here on.
    pub fn open(netns: &Netns, interface: &str) -> Self {
        let Sendable(tap) = netns.enter(|| Self::open_here(interface));
        tap
    }

    fn open_here(interface: &str) -> Sendable {
        let interface = nix::net::if_::if_nametoindex(interface).unwrap();
        let (family, kind) = (AddressFamily::Packet, SockType::Datagram);
        let socket = socket(family, kind, SockFlag::empty(), SockProtocol::EthAll).unwrap();
        let size = |octets: usize| u32::try_from(octets).unwrap();
        // struct tpacket_req: block size, blocks, frame size, frames.
        let request = [size(RING_OCTETS), 1, size(FRAME_OCTETS), size(FRAMES)];
        // SAFETY: the option takes a struct of four words, and the mapping is checked below and as long as the ring.
        let ring = unsafe {
            let set = libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_RX_RING,
                request.as_ptr().cast(),
                libc::socklen_t::try_from(size_of_val(&request)).unwrap(),
            );
            assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(null_mut(), RING_OCTETS, access, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        assert_ne!(ring, libc::MAP_FAILED);
        let ring = NonNull::new(ring.cast()).unwrap();
        Sendable(Self { _socket: socket, ring, next: 0, interface })
    }

    /// What has passed towards SIDs since the last call.
    pub fn seen(&mut self) -> Vec<Outer> {
        let mut seen = Vec::new();
        while let Some((interface, packet)) = self.take() {
            let is_here = interface == self.interface;
            seen.extend(packet.filter(|_| is_here).and_then(|packet| parse(&packet)));
        }
        seen
    }

    /// The next frame: by which interface, and the packet if it came in.
    fn take(&mut self) -> Option<(u32, Option<Vec<u8>>)> {
        /// `TP_STATUS_USER`.
        const IS_OURS: u64 = 1;
        let at = self.next % FRAMES * FRAME_OCTETS;
        // SAFETY: `at` is the start of a frame within the mapping, which lives as long as `self`; the kernel writes the
        // status of a frame last and does not touch the frame until the status is zero again.
        let frame = unsafe { self.ring.add(at) };
        let status = unsafe { frame.cast::<AtomicU64>().as_ref() };
        if status.load(Ordering::Acquire) & IS_OURS == 0 {
            return None;
        }
        let octets = unsafe { std::slice::from_raw_parts(frame.as_ptr(), FRAME_OCTETS) };
        let half = |at: usize| u16::from_ne_bytes([octets[at], octets[at + 1]]);
        let word = |at: usize| u32::from_ne_bytes(octets[at..at + 4].try_into().unwrap());
        let (kept, network) = (word(12), usize::from(half(18)));
        let interface = word(HEADER_OCTETS + 4);
        let is_outgoing = octets[HEADER_OCTETS + 10] == libc::PACKET_OUTGOING;
        let packet = octets[network..network + usize::try_from(kept).unwrap()].to_vec();
        status.store(0, Ordering::Release);
        self.next += 1;
        Some((interface, (!is_outgoing).then_some(packet)))
    }
}

/// The mapping may be used from any thread, by one at a time.
struct Sendable(Tap);

// SAFETY: nothing about a mapping or a descriptor is bound to a thread.
unsafe impl Send for Sendable {}

impl Drop for Tap {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length and is used by nobody else.
        unsafe { libc::munmap(self.ring.as_ptr().cast(), RING_OCTETS) };
    }
}

fn parse(packet: &[u8]) -> Option<Outer> {
    let address = |at: usize| packet.get(at..at + 16)?.try_into().ok().map(<[u8; 16]>::into);
    if packet.first()? >> 4 != 6 {
        return None;
    }
    let (source, destination): (Ipv6Addr, Ipv6Addr) = (address(8)?, address(24)?);
    block().prefix().contains(&destination).then_some(())?;
    let has_header = packet[6] == 43;
    let header_len = if has_header { 8 + 8 * usize::from(*packet.get(41)?) } else { 0 };
    let list = (48..40 + header_len).step_by(16).filter_map(address).collect();
    let segments_left = has_header.then(|| packet[43]);
    Some(Outer {
        source,
        destination,
        segments_left,
        list,
        inner: inner(&packet[40 + header_len..])?,
    })
}

fn inner(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let v4 = |at: usize| packet.get(at..at + 4)?.try_into().ok().map(<[u8; 4]>::into);
    let v6 = |at: usize| packet.get(at..at + 16)?.try_into().ok().map(<[u8; 16]>::into);
    match packet.first()? >> 4 {
        4 => Some((v4(12)?, v4(16)?)),
        6 => Some((v6(8)?, v6(24)?)),
        _ => None,
    }
}
