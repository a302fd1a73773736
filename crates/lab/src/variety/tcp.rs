//! A TCP connection that fills super-packets: the client sends a known number of known bytes, the server checks
//! them and sends as many back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};

use super::craft;
use crate::web::Pattern;

/// Connects, sends, checks what comes back; the number of octets that went each way.
///
/// **Errors:** the connection broke, or bytes differ.
pub fn ask(source: SocketAddr, target: SocketAddr, has_options: bool) -> Result<u64> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
    socket.bind(&SockAddr::from(SocketAddr::new(source.ip(), 0)))?;
    if has_options {
        set_destination_options(&socket)?;
        setsockopt(&socket, sockopt::TcpMaxSeg, &SEGMENT_OCTETS_WITH_OPTIONS)
            .context("cannot limit segments")?;
    }
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    socket.set_write_timeout(Some(SILENCE_MAX))?;
    socket.connect_timeout(&SockAddr::from(target), SILENCE_MAX)?;
    let mut stream = TcpStream::from(socket);
    send(&mut stream)?;
    stream.shutdown(Shutdown::Write)?;
    receive(&mut stream)?;
    Ok(STREAM_OCTETS)
}

/// Checks what comes and sends as much.
pub fn answer(mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    receive(&mut stream)?;
    send(&mut stream)
}

fn send(stream: &mut TcpStream) -> Result<()> {
    let (mut pattern, mut left) = (Pattern::default(), STREAM_OCTETS);
    while left > 0 {
        let chunk = pattern.take(usize::try_from(left).unwrap_or(usize::MAX));
        stream.write_all(chunk)?;
        left -= u64::try_from(chunk.len()).unwrap_or(left);
    }
    Ok(())
}

fn receive(stream: &mut TcpStream) -> Result<()> {
    let (mut buffer, mut pattern, mut total) = (vec![0; 65_536], Pattern::default(), 0);
    while total < STREAM_OCTETS {
        let octets = stream.read(&mut buffer)?;
        anyhow::ensure!(octets > 0, "it ended after {total} octets");
        anyhow::ensure!(pattern.continues(&buffer[..octets]), "damaged before octet {total}");
        total += u64::try_from(octets).unwrap_or(0);
    }
    Ok(())
}

/// Puts an empty destination options header into every segment.
fn set_destination_options(socket: &Socket) -> Result<()> {
    let header = craft::empty_options();
    let length = libc::socklen_t::try_from(header.len()).unwrap_or(0);
    // SAFETY: the pointer is to `length` live octets, which the kernel copies, and the descriptor is open for the whole
    // call. Neither std, nix nor socket2 offers this option.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_DSTOPTS,
            header.as_ptr().cast(),
            length,
        )
    };
    let done = if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    done.context("cannot set destination options")
}

/// Enough for windows to open and segments to be joined.
const STREAM_OCTETS: u64 = 2 << 20;
/// Far from any MTU of a lab. Linux, when it forwards a super-packet with extension headers, takes the octet at the
/// wrong place for the length of the TCP header (`skb_gso_transport_seglen` behind `ipv6_rcv`, seen with 6.18), so a
/// segment within 20 octets of the MTU is called too big or not by its sequence number. That is any router's kernel,
/// and not what is tested here.
const SEGMENT_OCTETS_WITH_OPTIONS: u32 = 1_000;
/// A path that is found again within a second or two loses nothing here.
const SILENCE_MAX: Duration = Duration::from_secs(5);
