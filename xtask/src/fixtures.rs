//! Pins the encodings anew, and writes the seeds of the fuzz corpora: both come from the same generated values.
//!
//! The tests that compare do the writing, so there is one generator and one digest; a variable tells them to write.

use std::process::Command;

use anyhow::{Result, bail};

use crate::source;

/// Rewrites the digests and the seeds of every crate that has them.
///
/// **Errors:** cargo cannot be run, or a test fails.
pub fn run() -> Result<()> {
    for package in ["srwan-wire", "srwan-ledger"] {
        let status = Command::new("cargo")
            .current_dir(source::root())
            .args(["test", "--package", package, "--test", "it", "--", "fixtures"])
            .env("SRWAN_FIXTURES", "write")
            .status()?;
        if !status.success() {
            bail!("{package} could not write its fixtures");
        }
    }
    println!("look at the difference: a changed digest is a changed wire format");
    Ok(())
}
