//! The simulations by themselves, from the build of the plain tests, and the swarm: green with nothing done is red.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Outcome;
use super::cargo::{Tally, cargo};
use super::process::run_seen;

/// All seeds of all simulations; they run in virtual time.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Runs the tests of `srwan-sim`.
///
/// **Errors:** a promise that a seed breaks, or no test at all.
pub fn run() -> Result<Outcome> {
    let mut tally = Tally::default();
    for program in programs()? {
        run_seen(&mut Command::new(program), LIMIT, |line| tally.read(line))?;
    }
    if tally.is_vacuous() {
        bail!("srwan-sim has no test");
    }
    swarm()
}

/// Six hundred seeds, in two halves on two threads; each that fails is named with the command that runs it again.
fn swarm() -> Result<Outcome> {
    let mut tally = Tally::default();
    let words = ["test", "--locked", "--package", "srwan-sim", "--features", "swarm"];
    let only = ["--test", "swarm", "--", "--nocapture", "--test-threads", "2"];
    run_seen(cargo(&words).args(only), LIMIT, |line| tally.read(line))?;
    if tally.is_vacuous() {
        bail!("there is no swarm");
    }
    Ok(Outcome::Passed)
}

/// The simulator's test programs. Selecting its package alone would build its dependencies once more, with other
/// features; so cargo is asked for the programs of the workspace, which are built already.
fn programs() -> Result<Vec<PathBuf>> {
    let words = ["test", "--locked", "--quiet", "--workspace", "--no-run", "--message-format=json"];
    let output = cargo(&words).output().context("asking cargo for test programs")?;
    if !output.status.success() {
        bail!("the tests do not build: {}", String::from_utf8_lossy(&output.stderr));
    }
    let messages = String::from_utf8(output.stdout)?;
    let of_simulator = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_its = message["manifest_path"].as_str()?.ends_with("/crates/sim/Cargo.toml");
        message["executable"].as_str().filter(|_| is_its).map(PathBuf::from)
    };
    Ok(messages.lines().filter_map(of_simulator).collect())
}
