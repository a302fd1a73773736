//! Round trips by ICMP echo: the kernel at B answers, so that no program's wake-up is measured but the product's.
//!
//! The next request follows the answer at once. A socket that was opened inside A's namespace stays there.

use std::cell::Cell;
use std::io::Read;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use srwan_lab::netns;

use crate::contender::Standing;
use crate::figures::percentile;
use crate::testbed::TestBed;
use crate::topology::End;

/// A way to ask B.
pub struct Echo {
    socket: Socket,
    sequence: Cell<u16>,
}

/// Times of answers, and how many never came.
#[derive(Clone, Debug, Default)]
pub struct RoundTrips {
    /// In microseconds.
    times: Vec<f64>,
    lost: usize,
}

impl Echo {
    /// Opens a socket at A that asks B the way that a standing goes.
    pub fn open(bed: &TestBed, standing: &Standing) -> Result<Self> {
        let place = bed.place().netns(&standing.topology.node(End::A)?);
        let (source, target) = (standing.source, standing.target);
        let socket = netns::within(&place, || {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4))?;
            socket.bind(&SockAddr::from(SocketAddr::from((source, 0))))?;
            socket.connect(&SockAddr::from(SocketAddr::from((target, 0))))?;
            socket.set_read_timeout(Some(ANSWER_WAIT))?;
            Ok::<_, std::io::Error>(socket)
        })?;
        let socket = socket.context("cannot open a socket for echoes")?;
        Ok(Self { socket, sequence: Cell::new(0) })
    }

    /// Asks once; `None` if no answer came in time.
    pub fn round_trip(&self) -> Option<Duration> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        let mut request = [0; 64];
        request[0] = ECHO_REQUEST;
        request[SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
        let begun = Instant::now();
        self.socket.send(&request).ok()?;
        let mut answer = [0; 128];
        loop {
            let length = (&self.socket).read(&mut answer).ok()?;
            // An answer that was given up earlier is not this one's.
            if answer[..length].get(SEQUENCE) == Some(&sequence.to_be_bytes()) {
                return Some(begun.elapsed());
            }
        }
    }
}

impl RoundTrips {
    pub fn add(&mut self, time: Option<Duration>) {
        match time {
            Some(time) => self.times.push(time.as_secs_f64() * 1e6),
            None => self.lost += 1,
        }
    }

    /// Answers.
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// Requests without an answer.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// A percentile, in microseconds.
    pub fn us(&self, percent: u8) -> f64 {
        let mut sorted = self.times.clone();
        sorted.sort_by(f64::total_cmp);
        percentile(&sorted, percent)
    }
}

/// Type of RFC 792; the kernel fills in identifier and checksum.
const ECHO_REQUEST: u8 = 8;
/// Where a request and its answer have their number.
const SEQUENCE: std::ops::Range<usize> = 6..8;
/// Far above any round trip here, far below a turn.
const ANSWER_WAIT: Duration = Duration::from_millis(500);
