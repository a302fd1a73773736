//! `recvmmsg` and `sendmsg` with control messages: the one place of the UDP path that needs `unsafe`.
//!
//! Source: recvmsg(2), cmsg(3), udp(7), ip(7), ipv6(7). No allocation: headers live on the stack.

use std::io::{self, IoSlice};
use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use socket2::{SockAddr, SockAddrStorage, Socket};

use super::{RECEIVE_BUFFERS, Received};

/// Room for every control message that is ever received or sent at once: four small ones, each below 40 octets.
const CONTROL_OCTETS: usize = 192;

/// Octets for control messages, aligned as `cmsghdr` must be.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_OCTETS]);

const EMPTY_CONTROL: Control = Control([0; CONTROL_OCTETS]);

/// Where a message goes and how it is marked.
pub struct Outgoing<'a> {
    pub to: &'a SockAddr,
    /// Whether the packets are IPv4, also behind a mapped address.
    pub is_v4: bool,
    pub tos: u8,
}

/// Sets a socket option of type `int`.
fn set(socket: &Socket, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(mem::size_of::<i32>()).expect("four");
    let value: *const i32 = &raw const value;
    // SAFETY: `value` points at a live i32 and `length` is its size.
    let code = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.cast(), length) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks for a receive buffer beyond the administrator's limit.
pub fn force_receive_buffer(socket: &Socket, octets: usize) -> io::Result<()> {
    let octets = i32::try_from(octets).unwrap_or(i32::MAX);
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets)
}

/// Turns on coalescing, traffic class, receive times and DF.
pub fn enable(socket: &Socket, is_v6: bool) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    // A kernel before 5.0 lacks it; then each buffer holds one datagram.
    let _without = set(socket, libc::SOL_UDP, libc::UDP_GRO, 1);
    set(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
    set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)?;
    if is_v6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)?;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 1)?;
    }
    Ok(())
}

/// Lets sockets bind an address that this one is bound to.
pub fn share_port(socket: &Socket) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
}

/// Says which of the sockets that share a port gets a datagram, in place of what was said before.
pub fn attach_selector(socket: &Socket, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    let size = libc::socklen_t::try_from(mem::size_of_val(&program)).expect("two words");
    let value: *const libc::sock_fprog = &raw const program;
    let name = libc::SO_ATTACH_REUSEPORT_CBPF;
    // SAFETY: `value` points at a live program whose instructions outlive the call, which copies them.
    let code =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, value.cast(), size) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives into as many of `buffers` as there are super-packets.
pub fn receive(
    fd: BorrowedFd,
    buffers: &mut [Vec<u8>],
    received: &mut Vec<Received>,
) -> io::Result<()> {
    let mut controls = [EMPTY_CONTROL; RECEIVE_BUFFERS];
    let mut names = [const { MaybeUninit::<libc::sockaddr_storage>::zeroed() }; RECEIVE_BUFFERS];
    let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; RECEIVE_BUFFERS];
    // SAFETY: `mmsghdr` is plain data for which all zeroes is a valid value.
    let mut headers: [libc::mmsghdr; RECEIVE_BUFFERS] = unsafe { mem::zeroed() };
    for (index, buffer) in buffers.iter_mut().enumerate().take(RECEIVE_BUFFERS) {
        vectors[index] =
            libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let header = &mut headers[index].msg_hdr;
        header.msg_name = names[index].as_mut_ptr().cast();
        header.msg_namelen = socklen::<libc::sockaddr_storage>();
        header.msg_iov = &raw mut vectors[index];
        header.msg_iovlen = 1;
        header.msg_control = controls[index].0.as_mut_ptr().cast();
        header.msg_controllen = CONTROL_OCTETS;
    }
    let count = u32::try_from(buffers.len().min(RECEIVE_BUFFERS)).expect("eight at most");
    // SAFETY: every header points at live, exclusive memory of the stated length until the call returns.
    let filled = unsafe {
        let headers = headers.as_mut_ptr();
        libc::recvmmsg(fd.as_raw_fd(), headers, count, libc::MSG_DONTWAIT, std::ptr::null_mut())
    };
    let filled = usize::try_from(filled).map_err(|_| io::Error::last_os_error())?;
    for header in &headers[..filled] {
        received.push(describe(header));
    }
    Ok(())
}

fn describe(header: &libc::mmsghdr) -> Received {
    let length = usize::try_from(header.msg_len).unwrap_or(0);
    let mut received =
        Received { from: sender(header), length, stride: length.max(1), tos: 0, at: None };
    // SAFETY: the kernel filled in the control buffer and its length; both live as long as `header`.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(&raw const header.msg_hdr) };
    while !control.is_null() {
        // SAFETY: a non-null header from CMSG_FIRSTHDR or CMSG_NXTHDR lies wholly inside the control buffer.
        let (level, kind) = unsafe { ((*control).cmsg_level, (*control).cmsg_type) };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_TOS) => received.tos = value(control),
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                received.tos = u8::try_from(value::<i32>(control) & 0xff).expect("masked");
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let stride = usize::try_from(value::<i32>(control)).unwrap_or(length);
                received.stride = stride.max(1);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => received.at = Some(since_epoch(control)),
            _ => {}
        }
        // SAFETY: `control` is a header inside this message's control buffer.
        control = unsafe { libc::CMSG_NXTHDR(&raw const header.msg_hdr, control) };
    }
    received
}

fn sender(header: &libc::mmsghdr) -> SocketAddr {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    let mut storage = SockAddrStorage::zeroed();
    let length = header.msg_hdr.msg_namelen.min(storage.size_of());
    let octets = usize::try_from(length).unwrap_or(0);
    // SAFETY: the kernel wrote `octets` octets of a socket address at msg_name; the storage has room for them.
    let address = unsafe {
        let target: *mut u8 = (&raw mut storage).cast();
        std::ptr::copy_nonoverlapping(header.msg_hdr.msg_name.cast::<u8>(), target, octets);
        SockAddr::new(storage, length)
    };
    address
        .as_socket()
        .map_or(unknown, |from| SocketAddr::new(from.ip().to_canonical(), from.port()))
}

/// The value of a control message that is known to carry a `T`.
fn value<T: Copy>(control: *const libc::cmsghdr) -> T {
    // SAFETY: callers pass a message whose type carries a `T`; CMSG_DATA need not be aligned for it.
    unsafe { libc::CMSG_DATA(control).cast::<T>().read_unaligned() }
}

fn since_epoch(control: *const libc::cmsghdr) -> Duration {
    let time: libc::timespec = value(control);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

/// Sends one message, segmented by the kernel if `segment` is given.
pub fn send(
    fd: BorrowedFd,
    outgoing: &Outgoing,
    parts: &[IoSlice],
    segment: Option<u16>,
) -> io::Result<()> {
    let mut control = EMPTY_CONTROL;
    // SAFETY: `msghdr` is plain data for which all zeroes is a valid value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = outgoing.to.as_ptr().cast_mut().cast();
    header.msg_namelen = outgoing.to.len();
    // An `IoSlice` is guaranteed to have the layout of an `iovec`.
    header.msg_iov = parts.as_ptr().cast_mut().cast();
    header.msg_iovlen = parts.len();
    header.msg_control = control.0.as_mut_ptr().cast();
    let mut used = 0;
    let tos = i32::from(outgoing.tos);
    if outgoing.is_v4 {
        used += append(&mut control, used, (libc::IPPROTO_IP, libc::IP_TOS), tos);
    } else {
        used += append(&mut control, used, (libc::IPPROTO_IPV6, libc::IPV6_TCLASS), tos);
    }
    if let Some(segment) = segment {
        used += append(&mut control, used, (libc::SOL_UDP, libc::UDP_SEGMENT), segment);
    }
    header.msg_controllen = used;
    // SAFETY: name, parts and control live until the call returns and have the stated lengths; the kernel only reads.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Writes a control message at `offset`; returns the octets it takes.
fn append<T: Copy>(control: &mut Control, offset: usize, kind: (i32, i32), value: T) -> usize {
    let size = u32::try_from(mem::size_of::<T>()).expect("a number");
    // SAFETY: pure arithmetic.
    let (space, length) = unsafe { (libc::CMSG_SPACE(size), libc::CMSG_LEN(size)) };
    let space = usize::try_from(space).expect("small");
    let target = &mut control.0[offset..offset + space];
    let (cmsg_level, cmsg_type) = kind;
    let cmsg_len = usize::try_from(length).expect("small");
    let header = libc::cmsghdr { cmsg_len, cmsg_level, cmsg_type };
    // SAFETY: `target` has room for header and value; `offset` is a multiple of the alignment, as CMSG_SPACE is.
    unsafe {
        let base: *mut libc::cmsghdr = target.as_mut_ptr().cast();
        base.write(header);
        libc::CMSG_DATA(base).cast::<T>().write_unaligned(value);
    }
    space
}

fn socklen<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(mem::size_of::<T>()).expect("a socket address")
}
