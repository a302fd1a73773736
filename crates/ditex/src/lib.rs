//! The segment exchange: who is in which group, and what each pair of routers offers one another.
//!
//! [`Exchange`] is the controller's whole state machine. It takes join requests and reports, gives
//! out signed rosters, and answers queries for segments, ratings and quarantine. It does no IO:
//! what has to survive a crash comes out of [`Exchange::poll_change`], and goes back in through
//! [`Exchange::restore`].
#![forbid(unsafe_code)]

mod answer;
mod exchange;
mod group;
mod grouping;
mod intake;
mod join;
mod matrix;
mod query;
mod rating;
mod record;
mod regroup;
mod segment;
mod token;
mod transit;

pub use self::answer::{
    ExchangeConfig, GROUPS_MAX, GroupView, Health, JoinError, Joined, MEMBERS_DEFAULT,
    PAROLE_AFTER_DEFAULT, PULSE_INTERVAL_DEFAULT, ROUTERS_MAX, RosterError, RouterError,
    RouterView,
};
pub use self::exchange::Exchange;
pub use self::grouping::{Direction, GroupSummary, choose};
pub use self::intake::{Intake, ReportError};
pub use self::matrix::{HeldRow, STALE_AFTER_INTERVALS};
pub use self::query::{SEGMENTS_PER_ANSWER_MAX, SegmentQuery, SideFilter, SideFilterError};
pub use self::rating::{EVIDENCE_KEPT, Evidence, Rating};
pub use self::record::{
    Change, GroupRecord, Quarantine, QuarantineCause, RestoreError, RouterRecord, RowRecord,
    Snapshot,
};
pub use self::regroup::{RegroupLimits, Standing, Swap, regroup};
pub use self::segment::{Figures, Segment, Side, Source};
pub use self::token::{JoinTokens, TOKENS_MAX, TokenDigest, TokenError, TokenState};
pub use self::transit::{Measured, Placed, TRANSITS_MAX, Transit, transits};
