//! `srwan doctor`, `srwan host ...`, `srwan portal ...`

use crate::exit::Exit;
use crate::output::{Output, table};
use clap::{Args, Subcommand};
use srwan_api::router::{HealthItem, Host, Status};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Arguments of `doctor`.
#[derive(Args)]
pub struct Doctor {
    /// The router's configuration; without it only the host is checked.
    #[arg(long, env = "SRWAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Doctor {
    /// Checks and prints; exit code 7 if something was found.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let findings = srwan_router::doctor(self.config.as_deref())?;
        output.answer(&findings, |found| findings_text(found))?;
        Ok(if findings.is_empty() { Exit::Ok } else { Exit::Findings })
    }
}

fn findings_text(findings: &[HealthItem]) -> String {
    if findings.is_empty() {
        return "ok: nothing keeps a router from working on this host".to_owned();
    }
    let one = |f: &HealthItem| format!("{}[{}]: {}\n  why: {}\n  fix: {}", f.state, f.code, f.what, f.why, f.fix);
    findings.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// `srwan host ...`
#[derive(Subcommand)]
pub enum HostVerb {
    /// List what the router changed on this host.
    Show,
    /// Undo what a router left behind on this host (a killed router leaves rules and tables, never routes).
    Cleanup,
}

impl HostVerb {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        let host: Host = match self {
            Self::Show => super::router(socket)?.get("/v1/host")?,
            Self::Cleanup => srwan_router::host_cleanup()?,
        };
        output.answer(&host, |host| {
            table(["KIND", "CHANGE"], host.changes.iter().map(|c| [c.kind.clone(), c.what.clone()]))
        })?;
        Ok(Exit::Ok)
    }
}

/// `srwan portal ...`
#[derive(Subcommand)]
pub enum PortalVerb {
    /// Print the address of the router's web page with its one-time token.
    Url,
}

impl PortalVerb {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        let Self::Url = self;
        let status: Status = super::router(socket)?.get("/v1/status")?;
        let listen = status.portal_url.as_deref().and_then(listen_of);
        let token_file = socket.with_file_name("portal.token");
        let url = listen.map(|at| srwan_portal::portal_url(at, &token_file)).transpose()?;
        output.answer(&url, |url| url.clone().unwrap_or_else(|| "the portal is off".to_owned()))?;
        Ok(Exit::Ok)
    }
}

/// The address in `http://ADDRESS:PORT`.
fn listen_of(url: &str) -> Option<SocketAddr> {
    url.trim_start_matches("http://").trim_end_matches('/').parse().ok()
}
