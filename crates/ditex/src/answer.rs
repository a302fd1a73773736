//! What an operator may choose, and what the exchange answers.

use core::time::Duration;

use srwan_wire::id::{AccountKey, GroupId, NodeId};
use srwan_wire::roster::{MEMBERS_MAX, MemberError, SignedRoster};
use srwan_wire::time::Timestamp;

use crate::rating::Rating;
use crate::record::{GroupRecord, RouterRecord};
use crate::token::TokenError;

/// Groups of one controller; with [`MEMBERS_MAX`] each, a hundred thousand rows fit in memory.
pub const GROUPS_MAX: usize = 100;

/// Routers of one controller.
pub const ROUTERS_MAX: usize = GROUPS_MAX * MEMBERS_MAX;

/// Members of a group if nothing else is configured (W18).
pub const MEMBERS_DEFAULT: usize = MEMBERS_MAX;

/// How often routers pulse if nothing else is configured (W56).
pub const PULSE_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);

/// How long a quarantine by evidence lasts: long enough that being bad does not pay, short enough
/// that a repaired router is back the same day (the parole of W34).
pub const PAROLE_AFTER_DEFAULT: Duration = Duration::from_secs(3_600);

/// What an operator may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeConfig {
    /// Members of a group, 1 to [`MEMBERS_MAX`]; more are as many.
    pub members_max: usize,
    /// How often routers pulse.
    pub pulse_interval: Duration,
    /// How long a quarantine by evidence lasts.
    pub parole_after: Duration,
    /// Whether evidence alone may quarantine a router.
    pub quarantine_by_evidence: bool,
}

impl Default for ExchangeConfig {
    fn default() -> Self {
        Self {
            members_max: MEMBERS_DEFAULT,
            pulse_interval: PULSE_INTERVAL_DEFAULT,
            parole_after: PAROLE_AFTER_DEFAULT,
            quarantine_by_evidence: true,
        }
    }
}

/// The answer to a join request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The router's number.
    pub node: NodeId,
    /// Its group.
    pub group: GroupId,
    /// The group's roster, with the router in it.
    pub roster: SignedRoster,
    /// Secret by which the router shows that it is a member.
    pub member_token: [u8; 32],
}

/// Why a router is not let in, or its change not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Meant for another controller.
    #[error("the request was signed for controller {0}")]
    WrongController(AccountKey),
    /// Not signed by the account that it names.
    #[error("the request is not signed by the account key that it names")]
    BadSignature,
    /// Something in the profile cannot be.
    #[error(transparent)]
    Profile(#[from] MemberError),
    /// A router that is not known came without a token.
    #[error("the router is not known here, and the request has no join token")]
    TokenMissing,
    /// The token does not let it in.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The node key belongs to another account.
    #[error("the node key is registered for another account")]
    KeyTaken,
    /// Another router has this endpoint or an overlapping prefix.
    #[error("{what} belongs to router {owner}")]
    Taken {
        /// The endpoint or prefix.
        what: String,
        /// Whose it is.
        owner: NodeId,
    },
    /// An older request than the last one that was accepted.
    #[error("the request is older than the last accepted one")]
    Stale {
        /// The time in the last accepted one.
        last: Timestamp,
    },
    /// The router is kept out.
    #[error("the router is quarantined: {reason}")]
    Quarantined {
        /// Why.
        reason: String,
    },
    /// All numbers, or all groups, are taken.
    #[error("this controller is full")]
    Full,
    /// The group's roster cannot be signed.
    #[error("the roster cannot be made: {0}")]
    Roster(srwan_wire::roster::RosterError),
}

/// Why a roster is not given out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// No such group.
    #[error("there is no group {0}")]
    NoGroup(GroupId),
    /// The token is not that of a member of this group.
    #[error("the token is not that of a member of the group")]
    NotMember,
    /// The member is kept out.
    #[error("the router is quarantined: {0}")]
    Quarantined(String),
}

/// Why a router is not quarantined, released or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// No such router.
    #[error("there is no router {0}")]
    Unknown(NodeId),
    /// It is already so.
    #[error("router {0} is already in that state")]
    Unchanged(NodeId),
    /// The group's roster cannot be signed.
    #[error("the roster cannot be made: {0}")]
    Roster(srwan_wire::roster::RosterError),
}

/// Whether a router was lately heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Somebody in its group heard it within `STALE_AFTER_INTERVALS`.
    Up,
    /// Nobody did.
    Silent,
    /// Its group has never been reported with it.
    Unknown,
}

/// A router as the exchange sees it.
#[derive(Clone, Copy, Debug)]
pub struct RouterView<'a> {
    /// What is registered.
    pub record: &'a RouterRecord,
    /// Whether it was lately heard.
    pub health: Health,
    /// When it was last heard.
    pub seen: Option<Timestamp>,
    /// What is held for and against it.
    pub rating: Option<&'a Rating>,
}

/// A group as the exchange sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Number and roster.
    pub record: GroupRecord,
    /// All members, quarantined ones included.
    pub members: usize,
    /// Members that were lately heard.
    pub up: usize,
    /// Who last reported, and when.
    pub reported: Option<(NodeId, Timestamp)>,
}
