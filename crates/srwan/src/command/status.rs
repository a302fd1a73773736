//! `srwan status`

use crate::exit::Exit;
use crate::output::{Output, octets, via};
use clap::Args;
use srwan_api::router;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

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
    line(&mut out, "router", &format!("{} ({node}), up {} s, {}", status.name, status.uptime_s, status.version));
    line(&mut out, "state", &format!("{}: {}", status.state, status.sentence));
    let cells = format!("{} of {} cells known", status.matrix_known, status.matrix_cells);
    line(&mut out, "group", &format!("{} of {} peers up, {cells}", status.peers_up, status.members.saturating_sub(1)));
    for engaged in &status.engaged {
        let text = format!("{} {} since {}: {}", engaged.endpoint, via(&engaged.relays), engaged.since, engaged.reason);
        line(&mut out, "path", &text);
    }
    let traffic = (octets(status.relayed_bytes), octets(status.sent_bytes), octets(status.delivered_bytes));
    line(&mut out, "traffic", &format!("relayed {}, sent {}, delivered {}", traffic.0, traffic.1, traffic.2));
    line(&mut out, "coins", &format!("earned {}, applied {}", status.earned_coins, status.applied_coins));
    line(&mut out, "controller", &reach(&status.controller));
    line(&mut out, "ledger", &reach(&status.ledger));
    for drop in &status.drops {
        line(&mut out, "dropped", &format!("{} packets: {}", drop.packets, drop.reason));
    }
    for item in &status.health {
        line(&mut out, &item.state, &format!("{}: {}. {} Fix: {}", item.code, item.what, item.why, item.fix));
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
    writeln!(out, "{name:<11}{value}").expect("writing to memory cannot fail");
}
