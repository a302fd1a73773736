//! What came of a run, in the shape of `srwan.bench-net/1`.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

use crate::aims::{Aim, aims};
use crate::contender::{Contender, Paid, SRWAN, Way};
use crate::figures::{Figures, Metric, Spread, spreads};
use crate::measure::Times;
use crate::net::Options;

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub machine: Machine,
    pub settings: Settings,
    /// In the order of tables.
    pub contenders: Vec<Entry>,
    /// What srwan's relay carried and was paid for, if srwan was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<Paid>,
    pub aims: Vec<Aim>,
}

/// Where it ran.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub cpu: String,
    pub kernel: String,
    /// TCP's congestion control, which all contenders' streams use.
    pub congestion_control: String,
}

/// How it ran.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    pub rounds: u32,
    /// `veth`, or `veth-no-offload`.
    pub underlay: &'static str,
    /// Length of each run of TCP streams.
    pub streams_s: u32,
}

/// One contender.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    pub name: &'static str,
    pub what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(flatten)]
    pub state: State,
    pub ways: Vec<WayFigures>,
}

/// What became of a contender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    Measured,
    /// With the command that installs it.
    NotInstalled {
        fix: String,
    },
    /// This machine cannot run it.
    NotAvailable {
        why: String,
    },
    /// It could not be set up, or a turn of it gave no figures.
    Failed {
        why: String,
    },
}

/// One way of a contender.
#[derive(Clone, Debug, Serialize)]
pub struct WayFigures {
    pub way: Way,
    /// Turns that gave figures.
    pub turns: usize,
    /// Why others gave none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    pub figures: BTreeMap<Metric, Figure>,
}

/// A metric over the rounds, and how srwan compares.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figure {
    #[serde(flatten)]
    pub spread: Spread,
    /// How many times better srwan is the same way (for plain forwarding: by relay); above 1 is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srwan_times_better: Option<f64>,
}

/// What a contender gave the run.
pub struct Run {
    pub contender: &'static Contender,
    pub version: Option<String>,
    pub state: State,
    pub turns: BTreeMap<Way, Vec<Figures>>,
    pub failures: BTreeMap<Way, Vec<String>>,
}

/// Medians, by contender, way and metric.
#[derive(Clone, Debug, Default)]
pub struct Medians(BTreeMap<(&'static str, Way), BTreeMap<Metric, Spread>>);

impl Medians {
    /// Of all runs.
    pub fn of(runs: &[Run]) -> Self {
        let of_run = |run: &Run| {
            let name = run.contender.name;
            let ways = run.turns.iter().map(move |(way, turns)| ((name, *way), spreads(turns)));
            ways.collect::<Vec<_>>()
        };
        Self(runs.iter().flat_map(of_run).collect())
    }

    /// One of them.
    pub fn get(&self, name: &'static str, way: Way, metric: Metric) -> Option<f64> {
        self.0.get(&(name, way))?.get(&metric).map(|spread| spread.median)
    }

    fn ways(&self, name: &'static str) -> impl Iterator<Item = (Way, &BTreeMap<Metric, Spread>)> {
        let of_name = self.0.iter().filter(move |((other, _), _)| *other == name);
        of_name.map(|((_, way), spreads)| (*way, spreads))
    }

    fn figure(&self, name: &'static str, way: Way, metric: Metric, spread: Spread) -> Figure {
        let same = if way == Way::Plain { Way::Relay } else { way };
        let ours = self.get(SRWAN, same, metric).filter(|_| name != SRWAN);
        let srwan_times_better = ours.and_then(|ours| metric.times(ours, spread.median));
        Figure { spread, srwan_times_better }
    }
}

impl Report {
    /// Puts the runs together.
    pub fn new(options: &Options, times: Times, runs: Vec<Run>) -> Self {
        let medians = Medians::of(&runs);
        let entry = |run: &Run| Entry {
            name: run.contender.name,
            what: run.contender.what,
            version: run.version.clone(),
            state: run.state.clone(),
            ways: way_figures(&medians, run),
        };
        Self {
            schema: "srwan.bench-net/1",
            machine: Machine::own(),
            settings: Settings {
                rounds: options.rounds,
                underlay: if options.no_offload { "veth-no-offload" } else { "veth" },
                streams_s: times.streams_s,
            },
            contenders: runs.iter().map(entry).collect(),
            relay: None,
            aims: aims(&medians),
        }
    }

    /// Whether all that could be measured were.
    pub fn is_whole(&self) -> bool {
        !self.contenders.iter().any(|entry| matches!(entry.state, State::Failed { .. }))
    }

    /// A contender's figure, if it has it.
    pub fn figure(&self, name: &str, way: Way, metric: Metric) -> Option<Figure> {
        let entry = self.contenders.iter().find(|entry| entry.name == name)?;
        let ways = entry.ways.iter().find(|figures| figures.way == way)?;
        ways.figures.get(&metric).copied()
    }
}

fn way_figures(medians: &Medians, run: &Run) -> Vec<WayFigures> {
    let name = run.contender.name;
    let figures = |way: Way, spreads: &BTreeMap<Metric, Spread>| WayFigures {
        way,
        turns: run.turns.get(&way).map_or(0, Vec::len),
        failures: run.failures.get(&way).cloned().unwrap_or_default(),
        figures: spreads
            .iter()
            .map(|(metric, spread)| (*metric, medians.figure(name, way, *metric, *spread)))
            .collect(),
    };
    medians.ways(name).map(|(way, spreads)| figures(way, spreads)).collect()
}

impl Machine {
    fn own() -> Self {
        let told = |file| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split_once(':')).map_or("", |(_, name)| name);
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: model.trim().to_owned(),
            kernel: told("/proc/sys/kernel/osrelease"),
            congestion_control: told("/proc/sys/net/ipv4/tcp_congestion_control"),
        }
    }
}
