//! JSON shapes of the controller's API, and its typed client.
//!
//! | method and path | needs | answer |
//! | --- | --- | --- |
//! | POST `/v1/join` [`JoinBody`] | a signed request | [`JoinAnswer`] |
//! | GET `/v1/roster/{group}[?since=SEQ&wait_ms=N]` | member token | [`RosterAnswer`], or 304 |
//! | POST `/v1/report` [`ReportBody`] | a signed report | [`ReportAnswer`] |
//! | GET `/v1/status` | | [`Status`] |
//! | GET `/v1/groups` | | [`Groups`] |
//! | GET `/v1/routers`, `/v1/routers/{node}` | | [`Routers`], [`RouterDetail`] |
//! | GET `/v1/segments[?from=F&to=F&age_max_s=N]` | | [`Segments`] |
//! | GET `/v1/history?from=N&to=N` | | [`History`] |
//! | POST `/v1/token` [`TokenBody`] | admin token | [`TokenAnswer`] |
//! | POST `/v1/routers/{node}/quarantine` [`QuarantineBody`] | admin token | [`RouterDetail`] |
//! | POST `/v1/routers/{node}/release` | admin token | [`RouterDetail`] |
//! | DELETE `/v1/routers/{node}` | admin token | [`Groups`] |
//!
//! Signed objects travel as opaque octets in base64, so that exactly what was signed is verified.

mod client;
mod convert;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::client::{ControllerClient, Membership, ROSTER_WAIT_MAX};

/// A signed join request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinBody {
    /// Base64 of the borsh encoding of `SignedJoinRequest` (docs/protocol.md).
    pub request: String,
}

/// What a router gets when it joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinAnswer {
    /// `srwan.join/1`.
    pub schema: String,
    /// The router's number.
    pub node: u32,
    /// Its group.
    pub group: u32,
    /// Public key that signs rosters, 64 hexadecimal digits.
    pub controller_key: String,
    /// Base64 of the signed roster.
    pub roster: String,
    /// Its sequence number.
    pub roster_seq: u64,
    /// Bearer token for the roster, 64 hexadecimal digits. A secret.
    pub member_token: String,
    /// How often to pulse.
    pub pulse_interval_ms: u64,
}

/// A group's signed roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RosterAnswer {
    /// `srwan.roster/1`.
    pub schema: String,
    /// Which group.
    pub group: u32,
    /// Its sequence number; also the entity tag.
    pub seq: u64,
    /// Base64 of the signed roster.
    pub roster: String,
    /// How often to pulse.
    pub pulse_interval_ms: u64,
}

/// A signed report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportBody {
    /// Base64 of the borsh encoding of `SignedReport` (docs/protocol.md).
    pub report: String,
}

/// What a report brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportAnswer {
    /// `srwan.report/1`.
    pub schema: String,
    /// The round that it counts for.
    pub round: u64,
    /// Whether it is the first of its round.
    pub first_of_round: bool,
    /// Rows newer than the ones held.
    pub rows_new: usize,
    /// Rows that were held already.
    pub rows_known: usize,
    /// Rows not signed by a member of the group, or unreadable.
    pub rows_refused: usize,
    /// Paths compared with the sum of their cells.
    pub paths_compared: usize,
}

/// One look at a controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// `srwan.controller.status/1`.
    pub schema: String,
    /// When this was true, RFC 3339, UTC.
    pub time: String,
    /// Version of the program.
    pub version: String,
    /// Public key that signs rosters, 64 hexadecimal digits.
    pub controller_key: String,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Groups.
    pub groups: usize,
    /// Registered routers.
    pub routers: usize,
    /// Routers lately heard.
    pub routers_up: usize,
    /// Routers kept out.
    pub quarantined: usize,
    /// Segments with figures.
    pub segments: usize,
    /// Join tokens that can still be used.
    pub open_tokens: usize,
    /// How often routers pulse.
    pub pulse_interval_ms: u64,
    /// The ledger that this network settles on, if configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_url: Option<String>,
    /// The ledger's chain, if configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<String>,
}

/// All groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Groups {
    /// `srwan.groups/1`.
    pub schema: String,
    /// When this was true, RFC 3339, UTC.
    pub time: String,
    /// In order of number.
    pub groups: Vec<Group>,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its number.
    pub group: u32,
    /// Members, quarantined ones included.
    pub members: usize,
    /// Members lately heard.
    pub up: usize,
    /// Sequence number of its roster.
    pub roster_seq: u64,
    /// When that was signed, RFC 3339, UTC.
    pub roster_issued: String,
    /// Who last reported; none yet if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporter: Option<u32>,
    /// When that was, RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<String>,
}

/// All routers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Routers {
    /// `srwan.routers/1`.
    pub schema: String,
    /// When this was true, RFC 3339, UTC.
    pub time: String,
    /// In order of number.
    pub routers: Vec<Router>,
}

/// One router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Router {
    /// Its number.
    pub node: u32,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: u32,
    /// `up`, `silent` or `unknown`.
    pub health: String,
    /// When it was last heard, RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// X25519 public key, 64 hexadecimal digits.
    pub node_key: String,
    /// Ed25519 public key, 64 hexadecimal digits.
    pub account_key: String,
    /// Address and port, the preferred one first.
    pub endpoints: Vec<String>,
    /// Networks behind it.
    pub prefixes: Vec<String>,
    /// Where it is.
    pub location: Place,
    /// The network that it is in; 0 = unknown.
    pub asn: u32,
    /// `public`, `premium` or `private`.
    pub class: String,
    /// Base units per 10^6 octets, decimal, or `inf`.
    pub price_base_per_mb: String,
    /// Whether it delivers to destinations outside the WAN.
    pub egress: bool,
    /// When it joined, RFC 3339, UTC.
    pub joined: String,
    /// Availability times accuracy in thousandths; absent before the first round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u32>,
    /// Set while it is kept out of its group's roster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<QuarantineState>,
}

/// A place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Place {
    /// City; may be empty.
    pub city: String,
    /// ISO 3166-1, two letters; may be empty.
    pub country: String,
    /// Millionths of a degree, north positive.
    pub lat_e6: i32,
    /// Millionths of a degree, east positive.
    pub lon_e6: i32,
}

/// Why a router is kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineState {
    /// `manual` or `evidence`.
    pub cause: String,
    /// In words.
    pub reason: String,
    /// Since when, RFC 3339, UTC.
    pub since: String,
}

/// One router with what is held for and against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouterDetail {
    /// `srwan.router/1`.
    pub schema: String,
    /// When this was true, RFC 3339, UTC.
    pub time: String,
    /// The router.
    pub router: Router,
    /// Share of rounds in which it was heard, thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<u32>,
    /// Share of comparisons in which its paths were as fast as their cells say, thousandths.
    pub accuracy: u32,
    /// The comparisons, oldest first.
    pub evidence: Vec<EvidenceItem>,
}

/// One comparison of a path's measured delay with the sum of its cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceItem {
    /// Round in which it was reported.
    pub round: u64,
    /// When, RFC 3339, UTC.
    pub time: String,
    /// Who reported it.
    pub reporter: u32,
    /// Where the path starts.
    pub headend: u32,
    /// Its relays in order.
    pub relays: Vec<u32>,
    /// Where it was measured.
    pub observer: u32,
    /// What the cells say, microseconds.
    pub expected_us: u64,
    /// Measured minus expected, microseconds.
    pub residual_us: i64,
    /// Whether that is too much.
    pub mismatch: bool,
}

/// Rows of the segment database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segments {
    /// `srwan.segments/1`.
    pub schema: String,
    /// When this was true, RFC 3339, UTC.
    pub time: String,
    /// In order of the sides' numbers.
    pub segments: Vec<Segment>,
    /// Whether there are more than one answer holds.
    pub truncated: bool,
}

/// One row of the segment database: what lies between two routers, one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segment {
    /// A-side: where it starts.
    pub a: Side,
    /// Z-side: where it ends, and who measured.
    pub z: Side,
    /// One-way delay, microseconds; absent if the clocks hide it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owd_us: Option<i64>,
    /// How far that may be from the truth because of the clocks, microseconds.
    pub owd_error_us: u64,
    /// Variation of the delay, microseconds.
    pub jitter_us: u64,
    /// Pulses lost, parts per million.
    pub loss_ppm: u32,
    /// When it was measured, RFC 3339, UTC.
    pub updated: String,
    /// How long ago that was.
    pub age_ms: u64,
    /// What the A-side asks: base units per 10^6 octets, decimal, or `inf`.
    pub price_base_per_mb: String,
    /// `public`, `premium` or `private`.
    pub class: String,
    /// Where the figures come from.
    pub source: SegmentSource,
}

/// One end of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Side {
    /// The router's number.
    pub node: u32,
    /// Its name.
    pub name: String,
    /// IP address of its preferred endpoint.
    pub address: String,
    /// UDP port of its preferred endpoint.
    pub port: u16,
    /// Where it is.
    pub location: Place,
    /// The network that it is in (its ISP); 0 = unknown.
    pub asn: u32,
}

/// Where a segment's figures come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentSource {
    /// The group whose matrix holds them.
    pub group: u32,
    /// Who reported them; the Z-side signed them.
    pub reporter: u32,
    /// In which round.
    pub round: u64,
}

/// How a segment was over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// `srwan.history/1`.
    pub schema: String,
    /// A-side.
    pub from: u32,
    /// Z-side.
    pub to: u32,
    /// One per hour that has samples, oldest first.
    pub hours: Vec<HistoryHour>,
}

/// A segment's figures over one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryHour {
    /// Start of the hour, RFC 3339, UTC.
    pub start: String,
    /// Samples with a delay.
    pub samples: u64,
    /// Least one-way delay, microseconds.
    pub owd_us_min: i64,
    /// Mean one-way delay, microseconds.
    pub owd_us_mean: i64,
    /// Greatest one-way delay, microseconds.
    pub owd_us_max: i64,
    /// Mean loss, parts per million.
    pub loss_ppm_mean: u64,
}

/// What a join token is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    /// Seconds until it expires; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
}

/// A new join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenAnswer {
    /// `srwan.token/1`.
    pub schema: String,
    /// Lets one router in, once. A secret.
    pub token: String,
    /// Until when, RFC 3339, UTC; for good if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// Why a router is to be kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineBody {
    /// Shown to the router's operator.
    pub reason: String,
}
