//! What a run must show: a small closed set of conditions, each of which prints its figures.

use std::time::Duration;

use serde::Deserialize;

use super::NodeName;

/// One condition of success.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// Line of the file, for messages.
    pub line: usize,
    pub kind: ExpectKind,
}

/// The conditions there are. Times count from the moment all routers are ready.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectKind {
    /// Every router has a figure for every pair of routers.
    MatrixComplete { within: Duration },
    /// The flow's headend sends it over relays, soon enough after an event.
    UsesRelays {
        flow: String,
        after: Option<String>,
        within: Duration,
        relays_min: u8,
        via: Vec<NodeName>,
        way: Way,
    },
    /// The flow's headend sends it over the default path, soon enough after an event.
    UsesDefault { flow: String, after: Option<String>, within: Duration, way: Way },
    /// The flow's headend sends it over relays for this share of a window.
    Relayed { flow: String, window: Window, share_min: f64, way: Way },
    /// The flow's TCP connection lives from start to end, never silent for longer than this.
    TcpSurvives { flow: String, stall_max: Option<Duration> },
    /// Of every kind of packet that the flow sent, no packet was damaged and at most this share was lost.
    Intact { flow: String, lost_max: f64 },
    /// Bytes of the flow arrive again, soon enough after an event.
    FlowMoves { flow: String, after: String, within: Duration },
    /// Mean throughput in a window.
    Throughput { flow: String, window: Window, mbps_min: f64 },
    /// Median round trip, as a TCP echo beside the flow sees it, in a window.
    RoundTrip { flow: String, window: Window, ms_max: f64 },
    /// A cell of the matrix is near this value at the end.
    Owd { from: NodeName, to: NodeName, owd: Duration, tolerance: Duration },
    /// Path changes of the flow's headend, over the whole run.
    SwitchesAtMost { flow: String, count: u32, way: Way },
    /// After each cut of the flow's path its headend uses another: median and most over all cuts.
    Failover { flow: String, way: Way, p50: Duration, max: Duration },
    /// The sum of all coins is at the end what it was at the start.
    CoinsConserved,
    /// What tickets settled joins without a gap or an overlap in every lane, and is what the lane paid.
    SettledOnce,
    /// All validators are at the same height with the same state, once nothing is on its way.
    LedgersAgree,
    /// A router was paid for relaying: this one, or any.
    RelayEarned { node: Option<NodeName> },
}

/// A stretch of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Duration,
    pub until: Duration,
}

/// Which direction of a flow is meant; each has its own headend and its own path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// The direction most bytes take.
    #[default]
    Bulk,
    /// From the node that starts the flow.
    There,
    /// From the node that answers it.
    Back,
}

impl ExpectKind {
    /// The word a scenario file uses.
    pub fn word(&self) -> &'static str {
        match self {
            Self::MatrixComplete { .. } => "matrix-complete",
            Self::UsesRelays { .. } => "uses-relays",
            Self::UsesDefault { .. } => "uses-default",
            Self::Relayed { .. } => "relayed",
            Self::TcpSurvives { .. } => "tcp-survives",
            Self::Intact { .. } => "intact",
            Self::FlowMoves { .. } => "flow-moves",
            Self::Throughput { .. } => "throughput",
            Self::RoundTrip { .. } => "round-trip",
            Self::Owd { .. } => "owd",
            Self::SwitchesAtMost { .. } => "switches-at-most",
            Self::Failover { .. } => "failover",
            Self::CoinsConserved => "coins-conserved",
            Self::SettledOnce => "settled-once",
            Self::LedgersAgree => "ledgers-agree",
            Self::RelayEarned { .. } => "relay-earned",
        }
    }
}
