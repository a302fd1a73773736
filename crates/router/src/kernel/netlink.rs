//! Netlink in the small: a blocking socket, a writer and a reader of attributes.
//!
//! One writer serves both rtnetlink and nf_tables; their messages differ only in the fixed header behind `nlmsghdr`.
//! Source: netlink(7), RFC 3549, include/uapi/linux/netlink.h. Numbers are in host order except where a caller says so.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

/// `NLM_F_REQUEST`.
pub const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
pub const ACK: u16 = 0x4;
/// `NLM_F_DUMP`.
pub const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`.
pub const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`.
pub const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`.
pub const APPEND: u16 = 0x800;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLA_F_NESTED: u16 = 1 << 15;
const NLA_TYPE_MASK: u16 = 0x3fff;
const HEADER_OCTETS: usize = 16;
const ALIGN: usize = 4;

/// Receive buffer: the kernel never puts more into one netlink datagram of a dump.
const RECEIVE_OCTETS: usize = 65_536;

/// How long the kernel may take to answer: it answers at once, or something is badly wrong.
const ANSWER_TIMEOUT_S: i64 = 2;

/// A netlink message under construction.
pub struct Message(Vec<u8>);

impl Message {
    /// A message of this type, flags and sequence number.
    pub fn new(kind: u16, flags: u16, sequence: u32) -> Self {
        let mut octets = vec![0; HEADER_OCTETS];
        octets[4..6].copy_from_slice(&kind.to_ne_bytes());
        octets[6..8].copy_from_slice(&flags.to_ne_bytes());
        octets[8..12].copy_from_slice(&sequence.to_ne_bytes());
        Self(octets)
    }

    /// Appends a fixed header, or any octets, padded to the alignment.
    pub fn fixed(mut self, octets: &[u8]) -> Self {
        self.0.extend_from_slice(octets);
        self.pad()
    }

    /// Appends an attribute.
    pub fn attr(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + ALIGN).expect("attributes are built by us, short");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.pad()
    }

    /// Appends a number in host order.
    pub fn attr_u32(self, kind: u16, value: u32) -> Self {
        self.attr(kind, &value.to_ne_bytes())
    }

    /// Appends a number in network order, as nf_tables wants all of its numbers.
    pub fn attr_be32(self, kind: u16, value: u32) -> Self {
        self.attr(kind, &value.to_be_bytes())
    }

    /// Appends a zero-terminated text.
    pub fn attr_text(self, kind: u16, text: &str) -> Self {
        let mut value = text.as_bytes().to_vec();
        value.push(0);
        self.attr(kind, &value)
    }

    /// Appends the attributes that `fill` writes, as one nested attribute.
    pub fn nested(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        let mut filled = fill(self);
        let length = u16::try_from(filled.0.len() - start).expect("built by us, short");
        filled.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        filled
    }

    /// The octets with their length filled in.
    pub fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("built by us, short");
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }

    fn pad(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(ALIGN), 0);
        self
    }
}

/// The value of the first attribute of type `kind` among `attributes`.
pub fn find(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut rest = attributes;
    while let Some((head, _)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let found = u16::from_ne_bytes([head[2], head[3]]) & NLA_TYPE_MASK;
        let value = rest.get(ALIGN..length)?;
        if found == kind {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(ALIGN)..).unwrap_or(&[]);
    }
    None
}

/// The attribute `kind` as a number in host order.
pub fn find_u32(attributes: &[u8], kind: u16) -> Option<u32> {
    find(attributes, kind)?.try_into().ok().map(u32::from_ne_bytes)
}

/// The attribute `kind` as text without its terminating zero.
pub fn find_text(attributes: &[u8], kind: u16) -> Option<String> {
    let value = find(attributes, kind)?;
    let text = value.strip_suffix(&[0]).unwrap_or(value);
    Some(String::from_utf8_lossy(text).into_owned())
}

/// A blocking netlink socket in the network namespace of the thread that opened it.
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket to the kernel's `protocol` (`NetlinkRoute`, `NetlinkNetFilter`).
    ///
    /// # Errors
    /// What the kernel says; a kernel without the protocol says so here.
    pub fn open(protocol: SockProtocol) -> io::Result<Self> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(ANSWER_TIMEOUT_S, 0))?;
        Ok(Self { fd, sequence: 0 })
    }

    /// The number that the next message shall carry.
    pub fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Sends one message made by `build` and waits for its acknowledgement or the end of its dump.
    ///
    /// # Errors
    /// The error number in the kernel's answer.
    pub fn call(
        &mut self,
        kind: u16,
        flags: u16,
        build: impl FnOnce(Message) -> Message,
    ) -> io::Result<Vec<Vec<u8>>> {
        let sequence = self.next_sequence();
        let message = build(Message::new(kind, flags | REQUEST | ACK, sequence)).finish();
        self.exchange(&message, sequence)
    }

    /// Sends `octets` and collects answers until `last` is acknowledged; the first error ends it.
    ///
    /// - **Shape:** the payloads (behind `nlmsghdr`) of the answers, in order.
    ///
    /// # Errors
    /// The first error number that the kernel reports for any message in `octets`.
    pub fn exchange(&mut self, octets: &[u8], last: u32) -> io::Result<Vec<Vec<u8>>> {
        send(self.fd.as_raw_fd(), octets, MsgFlags::empty())?;
        let mut answers = Vec::new();
        let mut buffer = vec![0_u8; RECEIVE_OCTETS];
        loop {
            let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            if collect(&buffer[..length], last, &mut answers)? {
                return Ok(answers);
            }
        }
    }
}

/// Sorts the messages of one datagram; true when message `last` is done.
fn collect(mut datagram: &[u8], last: u32, answers: &mut Vec<Vec<u8>>) -> io::Result<bool> {
    while let Some((header, _)) = datagram.split_first_chunk::<HEADER_OCTETS>() {
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let length = usize::try_from(u32::from_ne_bytes(word(0))).unwrap_or(usize::MAX);
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let sequence = u32::from_ne_bytes(word(8));
        let payload = datagram.get(HEADER_OCTETS..length).unwrap_or(&[]);
        match kind {
            NLMSG_ERROR => {
                let code = payload.first_chunk().map_or(0, |raw| i32::from_ne_bytes(*raw));
                if code != 0 {
                    return Err(io::Error::from_raw_os_error(-code));
                }
                if sequence == last {
                    return Ok(true);
                }
            }
            NLMSG_DONE if sequence == last => return Ok(true),
            _ => answers.push(payload.to_vec()),
        }
        datagram = datagram.get(length.max(HEADER_OCTETS).next_multiple_of(ALIGN)..).unwrap_or(&[]);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_again_behind_others() {
        let message = Message::new(1, 0, 1)
            .attr(1, &[9])
            .nested(2, |inner| inner.attr_u32(7, 77))
            .attr_text(3, "srwan0")
            .finish();
        let attributes = &message[HEADER_OCTETS..];
        assert_eq!(find(attributes, 1), Some([9].as_slice()));
        assert_eq!(find(attributes, 2).and_then(|inner| find_u32(inner, 7)), Some(77));
        assert_eq!(find_text(attributes, 3).as_deref(), Some("srwan0"));
        assert_eq!(find(attributes, 4), None);
    }

    #[test]
    fn a_cut_attribute_is_not_read_past_its_end() {
        let message = Message::new(1, 0, 1).attr(1, &[1, 2, 3, 4]).finish();
        for end in HEADER_OCTETS..message.len() {
            assert_eq!(find(&message[HEADER_OCTETS..end], 1), None);
        }
    }

    #[test]
    fn a_length_is_written_in_front() {
        let message = Message::new(1, 0, 1).fixed(&[1, 2, 3]).finish();
        assert_eq!(message.len(), 20);
        assert_eq!(message[0], 20);
    }
}
