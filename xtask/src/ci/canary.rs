//! Seeded bugs in the ledger and in routers, one by one: each must make the test fail that guards against it.

use std::time::Duration;

use anyhow::{Result, bail};

use super::Outcome;
use super::cargo::{Tally, cargo};
use super::process::run_seen;

/// The ledger's rooms are built once more with the feature; the tests themselves take seconds.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// The packages that have canaries.
const PACKAGES: [&str; 2] = ["srwan-ledger", "srwan-sim"];

/// Runs the canaries of `srwan-ledger`, and those of the routers, which the swarm of `srwan-sim` notices.
///
/// **Errors:** a bug that no test notices, a case that the documentation lacks, or no case at all.
pub fn run() -> Result<Outcome> {
    PACKAGES.iter().try_for_each(|package| canaries_of(package))?;
    Ok(Outcome::Passed)
}

fn canaries_of(package: &str) -> Result<()> {
    let mut tally = Tally::default();
    let words = ["test", "--locked", "--package", package];
    let of_canary = ["--features", "canary", "--test", "canary"];
    run_seen(cargo(&words).args(of_canary), LIMIT, |line| tally.read(line))?;
    if tally.is_vacuous() {
        bail!("{package} has no canary");
    }
    Ok(())
}
