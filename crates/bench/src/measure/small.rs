//! Small packets: how many UDP datagrams a second arrive at B while A sends as fast as it can.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use srwan_lab::netns;

use crate::contender::Standing;
use crate::testbed::TestBed;
use crate::topology::End;

/// Datagrams delivered, 1000/s.
pub fn kpps(bed: &TestBed, standing: &Standing, time: Duration) -> Result<f64> {
    let receiver = open(bed, standing, End::B)?;
    let sender = open(bed, standing, End::A)?;
    sender.connect((standing.target, receiver.local_addr()?.port()))?;
    let is_over = AtomicBool::new(false);
    let delivered = thread::scope(|scope| {
        let counting = scope.spawn(|| count(&receiver, &is_over));
        send(&sender, time);
        thread::sleep(LAST_WAIT);
        is_over.store(true, Ordering::Relaxed);
        counting.join()
    });
    let delivered = delivered.map_err(|_| anyhow::anyhow!("the counting thread panicked"))?;
    Ok(delivered as f64 / time.as_secs_f64() / 1e3)
}

/// A socket at one end of the way, with room for pauses of its reader.
pub fn open(bed: &TestBed, standing: &Standing, end: End) -> Result<UdpSocket> {
    let address = if end == End::A { standing.source } else { standing.target };
    let place = bed.place().netns(&standing.topology.node(end)?);
    let socket = netns::within(&place, || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(BUFFER_OCTETS)?;
        socket.bind(&SockAddr::from(SocketAddr::from((address, 0))))?;
        socket.set_read_timeout(Some(LOOK))?;
        Ok::<_, std::io::Error>(UdpSocket::from(socket))
    })?;
    socket.context("cannot open a socket for small packets")
}

fn send(sender: &UdpSocket, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        for _ in 0..BURST {
            // A full queue loses the datagram, as on any link; only what arrives is counted.
            let _lost = sender.send(&[0x5a; PAYLOAD_OCTETS]);
        }
    }
}

fn count(receiver: &UdpSocket, is_over: &AtomicBool) -> u64 {
    let mut delivered = 0;
    let mut datagram = [0; 2 * PAYLOAD_OCTETS];
    while !is_over.load(Ordering::Relaxed) {
        while receiver.recv(&mut datagram).is_ok() {
            delivered += 1;
        }
    }
    delivered
}

/// What the issue names.
const PAYLOAD_OCTETS: usize = 100;
/// Datagrams between two looks at the clock.
const BURST: usize = 32;
/// What is still on its way when the sender stops.
const LAST_WAIT: Duration = Duration::from_millis(50);
/// How often the receiver looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);
/// The kernel grants half or less; what counts is that a pause of the receiver loses nothing.
const BUFFER_OCTETS: usize = 8 << 20;
