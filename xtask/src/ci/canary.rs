//! Seeded bugs in the ledger and in routers, one by one: each must make the test fail that guards against it.

use std::time::Duration;

use anyhow::{Result, bail};

use super::Outcome;
use super::cargo::{Tally, cargo};
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

/// How many tests there are: two of the ledger, one of the routers.
const TESTS: u64 = 3;

/// Runs the canaries of `srwan-ledger`, and those of the routers, which the swarm of `srwan-sim` notices.
///
/// **Errors:** a bug that no test notices, a case that the documentation lacks, or a package without its test.
pub fn run() -> Result<Outcome> {
    let mut tally = Tally::default();
    run_seen(&mut cargo(&WORDS), LIMIT, |line| tally.read(line))?;
    if tally.passed < TESTS {
        bail!("{} of {TESTS} tests of canaries ran", tally.passed);
    }
    Ok(Outcome::Passed)
}
