//! Datagrams that wait to be sent from the buffers they lie in, joined into runs for one system call each.
//!
//! A run is what `UDP_SEGMENT` can send at once: same target, same traffic class, equal lengths except for the last,
//! which may be shorter. Only neighbours are joined, so that no flow is ever reordered.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::ops::Range;

use crate::udp::{SEGMENTS_MAX, SEND_OCTETS_MAX, UdpSocket};

/// One datagram that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// To whom.
    pub to: SocketAddr,
    /// TOS octet or traffic class.
    pub tos: u8,
    /// Which of the caller's buffers it lies in.
    pub buffer: usize,
    /// Where in that buffer.
    pub range: Range<usize>,
}

/// Counters of what left, and what could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams handed to the kernel.
    pub datagrams: u64,
    /// Octets of their payload.
    pub octets: u64,
    /// System calls that it took.
    pub calls: u64,
    /// Datagrams lost because the socket's buffer was full.
    pub full: u64,
    /// Datagrams that the kernel refused: too large for the interface, no route, forbidden by a filter.
    pub refused: u64,
}

/// Refusals for their length that wait for the node: one per target is enough, and a router has few next hops at a
/// time. Those beyond it come again.
const OVERSIZED_MAX: usize = 16;

/// A datagram that is longer than the interface takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oversized {
    /// To whom.
    pub to: SocketAddr,
    /// Octets of UDP payload.
    pub octets: usize,
}

/// The waiting datagrams of one batch.
#[derive(Default)]
pub struct Outbox {
    waiting: Vec<Waiting>,
    sent: Sent,
    oversized: Vec<Oversized>,
}

impl Outbox {
    /// Adds a datagram behind the others.
    pub fn push(&mut self, waiting: Waiting) {
        self.waiting.push(waiting);
    }

    /// What has been sent so far.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Takes a datagram that was too long: the shortest one for its target.
    pub fn pop_oversized(&mut self) -> Option<Oversized> {
        self.oversized.pop()
    }

    /// Sends everything; `buffer` gives the buffer with a number. Nothing waits afterwards.
    pub fn flush<'b>(&mut self, socket: &UdpSocket, buffer: impl Fn(usize) -> &'b [u8]) {
        let mut rest = self.waiting.as_slice();
        while !rest.is_empty() {
            let (run, later) = rest.split_at(run_length(rest));
            let result = send_run(socket, run, &buffer);
            count(&mut self.sent, run, &result);
            if is_too_long(&result) {
                note(&mut self.oversized, Oversized { to: run[0].to, octets: run[0].range.len() });
            }
            rest = later;
        }
        self.waiting.clear();
    }
}

/// How many datagrams at the front go into one call; at least one.
fn run_length(waiting: &[Waiting]) -> usize {
    let first = &waiting[0];
    let segment = first.range.len();
    let mut octets = segment;
    let mut length = 1;
    for next in &waiting[1..] {
        let is_same_way = next.to == first.to && next.tos == first.tos;
        let fits = length < SEGMENTS_MAX && octets + next.range.len() <= SEND_OCTETS_MAX;
        if !is_same_way || !fits || next.range.len() > segment {
            break;
        }
        octets += next.range.len();
        length += 1;
        if next.range.len() < segment {
            break;
        }
    }
    length
}

fn send_run<'b>(
    socket: &UdpSocket,
    run: &[Waiting],
    buffer: &impl Fn(usize) -> &'b [u8],
) -> io::Result<()> {
    let mut parts = [IoSlice::new(&[]); SEGMENTS_MAX];
    for (part, waiting) in parts.iter_mut().zip(run) {
        *part = IoSlice::new(&buffer(waiting.buffer)[waiting.range.clone()]);
    }
    let first = &run[0];
    let segment = u16::try_from(first.range.len()).unwrap_or(0);
    socket.send(first.to, first.tos, &parts[..run.len()], segment)
}

/// All datagrams of a run but its last are as long as the first.
fn is_too_long(result: &io::Result<()>) -> bool {
    let code = result.as_ref().err().and_then(io::Error::raw_os_error);
    code == Some(libc::EMSGSIZE)
}

fn note(oversized: &mut Vec<Oversized>, seen: Oversized) {
    if let Some(known) = oversized.iter_mut().find(|known| known.to == seen.to) {
        known.octets = known.octets.min(seen.octets);
    } else if oversized.len() < OVERSIZED_MAX {
        oversized.push(seen);
    }
}

fn count(sent: &mut Sent, run: &[Waiting], result: &io::Result<()>) {
    let datagrams = u64::try_from(run.len()).unwrap_or(u64::MAX);
    sent.calls += 1;
    match result {
        Ok(()) => {
            let octets: usize = run.iter().map(|waiting| waiting.range.len()).sum();
            sent.datagrams += datagrams;
            sent.octets += u64::try_from(octets).unwrap_or(u64::MAX);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => sent.full += datagrams,
        Err(error) => {
            tracing::trace!(to = %run[0].to, %error, "not sent");
            sent.refused += datagrams;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(port: u16, tos: u8, length: usize) -> Waiting {
        Waiting { to: ([198, 18, 0, 1], port).into(), tos, buffer: 0, range: 10..10 + length }
    }

    fn check(waiting: &[Waiting], expected: usize) {
        assert_eq!(run_length(waiting), expected);
    }

    #[test]
    fn a_run_ends_where_target_class_or_length_change() {
        let a = waiting(1, 0, 100);
        check(std::slice::from_ref(&a), 1);
        check(&[a.clone(), a.clone(), a.clone()], 3);
        check(&[a.clone(), waiting(2, 0, 100)], 1);
        check(&[a.clone(), waiting(1, 1, 100)], 1);
        check(&[a.clone(), waiting(1, 0, 101)], 1);
        check(&[a.clone(), waiting(1, 0, 99), a.clone()], 2);
    }

    #[test]
    fn a_run_stays_within_what_one_call_can_send() {
        check(&vec![waiting(1, 0, 10); 100], SEGMENTS_MAX);
        check(&vec![waiting(1, 0, 1_400); 100], SEND_OCTETS_MAX / 1_400);
        check(&vec![waiting(1, 0, 60_000); 2], 1);
    }

    #[test]
    fn a_datagram_that_is_too_long_is_told_once_per_target_and_shortest() {
        let sender = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = sender.local_addr().unwrap();
        let buffer = vec![0; 70_000];
        let mut outbox = Outbox::default();
        for length in [65_530, 65_520, 65_525] {
            outbox.push(Waiting { to, tos: 0, buffer: 0, range: 0..length });
        }
        outbox.flush(&sender, |_| &buffer);
        assert_eq!(outbox.sent().refused, 3);
        assert_eq!(outbox.pop_oversized(), Some(Oversized { to, octets: 65_520 }));
        assert_eq!(outbox.pop_oversized(), None);
    }

    #[test]
    fn everything_that_waits_is_sent_in_order() {
        let receiver = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = receiver.local_addr().unwrap();
        let buffers = [b"aaabbbc".to_vec(), b"dddd".to_vec()];
        let mut outbox = Outbox::default();
        for (buffer, range) in [(0, 0..3), (0, 3..6), (0, 6..7), (1, 0..4)] {
            outbox.push(Waiting { to, tos: 0, buffer, range });
        }
        outbox.flush(&sender, |index| &buffers[index]);
        let expected = Sent { datagrams: 4, octets: 11, calls: 2, full: 0, refused: 0 };
        assert_eq!(outbox.sent(), expected);
        let mut batch = crate::udp::ReceiveBatch::new(crate::udp::RECEIVE_BUFFERS);
        let mut received = Vec::new();
        while received.len() < 4 {
            receiver.receive_strangers(&mut batch).unwrap();
            for (about, octets) in batch.iter_mut() {
                received.extend(octets.chunks(about.stride).map(<[u8]>::to_vec));
            }
        }
        assert_eq!(received, [&b"aaa"[..], b"bbb", b"c", b"dddd"]);
    }
}
