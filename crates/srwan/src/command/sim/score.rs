//! `srwan sim score`: reads measurements, lets [`srwan_sim::score`] judge, shows the tables.

use crate::exit::Exit;
use crate::output::Output;
use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use srwan_sim::score::input::{Ping, Server, Slices, Trace};
use srwan_sim::score::shipped::{self, SHIPPED};
use srwan_sim::score::table::Table;
use srwan_sim::score::{choice, detection, grouping, learning};
use std::path::{Path, PathBuf};

/// Octets of an unpacked file: ten times the largest known.
const UNPACKED_MAX: usize = 256 << 20;

/// `srwan sim score`
#[derive(Args)]
pub struct Score {
    /// Take files of the same formats from this directory; what is not there is not scored.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Score one thing alone.
    #[arg(long, value_enum)]
    only: Option<Part>,
}

/// What is scored.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Changes of segments, against labels.
    Detection,
    /// Paths, against what an oracle would take, and harm.
    Choice,
    /// Who shares a group.
    Grouping,
    /// Forecasts and exploration.
    Learning,
}

/// The answer.
#[derive(Serialize)]
struct Answer {
    schema: &'static str,
    tables: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    note: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    #[serde(skip)]
    markdown: String,
}

impl Score {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let source = Source(self.data);
        let parts = [Part::Detection, Part::Choice, Part::Grouping, Part::Learning];
        let mut tables = Vec::new();
        for part in parts.into_iter().filter(|part| self.only.is_none_or(|only| only == *part)) {
            tables.extend(source.score(part)?);
        }
        let tables = tables.into_iter().map(Shown::from).collect();
        let answer = Answer { schema: "srwan.sim.score/v1", tables };
        output.answer(&answer, |answer| {
            let texts: Vec<&str> = answer.tables.iter().map(|t| t.markdown.as_str()).collect();
            texts.join("\n")
        })?;
        Ok(Exit::Ok)
    }
}

impl From<Table> for Shown {
    fn from(table: Table) -> Self {
        let markdown = table.markdown();
        let Table { name, note, columns, rows } = table;
        Self { name, note, columns, rows, markdown }
    }
}

/// Where files come from: a directory, or this program.
struct Source(Option<PathBuf>);

impl Source {
    fn score(&self, part: Part) -> anyhow::Result<Vec<Table>> {
        match part {
            Part::Detection => {
                let traces = self.parsed(shipped::ATLAS, "atlas_", Trace::parse_all)?;
                Ok(traces.iter().map(|traces| detection::score(traces)).collect())
            }
            Part::Choice => {
                let planetlab = self.parsed(shipped::PLANETLAB, "planetlab_", Slices::parse)?;
                let seattle = self.parsed(shipped::SEATTLE, "seattle_", Slices::parse)?;
                let gain = planetlab.iter().map(choice::score_gain);
                Ok(gain.chain(seattle.iter().map(choice::score_harm)).collect())
            }
            Part::Grouping => self.grouping(),
            Part::Learning => {
                let traces = self.parsed(shipped::ATLAS, "atlas_", Trace::parse_all)?;
                let seattle = self.parsed(shipped::SEATTLE, "seattle_", Slices::parse)?;
                let forecasts = traces.iter().map(|traces| learning::score_forecasts(traces));
                Ok(forecasts.chain(seattle.iter().map(learning::score_bandit)).collect())
            }
        }
    }

    fn grouping(&self) -> anyhow::Result<Vec<Table>> {
        let pings = self.parsed(shipped::PINGS, "wondernetwork_", Ping::parse_all)?;
        let servers = self.parsed(shipped::SERVERS, "wondernetwork_", Server::parse_all)?;
        let (Some(pings), Some(servers)) = (pings, servers) else { return Ok(Vec::new()) };
        Ok(grouping::score(&pings, &servers))
    }

    /// The file with this name, or the only one with its beginning; `None` if there is none.
    fn parsed<T, E: std::error::Error + Send + Sync + 'static>(
        &self,
        name: &str,
        beginning: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> anyhow::Result<Option<T>> {
        let found = match &self.0 {
            None => SHIPPED
                .iter()
                .find(|(shipped, _)| *shipped == name)
                .map(|(name, octets)| (PathBuf::from(name), octets.to_vec())),
            Some(dir) => in_directory(dir, beginning, name.contains("_nodes"))?,
        };
        let Some((path, octets)) = found else { return Ok(None) };
        let shown = path.display().to_string();
        let octets = unpack(&path, octets).with_context(|| format!("unpacking {shown}"))?;
        let text = String::from_utf8(octets).with_context(|| format!("reading {shown}"))?;
        parse(&text).map(Some).with_context(|| format!("reading {shown}"))
    }
}

/// The first file by name that starts so, and is a list of nodes or is none.
fn in_directory(
    dir: &Path,
    beginning: &str,
    is_nodes: bool,
) -> anyhow::Result<Option<(PathBuf, Vec<u8>)>> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| format!("looking into {}", dir.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    names.sort();
    let fits = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(beginning) && name.contains(".csv") && name.contains("_nodes") == is_nodes
    };
    let Some(path) = names.into_iter().find(fits) else { return Ok(None) };
    let octets = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Some((path, octets)))
}

fn unpack(path: &Path, octets: Vec<u8>) -> std::io::Result<Vec<u8>> {
    if path.extension().is_some_and(|extension| extension == "zst") {
        return zstd::bulk::decompress(&octets, UNPACKED_MAX);
    }
    Ok(octets)
}
