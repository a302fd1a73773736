//! The portal's page: its own checks, and that the committed `dist/` is what the source builds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Outcome;
use super::process::run as run_command;
use crate::source;

/// Installing and building take about a minute.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Oldest Node.js release that the page's tools accept (`engines` in package.json): 20.19.
const NODE_MIN: (u32, u32) = (20, 19);

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Installs, checks, tests and builds the page, and compares.
///
/// **Errors:** a check failed, or `dist/` is not what was built (it is then left as built, to be committed).
pub fn run() -> Result<Outcome> {
    let portal = source::root().join("crates/portal");
    let page = portal.join("ui");
    if !page.join("package-lock.json").is_file() {
        return Ok(Outcome::Skipped("crates/portal/ui has no package-lock.json".into()));
    }
    if let Some(why) = lacks_node() {
        return Ok(Outcome::Skipped(why));
    }
    let before = files(&portal.join("dist"))?;
    npm(&page, &["ci", "--no-audit", "--no-fund"])?;
    for script in ["check", "test", "build"] {
        npm(&page, &["run", script])?;
    }
    let after = files(&portal.join("dist"))?;
    let differing: Vec<String> = differing(&before, &after);
    if !differing.is_empty() {
        bail!("crates/portal/dist is not what ui/ builds; commit it: {}", differing.join(", "));
    }
    Ok(Outcome::Passed)
}

fn npm(page: &Path, words: &[&str]) -> Result<()> {
    run_command(Command::new("npm").current_dir(page).args(words), LIMIT)
}

fn lacks_node() -> Option<String> {
    let answer = Command::new("node").arg("--version").output();
    let Ok(answer) = answer else { return Some("node is not installed".into()) };
    let text = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    let mut numbers = text.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < NODE_MIN {
        return Some(format!("node {text} is older than {}.{}", NODE_MIN.0, NODE_MIN.1));
    }
    Command::new("npm").arg("--version").output().is_err().then(|| "npm is not installed".into())
}

fn files(folder: &Path) -> Result<Files> {
    let mut found = Files::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
                found.insert(path, bytes);
            }
        }
    }
    Ok(found)
}

fn differing(before: &Files, after: &Files) -> Vec<String> {
    let changed = after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes));
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    changed.map(|(path, _)| path).chain(gone).map(|path| path.display().to_string()).collect()
}
