//! The gate: every check in one run, each timed, with a table at the end.
//!
//! A failed step does not stop the others, so one run tells everything that is wrong. A step that cannot run on this
//! machine is skipped with its reason. One target folder and one profile serve clippy, rustdoc and the tests;
//! the lab builds in release, and callgrind counts that build's instructions.

mod callgrind;
mod canary;
pub mod cargo;
mod lab;
pub mod process;
mod simulation;
mod soak;
mod ui;
mod xdp;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

pub use cargo::{cargo, target_folder};

use crate::{purity, tidy};

/// What a step came to, if it did not fail.
pub enum Outcome {
    /// It ran and found nothing wrong.
    Passed,
    /// Tests ran; the numbers of `cargo test`'s closing lines, summed.
    Tested(cargo::Tally),
    /// It could not run here, and why.
    Skipped(String),
}

struct Step {
    name: &'static str,
    run: fn() -> Result<Outcome>,
}

/// In the order of their cost: what fails fast stands first.
const STEPS: &[Step] = &[
    Step { name: "fmt", run: cargo::fmt },
    Step { name: "tidy", run: || tidy::run(tidy::Mode::Check).map(|()| Outcome::Passed) },
    Step { name: "purity", run: || purity::run().map(|()| Outcome::Passed) },
    Step { name: "xdp", run: xdp::run },
    Step { name: "clippy", run: cargo::clippy },
    Step { name: "doc", run: cargo::doc },
    Step { name: "fuzz", run: cargo::fuzz },
    Step { name: "ui", run: ui::run },
    Step { name: "test", run: cargo::test },
    Step { name: "sim", run: simulation::run },
    Step { name: "canary", run: canary::run },
    Step { name: "lab", run: lab::run },
    Step { name: "soak", run: soak::run },
    Step { name: "callgrind", run: callgrind::run },
];

struct Row {
    name: &'static str,
    took: Duration,
    result: Result<Outcome>,
}

/// Runs the steps that `options` leave.
///
/// **Errors:** an unknown option, or any step that failed.
pub fn run(options: &[&str]) -> Result<()> {
    if options == ["--list"] {
        STEPS.iter().for_each(|step| println!("{}", step.name));
        return Ok(());
    }
    let steps = chosen(options)?;
    let rows: Vec<Row> = steps.into_iter().map(take).collect();
    summarise(&rows)
}

fn chosen(options: &[&str]) -> Result<Vec<&'static Step>> {
    let (mut only, mut skip) = (Vec::new(), Vec::new());
    let mut words = options.iter();
    while let Some(option) = words.next() {
        let list = match *option {
            "--only" => &mut only,
            "--skip" => &mut skip,
            other => bail!("`{other}` is not an option of ci"),
        };
        match words.next() {
            Some(name) if STEPS.iter().any(|step| step.name == *name) => list.push(*name),
            other => bail!("`{option}` needs a step, not {other:?}: see `cargo xtask ci --list`"),
        }
    }
    let keep =
        |step: &&Step| (only.is_empty() || only.contains(&step.name)) && !skip.contains(&step.name);
    Ok(STEPS.iter().filter(keep).collect())
}

fn take(step: &Step) -> Row {
    println!("\n=== {} ===", step.name);
    let start = Instant::now();
    let result = (step.run)();
    let took = start.elapsed();
    println!("=== {}: {} in {:.1} s ===", step.name, word_for(&result), took.as_secs_f64());
    Row { name: step.name, took, result }
}

fn word_for(result: &Result<Outcome>) -> String {
    match result {
        Ok(Outcome::Passed) => "ok".into(),
        Ok(Outcome::Tested(tally)) => format!("ok, {tally}"),
        Ok(Outcome::Skipped(why)) => format!("SKIPPED: {why}"),
        Err(error) => format!("FAILED: {error:#}"),
    }
}

/// Prints the table, and as the last line the sum of all tests, for whoever reads logs by machine.
fn summarise(rows: &[Row]) -> Result<()> {
    println!("\nstep       seconds  result");
    for row in rows {
        println!("{:<9} {:>8.1}  {}", row.name, row.took.as_secs_f64(), word_for(&row.result));
    }
    let total: Duration = rows.iter().map(|row| row.took).sum();
    println!("{:<9} {:>8.1}", "all", total.as_secs_f64());
    let tallies = rows.iter().filter_map(|row| match &row.result {
        Ok(Outcome::Tested(tally)) => Some(*tally),
        Ok(Outcome::Passed | Outcome::Skipped(_)) | Err(_) => None,
    });
    let sum = tallies.fold(cargo::Tally::default(), cargo::Tally::plus);
    let failed: Vec<&str> =
        rows.iter().filter(|row| row.result.is_err()).map(|row| row.name).collect();
    if failed.is_empty() {
        println!("{sum}");
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}
