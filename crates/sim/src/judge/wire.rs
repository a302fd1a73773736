//! Datagrams: what goes into a router, and what comes out of it because of that.

use super::{Judge, Promise};
use crate::builder::number;
use crate::datagram::{Taint, Trail};
use crate::header::{Header, Kind, kind};
use srwan_node::view::Counted;
use srwan_wire::id::NodeId;
use srwan_wire::time::Instant;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What a router did with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Handed a packet to its host, or holds it until those before it came.
    Delivered,
    /// Sent it on.
    Forwarded,
    /// Took it in.
    Consumed,
    /// Refused it.
    Dropped,
}

/// A datagram that a router was given.
#[derive(Clone, Debug)]
pub struct Received {
    /// Index of the router.
    pub router: usize,
    /// Where it seemed to come from.
    pub source: SocketAddr,
    /// What was done to it before.
    pub taint: Taint,
    /// Which routers it went through.
    pub trail: Trail,
    /// Its header as it arrived.
    pub header: Option<Header>,
    /// Its type as it arrived.
    pub kind: Kind,
    /// Its octets.
    pub len: usize,
    /// What became of it.
    pub outcome: Outcome,
    /// What the router had counted before and after, if the datagram is not as a router sent it.
    pub counted: Option<(Counted, Counted)>,
}

impl Received {
    /// A datagram with these bytes, before the router at `ends` (and where it came from) was given it.
    #[must_use]
    pub fn new(ends: (usize, SocketAddr), bytes: &[u8], past: (Taint, Trail)) -> Self {
        let ((router, source), (taint, trail)) = (ends, past);
        let (header, kind, len) = (Header::read(bytes), kind(bytes), bytes.len());
        let (outcome, counted) = (Outcome::Dropped, None);
        Self { router, source, taint, trail, header, kind, len, outcome, counted }
    }
}

/// Octets that went to and came from a stranger at one router.
#[derive(Clone, Copy, Debug, Default)]
struct Exchange {
    received: u64,
    sent: u64,
}

#[derive(Default)]
pub(super) struct Wire {
    strangers: BTreeMap<(usize, SocketAddr), Exchange>,
}

/// Whether an address is an outsider's: those of the simulation are in 192.0.2.0/24.
#[must_use]
pub fn is_stranger(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V4(v4) if v4.octets().starts_with(&[192, 0, 2]))
}

impl Judge {
    /// A router was given a datagram.
    pub fn received(&mut self, seen: &Received, now: Instant) {
        if is_stranger(seen.source) {
            let exchange = self.wire.strangers.entry((seen.router, seen.source)).or_default();
            exchange.received += u64::try_from(seen.len).unwrap_or(u64::MAX);
        }
        if seen.taint != Taint::Clean {
            self.check_tainted(seen, now);
        }
        self.note_on_path(seen, now);
    }

    /// A router sends a datagram on, rewritten to `bytes`.
    pub fn forwarded(&mut self, seen: &Received, bytes: &[u8], price: Option<u64>, now: Instant) {
        self.tally.relayed += 1;
        let (router, me) = (seen.router, number(seen.router));
        let (Some(before), Some(after)) = (seen.header, Header::read(bytes)) else {
            let what = "a relay sent on what is no segment-routed packet".to_owned();
            return self.accuse(now, router, Promise::Loop, what);
        };
        if seen.trail.contains(router) {
            let what = "a relay sent a packet on that it had seen before".to_owned();
            self.accuse(now, router, Promise::Loop, what);
        }
        if before.left == 0 || after.left + 1 != before.left {
            let what = format!("segments left went from {} to {}", before.left, after.left);
            self.accuse(now, router, Promise::Loop, what);
        }
        if let Some(twice) = listed_twice(&after, me) {
            let what = format!("a relay sent a packet on whose path names node {twice} twice");
            self.accuse(now, router, Promise::Loop, what);
        }
        if before.kind == Kind::Data && before.lane == 0 && price != Some(0) {
            let what = "a relay that asks for a price sent on data without a lane".to_owned();
            self.accuse(now, router, Promise::Unpaid, what);
        }
        self.count_relayed(router, &after, bytes.len());
    }

    /// A router sends a datagram, because of `cause` if it is the answer to one that is not as a router sent it.
    pub fn sent(&mut self, router: usize, to: SocketAddr, len: usize, now: Instant) {
        if !is_stranger(to) {
            return;
        }
        let exchange = self.wire.strangers.entry((router, to)).or_default();
        exchange.sent += u64::try_from(len).unwrap_or(u64::MAX);
        self.tally.cookies += 1;
        if exchange.sent > exchange.received {
            let what = format!("{} octets to {to}, {} came", exchange.sent, exchange.received);
            self.accuse(now, router, Promise::Amplifier, what);
        }
    }

    /// Octets that all routers sent to strangers.
    #[must_use]
    pub fn octets_to_strangers(&self) -> u64 {
        self.wire.strangers.values().map(|exchange| exchange.sent).sum()
    }

    /// A router answers a forged or changed datagram.
    pub fn answered(&mut self, router: usize, taint: Taint, now: Instant) {
        if matches!(taint, Taint::Open | Taint::Forged) {
            let what = format!("a datagram was sent because of one that is {taint:?}");
            self.accuse(now, router, Promise::Forgery, what);
        }
    }

    fn check_tainted(&mut self, seen: &Received, now: Instant) {
        let must_refuse = match (seen.taint, seen.header) {
            (Taint::Clean, _) => false,
            (Taint::Open | Taint::Forged, _) => true,
            // A relay cannot see what is sealed, and a control message that is caught behind a relay is within what
            // that relay's budget bounds.
            (Taint::Sealed | Taint::Replayed, Some(header)) => {
                header.left == 0 && header.session != 0
            }
            (Taint::Replayed, None) => true,
            (Taint::Sealed, None) => seen.kind == Kind::Other,
        };
        let has_moved = seen.counted.as_ref().is_some_and(|(before, after)| before != after);
        if !must_refuse {
            return;
        }
        self.tally.rejected += u64::from(seen.outcome == Outcome::Dropped);
        if seen.outcome != Outcome::Dropped || has_moved {
            let Received { outcome, taint, kind, counted, .. } = seen;
            let what = format!("{kind:?} that is {taint:?} was {outcome:?}; counted {counted:?}");
            self.accuse(now, seen.router, Promise::Forgery, what);
        }
    }
}

/// A node that is named twice by a path whose packet `me` sends on.
fn listed_twice(header: &Header, me: NodeId) -> Option<NodeId> {
    let listed: Vec<NodeId> = header.listed_nodes().collect();
    let ahead = &listed[..header.left.min(listed.len()) + usize::from(header.left < listed.len())];
    let is_twice = |node: &NodeId| listed.iter().filter(|other| *other == node).count() > 1;
    listed.iter().find(|node| is_twice(node)).or_else(|| ahead.iter().find(|n| **n == me)).copied()
}
