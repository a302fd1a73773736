//! The gate: every check in one run, each timed, with a table at the end.
//!
//! A failed step does not stop the others, so one run tells everything that is wrong. A step that cannot run on this
//! machine is skipped with its reason. One target folder and one profile serve all steps but the counting of
//! instructions, which builds what it counts in release; `--release` has simulations, stories and the soak so, too.

mod callgrind;
pub mod cargo;
mod lab;
pub mod process;
pub mod program;
mod simulation;
mod soak;
mod ui;
mod xdp;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{purity, tidy};
use program::Profile;

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
    run: fn(Profile) -> Result<Outcome>,
}

/// In the order of their cost: what fails fast stands first.
const STEPS: &[Step] = &[
    Step { name: "fmt", run: |_| cargo::fmt() },
    Step { name: "tidy", run: |_| tidy::run(tidy::Mode::Check).map(|()| Outcome::Passed) },
    Step { name: "purity", run: |_| purity::run().map(|()| Outcome::Passed) },
    Step { name: "xdp", run: |_| xdp::run() },
    Step { name: "clippy", run: |_| cargo::clippy() },
    Step { name: "doc", run: |_| cargo::doc() },
    Step { name: "fuzz", run: |_| cargo::fuzz() },
    Step { name: "ui", run: |_| ui::run() },
    Step { name: "test", run: |_| cargo::test() },
    Step { name: "sim", run: simulation::run },
    Step { name: "lab", run: lab::run },
    Step { name: "soak", run: soak::run },
    Step { name: "callgrind", run: |_| callgrind::run() },
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
    let (steps, profile) = chosen(options)?;
    let rows: Vec<Row> = steps.into_iter().map(|step| take(step, profile)).collect();
    summarise(&rows)
}

fn chosen(options: &[&str]) -> Result<(Vec<&'static Step>, Profile)> {
    let (mut only, mut skip, mut profile) = (Vec::new(), Vec::new(), Profile::default());
    let mut words = options.iter();
    while let Some(option) = words.next() {
        let list = match *option {
            "--only" => &mut only,
            "--skip" => &mut skip,
            "--release" => {
                profile = Profile::Release;
                continue;
            }
            other => bail!("`{other}` is not an option of ci"),
        };
        match words.next() {
            Some(name) if STEPS.iter().any(|step| step.name == *name) => list.push(*name),
            other => bail!("`{option}` needs a step, not {other:?}: see `cargo xtask ci --list`"),
        }
    }
    let keep =
        |step: &&Step| (only.is_empty() || only.contains(&step.name)) && !skip.contains(&step.name);
    Ok((STEPS.iter().filter(keep).collect(), profile))
}

fn take(step: &Step, profile: Profile) -> Row {
    println!("\n=== {} ===", step.name);
    let start = Instant::now();
    let result = (step.run)(profile);
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
