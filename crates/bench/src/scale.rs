//! Full tables: what an idle peer costs in memory, and how fast a destination's tuple is found among a million.
//!
//! Needs no root and no network: peers are real data planes that shake hands with one and are dropped, destinations are
//! lines of a file as an operator supplies them.

mod destinations;
mod peers;

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

pub use destinations::Destinations;
pub use peers::Peers;

/// What to fill.
#[derive(Clone, Debug)]
pub struct Options {
    pub peers: u32,
    pub destinations: usize,
    /// Files of ranges; without any, ranges are drawn.
    pub asn_csv: Vec<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub peers: Peers,
    pub destinations: Destinations,
}

impl Report {
    /// Whether the bounds hold.
    pub fn holds(&self) -> bool {
        self.peers.kib_each <= KIB_EACH_MAX && self.destinations.lookups_per_s.min >= LOOKUPS_MIN
    }
}

/// Measures both.
///
/// **Errors:** a handshake failed, or a file has no ranges.
pub fn run(options: &Options, tell: &dyn Fn(&str)) -> Result<Report> {
    tell(&format!("{} peers", options.peers));
    let peers = peers::measure(options.peers)?;
    tell(&format!("{} destinations", options.destinations));
    let destinations = destinations::measure(&options.asn_csv, options.destinations)?;
    Ok(Report { schema: "srwan.bench-scale/1", peers, destinations })
}

/// The issue's.
pub const KIB_EACH_MAX: f64 = 8.0;
/// The issue's, per second and core.
pub const LOOKUPS_MIN: f64 = 1e6;
