//! `srwan status`

use crate::exit::Exit;
use crate::output::Output;
use crate::text::{labelled, octets, via};
use clap::Args;
use srwan_api::router;
use std::path::Path;
use std::time::Duration;

/// Columns that a name and the spaces after it take.
const NAME_COLUMNS: usize = 11;

/// Arguments of `status`.
#[derive(Args)]
pub struct Status {
    /// Ask again every second until interrupted.
    #[arg(long)]
    watch: bool,
}

impl Status {
    /// Asks and prints.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        let client = super::router(socket)?;
        loop {
            let status: router::Status = client.get("/v1/status")?;
            output.answer(&status, text)?;
            if !self.watch {
                return Ok(exit_of(&status));
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

fn exit_of(status: &router::Status) -> Exit {
    if status.state == "down" { Exit::Failed } else { Exit::Ok }
}

fn text(status: &router::Status) -> String {
    let mut out = String::new();
    let node = status.node.map_or_else(|| "not joined".to_owned(), |n| format!("node {n}"));
    let (uptime_s, version) = (status.uptime_s, &status.version);
    line(&mut out, "router", &format!("{} ({node}), up {uptime_s} s, {version}", status.name));
    line(&mut out, "state", &format!("{}: {}", status.state, status.sentence));
    let cells = format!("{} of {} cells known", status.matrix_known, status.matrix_cells);
    let others = status.members.saturating_sub(1);
    line(&mut out, "group", &format!("{} of {others} peers up, {cells}", status.peers_up));
    for engaged in &status.engaged {
        let way = format!("{} {}", engaged.endpoint, via(&engaged.relays));
        line(&mut out, "path", &format!("{way} since {}: {}", engaged.since, engaged.reason));
    }
    let traffic = [status.relayed_bytes, status.sent_bytes, status.delivered_bytes];
    let [relayed, sent, delivered] = traffic.map(octets);
    line(&mut out, "traffic", &format!("relayed {relayed}, sent {sent}, delivered {delivered}"));
    let (earned, applied) = (&status.earned_coins, &status.applied_coins);
    line(&mut out, "coins", &format!("earned {earned}, applied {applied}"));
    line(&mut out, "controller", &reach(&status.controller));
    line(&mut out, "ledger", &reach(&status.ledger));
    for drop in &status.drops {
        line(&mut out, "dropped", &format!("{} packets: {}", drop.packets, drop.reason));
    }
    for item in &status.health {
        line(&mut out, &item.state, &format!("[{}] {}", item.code, item.what));
        line(&mut out, "      why:", &item.why);
        line(&mut out, "      fix:", &item.fix);
    }
    if let Some(url) = &status.portal_url {
        line(&mut out, "portal", url);
    }
    out
}

fn reach(reachability: &router::Reachability) -> String {
    match &reachability.error {
        Some(error) => format!("{} ({error})", reachability.state),
        None => reachability.state.clone(),
    }
}

fn line(out: &mut String, name: &str, value: &str) {
    out.push_str(&labelled(name, value, NAME_COLUMNS));
    out.push('\n');
}
