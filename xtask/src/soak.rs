//! The soak of the ledger: hours of kills, outside the gate, with the audit beside it.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::ci::process;
use crate::ci::program::Profile;
use crate::source;

/// Thousands of cycles of a few seconds.
const SOAK_LIMIT: Duration = Duration::from_secs(12 * 60 * 60);

/// The audit, from the root of the repository.
pub const AUDIT: &str = "scripts/ledger_audit.py";

/// What tells the audit a lie of each kind.
const AUDIT_TEST: &str = "scripts/test_ledger_audit.py";

/// Builds the program and soaks its ledger; `options` are those of `srwan lab soak`.
///
/// **Errors:** the soak or the audit found something wrong, or there is no Python for the audit.
pub fn run(options: &[&str]) -> Result<()> {
    test_audit()?;
    let mut command = Command::new(Profile::Release.program()?);
    command.current_dir(source::root()).args(["lab", "soak", "--audit", AUDIT]).args(options);
    process::run(&mut command, SOAK_LIMIT)
}

/// The audit sees each kind of lie.
///
/// **Errors:** one of its tests fails, or there is no Python.
pub fn test_audit() -> Result<()> {
    let mut command = Command::new("python3");
    process::run(command.current_dir(source::root()).arg(AUDIT_TEST), Duration::from_secs(60))
}

/// Whether the audit can run on this machine.
pub fn lacks_python() -> Option<String> {
    // `tomllib` came with 3.11, the oldest that the audit runs on.
    let mut attempt = Command::new("python3");
    attempt.args(["-c", "import tomllib"]).stdout(Stdio::null()).stderr(Stdio::null());
    let works = attempt.status().is_ok_and(|status| status.success());
    (!works).then(|| "python3 is not installed, or older than 3.11".into())
}
