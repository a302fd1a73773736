//! Why traffic goes where it goes: each decision with what it was taken from.

use std::collections::VecDeque;

use srwan_wire::id::NodeId;
use srwan_wire::pulse::Loss;
use srwan_wire::time::{Instant, Owd};

use crate::clock::Bounded;
use crate::meter::{Conditions, PathFigures};

/// Decisions kept per endpoint: a day of a path that misbehaves once an hour.
pub const DECISIONS_MAX: usize = 32;

/// Candidates kept per decision: the best few of each number of relays and what was excluded.
pub const CANDIDATES_MAX: usize = 24;

/// Why a decision was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The endpoint became of interest: traffic starts on the default path.
    Started,
    /// Nothing arrives over the active path any more.
    Blackout,
    /// The active path loses packets, another does not.
    Loss,
    /// The active path takes longer than it used to, another is faster.
    AddedDelay,
    /// The delay of the active path varies, another's does not.
    Jitter,
    /// Another path is faster although nothing is wrong with the active one.
    Gain,
    /// The default path is well again.
    Return,
    /// A person pinned the path.
    Pinned,
    /// A person took the pin away.
    Unpinned,
    /// A hop of the active path no longer serves its lane.
    LaneLost,
    /// Another path is kept ready in place of the one before.
    StandbyChanged,
    /// Other paths share the traffic than before.
    Shares,
    /// Nothing is sent to the endpoint any more.
    Left,
}

/// The rule that chose or excluded a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It carries the traffic.
    Active,
    /// It carries a part of the traffic, or a copy.
    Shares {
        /// Its weight.
        weight: u8,
        /// The weights of all paths that share the traffic.
        of: u32,
    },
    /// It carries what is of this forwarding class; the rest goes elsewhere.
    CarriesClass {
        /// The class's place in [`crate::ControlConfig::classes`].
        class: u8,
    },
    /// It is kept confirmed and ready.
    Standby,
    /// It is the default path: measured, and returned to when it is well.
    Default,
    /// A person pinned it.
    Pinned,
    /// It is being confirmed by probes: so many were answered of the five that are needed.
    Confirming {
        /// Probes answered.
        answered: u32,
    },
    /// Its lane is not funded and accepted yet.
    LanePending,
    /// A hop refused its lane, or the escrow does not suffice.
    Unfunded,
    /// Nothing arrives over it.
    Down,
    /// It failed lately and is left alone until then.
    BackedOff {
        /// When it may be tried again.
        until: Instant,
    },
    /// This segment is not measured, or not lately.
    Unknown {
        /// Sender of the segment.
        from: NodeId,
        /// Receiver of the segment.
        to: NodeId,
    },
    /// This relay's price is infinity: it measures and never carries (W94).
    NeverCarries {
        /// The relay.
        relay: NodeId,
    },
    /// This relay is quarantined.
    Quarantined {
        /// The relay.
        relay: NodeId,
    },
    /// It has more relays than another, and does not gain more than max(5 ms, 10 %) for each.
    HopGainTooSmall {
        /// What it gains over the best path with fewer relays.
        gain: Owd,
        /// What it would have to gain.
        needed: Owd,
    },
    /// It is in order, and another is cheaper.
    Outranked,
}

/// One path that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The relays in order of travel; empty is the default path.
    pub relays: Vec<NodeId>,
    /// Sum of the matrix's raw cells: compares only with paths of the same two ends. `None` if a
    /// cell is unknown.
    pub expected: Option<Owd>,
    /// That sum with loss, jitter and price added in nanoseconds: what paths are ranked by.
    pub cost: Option<Owd>,
    /// Loss of its segments combined.
    pub loss: Loss,
    /// What its relays ask together. **Units:** base per 10^6 octets; `None` = infinity.
    pub price: Option<u64>,
    /// What probes over this very path say, if it is probed.
    pub measured: Option<PathFigures>,
    /// What is wrong with it, if it is probed.
    pub conditions: Conditions,
    /// The largest inner packet that it carries, if it is probed and that is known. **Units:** octets.
    pub inner_mtu: Option<u16>,
    /// The rule that chose or excluded it.
    pub rule: Rule,
}

impl Candidate {
    /// A path that is probed although the matrix does not propose it.
    pub(crate) fn probed_only(relays: Vec<NodeId>) -> Self {
        Self {
            relays,
            expected: None,
            cost: None,
            loss: Loss::NONE,
            price: Some(0),
            measured: None,
            conditions: Conditions::default(),
            inner_mtu: None,
            rule: Rule::Outranked,
        }
    }
}

/// One decision about an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// When it was taken.
    pub at: Instant,
    /// For which forwarding class, by its place in [`crate::ControlConfig::classes`]; `None` for all other traffic.
    pub class: Option<u8>,
    /// Why.
    pub cause: Cause,
    /// The path before; empty is the default path.
    pub from: Vec<NodeId>,
    /// The path from then on; empty is the default path.
    pub to: Vec<NodeId>,
    /// Offset of the endpoint's clock over this node's: subtract it from raw delays to show them.
    pub offset: Option<Bounded>,
    /// Each candidate with the rule that chose or excluded it, at most [`CANDIDATES_MAX`].
    pub candidates: Vec<Candidate>,
}

/// The last decisions about one endpoint, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecisionLog(VecDeque<Decision>);

impl DecisionLog {
    pub(crate) fn push(&mut self, decision: Decision) {
        if self.0.len() == DECISIONS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(decision);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Decision> {
        self.0.iter()
    }
}
