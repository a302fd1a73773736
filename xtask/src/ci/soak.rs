//! A short soak of the ledger, with the program that the lab had.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Outcome;
use super::process::run as run_command;
use super::program::Profile;
use crate::{soak, source};

/// Kills in the gate: enough for one, two and all validators to be hit, in less than a minute.
const CYCLES: &str = "10";

/// A cycle takes about three seconds; the audit then reads every height once more.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Tests the audit where there is a Python for it, and soaks with or without it.
///
/// **Errors:** something final was lost, or the audit misses a lie.
pub fn run(profile: Profile) -> Result<Outcome> {
    let mut command = Command::new(profile.program()?);
    command.current_dir(source::root()).args(["lab", "soak", "--cycles", CYCLES]);
    match soak::lacks_python() {
        None => {
            soak::test_audit()?;
            command.args(["--audit", soak::AUDIT]);
        }
        Some(why) => println!("no audit beside the soak: {why}"),
    }
    run_command(&mut command, LIMIT)?;
    Ok(Outcome::Passed)
}
