//! The steps that are cargo's own commands.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::Outcome;
use super::process::{run, run_seen};
use crate::source;

/// A first build of everything on two cores, with room to spare.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);

/// All tests, their build included.
const TEST_LIMIT: Duration = Duration::from_secs(25 * 60);

/// The sum of `cargo test`'s closing lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    /// Adds a line of the form `test result: ok. 3 passed; 0 failed; 1 ignored; ..`, and nothing for any other line.
    pub fn read(&mut self, line: &str) {
        let Some((_, counts)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let number: u64 = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// A cargo command at the root of the repository.
pub fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(source::root()).args(words);
    command
}

/// The code is formatted.
pub fn fmt() -> Result<Outcome> {
    run(&mut cargo(&["fmt", "--all", "--", "--check"]), BUILD_LIMIT)?;
    Ok(Outcome::Passed)
}

/// Clippy has nothing to say, in tests and examples too.
pub fn clippy() -> Result<Outcome> {
    let words = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run(&mut cargo(&words), BUILD_LIMIT)?;
    Ok(Outcome::Passed)
}

/// Every link in the documents leads somewhere.
pub fn doc() -> Result<Outcome> {
    let mut command = cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
    run(command.env("RUSTDOCFLAGS", "-D warnings"), BUILD_LIMIT)?;
    Ok(Outcome::Passed)
}

/// The fuzz targets compile. What they call is also run by the plain tests, over the whole corpus.
///
/// libFuzzer itself is not compiled for a check: a library that is only named is enough.
pub fn fuzz() -> Result<Outcome> {
    let root = source::root();
    let mut command = cargo(&["check", "--manifest-path", "fuzz/Cargo.toml"]);
    command.env("CARGO_TARGET_DIR", target_folder(&root));
    command.env("CUSTOM_LIBFUZZER_PATH", root.join("target/libfuzzer.a"));
    run(&mut command, BUILD_LIMIT)?;
    Ok(Outcome::Passed)
}

/// The tests that take each seeded bug in turn, the ledger's and the routers': they need a feature, which only the
/// workspace as a whole asks for.
const CANARIES: [&str; 2] = [
    "test every_attack_is_noticed_when_its_defence_is_gone ... ok",
    "test every_seeded_bug_is_noticed_by_the_promise_that_it_breaks ... ok",
];

/// All tests of the workspace; their closing lines are counted as they pass.
///
/// **Errors:** a test fails, or the seeded bugs were not tried.
pub fn test() -> Result<Outcome> {
    let mut tally = Tally::default();
    let mut missing = CANARIES.to_vec();
    let mut command = cargo(&["test", "--locked", "--no-fail-fast", "--workspace"]);
    run_seen(&mut command, TEST_LIMIT, |line| {
        tally.read(line);
        missing.retain(|canary| *canary != line);
    })?;
    if !missing.is_empty() {
        bail!("seeded bugs were not tried: {}", missing.join(", "));
    }
    Ok(Outcome::Tested(tally))
}

/// Where cargo builds this workspace.
pub fn target_folder(root: &Path) -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_summed_and_others_ignored() {
        let mut tally = Tally::default();
        tally.read("running 3 tests");
        tally
            .read("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; ..");
        tally
            .read("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out");
        assert_eq!(tally.to_string(), "5 passed, 1 failed, 1 skipped");
    }
}
