//! `srwan controller ...`

use crate::exit::Exit;
use crate::output::Output;
use crate::text::{or_dash, outline, table};
use anyhow::Context;
use clap::{Args, Subcommand};
use srwan_api::controller::{Groups, Routers};
use srwan_api::http::{self, ApiError, BlockingClient, HttpClient};
use std::path::{Path, PathBuf};

/// Where a controller answers.
#[derive(Args)]
pub struct At {
    /// Address of the controller.
    #[arg(
        long,
        env = "SRWAN_CONTROLLER",
        value_name = "URL",
        default_value = "http://127.0.0.1:7080"
    )]
    url: String,
}

/// Whose operator asks.
#[derive(Args)]
pub struct Of {
    /// The controller's state directory.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/srwan-controller")]
    state_dir: PathBuf,
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
    Key(Of),
    /// Make a join token: each lets one router join.
    Token(Of),
    /// One look at a controller.
    Status(At),
    /// List the groups.
    Group(At),
    /// List the routers of all groups.
    List(At),
    /// Keep a router out of its group, until it is released.
    Quarantine {
        /// Its number.
        node: u32,
        /// Shown to the router's operator.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        of: Of,
    },
    /// Let a quarantined router back in.
    Release {
        /// Its number.
        node: u32,
        #[command(flatten)]
        of: Of,
    },
}

impl ControllerVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Run { config } => srwan_controller::run(&config)?,
            Self::Key(of) => {
                let key = srwan_controller::key_show(&of.state_dir)?;
                output.value("srwan.controller-key/1", "controller_key", &key)?;
            }
            Self::Token(of) => {
                let token = srwan_controller::token_new(&of.state_dir)?;
                output.value("srwan.token/1", "token", &token)?;
            }
            Self::Status(at) => {
                let status: serde_json::Value = super::daemon_at(&at.url)?.get("/v1/status")?;
                output.answer(&status, outline)?;
            }
            Self::Group(at) => {
                output.answer(&super::daemon_at(&at.url)?.get("/v1/groups")?, groups_text)?;
            }
            Self::List(at) => {
                output.answer(&super::daemon_at(&at.url)?.get("/v1/routers")?, routers_text)?;
            }
            Self::Quarantine { node, reason, of } => {
                let body = serde_json::json!({ "reason": reason });
                order(&of.state_dir, &format!("/v1/routers/{node}/quarantine"), &body, output)?;
            }
            Self::Release { node, of } => {
                let body = serde_json::json!({});
                order(&of.state_dir, &format!("/v1/routers/{node}/release"), &body, output)?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn groups_text(groups: &Groups) -> String {
    let rows = groups.groups.iter().map(|group| {
        [
            group.group.to_string(),
            group.members.to_string(),
            group.up.to_string(),
            group.roster_seq.to_string(),
            or_dash(group.reporter, |node| node.to_string()),
            or_dash(group.reported.clone(), |time| time),
        ]
    });
    table(["GROUP", "MEMBERS", "UP", "ROSTER", "REPORTER", "REPORTED"], rows)
}

fn routers_text(routers: &Routers) -> String {
    let rows = routers.routers.iter().map(|router| {
        let state = router.quarantine.as_ref().map_or(&router.health, |state| &state.cause);
        let is_out = router.quarantine.is_some();
        [
            router.node.to_string(),
            router.name.clone(),
            router.group.to_string(),
            if is_out { format!("quarantined ({state})") } else { state.clone() },
            router.location.city.clone(),
            router.asn.to_string(),
            or_dash(router.score, |score| format!("{score}/1000")),
        ]
    });
    table(["NODE", "NAME", "GROUP", "STATE", "CITY", "ASN", "SCORE"], rows)
}

/// Posts what only the operator may: with the token in the state directory, to whoever runs on it.
fn order(
    state_dir: &Path,
    path: &str,
    body: &serde_json::Value,
    output: Output,
) -> anyhow::Result<()> {
    let token_file = state_dir.join("admin.token");
    let token = std::fs::read_to_string(&token_file)
        .with_context(|| format!("cannot read the operator's token {}", token_file.display()))?;
    let url = std::fs::read_to_string(state_dir.join("controller.url")).map_err(|error| {
        ApiError::new(0, http::code::UNREACHABLE, "no controller runs on this state_dir")
            .why(error.to_string())
            .fix("start it: srwan controller run --config FILE")
    })?;
    let client = BlockingClient::new(HttpClient::new(url.trim())?.with_bearer(token.trim()))?;
    let answer: serde_json::Value = client.post(path, body)?;
    output.answer(&answer, outline)
}
