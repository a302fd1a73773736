//! `srwan sim run`

use super::swarm;
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::code;
use anyhow::Context;
use clap::Args;
use serde_json::json;
use srwan_api::http::ApiError;
use srwan_scenario::{Scenario, ScenarioError, report, shipped};
use srwan_sim::story::refusal::Refusal;
use srwan_sim::story::{Line, Story, Told, page};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `sim run`.
#[derive(Args)]
pub struct Run {
    /// A scenario that comes with the program, a file with one, or `swarm`: many seeds, each of which draws its own.
    #[arg(value_name = "SCENARIO|FILE|swarm")]
    scenario: String,
    /// Seed of every draw; as the file says if left out. Of a swarm: the first, and the only one without `--seeds`.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds a swarm runs; 600 if left out.
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Write a page with paths, delays, failovers and coins over time.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// What is not a scenario, but draws them.
const SWARM: &str = "swarm";

/// Lines are printed after each stretch of the story, so that a long one shows that it goes on.
const STRETCH: Duration = Duration::from_secs(1);

impl Run {
    /// Runs the story, prints it, and judges.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        if self.scenario == SWARM {
            return swarm::run(self.seed, self.seeds, output);
        }
        if self.seeds.is_some() {
            return Err(one_seed(&self.scenario).into());
        }
        let scenario = read(&self.scenario)?;
        let seed = self.seed.unwrap_or(scenario.seed);
        let mut story =
            Story::new(&scenario, seed).map_err(|refusal| refused(&self.scenario, &refusal))?;
        let begun = Instant::now();
        let mut until = STRETCH;
        while story.run(until) {
            print(story.take_lines(), output)?;
            until += STRETCH;
        }
        print(story.take_lines(), output)?;
        let told = story.finish();
        self.write_report(&told, seed)?;
        let run = Finished { told: &told, seed, took: begun.elapsed() };
        run.print(output)?;
        Ok(if told.holds() { Exit::Ok } else { Exit::Failed })
    }

    fn write_report(&self, told: &Told, seed: u64) -> anyhow::Result<()> {
        let Some(file) = &self.report else { return Ok(()) };
        let page = page::html(told, seed, &told.audit);
        std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))
    }
}

struct Finished<'a> {
    told: &'a Told,
    seed: u64,
    took: Duration,
}

impl Finished<'_> {
    fn print(&self, output: Output) -> anyhow::Result<()> {
        let Told { scenario, record, verdicts, audit, .. } = self.told;
        let mut out = io::stdout();
        if output.json {
            let mut report = report::json("srwan.sim.report/1", scenario, record, verdicts);
            (report["seed"], report["audit"]) = (json!(self.seed), json!(audit));
            writeln!(out, "{report}")?;
        } else {
            write!(out, "{}", report::text(scenario, record, verdicts))?;
            writeln!(out, "audit   {audit} (seed {})", self.seed)?;
        }
        let times = scenario.duration.as_secs_f64() / self.took.as_secs_f64().max(1e-9);
        let sentence = if self.told.holds() {
            "all expectations held"
        } else {
            "FAILED: at least one expectation did not hold"
        };
        let took = self.took.as_secs_f64();
        output.progress(&format!("{sentence}; {took:.1} s, {times:.0} times as fast as life"));
        Ok(())
    }
}

fn print(lines: Vec<Line>, output: Output) -> anyhow::Result<()> {
    let mut out = io::stdout();
    for line in lines {
        let seconds = line.at.as_secs_f64();
        if output.json {
            let object = json!({"line": line.kind, "t_s": seconds, "text": line.text});
            writeln!(out, "{object}")?;
        } else {
            writeln!(out, "{seconds:>7.2}s {:6} {}", line.kind, line.text)?;
        }
    }
    Ok(())
}

/// A scenario by its name, or from a file.
fn read(name: &str) -> anyhow::Result<Scenario> {
    let text = match shipped().iter().find(|(shipped, _)| *shipped == name) {
        Some((_, text)) => (*text).to_owned(),
        None if name.contains(['/', '.']) => std::fs::read_to_string(Path::new(name))
            .with_context(|| format!("cannot read {name}"))?,
        None => return Err(unknown(name).into()),
    };
    Scenario::parse(&text).map_err(|mistake| wrong(name, &mistake).into())
}

fn one_seed(name: &str) -> ApiError {
    ApiError::new(0, code::BAD_SCENARIO, "--seeds is for the swarm alone")
        .why(format!("`{name}` is one story; each run of it has one seed"))
        .fix(format!("srwan sim run {name} --seed N, or srwan sim run swarm --seeds N"))
}

fn unknown(name: &str) -> ApiError {
    let names: Vec<&str> = shipped().iter().map(|(name, _)| *name).collect();
    ApiError::new(404, code::NO_SUCH_SCENARIO, format!("no scenario is called `{name}`"))
        .why(format!("there are: {}", names.join(", ")))
        .fix("name one of them, or a file: ./my.toml")
}

fn wrong(name: &str, mistake: &ScenarioError) -> ApiError {
    let line = mistake.line.map_or(String::new(), |line| format!(":{line}"));
    let fix = mistake.fix.clone().unwrap_or_else(|| "the format is in docs/testing.md".to_owned());
    ApiError::new(0, code::BAD_SCENARIO, format!("{name}{line}")).why(mistake.what.clone()).fix(fix)
}

fn refused(name: &str, refusal: &Refusal) -> ApiError {
    ApiError::new(422, refusal.code, format!("{name}: {} cannot be simulated", refusal.what))
        .why(refusal.why)
        .fix(format!("srwan lab up --scenario {name}"))
}
