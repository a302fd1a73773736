//! The portal's page: its own checks, and that the committed `dist/` is what the source builds.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Outcome;
use super::process::run as run_command;
use crate::source;

/// Installing, checking and building take about a minute.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Oldest Node.js release that the page's tools accept (`engines` in package.json): 20.19.
const NODE_MIN: (u32, u32) = (20, 19);

/// What checks the page; it lies beside it, so that its authors run the same.
const CHECK: &str = "crates/portal/ui/check.sh";

/// Checks the page, where there is a Node.js that can.
///
/// **Errors:** a check failed, or `dist/` is not what the source builds.
pub fn run() -> Result<Outcome> {
    if let Some(why) = lacks_node() {
        return Ok(Outcome::Skipped(why));
    }
    run_command(Command::new("sh").current_dir(source::root()).arg(CHECK), LIMIT)?;
    Ok(Outcome::Passed)
}

fn lacks_node() -> Option<String> {
    let answer = Command::new("node").arg("--version").output();
    let Ok(answer) = answer else { return Some("node is not installed".into()) };
    let text = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    let numbers = text.trim_start_matches('v').split('.');
    let mut numbers = numbers.map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < NODE_MIN {
        return Some(format!("node {text} is older than {}.{}", NODE_MIN.0, NODE_MIN.1));
    }
    Command::new("npm").arg("--version").output().is_err().then(|| "npm is not installed".into())
}
