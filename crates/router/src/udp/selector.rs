//! Which of the router's two sockets a datagram goes to: members', if its source is where a member proved to be, else
//! strangers'.
//!
//! Both sockets are bound to one port (`SO_REUSEPORT`); the kernel asks this program for the index of one. So garbage
//! from elsewhere fills a queue of its own and costs members nothing but the machine's time. Source addresses can be
//! forged: who knows a member's address can fill the members' queue, as anybody could fill the only one before.
//!
//! Source: socket(7) `SO_ATTACH_REUSEPORT_CBPF`, Linux `Documentation/networking/filter.rst`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Index of the members' socket: the first that was bound.
const MEMBERS: u32 = 0;

/// Index of the strangers' socket.
const STRANGERS: u32 = 1;

/// Offsets from the network header. Source: `SKF_NET_OFF` of `linux/filter.h`, RFC 791, RFC 8200.
const NETWORK: u32 = 0xfff0_0000;
const IPV4_SOURCE: u32 = NETWORK + 12;
const IPV6_SOURCE: u32 = NETWORK + 8;

/// Instructions of one address: a comparison and a return, or four words of each and a return.
const V4_INSTRUCTIONS: usize = 2;
const V6_INSTRUCTIONS: usize = 9;

/// Most instructions of a program: a group of 100 with IPv6 needs 908. The kernel charges the program to the socket's
/// option memory, of which a thousand instructions take a part and the four thousand of `BPF_MAXINSNS` more than all.
const INSTRUCTIONS_MAX: usize = 1_024;

/// Instructions that are there for no address.
const FRAME_INSTRUCTIONS: usize = 8;

/// The instructions; addresses for which there is no room are strangers.
pub fn program(members: &BTreeSet<IpAddr>) -> Vec<libc::sock_filter> {
    let mut room = INSTRUCTIONS_MAX - FRAME_INSTRUCTIONS;
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for member in members {
        let cost = if member.is_ipv4() { V4_INSTRUCTIONS } else { V6_INSTRUCTIONS };
        let Some(left) = room.checked_sub(cost) else { break };
        room = left;
        match member {
            IpAddr::V4(address) => v4.push(*address),
            IpAddr::V6(address) => v6.push(*address),
        }
    }
    let of_v4 = for_v4(&v4);
    let after_v4 = u32::try_from(of_v4.len()).unwrap_or(u32::MAX);
    let mut all = vec![
        statement(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, NETWORK),
        statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 4),
        unless_equal(4, 0, 1),
        statement(libc::BPF_JMP | libc::BPF_JA, 1),
        statement(libc::BPF_JMP | libc::BPF_JA, after_v4),
    ];
    all.extend(of_v4);
    all.extend(for_v6(&v6));
    all
}

fn for_v4(members: &[Ipv4Addr]) -> Vec<libc::sock_filter> {
    let mut part = vec![load(IPV4_SOURCE)];
    for member in members {
        part.extend([unless_equal(u32::from(*member), 0, 1), choose(MEMBERS)]);
    }
    part.push(choose(STRANGERS));
    part
}

fn for_v6(members: &[Ipv6Addr]) -> Vec<libc::sock_filter> {
    let mut part = Vec::new();
    for member in members {
        let octets = member.octets();
        let words = octets.chunks_exact(4).map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]]));
        for ((word, offset), left) in words.zip((IPV6_SOURCE..).step_by(4)).zip([7, 5, 3, 1]) {
            part.extend([load(offset), unless_equal(word, 0, left)]);
        }
        part.push(choose(MEMBERS));
    }
    part.push(choose(STRANGERS));
    part
}

fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn choose(socket: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, socket)
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    jump(code, k, 0, 0)
}

/// Skips `equal` instructions if the accumulator is `k`, else `other`.
fn unless_equal(k: u32, equal: u8, other: u8) -> libc::sock_filter {
    jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k, equal, other)
}

fn jump(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).expect("codes have 8 bits"), jt, jf, k }
}
