//! `srwan host ...`

use crate::exit::Exit;
use crate::output::Output;
use crate::text::table;
use clap::Subcommand;
use srwan_api::router::{Host, HostChange};
use srwan_router::host;
use std::path::Path;

/// `srwan host ...`
#[derive(Subcommand)]
pub enum HostVerb {
    /// List what a router changed on this host, also when none runs.
    Show,
    /// Undo what a router left behind (a killed router leaves rules and tables, never routes).
    Cleanup,
}

impl HostVerb {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        let is_cleanup = matches!(self, Self::Cleanup);
        let host = match (self, super::router(socket)) {
            (Self::Show, Ok(client)) => client.get("/v1/host")?,
            (Self::Show | Self::Cleanup, _) => look(socket)?,
        };
        if is_cleanup {
            host::cleanup(state_dir(socket))?;
        }
        output.answer(&host, |host| text(host, is_cleanup))?;
        Ok(Exit::Ok)
    }
}

/// What is there, without a router that could be asked.
fn look(socket: &Path) -> anyhow::Result<Host> {
    let changes = host::show(state_dir(socket))?.into_iter();
    let changes = changes.map(HostChange::from);
    Ok(Host { schema: "srwan.host/1".into(), changes: changes.collect() })
}

/// The socket stands in the state directory, which holds what the switches were before.
fn state_dir(socket: &Path) -> &Path {
    socket.parent().unwrap_or(Path::new("/"))
}

fn text(host: &Host, is_cleanup: bool) -> String {
    if host.changes.is_empty() {
        return "nothing on this host belongs to srwan".to_owned();
    }
    let head = if is_cleanup { "UNDONE" } else { "CHANGE" };
    table(["KIND", head], host.changes.iter().map(|c| [c.kind.clone(), what(c)]))
}

fn what(change: &HostChange) -> String {
    let HostChange { what, counters, .. } = change;
    counters.map_or_else(
        || what.clone(),
        |n| format!("{what}; {} packets, {} octets, {} errors", n.packets, n.octets, n.errors),
    )
}
