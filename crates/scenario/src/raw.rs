//! A scenario file as written: every key that may appear, and nothing else.

use serde::Deserialize;
use toml::Spanned;

use super::Way;

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    pub scenario: Spanned<RawHeader>,
    pub ledger: Option<Spanned<RawLedger>>,
    #[serde(default)]
    pub node: Vec<Spanned<RawNode>>,
    #[serde(default)]
    pub link: Vec<Spanned<RawLink>>,
    #[serde(default)]
    pub event: Vec<Spanned<RawEvent>>,
    #[serde(default)]
    pub flow: Vec<Spanned<RawFlow>>,
    #[serde(default)]
    pub expect: Vec<Spanned<RawExpect>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHeader {
    pub name: String,
    #[serde(default)]
    pub title: String,
    #[serde(default = "one")]
    pub seed: u64,
    pub duration_s: f64,
    #[serde(default)]
    pub underlay: RawUnderlay,
    pub mtu: Option<u16>,
    #[serde(default = "yes")]
    pub offload: bool,
    #[serde(default)]
    pub link: RawLink,
    #[serde(default)]
    pub router: RawRouter,
}

/// How the ledger is run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLedger {
    pub validators: usize,
}

fn yes() -> bool {
    true
}

fn one() -> u64 {
    1
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawUnderlay {
    #[default]
    Ipv4,
    Ipv6,
    Dual,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNode {
    pub name: String,
    pub role: RawRole,
    pub city: Option<String>,
    pub asn: Option<u32>,
    pub behind: Option<String>,
    #[serde(default)]
    pub prefixes: Vec<ipnet::IpNet>,
    pub router: Option<RawRouter>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawRole {
    Router,
    Host,
    Web,
    Controller,
    Ledger,
}

/// Settings of a router; in `[scenario]` for all, in `[[node]]` for one.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRouter {
    pub coins_per_gb: Option<String>,
    pub escrow_coins: Option<String>,
    pub skew_ms: Option<i64>,
    pub egress: Option<bool>,
    pub pulse_ms: Option<f64>,
    pub liveness_ms: Option<f64>,
    pub misses: Option<u8>,
    pub hold_down_ms: Option<f64>,
    pub windows: Option<u8>,
    pub window_ms: Option<f64>,
    pub relays_max: Option<u8>,
    pub tun_mtu: Option<u16>,
    pub watch: Option<Vec<ipnet::IpNet>>,
    pub class: Option<Vec<toml::Table>>,
    pub multipath: Option<Vec<toml::Table>>,
}

/// One figure for both directions, or one for `a` to `b` and one for `b` to `a`.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
pub enum OneOrTwo {
    One(f64),
    Two([f64; 2]),
}

/// A link (`a`/`b`: both directions, `from`/`to`: one), or with no ends the default of all links.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLink {
    pub a: Option<String>,
    pub b: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub owd_ms: Option<OneOrTwo>,
    pub jitter_ms: Option<f64>,
    pub loss: Option<f64>,
    pub rate_mbps: Option<f64>,
    pub queue_kb: Option<u64>,
    pub mtu: Option<u16>,
    pub icmp: Option<bool>,
    pub duplicate: Option<f64>,
    pub reorder: Option<f64>,
    pub corrupt: Option<f64>,
    pub blackhole: Option<bool>,
}

/// Something that happens; `do` decides which other keys make sense.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawEvent {
    pub at_s: f64,
    pub r#do: RawVerb,
    pub label: Option<String>,
    pub a: Option<String>,
    pub b: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub node: Option<String>,
    pub flow: Option<String>,
    pub way: Option<Way>,
    pub command: Option<Vec<String>>,
    pub add_ms: Option<f64>,
    pub jitter_ms: Option<f64>,
    pub loss: Option<f64>,
    pub rate_mbps: Option<f64>,
    pub queue_kb: Option<u64>,
    pub mtu: Option<u16>,
    pub icmp: Option<bool>,
    pub duplicate: Option<f64>,
    pub reorder: Option<f64>,
    pub corrupt: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawVerb {
    Congest,
    Fail,
    Heal,
    Cut,
    Kill,
    Stop,
    Pause,
    Resume,
    Start,
    Wipe,
    Exec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFlow {
    pub name: String,
    pub from: String,
    pub to: String,
    pub at_s: f64,
    pub until_s: f64,
    #[serde(default)]
    pub program: RawProgram,
    #[serde(default)]
    pub bulk: RawBulk,
    pub limit_mbps: Option<f64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawProgram {
    #[default]
    Http,
    Curl,
    Iperf3,
    Variety,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawBulk {
    #[default]
    Download,
    Upload,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RawExpect {
    MatrixComplete {
        within_s: f64,
    },
    UsesRelays {
        flow: String,
        after: Option<String>,
        within_s: f64,
        relays_min: Option<u8>,
        #[serde(default)]
        via: Vec<String>,
        #[serde(default)]
        way: Way,
    },
    UsesDefault {
        flow: String,
        after: Option<String>,
        within_s: f64,
        #[serde(default)]
        way: Way,
    },
    Relayed {
        flow: String,
        from_s: f64,
        until_s: f64,
        share_min: Option<f64>,
        #[serde(default)]
        way: Way,
    },
    TcpSurvives {
        flow: String,
        stall_max_s: Option<f64>,
    },
    Intact {
        flow: String,
        lost_max: Option<f64>,
    },
    FlowMoves {
        flow: String,
        after: String,
        within_s: f64,
    },
    Throughput {
        flow: String,
        from_s: f64,
        until_s: f64,
        mbps_min: f64,
    },
    RoundTrip {
        flow: String,
        from_s: f64,
        until_s: f64,
        ms_max: f64,
    },
    Owd {
        from: String,
        to: String,
        owd_ms: f64,
        tolerance_ms: Option<f64>,
    },
    SwitchesAtMost {
        flow: String,
        count: u32,
        #[serde(default)]
        way: Way,
    },
    Failover {
        flow: String,
        p50_s: f64,
        max_s: f64,
        #[serde(default)]
        way: Way,
    },
    CoinsConserved {},
    SettledOnce {},
    LedgersAgree {},
    RelayEarned {
        node: Option<String>,
    },
}
