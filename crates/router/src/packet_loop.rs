//! The thread that runs the node: wait for a socket or the timer, hand in what came, send, publish, sleep.
//!
//! One thread, no async scheduler, no allocation per packet. What else the process does reaches the node through a
//! bounded queue of [`Order`]s; what the node wants done leaves as [`NodeEvent`]s through another. If the reader of
//! events is slow they stay in the node, whose queue is bounded too; packets are never held up by it.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use srwan_dataplane::{HEADROOM, TAILROOM};
use srwan_node::{Frame, LedgerFact, Node, NodeEvent, Verdict};
use srwan_wire::roster::Roster;
use srwan_wire::time::Instant;
use tokio::sync::{mpsc, oneshot};

use crate::clock::{Clock, real_time};
use crate::outbox::{Outbox, Sent, Waiting};
use crate::tun::{BUFFER_OCTETS, READ_PACKETS_MAX, Tun, WRITE_HEADROOM};
use crate::udp::{RECEIVE_BUFFERS, ReceiveBatch, STRANGERS_BUFFERS, UdpSocket};
use crate::xdp::FastPath;

/// Orders that may wait: a burst of look-ups after an outage, one per lane, fits.
const ORDERS_MAX: usize = 4_096;

/// Buffers for packets from the host: two full reads, so that a read is never refused for want of buffers.
const HOST_BUFFERS: usize = 2 * READ_PACKETS_MAX;

/// Room for one packet from the host: the largest MTU that the configuration allows.
const HOST_PACKET_OCTETS: usize = 9_216;

/// Packets written to the host at once.
const DELIVERIES_MAX: usize = 128;

/// Longest sleep: a bound on how late the loop notices what no descriptor tells it.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Sleep while the reader of events is behind.
const SLEEP_BEHIND: Duration = Duration::from_millis(5);

/// How often the port is told where members are: what a member that moved sends waits among strangers' until then.
const KNOWN_INTERVAL: Duration = Duration::from_secs(1);

/// A look at the node, or a command to it.
pub type Call = Box<dyn FnOnce(&mut Node, Instant, Traffic) + Send>;

/// Something for the node to do, between two packets.
pub enum Order {
    /// The controller signed a new roster.
    Roster(Box<Roster>),
    /// The ledger or the journal says something.
    Fact(LedgerFact),
    /// Look at the node, or command it.
    Call(Call),
    /// End.
    Stop,
}

/// What the loop itself counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams handed to the network.
    pub sent: Sent,
    /// Packets handed to the host.
    pub delivered: u64,
    /// Packets lost because the host's queue was full.
    pub host_full: u64,
}

/// The way to the loop for the rest of the process. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    orders: SyncSender<Order>,
    wake: Arc<EventFd>,
}

/// The loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the router is stopping")]
pub struct Stopped;

impl Handle {
    /// Puts an order into the queue; waits for room. Not for async tasks.
    ///
    /// # Errors
    /// The loop has ended.
    pub fn order(&self, order: Order) -> Result<(), Stopped> {
        self.orders.send(order).map_err(|_| Stopped)?;
        // Writing fails only at 2^64 - 2 unread wake-ups.
        self.wake.write(1).map(drop).map_err(|_| Stopped)
    }

    /// Puts an order into the queue; waits for room without holding up other tasks.
    ///
    /// # Errors
    /// The loop has ended.
    pub async fn tell(&self, order: Order) -> Result<(), Stopped> {
        let mut order = order;
        loop {
            match self.orders.try_send(order) {
                Ok(()) => return self.wake.write(1).map(drop).map_err(|_| Stopped),
                Err(TrySendError::Disconnected(_)) => return Err(Stopped),
                Err(TrySendError::Full(back)) => order = back,
            }
            tokio::time::sleep(SLEEP_BEHIND).await;
        }
    }

    /// Runs `call` on the node and returns what it says.
    ///
    /// # Errors
    /// The loop has ended, or too many orders wait.
    pub async fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Node, Instant, Traffic) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Call(Box::new(move |node, now, traffic| {
            // The asker may have gone away: then nobody wants the answer.
            let _unwanted = answer.send(call(node, now, traffic));
        }));
        self.orders.try_send(order).map_err(|_| Stopped)?;
        self.wake.write(1).map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}

/// By what packets come and go.
pub struct Devices {
    /// The network.
    pub udp: UdpSocket,
    /// The host.
    pub tun: Tun,
    /// Who relays below this loop, if anyone does.
    pub fast_path: Option<FastPath>,
}

/// The node and everything that it touches.
struct Loop {
    node: Node,
    clock: Clock,
    udp: UdpSocket,
    tun: Tun,
    fast_path: Option<FastPath>,
    orders: Receiver<Order>,
    wake: Arc<EventFd>,
    events: mpsc::Sender<NodeEvent>,
    batch: ReceiveBatch,
    strangers: ReceiveBatch,
    known_at: Instant,
    outbox: Outbox,
    host_buffers: Vec<Vec<u8>>,
    host_sizes: Vec<usize>,
    deliveries: Deliveries,
}

/// Where there is something to be taken. A look at a descriptor that has nothing costs a third of a microsecond, at
/// full rate some hundred thousand times a second.
#[derive(Clone, Copy)]
struct Ready {
    network: bool,
    strangers: bool,
    host: bool,
    orders: bool,
}

/// Starts the loop on a thread of its own.
///
/// # Errors
/// The system has no thread or descriptor left.
pub fn start(
    node: Node,
    clock: Clock,
    devices: Devices,
    events: mpsc::Sender<NodeEvent>,
) -> io::Result<(Handle, JoinHandle<()>)> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let wake = Arc::new(EventFd::from_value_and_flags(0, flags)?);
    let (sender, orders) = sync_channel(ORDERS_MAX);
    let handle = Handle { orders: sender, wake: Arc::clone(&wake) };
    let Devices { udp, tun, fast_path } = devices;
    let mut packets = Loop {
        node,
        clock,
        udp,
        tun,
        fast_path,
        orders,
        wake,
        events,
        batch: ReceiveBatch::new(RECEIVE_BUFFERS),
        strangers: ReceiveBatch::new(STRANGERS_BUFFERS),
        known_at: Instant::ZERO,
        outbox: Outbox::default(),
        host_buffers: vec![vec![0; HEADROOM + HOST_PACKET_OCTETS + TAILROOM]; HOST_BUFFERS],
        host_sizes: vec![0; HOST_BUFFERS],
        deliveries: Deliveries::default(),
    };
    let thread = std::thread::Builder::new().name("srwan-packets".into());
    Ok((handle, thread.spawn(move || packets.run())?))
}

impl Loop {
    fn run(&mut self) {
        loop {
            let ready = self.sleep();
            if ready.network {
                self.take_from_members();
            }
            if ready.strangers {
                self.take_from_strangers();
            }
            if ready.host {
                self.take_from_host();
            }
            if ready.orders && self.obey().is_err() {
                self.transmit();
                return;
            }
            self.timers();
            self.follow_members();
            if let Some(fast_path) = &mut self.fast_path {
                fast_path.follow(&mut self.node);
            }
            self.transmit();
            self.report_oversized();
            self.publish();
        }
    }

    /// Waits for a descriptor or for the node's next timer; says which descriptors have something.
    fn sleep(&self) -> Ready {
        let due = self.node.poll_timeout().map(|at| at.since(self.clock.now()));
        let most = if self.events.capacity() == 0 { SLEEP_BEHIND } else { SLEEP_MAX };
        let timeout = TimeSpec::from(due.unwrap_or(SLEEP_MAX).min(most));
        let mut descriptors = [
            PollFd::new(self.udp.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.udp.strangers_fd(), PollFlags::POLLIN),
            PollFd::new(self.tun.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
        ];
        // After an interrupted wait nothing is known, and a look at everything is harmless.
        if ppoll(&mut descriptors, Some(timeout), None).is_err() {
            return Ready { network: true, strangers: true, host: true, orders: true };
        }
        // An error of a descriptor, too, is a reason to look there.
        let [network, strangers, host, orders] = descriptors.map(|d| d.any().unwrap_or(true));
        Ready { network, strangers, host, orders }
    }

    fn take_from_members(&mut self) {
        if self.udp.receive(&mut self.batch).is_ok() {
            self.take_from_network();
        }
    }

    fn take_from_strangers(&mut self) {
        mem::swap(&mut self.batch, &mut self.strangers);
        if self.udp.receive_strangers(&mut self.batch).is_ok() {
            self.take_from_network();
        }
        mem::swap(&mut self.batch, &mut self.strangers);
    }

    /// Tells the port where members are, now and then.
    fn follow_members(&mut self) {
        let now = self.clock.now();
        if now.since(self.known_at) < KNOWN_INTERVAL {
            return;
        }
        self.known_at = now;
        let known = self.node.addresses().map(|address| address.ip().to_canonical()).collect();
        if let Err(error) = self.udp.set_known(known) {
            tracing::debug!(%error, "members' datagrams are among strangers'");
        }
    }

    fn take_from_network(&mut self) {
        let (now, real) = (self.clock.now(), real_time());
        for (received, octets) in self.batch.iter_mut() {
            let at = Clock::received(now, real, received.at);
            let mut start = 0;
            for datagram in octets.chunks_mut(received.stride) {
                let verdict = self.node.handle_datagram(received.from, datagram, received.tos, at);
                match verdict {
                    Verdict::Deliver { range, .. } => {
                        self.deliveries.push(&datagram[range], &mut self.tun);
                    }
                    Verdict::Forward(forward) => self.outbox.push(Waiting {
                        to: forward.to,
                        tos: forward.tos,
                        buffer: 0,
                        range: start + forward.range.start..start + forward.range.end,
                    }),
                    Verdict::Withheld | Verdict::Punt(_) | Verdict::Consumed | Verdict::Drop(_) => {
                    }
                }
                self.deliveries.push_late(&mut self.node, &mut self.tun);
                start += datagram.len();
            }
            self.outbox.flush(&self.udp, |_| octets);
        }
        self.deliveries.flush(&mut self.tun);
    }

    fn take_from_host(&mut self) {
        let count = self.read_host();
        if count == 0 {
            return;
        }
        let now = self.clock.now();
        for index in 0..count {
            let range = HEADROOM..HEADROOM + self.host_sizes[index];
            let Some(mut frame) = Frame::new(&mut self.host_buffers[index], range) else {
                continue;
            };
            match self.node.handle_host_packet(&mut frame, now) {
                Verdict::Deliver { range, .. } => {
                    self.deliveries.push(&frame.buffer()[range], &mut self.tun);
                }
                Verdict::Forward(forward) => self.outbox.push(Waiting {
                    to: forward.to,
                    tos: forward.tos,
                    buffer: index,
                    range: forward.range,
                }),
                Verdict::Withheld | Verdict::Punt(_) | Verdict::Consumed | Verdict::Drop(_) => {}
            }
        }
        self.outbox.flush(&self.udp, |index| &self.host_buffers[index]);
        self.deliveries.flush(&mut self.tun);
    }

    /// Reads until the host has nothing more or half of the buffers are full; returns how many are.
    fn read_host(&mut self) -> usize {
        let mut count = 0;
        while count <= HOST_BUFFERS - READ_PACKETS_MAX {
            let (buffers, sizes) = (&mut self.host_buffers[count..], &mut self.host_sizes[count..]);
            match self.tun.read(buffers, sizes, HEADROOM) {
                Ok(read) => count += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::trace!(%error, "a packet of the host cannot be read");
                    break;
                }
            }
        }
        count
    }

    /// Carries out what waits; an error means the end.
    fn obey(&mut self) -> Result<(), Stopped> {
        // Nothing to read means that nobody woke us.
        let _unread = self.wake.read();
        loop {
            let order = match self.orders.try_recv() {
                Ok(order) => order,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Stopped),
            };
            let now = self.clock.now();
            match order {
                Order::Roster(roster) => self.node.handle_roster(&roster, now),
                Order::Fact(fact) => self.node.handle_ledger(fact, now),
                Order::Call(call) => {
                    let traffic = self.traffic();
                    call(&mut self.node, now, traffic);
                }
                Order::Stop => return Err(Stopped),
            }
        }
    }

    fn timers(&mut self) {
        let now = self.clock.now();
        if self.node.poll_timeout().is_some_and(|due| due <= now) {
            self.node.handle_timeout(now);
            self.deliveries.push_late(&mut self.node, &mut self.tun);
            self.deliveries.flush(&mut self.tun);
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.node.poll_transmit(self.clock.now()) {
            let range = 0..transmit.payload.len();
            self.outbox.push(Waiting { to: transmit.to, tos: transmit.tos, buffer: 0, range });
            self.outbox.flush(&self.udp, |_| &transmit.payload);
        }
    }

    /// What the interface refuses to carry is something that the node must know: it sends shorter ones from here on.
    fn report_oversized(&mut self) {
        while let Some(refused) = self.outbox.pop_oversized() {
            self.node.handle_refused(refused.to, refused.octets, self.clock.now());
        }
    }

    fn publish(&mut self) {
        while let Ok(room) = self.events.try_reserve() {
            match self.node.poll_event() {
                Some(event) => room.send(event),
                None => return,
            }
        }
    }

    fn traffic(&self) -> Traffic {
        Traffic { sent: self.outbox.sent(), ..self.deliveries.counted }
    }
}

/// Packets on their way to the host, copied once into buffers that have room to be coalesced in.
#[derive(Default)]
struct Deliveries {
    packets: Vec<Vec<u8>>,
    used: usize,
    counted: Traffic,
}

impl Deliveries {
    fn push(&mut self, packet: &[u8], tun: &mut Tun) {
        if self.used == DELIVERIES_MAX {
            self.flush(tun);
        }
        if self.used == self.packets.len() {
            self.packets.push(Vec::with_capacity(BUFFER_OCTETS));
        }
        let buffer = &mut self.packets[self.used];
        buffer.clear();
        buffer.extend_from_slice(&[0; WRITE_HEADROOM]);
        buffer.extend_from_slice(packet);
        self.used += 1;
    }

    /// Packets that waited in the node for others, and wait no more.
    fn push_late(&mut self, node: &mut Node, tun: &mut Tun) {
        while let Some(late) = node.poll_delivery() {
            self.push(&late.packet, tun);
        }
    }

    fn flush(&mut self, tun: &mut Tun) {
        if self.used == 0 {
            return;
        }
        let count = u64::try_from(self.used).unwrap_or(u64::MAX);
        match tun.write(&mut self.packets[..self.used]) {
            Ok(()) => self.counted.delivered += count,
            Err(error) => {
                tracing::trace!(%error, "packets for the host are lost");
                self.counted.host_full += count;
            }
        }
        self.used = 0;
    }
}
