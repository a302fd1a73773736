//! Running a router, and asking about the routers of its group.

use crate::exit::Exit;
use crate::output::Output;
use crate::problem::code;
use crate::text::{octets, or_dash, table};
use clap::{Args, Subcommand};
use srwan_api::http::ApiError;
use srwan_api::router::{Peer, Peers, Status};
use std::path::{Path, PathBuf};

/// Where a router's configuration is unless told.
const ROUTER_CONFIG: &str = "/etc/srwan/router.toml";

/// Arguments of `up` and `router run`.
#[derive(Args)]
pub struct Up {
    /// Configuration file.
    #[arg(long, env = "SRWAN_CONFIG", value_name = "FILE", default_value = ROUTER_CONFIG)]
    config: PathBuf,
}

impl Up {
    /// Runs the router until it is told to stop.
    pub fn run(self) -> anyhow::Result<Exit> {
        srwan_router::run(&self.config)?;
        Ok(Exit::Ok)
    }
}

/// `srwan router ...`
#[derive(Subcommand)]
pub enum RouterVerb {
    /// Run a segment router until SIGTERM.
    Run(Up),
    /// List the routers of the group.
    List,
    /// Show one router of the group.
    Show {
        /// Its name or number.
        router: String,
    },
    /// Stop relaying for others, settle, keep measuring.
    Drain,
}

impl RouterVerb {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Run(up) => return up.run(),
            Self::List => output.answer(&peers(socket)?, list_text)?,
            Self::Show { router } => show(socket, &router, output)?,
            Self::Drain => drain(socket, output)?,
        }
        Ok(Exit::Ok)
    }
}

fn peers(socket: &Path) -> anyhow::Result<Peers> {
    Ok(super::router(socket)?.get("/v1/peers")?)
}

fn show(socket: &Path, wanted: &str, output: Output) -> anyhow::Result<()> {
    let mut all = peers(socket)?;
    all.peers.retain(|peer| peer.name == wanted || peer.node.to_string() == wanted);
    if all.peers.is_empty() {
        return Err(unknown_router(wanted).into());
    }
    output.answer(&all, |all| all.peers.iter().map(peer_text).collect::<Vec<_>>().join("\n"))
}

fn list_text(all: &Peers) -> String {
    let rows = all.peers.iter().map(|peer| {
        [
            peer.node.to_string(),
            peer.name.clone(),
            peer.city.clone(),
            peer.session.clone(),
            or_dash(peer.pulse_age_s, |age| format!("{age:.1}s")),
            octets(peer.rx_bytes),
            octets(peer.tx_bytes),
        ]
    });
    table(["NODE", "NAME", "CITY", "SESSION", "PULSE", "RECEIVED", "SENT"], rows)
}

fn peer_text(peer: &Peer) -> String {
    format!(
        "router    {} (node {})\ncity      {}, AS {}\nsession   {} at {}\npulse     {} ago\n\
         received  {} in {} packets\nsent      {} in {} packets\nhandshakes {}",
        peer.name,
        peer.node,
        peer.city,
        peer.asn,
        peer.session,
        peer.address.as_deref().unwrap_or("-"),
        or_dash(peer.pulse_age_s, |age| format!("{age:.1}s")),
        octets(peer.rx_bytes),
        peer.rx_packets,
        octets(peer.tx_bytes),
        peer.tx_packets,
        peer.handshakes,
    )
}

fn unknown_router(name: &str) -> ApiError {
    let what = format!("no other router of the group is called {name}");
    ApiError::new(404, code::NO_SUCH_ROUTER, what)
        .why("the signed roster does not list it")
        .fix("srwan router list")
}

fn drain(socket: &Path, output: Output) -> anyhow::Result<()> {
    let status: Status = super::router(socket)?.post("/v1/drain", &serde_json::json!({}))?;
    output.answer(&status, |status| status.sentence.clone())
}

/// `srwan down`: asks the router behind `socket` to settle and to end.
pub fn down(socket: &Path, output: Output) -> anyhow::Result<Exit> {
    let status: Status = super::router(socket)?.post("/v1/shutdown", &serde_json::json!({}))?;
    output.answer(&status, |status| format!("{} is settling its lanes and ends", status.name))?;
    Ok(Exit::Ok)
}
