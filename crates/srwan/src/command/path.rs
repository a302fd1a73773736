//! `srwan path ...`

use crate::exit::Exit;
use crate::output::{Output, ms, ms_with_error, or_dash, table, via};
use clap::Subcommand;
use srwan_api::http::{ApiError, escape};
use srwan_api::router::{Candidate, Decision, EndpointPaths, Paths, Pin, Unpin, Why};
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
    /// Show each candidate with its figures and the rule that chose or excluded it, and the last decisions.
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
            Self::History { dest } => output.answer(&why(&client, &dest)?.decisions, |all| decisions_text(all))?,
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

/// No router has this name or number.
pub fn unknown_node(name: &str) -> ApiError {
    ApiError::new(404, "SRW-R404", format!("no router of the group is called {name}"))
        .why("the signed roster does not list it")
        .fix("srwan router list")
}

fn why(client: &srwan_api::http::BlockingClient, dest: &str) -> Result<Why, ApiError> {
    client.get(&format!("/v1/why?dest={}", escape(dest)))
}

fn paths_text(paths: &Paths) -> String {
    if paths.endpoints.is_empty() {
        return "no endpoint with prefixes is in the group".to_owned();
    }
    paths.endpoints.iter().map(endpoint_text).collect::<Vec<_>>().join("\n\n")
}

fn endpoint_text(paths: &EndpointPaths) -> String {
    let pin = or_dash(paths.pinned.as_ref(), |relays| format!("pinned {}", via(relays)));
    let head = format!(
        "{} (node {}): {}; {}; {pin}",
        paths.endpoint,
        paths.node,
        paths.mode,
        paths.prefixes.join(", ")
    );
    format!("{head}\n{}", candidates_text(&paths.candidates))
}

fn candidates_text(candidates: &[Candidate]) -> String {
    let rows = candidates.iter().map(|c| {
        let error = c.owd_error_us.unwrap_or(0);
        [
            via(&c.relays),
            c.state.clone(),
            or_dash(c.expected_us, |us| ms_with_error(us, error)),
            or_dash(c.measured_us, ms),
            or_dash(c.loss, |loss| format!("{:.1}%", loss * 100.0)),
            c.lane.clone(),
            c.rule.clone(),
        ]
    });
    table(["PATH", "STATE", "EXPECTED", "MEASURED", "LOSS", "LANE", "RULE"], rows)
}

fn why_text(why: &Why) -> String {
    let now = endpoint_text(&why.paths);
    format!("{}: {}\n{now}\n\nlast decisions:\n{}", why.dest, why.resolution, decisions_text(&why.decisions))
}

fn decisions_text(decisions: &[Decision]) -> String {
    let named = |relays: &Option<Vec<String>>| relays.as_ref().map_or_else(|| "default".to_owned(), |r| via(r));
    let one = |d: &Decision| {
        let head = format!("{} {}: {} -> {}: {}", d.time, d.trigger, named(&d.from), named(&d.to), d.reason);
        let indented = candidates_text(&d.candidates).replace('\n', "\n    ");
        format!("{head}\n    {indented}")
    };
    if decisions.is_empty() {
        return "none: the default path was never left".to_owned();
    }
    decisions.iter().map(one).collect::<Vec<_>>().join("\n")
}
