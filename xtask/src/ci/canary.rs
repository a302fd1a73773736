//! Seeded bugs in the ledger and in routers, one by one: each must make the test fail that guards against it.

use std::time::Duration;

use anyhow::{Result, bail};

use super::Outcome;
use super::cargo::cargo;
use super::process::run_seen;

/// The pure rooms are built once more with the feature; the tests themselves take a minute.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Both packages have a test of this name; with the whole workspace selected, what they stand on is built already.
const WORDS: [&str; 7] = [
    "test",
    "--locked",
    "--workspace",
    "--features",
    "srwan-ledger/canary,srwan-sim/canary",
    "--test",
    "canary",
];

/// The tests that take each bug in turn: the ledger's and the routers'.
const GUARDS: [&str; 2] = [
    "every_attack_is_noticed_when_its_defence_is_gone",
    "every_seeded_bug_is_noticed_by_the_promise_that_it_breaks",
];

/// Runs the canaries of `srwan-ledger`, and those of the routers, which the swarm of `srwan-sim` notices.
///
/// **Errors:** a bug that no test notices, a case that the documentation lacks, or a package without its test.
pub fn run() -> Result<Outcome> {
    let mut passed = String::new();
    run_seen(&mut cargo(&WORDS), LIMIT, |line| passed += line)?;
    let has_passed = |guard: &&str| passed.contains(&format!("test {guard} ... ok"));
    if let Some(guard) = GUARDS.iter().find(|guard| !has_passed(guard)) {
        bail!("the test {guard} did not run");
    }
    Ok(Outcome::Passed)
}
