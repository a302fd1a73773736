//! Seeded bugs in the ledger, one by one: each must make the test fail that guards against it.

use std::time::Duration;

use anyhow::{Result, bail};

use super::Outcome;
use super::cargo::{Tally, cargo};
use super::process::run_seen;

/// The ledger's rooms are built once more with the feature; the tests themselves take seconds.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Runs the canaries of `srwan-ledger`.
///
/// **Errors:** a bug that no test notices, a case that the documentation lacks, or no case at all.
pub fn run() -> Result<Outcome> {
    let mut tally = Tally::default();
    let words = ["test", "--locked", "--package", "srwan-ledger"];
    let of_canary = ["--features", "canary", "--test", "canary"];
    run_seen(cargo(&words).args(of_canary), LIMIT, |line| tally.read(line))?;
    if tally.is_vacuous() {
        bail!("there is no canary");
    }
    Ok(Outcome::Passed)
}
