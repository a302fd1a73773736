//! What is on a link: the bytes, where they seem to come from, and what only the simulation knows of them.

use std::net::SocketAddr;

/// Most routers that one datagram is followed through: four segments, and one more so that a loop is seen.
const TRAIL_MAX: usize = 8;

/// A datagram under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Index of the router (or of the router's host) that put it on the link; `None` for an outsider.
    pub from: Option<usize>,
    /// Index of the router that it goes to.
    pub to: usize,
    /// The source address that the receiver sees.
    pub source: SocketAddr,
    /// Its payload.
    pub bytes: Vec<u8>,
    /// Whether it is a host's packet on the default path, and none between routers.
    pub is_bare: bool,
    /// What was done to it.
    pub taint: Taint,
    /// Where it was before.
    pub trail: Trail,
}

/// What the network or an attacker did to a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taint {
    /// Nothing: it is as a router sent it.
    #[default]
    Clean,
    /// Bits of what only the endpoint can check were changed: a relay cannot see it.
    Sealed,
    /// Something is changed that the next receiver must notice.
    Open,
    /// An outsider made it up.
    Forged,
    /// An outsider caught it behind its receiver, and sends it again.
    Replayed,
}

/// The routers that a datagram went through, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    len: usize,
    routers: [u16; TRAIL_MAX],
}

impl Trail {
    /// The trail of what `router` made.
    #[must_use]
    pub fn from(router: usize) -> Self {
        Self::default().then(router)
    }

    /// This trail, and then `router`.
    #[must_use]
    pub fn then(mut self, router: usize) -> Self {
        if let Some(slot) = self.routers.get_mut(self.len) {
            *slot = u16::try_from(router).unwrap_or(u16::MAX);
            self.len += 1;
        }
        self
    }

    /// Whether it went through `router`.
    #[must_use]
    pub fn contains(&self, router: usize) -> bool {
        self.routers().any(|passed| passed == router)
    }

    /// The routers in order.
    pub fn routers(&self) -> impl Iterator<Item = usize> + '_ {
        self.routers[..self.len].iter().map(|router| usize::from(*router))
    }
}
