//! The UDP port of a router: batches in, runs of equal datagrams out.
//!
//! Linux hands over up to 64 datagrams of one sender as one buffer (`UDP_GRO`) and takes as many in one call
//! (`UDP_SEGMENT`); measured, that is worth 17 to 38 times, more than any other choice. Traffic class, ECN and the
//! kernel's receive time travel beside the data. DF is always set: the overlay does its own path MTU discovery.
//! The raw calls are in [`sys`]; this file is what the packet loop sees.

mod selector;
mod sys;

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::fault::{self, Fault};

/// Buffers per receive call: 8 super-packets of up to 64 datagrams bound the time until timers run to about 1 ms.
pub const RECEIVE_BUFFERS: usize = 8;

/// Buffers per look at the strangers' queue: a flood takes at most a fifth of the packets of a turn.
pub const STRANGERS_BUFFERS: usize = 2;

/// Octets of a receive buffer: the largest that `UDP_GRO` can yield.
pub const RECEIVE_OCTETS: usize = 65_535;

/// Most datagrams in one send. Source: `UDP_MAX_SEGMENTS` of Linux up to 6.8 (128 since).
pub const SEGMENTS_MAX: usize = 64;

/// Most octets in one send: the IPv4 length field less headers.
pub const SEND_OCTETS_MAX: usize = 65_507;

/// Kernel receive buffer asked for: 60 ms of traffic at 1 Gbit/s, in case the loop is not scheduled that long.
const SOCKET_BUFFER_OCTETS: usize = 8 << 20;

/// What is known about a received buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Sender; an IPv4 sender is never shown as a mapped IPv6 address.
    pub from: SocketAddr,
    /// Octets in the buffer.
    pub length: usize,
    /// Octets of each datagram in it but the last, which may be shorter.
    pub stride: usize,
    /// TOS or traffic class, with the ECN bits.
    pub tos: u8,
    /// Kernel's receive time since the UNIX epoch, by the host's real-time clock.
    pub at: Option<Duration>,
}

/// Buffers for [`UdpSocket::receive`], made once.
pub struct ReceiveBatch {
    buffers: Vec<Vec<u8>>,
    received: Vec<Received>,
}

impl ReceiveBatch {
    /// So many empty buffers, at most [`RECEIVE_BUFFERS`].
    pub fn new(buffers: usize) -> Self {
        let buffers = buffers.min(RECEIVE_BUFFERS);
        Self {
            buffers: vec![vec![0; RECEIVE_OCTETS]; buffers],
            received: Vec::with_capacity(buffers),
        }
    }

    /// The buffers of the last receive call with what is known of them; each holds one or more datagrams.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Received, &mut [u8])> {
        let buffers = self.buffers.iter_mut();
        self.received.iter().zip(buffers).map(|(r, buffer)| (*r, &mut buffer[..r.length]))
    }
}

/// A bound, non-blocking UDP port with two queues: one for members, one for everybody else ([`selector`]).
pub struct UdpSocket {
    members: Socket,
    strangers: Socket,
    known: BTreeSet<IpAddr>,
    is_v6: bool,
}

impl UdpSocket {
    /// Binds `listen`; an IPv6 wildcard also receives IPv4.
    ///
    /// # Errors
    /// `SRW-R003` if the port is taken, `SRW-R017` for anything else.
    pub fn bind(listen: SocketAddr) -> Result<Self, Fault> {
        Self::try_bind(listen).map_err(|error| bind_fault(listen, &error))
    }

    fn try_bind(listen: SocketAddr) -> io::Result<Self> {
        let members = Self::queue(listen)?;
        members.bind(&SockAddr::from(listen))?;
        let strangers = Self::queue(listen)?;
        // Only from here on: another router must find the port taken.
        sys::share_port(&members)?;
        sys::share_port(&strangers)?;
        strangers.bind(&members.local_addr()?)?;
        let known = BTreeSet::new();
        sys::attach_selector(&members, &mut selector::program(&known))?;
        Ok(Self { members, strangers, known, is_v6: listen.is_ipv6() })
    }

    fn queue(listen: SocketAddr) -> io::Result<Socket> {
        let domain = Domain::for_address(listen);
        let socket = Socket::new(domain, Type::DGRAM.cloexec().nonblocking(), Some(Protocol::UDP))?;
        let is_v6 = listen.is_ipv6();
        if is_v6 {
            socket.set_only_v6(!listen.ip().is_unspecified())?;
        }
        // Beyond the administrator's limit only with CAP_NET_ADMIN; else as much as is allowed.
        if sys::force_receive_buffer(&socket, SOCKET_BUFFER_OCTETS).is_err() {
            socket.set_recv_buffer_size(SOCKET_BUFFER_OCTETS)?;
        }
        socket.set_send_buffer_size(SOCKET_BUFFER_OCTETS)?;
        sys::enable(&socket, is_v6)?;
        Ok(socket)
    }

    /// Marks every datagram sent from here, so that policy routing can leave them alone.
    ///
    /// # Errors
    /// `SRW-R001` without `CAP_NET_ADMIN`.
    pub fn mark(&self, mark: u32) -> Result<(), Fault> {
        let marked = self.members.set_mark(mark).and_then(|()| self.strangers.set_mark(mark));
        marked.map_err(|error| {
            Fault::new(
                fault::NOT_PERMITTED,
                "cannot mark the router's own datagrams",
                error.to_string(),
                "run as root, or give the capability: setcap cap_net_admin+ep srwan",
            )
        })
    }

    /// The bound address.
    ///
    /// # Errors
    /// None that a bound socket can have.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.members.local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Says where members are: what comes from elsewhere goes to the strangers' queue.
    ///
    /// # Errors
    /// The kernel has no memory for it; then what was said before holds.
    pub fn set_known(&mut self, known: BTreeSet<IpAddr>) -> io::Result<()> {
        if known != self.known {
            sys::attach_selector(&self.members, &mut selector::program(&known))?;
            self.known = known;
        }
        Ok(())
    }

    /// Fills the batch with what has arrived from strangers.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has.
    pub fn receive_strangers(&self, batch: &mut ReceiveBatch) -> io::Result<()> {
        batch.received.clear();
        sys::receive(self.strangers.as_fd(), &mut batch.buffers, &mut batch.received)
    }

    /// The queue of strangers, to wait for.
    pub fn strangers_fd(&self) -> BorrowedFd<'_> {
        self.strangers.as_fd()
    }

    /// Fills the batch with what has arrived from members.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has.
    pub fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<()> {
        batch.received.clear();
        sys::receive(self.members.as_fd(), &mut batch.buffers, &mut batch.received)
    }

    /// Sends the datagrams in `parts` to `to`: each part is one datagram or, with `segment`, a run of datagrams of that
    /// many octets of which only the very last may be shorter.
    ///
    /// # Errors
    /// `WouldBlock` if the socket's buffer is full; `EMSGSIZE` if a datagram is larger than the interface allows.
    pub fn send(&self, to: SocketAddr, tos: u8, parts: &[IoSlice], segment: u16) -> io::Result<()> {
        let to = if self.is_v6 { mapped(to) } else { to };
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let segment_size = usize::from(segment);
        let message = sys::Outgoing { to: &SockAddr::from(to), is_v4: is_v4(to), tos };
        if total <= segment_size || segment == 0 {
            return sys::send(self.members.as_fd(), &message, parts, None);
        }
        match sys::send(self.members.as_fd(), &message, parts, Some(segment)) {
            Err(error) if refuses_segmentation(&error) => {
                let singles = parts.iter().flat_map(|part| part.chunks(segment_size));
                let mut result = Ok(());
                for datagram in singles {
                    let part = [IoSlice::new(datagram)];
                    result = result.and(sys::send(self.members.as_fd(), &message, &part, None));
                }
                result
            }
            other => other,
        }
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.members.as_fd()
    }
}

/// A device without checksum offload answers EIO, an old kernel EINVAL, a batch over the path's MTU EMSGSIZE.
fn refuses_segmentation(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE))
}

fn mapped(to: SocketAddr) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), to.port()),
        IpAddr::V6(_) => to,
    }
}

fn is_v4(to: SocketAddr) -> bool {
    to.ip().to_canonical().is_ipv4()
}

fn bind_fault(listen: SocketAddr, error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::AddrInUse {
        return Fault::new(
            fault::PORT_TAKEN,
            format!("UDP {listen} is taken"),
            "another program, perhaps another router, listens there",
            format!("find it: ss -ulpn sport = :{}; or change `listen`", listen.port()),
        );
    }
    Fault::new(
        fault::SOCKET,
        format!("cannot listen on UDP {listen}"),
        error.to_string(),
        "give an address of this host in `listen`, or 0.0.0.0",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(loopback: &str) -> (UdpSocket, UdpSocket, SocketAddr) {
        let address: SocketAddr = loopback.parse().unwrap();
        let receiver = UdpSocket::bind(address).unwrap();
        let to = receiver.local_addr().unwrap();
        (UdpSocket::bind(address).unwrap(), receiver, to)
    }

    /// The datagrams that arrive, with what is known of the last.
    fn drain(receiver: &UdpSocket, expected: usize) -> (Vec<Vec<u8>>, Received) {
        let mut batch = ReceiveBatch::new(RECEIVE_BUFFERS);
        let mut datagrams = Vec::new();
        let mut last = None;
        while datagrams.len() < expected {
            receiver.receive_strangers(&mut batch).expect("loopback delivers before send returns");
            for (received, octets) in batch.iter_mut() {
                datagrams.extend(octets.chunks(received.stride).map(<[u8]>::to_vec));
                last = Some(received);
            }
        }
        (datagrams, last.unwrap())
    }

    fn check_one(loopback: &str, tos: u8) {
        let (sender, receiver, to) = pair(loopback);
        sender.send(to, tos, &[IoSlice::new(b"hello")], 0).unwrap();
        let (datagrams, received) = drain(&receiver, 1);
        assert_eq!(datagrams, [b"hello"]);
        assert_eq!(received.tos, tos);
        assert_eq!(received.from, sender.local_addr().unwrap());
        assert!(received.at.is_some());
    }

    #[test]
    fn traffic_class_sender_and_receive_time_come_along() {
        check_one("127.0.0.1:0", 0xb9);
        check_one("[::1]:0", 0x2a);
    }

    #[test]
    fn a_run_of_equal_datagrams_arrives_as_it_was_sent() {
        let (sender, receiver, to) = pair("127.0.0.1:0");
        let run: Vec<u8> = (0..10_u8).flat_map(|n| [n; 100]).chain([99; 7]).collect();
        sender.send(to, 0, &[IoSlice::new(&run)], 100).unwrap();
        let (datagrams, _) = drain(&receiver, 11);
        assert_eq!(datagrams.len(), 11);
        assert_eq!(datagrams[9], [9; 100]);
        assert_eq!(datagrams[10], [99; 7]);
    }

    #[test]
    fn datagrams_in_separate_buffers_are_one_run_too() {
        let (sender, receiver, to) = pair("[::1]:0");
        let parts = [[1_u8; 300], [2; 300], [3; 300]];
        let slices: Vec<IoSlice> = parts.iter().map(|part| IoSlice::new(part)).collect();
        sender.send(to, 0, &slices, 300).unwrap();
        let (datagrams, _) = drain(&receiver, 3);
        assert_eq!(datagrams, parts);
    }

    #[test]
    fn an_ipv6_wildcard_shows_ipv4_senders_as_they_are() {
        let receiver = UdpSocket::bind("[::]:0".parse().unwrap()).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = receiver.local_addr().unwrap().port();
        sender.send(([127, 0, 0, 1], port).into(), 4, &[IoSlice::new(b"x")], 0).unwrap();
        let (_, received) = drain(&receiver, 1);
        assert_eq!((received.from, received.tos), (sender.local_addr().unwrap(), 4));
        receiver.send(received.from, 8, &[IoSlice::new(b"y")], 0).unwrap();
        let (datagrams, received) = drain(&sender, 1);
        assert_eq!((datagrams[0].as_slice(), received.tos), (b"y".as_slice(), 8));
    }

    #[test]
    fn a_taken_port_is_said_to_be_taken() {
        let first = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let again = UdpSocket::bind(first.local_addr().unwrap());
        assert_eq!(again.err().map(|fault| fault.code), Some(fault::PORT_TAKEN));
    }

    #[test]
    fn nothing_to_receive_is_would_block() {
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = socket.receive(&mut ReceiveBatch::new(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let error = socket.receive_strangers(&mut ReceiveBatch::new(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    /// What each queue got: members', strangers'.
    fn queues(port: &UdpSocket) -> [Vec<Vec<u8>>; 2] {
        let mut batch = ReceiveBatch::new(RECEIVE_BUFFERS);
        [UdpSocket::receive, UdpSocket::receive_strangers].map(|receive| {
            let mut found = Vec::new();
            while receive(port, &mut batch).is_ok() {
                found.extend(batch.iter_mut().map(|(_, octets)| octets.to_vec()));
            }
            found
        })
    }

    /// Datagrams from `member` and `stranger` to `listen`, each of which says who sent it.
    fn check_queues(listen: &str, to: IpAddr, member: &str, stranger: &str) {
        let both = || vec![member.as_bytes().to_vec(), stranger.as_bytes().to_vec()];
        let mut port = UdpSocket::bind(listen.parse().unwrap()).unwrap();
        let to = SocketAddr::new(to, port.local_addr().unwrap().port());
        let send = |from: &str| {
            let sender = std::net::UdpSocket::bind((from, 0)).unwrap();
            sender.send_to(from.as_bytes(), to).unwrap();
        };
        [member, stranger].into_iter().for_each(send);
        assert_eq!(queues(&port), [vec![], both()], "nobody is known");
        port.set_known([member.parse().unwrap()].into()).unwrap();
        [member, stranger].into_iter().for_each(send);
        let apart = both().into_iter().map(|one| vec![one]).collect::<Vec<_>>();
        assert_eq!(queues(&port).to_vec(), apart);
        port.set_known([stranger.parse().unwrap(), member.parse().unwrap()].into()).unwrap();
        [member, stranger].into_iter().for_each(send);
        assert_eq!(queues(&port), [both(), vec![]], "both are known");
    }

    #[test]
    fn members_and_strangers_have_a_queue_each() {
        let v4 = [127, 0, 0, 1].into();
        check_queues("127.0.0.1:0", v4, "127.0.0.2", "127.0.0.3");
        check_queues("[::]:0", v4, "127.0.0.2", "127.0.0.3");
    }

    #[test]
    fn an_ipv6_member_is_told_by_all_of_its_address() {
        let mut port = UdpSocket::bind("[::1]:0".parse().unwrap()).unwrap();
        let (sender, _, _) = pair("[::1]:0");
        let mut queue_for = |known: &[&str]| {
            port.set_known(known.iter().map(|address| address.parse().unwrap()).collect()).unwrap();
            sender.send(port.local_addr().unwrap(), 0, &[IoSlice::new(b"x")], 0).unwrap();
            queues(&port).map(|found| found.len())
        };
        assert_eq!(queue_for(&["127.0.0.1"]), [0, 1]);
        assert_eq!(queue_for(&["::1:0:0:1", "::2", "0:1::1", "1::1"]), [0, 1]);
        assert_eq!(queue_for(&["::2", "::1", "127.0.0.1"]), [1, 0]);
    }

    #[test]
    fn more_members_than_a_program_holds_are_no_error() {
        let mut port = UdpSocket::bind("[::1]:0".parse().unwrap()).unwrap();
        let many = (0..3_000_u32).map(std::net::Ipv4Addr::from).map(IpAddr::from);
        let wide = (1..3_000_u128).map(std::net::Ipv6Addr::from).map(IpAddr::from);
        port.set_known(many.collect()).unwrap();
        port.set_known(wide.collect()).unwrap();
    }
}
