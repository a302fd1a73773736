//! The shell around one router: its machine while it runs, its clock, its socket, its disk, its host's routes.

use crate::clock::LocalClock;
use crate::datagram::Datagram;
use crate::disk::Disk;
use ipnet::IpNet;
use srwan_node::{Node, NodeEvent};
use srwan_wire::time::Instant;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// Datagrams that a socket holds while its router stands still: a usual receive buffer of 208 KiB, in full-sized ones.
const BACKLOG_MAX: usize = 150;

/// One router with everything around it.
pub struct Shell {
    /// The machine; `None` while it is down.
    pub node: Option<Node>,
    /// Its monotonic clock.
    pub clock: LocalClock,
    /// What its wall clock shows beyond the world's, by what was set at its last start. **Units:** nanoseconds.
    pub wall_offset: i64,
    /// Its disk.
    pub disk: Disk,
    /// The address that others see; changes when a NAT forgets.
    pub outside: SocketAddr,
    /// How often it was started.
    pub starts: u64,
    /// Until when it does nothing (a stall, a pause).
    pub stalled_until: Instant,
    backlog: VecDeque<Datagram>,
    routes: Vec<IpNet>,
    /// The timer that stands in the world's queue for it.
    pub(crate) armed: Option<Instant>,
    /// Whether somebody commanded its machine from outside the event loop.
    pub(crate) is_touched: bool,
}

impl Shell {
    /// A shell whose machine is not yet started.
    #[must_use]
    pub fn new(clock: LocalClock, wall_offset: i64, outside: SocketAddr) -> Self {
        Self {
            node: None,
            clock,
            wall_offset,
            disk: Disk::default(),
            outside,
            starts: 0,
            stalled_until: Instant::ZERO,
            backlog: VecDeque::new(),
            routes: Vec::new(),
            armed: None,
            is_touched: false,
        }
    }

    /// When its machine wants to be called, by the world's clock.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let local = self.node.as_ref()?.poll_timeout()?;
        if !self.backlog.is_empty() {
            return Some(self.stalled_until);
        }
        Some(self.clock.when(local).max(self.stalled_until))
    }

    /// Holds a datagram while the machine stands still; one too many is lost.
    pub fn hold(&mut self, datagram: Datagram) {
        if self.backlog.len() < BACKLOG_MAX {
            self.backlog.push_back(datagram);
        }
    }

    /// The next datagram that was held.
    pub fn release(&mut self) -> Option<Datagram> {
        self.backlog.pop_front()
    }

    /// The machine is gone, and with it the socket's buffer and the TUN device's routes.
    pub fn kill(&mut self) {
        self.node = None;
        self.backlog.clear();
        self.routes.clear();
        self.armed = None;
        self.stalled_until = Instant::ZERO;
    }

    /// What the kernel of the router's host does: routes into the TUN device.
    pub fn route(&mut self, event: &NodeEvent) {
        match event {
            NodeEvent::Engage { prefixes, .. } => {
                self.routes.retain(|p| !prefixes.contains(p));
                self.routes.extend(prefixes);
            }
            NodeEvent::Release { prefixes, .. } => self.routes.retain(|p| !prefixes.contains(p)),
            _ => {}
        }
    }

    /// Whether packets to `target` go into the TUN device.
    #[must_use]
    pub fn is_routed(&self, target: IpAddr) -> bool {
        self.routes.iter().any(|prefix| prefix.contains(&target))
    }
}
