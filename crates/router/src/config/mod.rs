//! The router's configuration: `router.toml` read in two stages, [`raw`] (what was written) and [`Config`] (checked).
//!
//! Nothing here touches the network. Every refusal names the file, the line and the key.

mod check;
mod class;
pub mod keys;
mod multipath;
pub mod price;
pub mod raw;
pub mod srv6;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use srwan_control::Preference;
use srwan_node::ForwardingClass;
use srwan_node::KeyLife;
use srwan_node::multipath::MultipathRule;
use srwan_wire::id::{AccountKey, NodeKey};
use srwan_wire::roster::{self, Class, Profile};

use crate::fault::{self, Fault};
use price::Price;
pub use raw::XdpMode;
use srv6::Srv6;
use srwan_ledger::amount::Amount;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Shown to people.
    pub name: String,
    /// Absolute; holds keys, receipts, the admin socket.
    pub state_dir: PathBuf,
    /// Where the UDP socket is bound.
    pub listen: SocketAddr,
    /// What peers are told; 1 to `check::ENDPOINTS_MAX`, all different.
    pub endpoints: Vec<SocketAddr>,
    /// Who signs the roster, and where to ask for it.
    pub controller: Controller,
    /// The validator to settle with; `None` = nothing is paid and nothing is billed.
    pub ledger: Option<Ledger>,
    /// Where this router stands.
    pub location: roster::Location,
    /// Autonomous system of the uplink; zero = unknown.
    pub asn: u32,
    /// Prefixes behind this router.
    pub site_prefixes: Vec<IpNet>,
    /// What others' traffic may do here.
    pub egress: Egress,
    /// One-ended prefixes to keep measured.
    pub watch: Vec<IpNet>,
    /// Time between pulses.
    pub pulse_interval: Duration,
    /// How long keys are used.
    pub key_life: KeyLife,
    /// Fast liveness of paths in use.
    pub liveness: Liveness,
    /// When to leave the default path.
    pub policy: Policy,
    /// What wants other paths than the rest.
    pub classes: Vec<ForwardingClass>,
    /// For whom several paths share the traffic.
    pub multipath: Vec<MultipathRule>,
    /// The host's clock.
    pub clock: Clock,
    /// What relaying costs here.
    pub price: Price,
    /// The operator's geo and ASN files.
    pub geo: Geo,
    /// Where the portal listens.
    pub portal_listen: SocketAddr,
    /// The TUN interface.
    pub tun: Tun,
    /// Relaying in the driver.
    pub xdp: Xdp,
    /// The SR domain whose kernel carries unbilled paths; `None` = the overlay carries all.
    pub srv6: Option<Srv6>,
}

/// The controller this router belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// `http://host:port`, without a trailing slash.
    pub url: String,
    /// Signs rosters.
    pub key: AccountKey,
    /// Read once, at the first start.
    pub join_token_file: Option<PathBuf>,
    /// Pause between polls.
    pub poll: Duration,
}

/// The ledger's front door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// `http://host:port` of its validators, without a trailing slash; the first that answers is asked.
    pub urls: Vec<String>,
    /// Locked at start if the account has it.
    pub escrow: Amount,
}

/// One-ended delivery: others' packets leave from this host's own address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Off by default.
    pub enabled: bool,
    /// Sorted, unique, never 25.
    pub ports: Vec<u16>,
}

/// Detection time = interval x misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// Time between probes on the active and the standby path.
    pub interval: Duration,
    /// Probes in a row that may be lost.
    pub misses: u8,
}

/// When a relay path replaces the default path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Smallest absolute gain.
    pub gain_min: Duration,
    /// Smallest relative gain, percent.
    pub gain_min_percent: u8,
    /// Consecutive windows that must agree.
    pub windows: u8,
    /// Length of a window.
    pub window: Duration,
    /// Least time between two switches.
    pub hold_down: Duration,
    /// 0 to 3.
    pub relays_max: u8,
    /// What is wanted of paths.
    pub preference: Preference,
}

/// What is known of this host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Whether something disciplines it.
    pub synchronised: bool,
    /// Bound on its error.
    pub error: Duration,
    /// Test input: milliseconds added to every timestamp that this router writes.
    pub skew_ms: i64,
}

/// The operator's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Geo {
    /// Lines `first,last,asn[,name]`.
    pub asn_csv: Vec<PathBuf>,
    /// Lines `first,last,country,city,lat,lon`.
    pub location_csv: Option<PathBuf>,
}

/// The interface that the kernel hands packets over by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tun {
    /// 1 to 15 characters.
    pub name: String,
    /// Octets, inner packet.
    pub mtu: u16,
}

/// Relaying in the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xdp {
    /// How.
    pub mode: XdpMode,
    /// At which interfaces: none if it is off, else 1 to 16, all different.
    pub interfaces: Vec<String>,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// A [`Fault`] with code `SRW-K001`..`SRW-K005` that names file, line and key.
    pub fn load(path: &Path) -> Result<Self, Fault> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Fault::new(
                fault::CONFIG_UNREADABLE,
                format!("cannot read {}", path.display()),
                error.to_string(),
                "give the path of a readable router.toml with --config",
            )
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// What this router says about itself to the controller and, through the roster, to its peers.
    pub fn profile(&self, node_key: NodeKey, account_key: AccountKey) -> Profile {
        Profile {
            node_key,
            account_key,
            endpoints: self.endpoints.clone(),
            prefixes: self.site_prefixes.clone(),
            location: self.location.clone(),
            asn: self.asn,
            class: Class::Public,
            price: match self.price {
                Price::PerMegabyte(base) => Some(base),
                Price::Infinite => None,
            },
            egress: self.egress.enabled,
            name: self.name.clone(),
        }
    }

    /// Checks the text of a configuration file called `file` in messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, file: &str) -> Result<Self, Fault> {
        let raw = toml::from_str(text).map_err(|error| syntax_fault(text, file, &error))?;
        check::check(raw, &check::Source { text, file })
    }
}

fn syntax_fault(text: &str, file: &str, error: &toml::de::Error) -> Fault {
    let line = error.span().map_or(1, |span| line_of_offset(text, span.start));
    let what = format!("{file}:{line}: {}", error.message());
    let unknown = error.message().strip_prefix("unknown field `");
    match unknown.and_then(|rest| rest.split('`').next()) {
        Some(written) => {
            let fix = keys::nearest(written).map_or_else(
                || "remove the key; docs/operations.md lists every key".to_owned(),
                |known| format!("did you mean `{known}`?"),
            );
            Fault::new(fault::CONFIG_UNKNOWN_KEY, what, "no such key", fix)
        }
        None => Fault::new(
            fault::CONFIG_SYNTAX,
            what,
            "the file is not what a router reads",
            "correct the line; docs/operations.md lists every key with an example",
        ),
    }
}

fn line_of_offset(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
