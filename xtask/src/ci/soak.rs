//! A short soak of the ledger, with the release binary that the lab step built.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Outcome;
use super::cargo::{cargo, target_folder};
use super::process::run as run_command;
use crate::soak::BUILD_LIMIT;
use crate::{soak, source};

/// Kills in the gate: enough for one, two and all validators to be hit, in less than a minute.
const CYCLES: &str = "10";

/// A cycle takes about three seconds; the audit then reads every height once more.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Tests the audit where there is a Python for it, and soaks with or without it.
///
/// **Errors:** something final was lost, or the audit misses a lie.
pub fn run() -> Result<Outcome> {
    let root = source::root();
    run_command(&mut cargo(&["build", "--locked", "--release"]), BUILD_LIMIT)?;
    let mut command = Command::new(target_folder(&root).join("release/srwan"));
    command.current_dir(&root).args(["lab", "soak", "--cycles", CYCLES]);
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
