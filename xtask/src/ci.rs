//! The gate: every check in one run, each timed, with a table at the end.
//!
//! A failed step does not stop the others, so one run tells everything that is wrong. A step that cannot run on this
//! machine is skipped with its reason. The simulations run beside the stories of the lab, which mostly wait. One target
//! folder and one profile serve all steps but the counting of instructions, which builds what it counts in release;
//! `--release` has simulations, stories and the soak so, too.

mod callgrind;
pub mod cargo;
mod lab;
pub mod process;
pub mod program;
mod simulation;
mod soak;
mod ui;
mod xdp;

use std::thread::{self, ScopedJoinHandle};
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
    /// The next step runs at the same time: this one takes what time the other leaves.
    is_background: bool,
}

impl Step {
    const fn new(name: &'static str, run: fn(Profile) -> Result<Outcome>) -> Self {
        Self { name, run, is_background: false }
    }
}

/// In the order of their cost: what fails fast stands first.
const STEPS: &[Step] = &[
    Step::new("fmt", |_| cargo::fmt()),
    Step::new("tidy", |_| tidy::run(tidy::Mode::Check).map(|()| Outcome::Passed)),
    Step::new("purity", |_| purity::run().map(|()| Outcome::Passed)),
    Step::new("xdp", |_| xdp::run()),
    Step::new("clippy", |_| cargo::clippy()),
    Step::new("doc", |_| cargo::doc()),
    Step::new("fuzz", |_| cargo::fuzz()),
    Step::new("ui", |_| ui::run()),
    Step::new("test", |_| cargo::test()),
    Step { is_background: true, ..Step::new("sim", simulation::run) },
    Step::new("lab", lab::run),
    Step::new("soak", soak::run),
    Step::new("callgrind", |_| callgrind::run()),
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
    let start = Instant::now();
    let rows = take_all(&steps, profile);
    summarise(&rows, start.elapsed())
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

fn take_all(steps: &[&Step], profile: Profile) -> Vec<Row> {
    thread::scope(|scope| {
        let (mut rows, mut background) = (Vec::new(), None);
        for step in steps.iter().copied() {
            if step.is_background {
                rows.extend(background.replace(scope.spawn(move || take(step, profile))).map(join));
                continue;
            }
            rows.push(take(step, profile));
            rows.extend(background.take().map(join));
        }
        rows.extend(background.map(join));
        rows
    })
}

fn join(step: ScopedJoinHandle<'_, Row>) -> Row {
    step.join().expect("a step that panics is a bug of the gate")
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
fn summarise(rows: &[Row], total: Duration) -> Result<()> {
    println!("\nstep       seconds  result");
    for row in rows {
        println!("{:<9} {:>8.1}  {}", row.name, row.took.as_secs_f64(), word_for(&row.result));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    /// Two steps that wait for one another end only if they run at the same time.
    #[test]
    fn a_background_step_runs_beside_the_next_one() {
        static MEETING: Barrier = Barrier::new(2);
        let meet = |_| {
            MEETING.wait();
            Ok(Outcome::Passed)
        };
        let first = Step { is_background: true, ..Step::new("first", meet) };
        let last = Step { is_background: true, ..Step::new("last", |_| bail!("wrong")) };
        let rows = take_all(&[&first, &Step::new("second", meet), &last], Profile::Dev);
        let told: Vec<_> = rows.iter().map(|row| (row.name, row.result.is_ok())).collect();
        assert_eq!(told, [("second", true), ("first", true), ("last", false)]);
    }
}
