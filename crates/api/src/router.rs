//! JSON shapes of a router's admin API (HTTP over the unix socket `<state_dir>/router.sock`).
//!
//! | method and path | answer | |
//! | --- | --- | --- |
//! | GET `/v1/status` | [`Status`] | one look at everything |
//! | GET `/v1/peers` | [`Peers`] | sessions and meters |
//! | GET `/v1/matrix` | [`Matrix`] | the group's one-way delays as this router knows them |
//! | GET `/v1/paths[?dest=D]` | [`Paths`] | candidate paths per endpoint |
//! | GET `/v1/why?dest=D` | [`Why`] | the decisions for one destination, with reasons |
//! | POST `/v1/pin` [`Pin`], POST `/v1/unpin` [`Unpin`] | [`Paths`] | force a path, or stop forcing |
//! | POST `/v1/ping` [`PingRequest`] | [`PingReport`] | probes over a path and over the direct one |
//! | GET `/v1/wallet` | [`Wallet`] | balance, escrow and lanes |
//! | GET `/v1/tickets` | [`Tickets`] | what was submitted, and what became of it |
//! | GET `/v1/events?after=SEQ` | [`Events`] | what happened, newest last |
//! | GET `/v1/host` | [`Host`] | what this router changed on its host |
//! | POST `/v1/drain` | [`Status`] | stop relaying, settle, keep measuring |
//!
//! Every answer carries `schema`; fields are only ever added. Units stand in the names; coins are decimal strings,
//! because a JSON number loses digits. `D` is a node's name, its number, or an IP address.

use serde::{Deserialize, Serialize};

/// What a router is doing, in one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `srwan.status/1`.
    pub schema: String,
    /// When this was true, RFC 3339, UTC.
    pub time: String,
    /// The router's own name.
    pub name: String,
    /// Its node number; absent before it joined.
    pub node: Option<u32>,
    /// Its group; absent before it joined.
    pub group: Option<u32>,
    /// `ok`, `degraded`, `down` or `nodata`.
    pub state: String,
    /// The state as one sentence for people.
    pub sentence: String,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Version of the program.
    pub version: String,
    /// Members of the group, this one included.
    pub members: u32,
    /// Members with a live session.
    pub peers_up: u32,
    /// Whether each cell of the matrix between live members is known.
    pub matrix_complete: bool,
    /// Known cells of the matrix, and how many there can be.
    pub matrix_known: u32,
    /// `members * (members - 1)`.
    pub matrix_cells: u32,
    /// Destinations whose traffic leaves on a relayed path.
    pub engaged: Vec<Engaged>,
    /// Octets relayed for others since the start.
    pub relayed_bytes: u64,
    /// Octets of own traffic sent over paths since the start.
    pub sent_bytes: u64,
    /// Octets delivered as endpoint since the start.
    pub delivered_bytes: u64,
    /// Coins earned since the account exists, as the ledger last said.
    pub earned_coins: String,
    /// Coins applied (spent on paths) since the account exists, as the ledger last said.
    pub applied_coins: String,
    /// Is the controller reachable, and since when not.
    pub controller: Reachability,
    /// Is the ledger reachable, and since when not.
    pub ledger: Reachability,
    /// What a person should look at, worst first.
    pub health: Vec<HealthItem>,
    /// Dropped packets by reason; only reasons that occurred.
    pub drops: Vec<DropCount>,
    /// Whether this router is the group's reporter.
    pub reporter: bool,
    /// The portal's address without its token; absent if it is off.
    pub portal_url: Option<String>,
}

/// A destination that is engaged on a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Engaged {
    /// The endpoint's name.
    pub endpoint: String,
    /// Its node number.
    pub endpoint_node: u32,
    /// The prefixes that go there.
    pub prefixes: Vec<String>,
    /// Names of the relays in order; empty when engaged without relays.
    pub relays: Vec<String>,
    /// Since when, RFC 3339, UTC.
    pub since: String,
    /// Why, in words.
    pub reason: String,
    /// Path's and default path's delay at the last look, raw difference in microseconds: default minus path.
    pub gain_us: Option<i64>,
}

/// Whether a daemon that this router needs now and then can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reachability {
    /// `ok`, `down` or `nodata` (never tried or not configured).
    pub state: String,
    /// When it was last reached, RFC 3339, UTC.
    pub last_ok: Option<String>,
    /// The last error if it is down.
    pub error: Option<String>,
}

/// A finding for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthItem {
    /// Stable code, e.g. `SRW-R012`.
    pub code: String,
    /// `degraded` or `down`.
    pub state: String,
    /// What is wrong.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub fix: String,
}

/// Packets dropped for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCount {
    /// The reason's name.
    pub reason: String,
    /// How many since the start.
    pub packets: u64,
}

/// The other routers of the group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peers {
    /// `srwan.peers/1`.
    pub schema: String,
    /// In order of node number.
    pub peers: Vec<Peer>,
}

/// One other router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Node number.
    pub node: u32,
    /// Name.
    pub name: String,
    /// City.
    pub city: String,
    /// Autonomous system; 0 = unknown.
    pub asn: u32,
    /// `direct`, `relayed` or `down`.
    pub session: String,
    /// The address in use.
    pub address: Option<String>,
    /// Seconds since the last pulse.
    pub pulse_age_s: Option<f64>,
    /// Octets received from it.
    pub rx_bytes: u64,
    /// Octets sent to it.
    pub tx_bytes: u64,
    /// Packets received from it.
    pub rx_packets: u64,
    /// Packets sent to it.
    pub tx_packets: u64,
    /// Handshakes completed: 1 + rekeys.
    pub handshakes: u64,
}

/// One-way delays between all members as this router knows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// `srwan.matrix/1`.
    pub schema: String,
    /// When this was true, RFC 3339, UTC.
    pub time: String,
    /// Row and column order.
    pub members: Vec<MatrixMember>,
    /// **Shape:** `n * n`, row = sender, column = receiver, row-major; `None` = unknown (never zero); diagonal `None`.
    pub cells: Vec<Option<MatrixCell>>,
}

/// A row's and column's head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixMember {
    /// Node number.
    pub node: u32,
    /// Name.
    pub name: String,
    /// City.
    pub city: String,
    /// Two-letter country code.
    pub country: String,
    /// Autonomous system; 0 = unknown.
    pub asn: u32,
    /// Whether its pulses are fresh.
    pub alive: bool,
    /// Price in coins per GB as a decimal string, or `inf`.
    pub price_coins_per_gb: String,
}

/// One directed pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixCell {
    /// One-way delay in microseconds, clock offset removed as far as it is known.
    pub owd_us: i64,
    /// Half-width of what the clocks leave open, in microseconds.
    pub owd_error_us: u64,
    /// One-way delay in microseconds as measured, with the offset of the two clocks.
    pub owd_raw_us: i64,
    /// Mean absolute difference of successive delays, in microseconds.
    pub jitter_us: u64,
    /// Share of lost pulses, 0..=1.
    pub loss: f64,
    /// Age of the measurement in milliseconds.
    pub age_ms: u64,
    /// Gain of the best relayed path over this direct cell in microseconds, if there is one with gain > 0.
    pub gain_us: Option<i64>,
    /// Node numbers of that path's relays.
    pub gain_relays: Vec<u32>,
    /// Whether that gain is more than the switching threshold, max(5 ms, 10 %).
    pub improved: bool,
}

/// Candidate paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paths {
    /// `srwan.paths/1`.
    pub schema: String,
    /// When this was true, RFC 3339, UTC.
    pub time: String,
    /// One entry per endpoint of interest.
    pub endpoints: Vec<EndpointPaths>,
}

/// The candidate paths to one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointPaths {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Its node number.
    pub node: u32,
    /// Prefixes behind it.
    pub prefixes: Vec<String>,
    /// `default` or `engaged`.
    pub mode: String,
    /// Pinned relays' names, if pinned.
    pub pinned: Option<Vec<String>>,
    /// `flows`, `packets` or `copies` if several paths may share the traffic; absent if not.
    pub spread: Option<String>,
    /// The paths that share it.
    #[serde(default)]
    pub shares: Vec<PathShare>,
    /// Forwarding classes, each with a path of its own; none while paths share all traffic.
    #[serde(default)]
    pub classes: Vec<ClassPath>,
    /// Active first, then standby, then by cost.
    pub candidates: Vec<Candidate>,
}

/// Where the packets of a forwarding class go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassPath {
    /// The class.
    pub name: String,
    /// What it wants of paths: `direct-first`, `fastest` or `cheapest`.
    pub prefer: String,
    /// Its code points.
    pub dscp: Vec<u8>,
    /// Names of the relays in order; absent while it takes the default path.
    pub relays: Option<Vec<String>>,
}

/// One of several paths that share the traffic to an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathShare {
    /// Relays' names in order; empty = the direct path.
    pub relays: Vec<String>,
    /// Its weight.
    pub weight: u8,
    /// Its part of the traffic by the weights, in percent; 100 for each path that gets copies.
    pub percent: f64,
    /// Packets sent over it since the router started.
    pub sent_packets: u64,
    /// Octets of them, without headers of the tunnel.
    pub sent_bytes: u64,
}

/// One candidate path (RFC 9256) to an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Relays' names in order; empty = the direct (default) path.
    pub relays: Vec<String>,
    /// Relays' node numbers in order.
    pub relay_nodes: Vec<u32>,
    /// `active`, `standby`, `confirmed`, `candidate` or `excluded`.
    pub state: String,
    /// Sum of the matrix cells in microseconds, clock offset removed as far as known; the *expected* delay.
    pub expected_us: Option<i64>,
    /// Delay measured end to end over this very path in microseconds; the *actual* one.
    pub measured_us: Option<i64>,
    /// Half-width of what the clocks leave open.
    pub owd_error_us: Option<u64>,
    /// Actual minus expected.
    pub residual_us: Option<i64>,
    /// Loss over this path, 0..=1.
    pub loss: Option<f64>,
    /// Jitter in microseconds.
    pub jitter_us: Option<u64>,
    /// Octets per second last seen at the endpoint.
    pub throughput_bps: Option<u64>,
    /// Largest inner packet that the path carries, in octets, if probes found it out.
    pub inner_mtu: Option<u16>,
    /// Price in coins per GB; `0` for the default path.
    pub price_coins_per_gb: String,
    /// `none`, `wanted`, `opening`, `ready`, `refused` or `stalled`.
    pub lane: String,
    /// The rule that chose or excluded it, in words with its figures.
    pub rule: String,
    /// Age of the newest measurement in milliseconds.
    pub age_ms: Option<u64>,
}

/// The decisions about one destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// `srwan.why/1`.
    pub schema: String,
    /// When this was true, RFC 3339, UTC.
    pub time: String,
    /// What was asked.
    pub dest: String,
    /// How the destination resolved: the endpoint, its prefix and geo:ASN tuple.
    pub resolution: String,
    /// The candidates as they stand.
    pub paths: EndpointPaths,
    /// Newest last.
    pub decisions: Vec<Decision>,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When, RFC 3339, UTC.
    pub time: String,
    /// For which forwarding class; absent: for all other traffic.
    #[serde(default)]
    pub class: Option<String>,
    /// Relays' names of the path left; absent = the default path.
    pub from: Option<Vec<String>>,
    /// Relays' names of the path taken; absent = the default path.
    pub to: Option<Vec<String>>,
    /// Stable name of the trigger: `blackout`, `loss`, `delay`, `jitter`, `healed`, `pinned`, `lane`, `better`.
    pub trigger: String,
    /// In words, with figures.
    pub reason: String,
    /// Each candidate as it stood, with the rule that chose or excluded it.
    pub candidates: Vec<Candidate>,
}

/// Force the path to a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Node name, node number or IP address.
    pub dest: String,
    /// Relays' names or numbers in order; empty = the direct path.
    pub via: Vec<String>,
}

/// Stop forcing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpin {
    /// Node name, node number or IP address.
    pub dest: String,
}

/// Probe a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PingRequest {
    /// Node name, node number or IP address.
    pub dest: String,
    /// Relays' names or numbers in order; absent or empty = direct only.
    #[serde(default)]
    pub via: Vec<String>,
    /// How many probes, 1..=100.
    pub count: u32,
    /// Milliseconds between them, 10..=10000.
    pub interval_ms: u64,
}

/// What the probes said: the given path and the direct one side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PingReport {
    /// `srwan.ping/1`.
    pub schema: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The direct path.
    pub direct: PingSide,
    /// The path over `via`, if one was given.
    pub path: Option<PingSide>,
}

/// What the probes over one path said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PingSide {
    /// Relays' names in order.
    pub relays: Vec<String>,
    /// Probes sent.
    pub sent: u32,
    /// Probes answered.
    pub answered: u32,
    /// Forward one-way delay in microseconds: least, median, most. Clock offset removed as far as known.
    pub forward_us: Option<[i64; 3]>,
    /// Reverse one-way delay of the reflections, which take the reflector's own paths.
    pub reverse_us: Option<[i64; 3]>,
    /// Half-width of what the clocks leave open.
    pub error_us: Option<u64>,
    /// Round trip in microseconds: least, median, most (exact, needs no clocks).
    pub rtt_us: Option<[i64; 3]>,
}

/// Coins of this router's account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wallet {
    /// `srwan.wallet/1`.
    pub schema: String,
    /// When this was true, RFC 3339, UTC.
    pub time: String,
    /// Account key, hexadecimal.
    pub account: String,
    /// Free coins, as the ledger last said; absent if it never answered.
    pub balance_coins: Option<String>,
    /// Coins in escrow that no lane holds.
    pub escrow_coins: Option<String>,
    /// Coins that open lanes hold.
    pub lanes_coins: Option<String>,
    /// Earned since the account exists.
    pub earned_coins: String,
    /// Applied since the account exists.
    pub applied_coins: String,
    /// Height of the ledger that this is from.
    pub height: Option<u64>,
    /// Lanes that this router pays for or serves.
    pub lanes: Vec<Lane>,
}

/// One lane as the router sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Lane id, hexadecimal.
    pub lane: String,
    /// `payer`, `relay` or `endpoint`.
    pub role: String,
    /// `opening`, `ready`, `stalled`, `ending`, `settled`.
    pub state: String,
    /// Names along the path, headend and endpoint included.
    pub path: Vec<String>,
    /// Octets counted here.
    pub bytes: u64,
    /// Octets covered by the payer's best receipt.
    pub receipt_bytes: u64,
    /// Octets covered by the endpoint's best delivery.
    pub delivery_bytes: u64,
    /// Octets settled on the ledger.
    pub settled_bytes: u64,
    /// Most that the lane can pay.
    pub cap_coins: String,
}

/// Tickets that this router submitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tickets {
    /// `srwan.tickets/1`.
    pub schema: String,
    /// Newest last.
    pub tickets: Vec<Ticket>,
}

/// One ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// Transaction hash, hexadecimal; the ticket's name.
    pub id: String,
    /// Lane id, hexadecimal.
    pub lane: String,
    /// Names along the path.
    pub path: Vec<String>,
    /// Cumulative octets claimed: the lesser of receipt and delivery.
    pub bytes: u64,
    /// `queued`, `submitted`, `final` or `rejected`.
    pub state: String,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// Coins that it paid to this router.
    pub earned_coins: String,
    /// When it was submitted, RFC 3339, UTC.
    pub time: String,
    /// Height of the block that holds it.
    pub height: Option<u64>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// `srwan.events/1`.
    pub schema: String,
    /// Oldest first; a bounded number is kept.
    pub events: Vec<Event>,
    /// Sequence number to ask after next time.
    pub next: u64,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Rises by one per event of this process.
    pub seq: u64,
    /// When, RFC 3339, UTC.
    pub time: String,
    /// Milliseconds since the router started.
    pub uptime_ms: u64,
    /// Stable name: `joined`, `roster`, `peer_up`, `peer_down`, `matrix_complete`, `engaged`, `returned`, `switched`,
    /// `lane_ready`, `lane_stalled`, `lane_settled`, `reporter`, `controller_down`, `ledger_down`, ...
    pub kind: String,
    /// For people.
    pub text: String,
    /// The endpoint concerned, if one is.
    pub endpoint: Option<String>,
    /// The relays concerned, if a path is.
    pub relays: Option<Vec<String>>,
}

/// What the router changed on its host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// `srwan.host/1`.
    pub schema: String,
    /// Each change in words with the command that would undo it.
    pub changes: Vec<HostChange>,
}

/// One change on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostChange {
    /// `tun`, `rule`, `route`, `nft`, `sysctl`.
    pub kind: String,
    /// What it is.
    pub what: String,
    /// What the kernel counted there; SIDs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<HostCounters>,
}

/// Packets that went by a SID of the kernel's since it was made. Nothing of it is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCounters {
    /// Packets that the SID's behavior was applied to.
    pub packets: u64,
    /// Their octets, outer headers included.
    pub octets: u64,
    /// Packets that did not suit the behavior.
    pub errors: u64,
}
