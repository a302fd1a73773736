//! `srwan path ...`

use crate::exit::Exit;
use crate::output::Output;
use crate::text::{Noted, indented, ms, ms_with_error, noted_table, octets, or_dash, via};
use clap::Subcommand;
use serde::Serialize;
use srwan_api::http::{ApiError, BlockingClient, escape};
use srwan_api::router::{
    Candidate, ClassPath, Decision, EndpointPaths, PathShare, Paths, Pin, Unpin, Why,
};
use std::path::Path;

/// `srwan path ...`
#[derive(Subcommand)]
pub enum PathVerb {
    /// Show the candidate paths to each endpoint.
    Show,
    /// Show the candidate paths to one destination.
    Get {
        /// Router name, router number or an address.
        dest: String,
    },
    /// Show each candidate with the rule that chose or excluded it, and the last decisions.
    Why {
        /// Router name, router number or an address.
        dest: String,
    },
    /// Show the decisions about one destination.
    History {
        /// Router name, router number or an address.
        dest: String,
    },
    /// Force the path to a destination.
    Pin {
        /// Router name, router number or an address.
        dest: String,
        /// Relays in order, separated by commas; none = the direct path.
        #[arg(long, value_delimiter = ',', value_name = "A,B")]
        via: Vec<String>,
    },
    /// Let the router choose again.
    Unpin {
        /// Router name, router number or an address.
        dest: String,
    },
}

impl PathVerb {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        let client = super::router(socket)?;
        match self {
            Self::Show => output.answer(&client.get::<Paths>("/v1/paths")?, paths_text)?,
            Self::Get { dest } => {
                let paths: Paths = client.get(&format!("/v1/paths?dest={}", escape(&dest)))?;
                output.answer(&paths, paths_text)?;
            }
            Self::Why { dest } => output.answer(&why(&client, &dest)?, why_text)?,
            Self::History { dest } => output.answer(&history(&client, &dest)?, history_text)?,
            Self::Pin { dest, via } => {
                let paths: Paths = client.post("/v1/pin", &Pin { dest, via })?;
                output.answer(&paths, paths_text)?;
            }
            Self::Unpin { dest } => {
                let paths: Paths = client.post("/v1/unpin", &Unpin { dest })?;
                output.answer(&paths, paths_text)?;
            }
        }
        Ok(Exit::Ok)
    }
}

/// The decisions about one destination.
#[derive(Serialize)]
struct History {
    schema: &'static str,
    time: String,
    dest: String,
    decisions: Vec<Decision>,
}

fn history(client: &BlockingClient, dest: &str) -> Result<History, ApiError> {
    let Why { time, dest, decisions, .. } = why(client, dest)?;
    Ok(History { schema: "srwan.path-history/1", time, dest, decisions })
}

fn why(client: &BlockingClient, dest: &str) -> Result<Why, ApiError> {
    client.get(&format!("/v1/why?dest={}", escape(dest)))
}

fn paths_text(paths: &Paths) -> String {
    if paths.endpoints.is_empty() {
        return "no endpoint with prefixes is in the group".to_owned();
    }
    paths.endpoints.iter().map(endpoint_text).collect::<Vec<_>>().join("\n\n")
}

fn endpoint_text(paths: &EndpointPaths) -> String {
    let prefixes = paths.prefixes.join(", ");
    let mut head = format!("{} (node {}): {}; {prefixes}", paths.endpoint, paths.node, paths.mode);
    if let Some(relays) = &paths.pinned {
        head.push_str(&format!("; pinned {}", via(relays)));
    }
    let mut lines = indented(&head, 0);
    lines.extend(paths.spread.as_ref().map(|spread| shares_text(spread, &paths.shares)));
    lines.extend(paths.classes.iter().map(class_text));
    lines.push(candidates_text(&paths.candidates));
    lines.join("\n")
}

fn class_text(class: &ClassPath) -> String {
    let path = class.relays.as_ref().map_or_else(|| "the default path".to_owned(), |r| via(r));
    let points = class.dscp.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    format!("class {} (DSCP {points}; {}): {path}", class.name, class.prefer)
}

/// How several paths share the traffic, a line each.
fn shares_text(spread: &str, shares: &[PathShare]) -> String {
    let line = |share: &PathShare| {
        let (path, percent, weight) = (via(&share.relays), share.percent, share.weight);
        let (packets, sent) = (share.sent_packets, octets(share.sent_bytes));
        format!("  {percent:.0}% {path} (weight {weight}): sent {sent} in {packets} packets")
    };
    let lines = shares.iter().map(line).collect::<Vec<_>>().join("\n");
    format!("shared by {} paths, spread by {spread}:\n{lines}", shares.len())
}

/// Each candidate on a line, the rule that chose or excluded it below.
fn candidates_text(candidates: &[Candidate]) -> String {
    let rows: Vec<Noted> = candidates.iter().map(candidate_row).collect();
    noted_table(&["PATH", "STATE", "EXPECTED", "MEASURED", "LOSS", "MTU", "LANE"], &rows)
}

fn candidate_row(candidate: &Candidate) -> Noted {
    let error_us = candidate.owd_error_us.unwrap_or(0);
    let cells = vec![
        via(&candidate.relays),
        candidate.state.clone(),
        or_dash(candidate.expected_us, |us| ms_with_error(us, error_us)),
        or_dash(candidate.measured_us, ms),
        or_dash(candidate.loss, |loss| format!("{:.1}%", loss * 100.0)),
        or_dash(candidate.inner_mtu, |octets| octets.to_string()),
        candidate.lane.clone(),
    ];
    (cells, candidate.rule.clone())
}

fn why_text(why: &Why) -> String {
    let head = indented(&format!("{}: {}", why.dest, why.resolution), 0).join("\n");
    let (now, past) = (endpoint_text(&why.paths), decisions_text(&why.decisions));
    format!("{head}\n{now}\n\nlast decisions:\n{past}")
}

fn history_text(history: &History) -> String {
    decisions_text(&history.decisions)
}

fn decisions_text(decisions: &[Decision]) -> String {
    if decisions.is_empty() {
        return "none: the default path was never left".to_owned();
    }
    decisions.iter().map(decision_text).collect::<Vec<_>>().join("\n\n")
}

fn decision_text(decision: &Decision) -> String {
    let named = |relays: Option<&Vec<String>>| {
        relays.map_or_else(|| "the default path".to_owned(), |relays| via(relays))
    };
    let (from, to) = (named(decision.from.as_ref()), named(decision.to.as_ref()));
    let class = decision.class.as_ref().map_or_else(String::new, |class| format!(" ({class})"));
    let head = format!("{} {}{class}: {from} -> {to}", decision.time, decision.trigger);
    let mut lines = indented(&head, 0);
    lines.extend(indented(&decision.reason, 2));
    lines.push(candidates_text(&decision.candidates));
    lines.join("\n")
}
