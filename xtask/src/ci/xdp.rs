//! The step `xdp`: the committed objects are what their source says.

use anyhow::Result;

use super::Outcome;
use crate::xdp;

/// Compares the objects, and builds them again where the same clang is installed.
///
/// **Errors:** as [`xdp::check`].
pub fn run() -> Result<Outcome> {
    Ok(match xdp::check()? {
        xdp::Outcome::Rebuilt => Outcome::Passed,
        xdp::Outcome::Digests(why) => Outcome::Skipped(why),
    })
}
