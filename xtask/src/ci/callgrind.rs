//! The step of the gate: instructions per packet, where valgrind is installed.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::Outcome;
use crate::callgrind;

/// Counts and compares.
///
/// **Errors:** as [`callgrind::run`].
pub fn run() -> Result<Outcome> {
    let asked = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !asked.is_ok_and(|status| status.success()) {
        return Ok(Outcome::Skipped("valgrind is not installed".into()));
    }
    callgrind::run(callgrind::Mode::Check)?;
    Ok(Outcome::Passed)
}
