//! The whole run: everybody is set up once, then measured in turns, round after round, so that drift hits all alike.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use srwan_lab::problem::{Code, Problem};

use crate::contender::{
    CONTENDERS, Contender, FORWARDING, SCENARIO, SRWAN, Standing, Way, paid, stand_plain,
};
use crate::figures::Figures;
use crate::measure::{self, Times, Turn};
use crate::programs::{ETHTOOL, IPERF3, Programs};
use crate::report::{Report, Run, State};
use crate::testbed::TestBed;
use crate::topology::End;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    pub rounds: u32,
    /// Names of contenders; empty = all.
    pub contenders: Vec<String>,
    /// Ways that are measured; empty = all.
    pub ways: Vec<Way>,
    /// Short measures.
    pub quick: bool,
    /// All offloads of all veth devices are off, for everything.
    pub no_offload: bool,
    /// Leave the daemons' logs.
    pub keep_logs: bool,
    /// A folder, or one with a `bin` folder, that is searched for programs before all others.
    pub programs: Option<PathBuf>,
}

/// A contender in this run.
struct Entry {
    contender: &'static Contender,
    state: State,
    standings: Vec<Standing>,
    /// By way: what its turns gave, and why others gave nothing.
    turns: BTreeMap<Way, Vec<Figures>>,
    failures: BTreeMap<Way, Vec<String>>,
}

/// Runs everything. `tell` is given a line about what happens.
///
/// **Errors** with a [`Problem`] if there is nothing to measure with, or the run was interrupted. A contender that
/// fails is a state in the report.
pub fn run(options: &Options, tell: &dyn Fn(&str)) -> Result<Report> {
    let chosen = chosen(&options.contenders)?;
    let programs = Programs::new(options.programs.as_deref());
    for program in [IPERF3, ETHTOOL] {
        programs.need(program)?;
    }
    let mut bed = TestBed::claim(SCENARIO, programs, options.keep_logs)?;
    let report = take_turns(&mut bed, chosen, options, tell);
    let is_interrupted = bed.is_interrupted();
    tell("removing everything");
    drop(bed);
    if is_interrupted { Err(interrupted().into()) } else { report }
}

fn take_turns(
    bed: &mut TestBed,
    chosen: Vec<&'static Contender>,
    options: &Options,
    tell: &dyn Fn(&str),
) -> Result<Report> {
    let plain = plain(bed)?;
    let mut entries = raise_all(bed, chosen, options, tell)?;
    for round in 0..options.rounds {
        take_round(bed, &mut entries, (&plain, options), &|line| {
            tell(&format!("round {} of {}: {line}", round + 1, options.rounds));
        })?;
    }
    let version = |entry: &Entry| version(bed, entry.contender);
    let runs = entries.iter().map(|entry| entry.run(version(entry))).collect();
    let mut report = Report::new(options, times(options), runs);
    if entries.iter().any(|entry| entry.contender.name == SRWAN && !entry.standings.is_empty()) {
        report.relay = Some(paid(bed)?);
    }
    Ok(report)
}

fn interrupted() -> Problem {
    Problem {
        code: Code::Interrupted,
        what: "the measurement is not done".to_owned(),
        why: "it was interrupted; everything that it made is removed".to_owned(),
        fix: "start it again, with --quick or fewer contenders if it takes too long".to_owned(),
    }
}

/// Sets everybody up and leaves it so until somebody wants it to end: for a look around, or a profile.
///
/// Where ways share a topology, packets go the last of them.
///
/// **Errors:** as [`run`]; and if a contender cannot be set up.
pub fn hold(options: &Options, tell: &dyn Fn(&str)) -> Result<()> {
    let chosen = chosen(&options.contenders)?;
    let programs = Programs::new(options.programs.as_deref());
    let mut bed = TestBed::claim(SCENARIO, programs, options.keep_logs)?;
    for entry in raise_all(&mut bed, chosen, options, tell)? {
        if let State::Failed { why } = &entry.state {
            anyhow::bail!("{}: {why}", entry.contender.name);
        }
        for standing in &entry.standings {
            measure::prepare(&bed, standing)?;
            tell(&format!(
                "{} {}: {}",
                entry.contender.name,
                standing.way.word(),
                look(&bed, standing)?
            ));
        }
    }
    tell("all stand; end it with Ctrl-C");
    while !bed.is_interrupted() {
        std::thread::sleep(HOLD_LOOK);
    }
    Ok(())
}

/// How to send something this way by hand.
fn look(bed: &TestBed, standing: &Standing) -> Result<String> {
    let place = bed.place().netns(&standing.topology.node(End::A)?);
    let netns = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (source, target) = (standing.source, standing.target);
    let processes = &standing.daemons.all;
    Ok(format!("ip netns exec {netns} iperf3 -c {target} -B {source}; processes {processes:?}"))
}

fn raise_all(
    bed: &mut TestBed,
    chosen: Vec<&'static Contender>,
    options: &Options,
    tell: &dyn Fn(&str),
) -> Result<Vec<Entry>> {
    let raise = |contender: &'static Contender| {
        tell(&format!("setting up {}", contender.name));
        Entry::raise(bed, contender, options)
    };
    chosen.into_iter().map(raise).collect()
}

fn times(options: &Options) -> Times {
    if options.quick { Times::QUICK } else { Times::FULL }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Contender>, Problem> {
    if names.is_empty() {
        return Ok(CONTENDERS.iter().collect());
    }
    names.iter().map(|name| Contender::named(name).ok_or_else(|| unknown(name))).collect()
}

fn unknown(name: &str) -> Problem {
    let known: Vec<&str> = CONTENDERS.iter().map(|contender| contender.name).collect();
    Problem {
        code: Code::NoSuchContender,
        what: format!("no contender is called `{name}`"),
        why: format!("there are: {}", known.join(", ")),
        fix: "name some of these with --contender, separated by commas".to_owned(),
    }
}

/// Plain forwarding on a topology of its own: what all round trips are paired with.
fn plain(bed: &mut TestBed) -> Result<Standing> {
    let plain = stand_plain(bed, "pair")?;
    measure::prepare(bed, &plain)?;
    Ok(plain)
}

fn take_round(
    bed: &TestBed,
    entries: &mut [Entry],
    (plain, options): (&Standing, &Options),
    tell: &dyn Fn(&str),
) -> Result<()> {
    for entry in entries {
        for place in 0..entry.standings.len() {
            let way = entry.standings[place].way;
            if entry.failures.get(&way).is_some_and(|failed| failed.len() >= FAILURES_MAX) {
                continue;
            }
            tell(&format!("{} {}", entry.contender.name, way.word()));
            let turn = Turn {
                times: times(options),
                plain,
                bare: !options.no_offload && is_bare(entry.contender, way),
            };
            let standing = &entry.standings[place];
            let figures = measure::prepare(bed, standing)
                .and_then(|()| measure::measure(bed, standing, &turn));
            anyhow::ensure!(!bed.is_interrupted(), "interrupted");
            match figures {
                Ok(figures) => entry.turns.entry(way).or_default().push(figures),
                Err(error) => {
                    tell(&format!("{} {} failed: {error:#}", entry.contender.name, way.word()));
                    entry.failures.entry(way).or_default().push(format!("{error:#}"));
                }
            }
        }
    }
    Ok(())
}

/// Whose one stream is also measured without offloads: the aim's three.
fn is_bare(contender: &Contender, way: Way) -> bool {
    let is_named = [SRWAN, FORWARDING, "gotatun"].contains(&contender.name);
    is_named && (way == Way::Relay || way == Way::Plain)
}

fn version(bed: &TestBed, contender: &Contender) -> Option<String> {
    if contender.name == SRWAN {
        return Some(env!("CARGO_PKG_VERSION").to_owned());
    }
    let product = contender.programs.first().filter(|_| !contender.version_flag.is_empty())?;
    bed.programs().version(*product, contender.version_flag)
}

impl Entry {
    /// Sets a contender up if it can be; a failure is a state, an interruption is an error.
    fn raise(bed: &mut TestBed, contender: &'static Contender, options: &Options) -> Result<Self> {
        let (turns, failures) = (BTreeMap::new(), BTreeMap::new());
        let mut entry =
            Self { contender, state: State::Measured, standings: Vec::new(), turns, failures };
        if let Some(program) = contender.missing(bed.programs()) {
            entry.state = State::NotInstalled { fix: program.install.to_owned() };
            return Ok(entry);
        }
        if let Some(why) = (contender.lacks)(bed) {
            entry.state = State::NotAvailable { why };
            return Ok(entry);
        }
        match stand(bed, contender, options) {
            Ok(standings) => entry.standings = standings,
            Err(error) if bed.is_interrupted() => return Err(error),
            Err(error) => entry.state = State::Failed { why: format!("{error:#}") },
        }
        Ok(entry)
    }

    fn run(&self, version: Option<String>) -> Run {
        // A way of which some turns failed has figures; one that has none is a failure.
        let without = self.failures.iter().find(|(way, _)| !self.turns.contains_key(way));
        let failed = without.and_then(|(way, why)| Some((way.word(), why.first()?)));
        let state = failed.map_or_else(
            || self.state.clone(),
            |(way, why)| State::Failed { why: format!("{way}: {why}") },
        );
        let (contender, turns) = (self.contender, self.turns.clone());
        Run { contender, version, state, turns, failures: self.failures.clone() }
    }
}

/// Sets a contender up, with iperf3 at each B.
fn stand(bed: &mut TestBed, contender: &Contender, options: &Options) -> Result<Vec<Standing>> {
    let mut standings = (contender.raise)(bed)?;
    standings.retain(|standing| options.ways.is_empty() || options.ways.contains(&standing.way));
    let mut served: Vec<&Standing> = Vec::new();
    for standing in &standings {
        if !served.iter().any(|other| Rc::ptr_eq(&other.topology, &standing.topology)) {
            measure::start_server(bed, &standing.topology)?;
            served.push(standing);
        }
        if options.no_offload {
            standing.topology.set_offloads(bed, false)?;
        }
    }
    Ok(standings)
}

/// Failed turns after which a way has no more: each may cost half a minute of waiting.
const FAILURES_MAX: usize = 2;
/// How soon an interruption is noticed.
const HOLD_LOOK: Duration = Duration::from_millis(100);
