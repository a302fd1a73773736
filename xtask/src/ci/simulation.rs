//! The simulations, in release: a seed takes a tenth of the time that it takes in the plain tests' build.

use anyhow::Result;

use super::Outcome;
use super::cargo::tested;
use crate::source;

/// Runs the tests of `srwan-sim`, with as many seeds as they take in release.
///
/// **Errors:** a seed that breaks a promise; its replay command stands above.
pub fn run() -> Result<Outcome> {
    let sources = source::all()?;
    let in_sim = |source: &&source::Source| source.path.starts_with("crates/sim/");
    if !sources.iter().filter(in_sim).any(|source| source.text.contains("#[test]")) {
        return Ok(Outcome::Skipped("srwan-sim has no test".into()));
    }
    tested(&["--release", "--package", "srwan-sim"])
}
