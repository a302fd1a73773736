//! `router.toml` as it was written: every key optional where it has a default, unknown keys refused.
//!
//! This file only names the keys; ranges and meanings are in `check`, the help texts in `keys`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv6Net};

/// The whole file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    pub name: String,
    pub state_dir: PathBuf,
    pub listen: SocketAddr,
    pub endpoints: Vec<SocketAddr>,
    #[serde(default)]
    pub allow_private_endpoints: bool,
    pub controller: RawController,
    pub ledger: Option<RawLedger>,
    #[serde(default)]
    pub location: RawLocation,
    #[serde(default)]
    pub site: RawSite,
    #[serde(default)]
    pub egress: RawEgress,
    #[serde(default)]
    pub destinations: RawDestinations,
    #[serde(default)]
    pub pulse: RawPulse,
    #[serde(default)]
    pub session: RawSession,
    #[serde(default)]
    pub liveness: RawLiveness,
    #[serde(default)]
    pub policy: RawPolicy,
    #[serde(default)]
    pub class: Vec<RawClass>,
    #[serde(default)]
    pub multipath: Vec<RawMultipath>,
    #[serde(default)]
    pub clock: RawClock,
    #[serde(default)]
    pub price: RawPrice,
    #[serde(default)]
    pub geo: RawGeo,
    #[serde(default)]
    pub portal: RawPortal,
    #[serde(default)]
    pub tun: RawTun,
    #[serde(default)]
    pub xdp: RawXdp,
    #[serde(default)]
    pub srv6: RawSrv6,
}

/// `[controller]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawController {
    pub url: String,
    pub key: String,
    pub join_token_file: Option<PathBuf>,
    #[serde(default = "poll_ms")]
    pub poll_ms: u64,
}

/// `[ledger]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawLedger {
    pub url: OneOrMore,
    #[serde(default = "escrow_coins")]
    pub escrow_coins: String,
}

/// One text, or a list of texts.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected an address, or a list of addresses")]
pub enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    /// All of them.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

/// `[location]`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLocation {
    pub city: String,
    pub country: String,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
    pub asn: u32,
}

/// `[site]`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSite {
    pub prefixes: Vec<IpNet>,
}

/// `[egress]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEgress {
    pub enabled: bool,
    pub ports: Vec<u16>,
}

/// `[destinations]`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawDestinations {
    pub watch: Vec<IpNet>,
}

/// `[pulse]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPulse {
    pub interval_ms: u64,
}

/// `[session]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSession {
    pub rekey_s: u64,
}

/// `[liveness]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLiveness {
    pub interval_ms: u64,
    pub misses: u8,
}

/// `[policy]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPolicy {
    pub gain_min_ms: u64,
    pub gain_min_percent: u8,
    pub windows: u8,
    pub window_ms: u64,
    pub hold_down_ms: u64,
    pub relays_max: u8,
    pub prefer: String,
}

/// `[[class]]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawClass {
    pub name: String,
    pub dscp: Vec<RawDscp>,
    #[serde(default = "fastest")]
    pub prefer: String,
}

/// A code point by its number or its name.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum RawDscp {
    Number(u8),
    Name(String),
}

fn fastest() -> String {
    "fastest".to_owned()
}

/// `[[multipath]]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawMultipath {
    pub endpoint: String,
    #[serde(default = "flows")]
    pub mode: String,
    #[serde(default = "two")]
    pub paths: u8,
    #[serde(default)]
    pub via: Vec<Vec<String>>,
    #[serde(default)]
    pub weights: Vec<u8>,
}

/// `[clock]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawClock {
    pub synchronised: bool,
    pub error_us: u64,
    pub skew_ms: i64,
}

/// `[price]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPrice {
    pub coins_per_gb: String,
}

/// `[geo]`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawGeo {
    pub asn_csv: Vec<PathBuf>,
    pub location_csv: String,
}

/// `[portal]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPortal {
    pub listen: SocketAddr,
}

/// `[tun]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTun {
    pub name: String,
    pub mtu: u16,
}

/// `[xdp]`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawXdp {
    pub mode: XdpMode,
    pub interfaces: Vec<String>,
}

/// Whether and where packets are relayed below the router.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// Not at all.
    #[default]
    Off,
    /// By the interface's driver, on single frames. There is no mode for drivers that cannot: the kernel would run the
    /// program after datagrams were coalesced, and bill several as one.
    Native,
}

impl XdpMode {
    /// As written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Native => "native",
        }
    }
}

/// `[srv6]`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSrv6 {
    pub mode: String,
    pub block: Option<Ipv6Net>,
    pub interfaces: Vec<String>,
    pub encaps: String,
    pub next_hop_v4: Option<Ipv4Addr>,
    pub next_hop_v6: Option<Ipv6Addr>,
    pub policies: Vec<RawSrv6Policy>,
    pub underlay: BTreeMap<String, String>,
}

/// One of `srv6.policies`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawSrv6Policy {
    pub prefix: IpNet,
    pub segments: Vec<Ipv6Addr>,
}

fn poll_ms() -> u64 {
    1_000
}

fn flows() -> String {
    "flows".to_owned()
}

fn two() -> u8 {
    2
}

fn escrow_coins() -> String {
    "20".to_owned()
}

/// Web, name service, time, mail submission and retrieval, QUIC: what people use; never 25/tcp.
const EGRESS_PORTS_DEFAULT: [u16; 10] = [80, 443, 53, 123, 853, 465, 587, 993, 5201, 8080];

impl Default for RawEgress {
    fn default() -> Self {
        Self { enabled: false, ports: EGRESS_PORTS_DEFAULT.to_vec() }
    }
}

impl Default for RawPulse {
    fn default() -> Self {
        Self { interval_ms: 10_000 }
    }
}

impl Default for RawSession {
    fn default() -> Self {
        Self { rekey_s: 120 }
    }
}

impl Default for RawLiveness {
    fn default() -> Self {
        Self { interval_ms: 100, misses: 4 }
    }
}

impl Default for RawPolicy {
    fn default() -> Self {
        Self {
            gain_min_ms: 5,
            gain_min_percent: 10,
            windows: 3,
            window_ms: 300,
            hold_down_ms: 10_000,
            relays_max: 3,
            prefer: "direct-first".to_owned(),
        }
    }
}

impl Default for RawClock {
    fn default() -> Self {
        Self { synchronised: true, error_us: 500, skew_ms: 0 }
    }
}

impl Default for RawPrice {
    fn default() -> Self {
        Self { coins_per_gb: "10".to_owned() }
    }
}

impl Default for RawPortal {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7443)) }
    }
}

impl Default for RawTun {
    fn default() -> Self {
        Self { name: "srwan0".to_owned(), mtu: 1380 }
    }
}

impl Default for RawSrv6 {
    fn default() -> Self {
        Self {
            mode: "off".to_owned(),
            block: None,
            interfaces: Vec::new(),
            encaps: "reduced".to_owned(),
            next_hop_v4: None,
            next_hop_v6: None,
            policies: Vec::new(),
            underlay: BTreeMap::new(),
        }
    }
}
