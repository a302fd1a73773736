//! A flow that is there before and stays: numbered datagrams from A to B at a modest pace, each checked when it
//! arrives.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::contender::Standing;
use crate::measure::open_datagrams;
use crate::testbed::TestBed;
use crate::topology::End;

/// A flow that runs.
pub struct Steady {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<Heard>,
}

/// What became of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub sent: u64,
    pub arrived: u64,
    pub lost_percent: f64,
    /// Arrived more than once.
    pub repeated: u64,
    /// Arrived, and was never sent.
    pub foreign: u64,
}

#[derive(Default)]
struct Heard {
    numbers: BTreeSet<u64>,
    repeated: u64,
    foreign: u64,
}

impl Steady {
    /// Starts it.
    pub fn start(bed: &TestBed, standing: &Standing) -> Result<Self> {
        let receiver = open_datagrams(bed, standing, End::B)?;
        let sender = open_datagrams(bed, standing, End::A)?;
        sender.connect((standing.target, receiver.local_addr()?.port()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (here, there) = (Arc::clone(&stop), Arc::clone(&stop));
        Ok(Self {
            stop,
            sender: thread::spawn(move || send(&sender, &here)),
            receiver: thread::spawn(move || hear(&receiver, &there)),
        })
    }

    /// Ends it and says what became of it.
    pub fn stop(self) -> Result<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().ok().context("the sending thread panicked")?;
        let heard = self.receiver.join().ok().context("the hearing thread panicked")?;
        let arrived = u64::try_from(heard.numbers.len()).unwrap_or(0);
        let lost_percent = (1.0 - arrived as f64 / sent.max(1) as f64) * 100.0;
        Ok(Outcome {
            sent,
            arrived,
            lost_percent,
            repeated: heard.repeated,
            foreign: heard.foreign,
        })
    }
}

fn send(socket: &UdpSocket, stop: &AtomicBool) -> u64 {
    let (begun, mut sent) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due = u64::try_from(begun.elapsed().as_micros()).unwrap_or(0) / INTERVAL_US;
        // After a pause of the machine it goes on at its pace: a burst would lose packets of its own.
        let numbers = sent..due.min(sent + BURST_MAX);
        for number in numbers {
            sent += u64::from(socket.send(&datagram(number)).is_ok());
        }
        thread::sleep(PAUSE);
    }
    sent
}

fn hear(socket: &UdpSocket, stop: &AtomicBool) -> Heard {
    let (mut heard, mut buffer) = (Heard::default(), [0; 2 * OCTETS]);
    let mut quiet_since = None;
    while quiet_since.is_none_or(|since: Instant| since.elapsed() < LAST_WAIT) {
        if stop.load(Ordering::Relaxed) && quiet_since.is_none() {
            quiet_since = Some(Instant::now());
        }
        let Ok(octets) = socket.recv(&mut buffer) else { continue };
        let number = buffer.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        if buffer[..octets] != datagram(number) {
            heard.foreign += 1;
        } else if !heard.numbers.insert(number) {
            heard.repeated += 1;
        }
    }
    heard
}

fn datagram(number: u64) -> [u8; OCTETS] {
    let mut bytes = [number.to_le_bytes()[0]; OCTETS];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

const OCTETS: usize = 1_000;
/// 2,000 datagrams a second, 16 Mbit/s: a call or a video.
const INTERVAL_US: u64 = 500;
const BURST_MAX: u64 = 16;
const PAUSE: Duration = Duration::from_millis(1);
/// What is still on its way when the sender stops.
const LAST_WAIT: Duration = Duration::from_millis(300);
