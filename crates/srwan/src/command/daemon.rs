//! Running the roles.

use crate::exit::Exit;
use crate::output::{Output, table};
use anyhow::Context;
use clap::{Args, Subcommand};
use srwan_api::router::{Peers, Status};
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
            Self::List => list(socket, output, None)?,
            Self::Show { router } => list(socket, output, Some(&router))?,
            Self::Drain => drain(socket, output)?,
        }
        Ok(Exit::Ok)
    }
}

fn list(socket: &Path, output: Output, only: Option<&str>) -> anyhow::Result<()> {
    let mut peers: Peers = super::router(socket)?.get("/v1/peers")?;
    if let Some(wanted) = only {
        peers.peers.retain(|p| p.name == wanted || p.node.to_string() == wanted);
        if peers.peers.is_empty() {
            return Err(super::path::unknown_node(wanted).into());
        }
    }
    output.answer(&peers, |peers| {
        let rows = peers.peers.iter().map(|p| {
            let age = crate::output::or_dash(p.pulse_age_s, |age| format!("{age:.1}s"));
            let (rx, tx) = (crate::output::octets(p.rx_bytes), crate::output::octets(p.tx_bytes));
            [p.node.to_string(), p.name.clone(), p.city.clone(), p.session.clone(), age, rx, tx]
        });
        table(["NODE", "NAME", "CITY", "SESSION", "PULSE", "RECEIVED", "SENT"], rows)
    })
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

/// `srwan controller ...`
#[derive(Subcommand)]
pub enum ControllerVerb {
    /// Run a controller until SIGTERM.
    Run {
        /// Configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/srwan/controller.toml")]
        config: PathBuf,
    },
    /// Print the controller's public key, which routers are configured with.
    Key {
        /// The controller's state directory.
        #[arg(long, value_name = "DIR", default_value = "/var/lib/srwan-controller")]
        state_dir: PathBuf,
    },
    /// Make a join token: each lets one router join.
    Token {
        /// The controller's state directory.
        #[arg(long, value_name = "DIR", default_value = "/var/lib/srwan-controller")]
        state_dir: PathBuf,
    },
    /// List the groups.
    Group {
        /// Address of the controller.
        #[arg(long, env = "SRWAN_CONTROLLER", value_name = "URL", default_value = "http://127.0.0.1:7080")]
        url: String,
    },
}

impl ControllerVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Run { config } => srwan_controller::run(&config)?,
            Self::Key { state_dir } => println!("{}", srwan_controller::key_show(&state_dir)?),
            Self::Token { state_dir } => println!("{}", srwan_controller::token_new(&state_dir)?),
            Self::Group { url } => groups(&url, output)?,
        }
        Ok(Exit::Ok)
    }
}

fn groups(url: &str, output: Output) -> anyhow::Result<()> {
    let client = srwan_api::http::BlockingClient::new(srwan_api::http::HttpClient::new(url)?)
        .context("starting the client")?;
    let groups: serde_json::Value = client.get("/v1/groups")?;
    output.answer(&groups, |groups| serde_json::to_string_pretty(groups).unwrap_or_default())
}
