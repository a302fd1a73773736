//! The checkers: they stand outside the code under test and believe nothing of it.
//!
//! They see what a wire-tapper, the hosts and the shells see: every datagram before and after each router, every
//! packet that a host sent or got, every event. They read datagrams by their own offsets ([`crate::header`]), keep
//! books of their own, and say what must not be. `wire` looks at datagrams, `hosts` at packets, `paths` at where
//! traffic goes and what that rests on, `money` at tickets and coins.
//!
//! A broken promise is a [`Violation`]; what was seen at all is counted in [`Tally`], because a run in which nothing
//! happened shows nothing.

mod hosts;
mod money;
mod paths;
mod tally;
mod wire;

pub use hosts::{PAYLOAD_MIN, payload};
pub use tally::Tally;
pub use wire::{Outcome, Received};

use crate::world::World;
use srwan_node::NodeEvent;
use srwan_wire::time::Instant;
use std::fmt;

/// Violations that are kept; more of them tell no more.
const VIOLATIONS_MAX: usize = 32;

/// The promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// I22: no packet visits a router twice, segments left falls by one, no node is listed twice.
    Loop,
    /// I17: what is forged, changed or replayed moves nothing.
    Forgery,
    /// I18: a packet is delivered at most once.
    Once,
    /// What is delivered is what was sent.
    Integrity,
    /// I19: the inner source belongs to who sent it.
    Source,
    /// I20: no more octets to a stranger than came from it.
    Amplifier,
    /// T22: nobody relays data that nobody pays for.
    Unpaid,
    /// I33: no path is engaged before five probes went over it.
    Unproven,
    /// I29: the standby path is probed, and failover takes two seconds at most.
    Failover,
    /// I31: traffic does not flap.
    Flapping,
    /// I32: nothing rests on a row that is too old.
    Stale,
    /// I34: a clock that steps changes nobody's path.
    Clock,
    /// I14, I13, I2: tickets and evidence claim what was carried, once.
    Claim,
    /// I1: no coin is made or lost.
    Conservation,
    /// I27, I32 and phase 2: what should arrive arrives, what waits is done.
    Liveness,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Instant,
    /// Index of the router.
    pub router: usize,
    /// Which promise.
    pub promise: Promise,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.at.as_nanos() / 1_000_000;
        let Self { router, promise, what, .. } = self;
        write!(f, "{}.{:03} s r{router} {promise:?}: {what}", millis / 1_000, millis % 1_000)
    }
}

/// All checkers with their books.
#[derive(Default)]
pub struct Judge {
    /// What was seen.
    pub tally: Tally,
    violations: Vec<Violation>,
    hosts: hosts::Hosts,
    wire: wire::Wire,
    paths: paths::Paths,
    money: money::Money,
}

impl Judge {
    /// Everything that was broken, the first first.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Notes a broken promise.
    pub fn accuse(&mut self, at: Instant, router: usize, promise: Promise, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { at, router, promise, what });
        }
    }

    /// A router told its shell something.
    pub fn event(&mut self, router: usize, event: &NodeEvent, now: Instant) {
        self.tally_event(event);
        self.event_of_path(router, event, now);
        self.event_of_money(router, event, now);
    }

    /// Looks at the whole world, between two events.
    pub fn look(&mut self, world: &World) {
        for router in (0..world.routers()).filter(|router| world.is_running(*router)) {
            let view = world.view(router);
            self.look_at_paths(world, router, &view);
            self.look_at_money(world, router, &view);
        }
        if !world.bank.is_conserved() {
            let what = "the ledger's coins do not add up".to_owned();
            self.accuse(world.now(), 0, Promise::Conservation, what);
        }
    }
}
