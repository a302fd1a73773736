//! The lab: the default story and two more scenarios, as a user would run them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};

use super::Outcome;
use super::process::status_of;
use super::program::Profile;
use crate::source;

/// How often a story is told before it counts as failed: a story is real time on a machine that others use, too.
const TELLINGS: u32 = 2;

/// A story takes one to two minutes.
const STORY_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Exit code of a story whose links were late by more than 2 ms at p99: neither held nor failed (docs/testing.md).
const EXIT_INCONCLUSIVE: i32 = 8;

/// Told beside the default story: those whose expectations the default does not have.
const SCENARIOS: [&str; 2] = ["path-death", "validator-dies"];

/// Tells all stories, and looks that nothing is left behind.
///
/// **Errors:** an expectation of a scenario did not hold, or a namespace stayed.
pub fn run(profile: Profile) -> Result<Outcome> {
    let root = source::root();
    let binary = profile.program()?;
    if let Some(why) = cannot_make_namespaces() {
        return Ok(Outcome::Skipped(why));
    }
    let namespaces = namespaces();
    let mut inconclusive = Vec::new();
    let more = SCENARIOS.iter().map(|name| vec!["lab", "up", "--scenario", name]);
    for words in std::iter::once(vec!["lab", "up"]).chain(more) {
        if let Told::Inconclusive = tell(&binary, &root, &words)? {
            inconclusive.push(words.join(" "));
        }
    }
    let left: Vec<String> =
        self::namespaces().into_iter().filter(|n| !namespaces.contains(n)).collect();
    if !left.is_empty() {
        bail!("the lab left network namespaces behind: {}", left.join(", "));
    }
    if inconclusive.is_empty() {
        return Ok(Outcome::Passed);
    }
    let stories = inconclusive.join(", ");
    Ok(Outcome::Skipped(format!("this machine was too slow to judge {stories}")))
}

/// What came of a story.
enum Told {
    /// All expectations held.
    Held,
    /// The machine was too slow for the figures to mean anything.
    Inconclusive,
}

/// Tells a story, and once more if it did not hold.
///
/// **Errors:** an expectation did not hold at the last telling on a machine that was fast enough to judge it.
fn tell(binary: &Path, root: &Path, words: &[&str]) -> Result<Told> {
    let story = words.join(" ");
    for telling in 1..=TELLINGS {
        let mut command = Command::new(binary);
        let status = status_of(command.current_dir(root).args(words), STORY_LIMIT)?;
        match status.code() {
            Some(0) => return Ok(Told::Held),
            Some(EXIT_INCONCLUSIVE) => println!("telling {telling} of `{story}`: inconclusive"),
            _ if telling < TELLINGS => println!("telling {telling} of `{story}`: {status}"),
            _ => bail!("`{story}` ended with {status}"),
        }
    }
    Ok(Told::Inconclusive)
}

fn cannot_make_namespaces() -> Option<String> {
    if !Path::new("/dev/net/tun").exists() {
        return Some("/dev/net/tun does not exist".into());
    }
    let mut attempt = Command::new("unshare");
    attempt.args(["--user", "--map-root-user", "--net", "true"]).stderr(Stdio::null());
    let as_root = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    let works =
        |status: std::io::Result<std::process::ExitStatus>| status.is_ok_and(|s| s.success());
    let possible = works(as_root) || works(attempt.status());
    (!possible).then(|| "neither root nor user namespaces".into())
}

/// Named namespaces of this machine.
fn namespaces() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
