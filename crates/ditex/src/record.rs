//! What of the exchange is kept on disk, in the units in which it changes.

use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::roster::Member;
use srwan_wire::time::Timestamp;

use crate::matrix::HeldRow;
use crate::segment::Segment;
use crate::token::{TokenDigest, TokenState};

/// Why a router is kept out of its group's roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuarantineCause {
    /// An operator decided it.
    Manual,
    /// Its paths were slower than their cells say, as several headends measured.
    Evidence {
        /// Mismatches among the observations that were looked at.
        strikes: u32,
        /// Observations that were looked at.
        observations: u32,
        /// Different headends among the mismatches.
        headends: u32,
    },
}

/// A router's quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// What led to it.
    pub cause: QuarantineCause,
    /// In words, for people.
    pub reason: String,
    /// Since when, by the controller's clock.
    pub since: Timestamp,
}

/// A registered router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterRecord {
    /// What the roster says about it.
    pub member: Member,
    /// Its group.
    pub group: GroupId,
    /// The time in its last accepted join request, by its own clock.
    pub issued: Timestamp,
    /// When it first joined, by the controller's clock.
    pub joined: Timestamp,
    /// Set while it is kept out of the roster.
    pub quarantine: Option<Quarantine>,
}

/// What a group's roster is made from, beside its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Which group.
    pub group: GroupId,
    /// Sequence number of its last roster.
    pub seq: u64,
    /// Rises when a member leaves: the pre-shared key changes with it.
    pub psk_epoch: u32,
    /// When the last roster was signed.
    pub issued: Timestamp,
}

/// A row as it was last accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRecord {
    /// The row and where it came from.
    pub held: HeldRow,
    /// The segments that it tells, for the history.
    pub segments: Vec<Segment>,
}

/// One thing that has to reach the disk before the answer that depends on it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A token was issued or spent.
    Token(TokenDigest, TokenState),
    /// A router was added or changed.
    Router(Box<RouterRecord>),
    /// A router was removed, with its row.
    RouterRemoved(NodeId),
    /// A group's roster was signed anew.
    Group(GroupRecord),
    /// A row was accepted.
    Row(Box<RowRecord>),
}

/// Everything that was kept, as it comes back from the disk.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All tokens.
    pub tokens: Vec<(TokenDigest, TokenState)>,
    /// All routers.
    pub routers: Vec<RouterRecord>,
    /// All groups.
    pub groups: Vec<GroupRecord>,
    /// The newest row of each router.
    pub rows: Vec<HeldRow>,
    /// Highest node number ever given out: a number is never given to another router.
    pub node_last: u32,
}

/// Why a snapshot cannot be what an exchange wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A router's group is not there.
    #[error("router {0} is in group {1}, which is not stored")]
    NoGroup(NodeId, GroupId),
    /// Members and group do not make a valid roster.
    #[error("group {0} does not make a roster: {1}")]
    BadRoster(GroupId, srwan_wire::roster::RosterError),
}
