//! Instructions per packet of the data plane's hot steps, as valgrind counts them: a ratchet.
//!
//! A release build of `srwan-steps` does a number of packets up to a step, twice with different numbers; the
//! difference per packet has nothing of the start of the program in it. A count is the same on every machine whose
//! processor has the same instructions for AES, and it moves with the code and the compiler alone.
//! `xtask/callgrind.toml` has the numbers; they may only fall.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ci::cargo::{cargo, target_folder};
use crate::source;

/// What to do with the counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Compare with the file.
    Check,
    /// Compare, and lower the numbers that have fallen.
    Lower,
    /// Make the file say what was counted: for a new compiler, or a check that a packet needs.
    Accept,
}

/// Steps, and the step whose count is contained in theirs.
const STEPS: [(&str, Option<&str>); 4] =
    [("parse", None), ("seal", None), ("forward", Some("seal")), ("open", Some("forward"))];

/// Packets of the two runs: the replay window has turned over some times in the difference.
const PACKETS: [u64; 2] = [640, 10_240];

/// What a count may exceed its number by, in percent: the compiler's choices in code that nobody touched.
const TOLERANCE_PERCENT: u64 = 2;

const HEADER: &str = "\
# Instructions per packet of 1400 octets (`cargo xtask callgrind`); they may only fall.
# `cargo xtask callgrind --write` lowers them; raising one needs `--accept` and a reason.
";

/// Instructions per packet, by step.
type Counts = BTreeMap<String, u64>;

/// What does the packets; it is built in a minute, which the whole program is not.
const PROGRAM: [&str; 6] =
    ["build", "--locked", "--release", "--package=srwan-steps", "--example", "packets"];

/// Builds the program, counts, and compares.
///
/// **Errors:** a count that has risen, or a tool that fails.
pub fn run(mode: Mode) -> Result<()> {
    let status = cargo(&PROGRAM).status()?;
    if !status.success() {
        bail!("the release build of srwan-steps fails");
    }
    let found = count()?;
    let path = source::root().join("xtask/callgrind.toml");
    let held = read(&path)?;
    for (step, count) in &found {
        let known = held.get(step).map_or("none".to_owned(), u64::to_string);
        println!("{step:<8} {count:>6} instructions per packet, known {known}");
    }
    match mode {
        Mode::Accept => return Ok(fs::write(&path, to_toml(&found))?),
        Mode::Lower => fs::write(&path, to_toml(&lowered(&held, &found)))?,
        Mode::Check => {}
    }
    refuse_risen(&held, &found)
}

fn count() -> Result<Counts> {
    let program = target_folder(&source::root()).join("release/examples/packets");
    let mut up_to = BTreeMap::new();
    for (step, _) in STEPS {
        let [few, many] = PACKETS.map(|packets| instructions(&program, step, packets));
        up_to.insert(step, many?.saturating_sub(few?) / (PACKETS[1] - PACKETS[0]));
    }
    let alone = |(step, within): (&str, Option<&str>)| {
        let before = within.map_or(0, |within| up_to[within]);
        (step.to_owned(), up_to[step].saturating_sub(before))
    };
    Ok(STEPS.into_iter().map(alone).collect())
}

/// All instructions of one run.
fn instructions(program: &Path, step: &str, packets: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([step, &packets.to_string()])
        .output()
        .context("starting valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("`{step}` under valgrind: {}: {said}", output.status);
    }
    // ==123== Collected : 4567
    let line = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, number) = line.with_context(|| format!("valgrind counted nothing: {said}"))?;
    number.trim().parse().context("valgrind's count is no number")
}

fn read(path: &PathBuf) -> Result<Counts> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(Counts::new()) };
    toml::from_str(&text).with_context(|| format!("reading {}", path.display()))
}

fn to_toml(counts: &Counts) -> String {
    let mut text = HEADER.to_owned();
    for (step, count) in counts {
        writeln!(text, "{step} = {count}").expect("writing to a String");
    }
    text
}

/// The lower one of each.
fn lowered(held: &Counts, found: &Counts) -> Counts {
    let lower = |(step, held): (&String, &u64)| {
        let found = found.get(step).copied().unwrap_or(*held);
        (step.clone(), found.min(*held))
    };
    held.iter().map(lower).collect()
}

fn refuse_risen(held: &Counts, found: &Counts) -> Result<()> {
    let risen: Vec<String> =
        found.iter().filter_map(|(step, count)| risen(held, step, *count)).collect();
    if risen.is_empty() {
        return Ok(());
    }
    bail!("{}", risen.join("; "))
}

fn risen(held: &Counts, step: &str, count: u64) -> Option<String> {
    let Some(known) = held.get(step).copied() else {
        return Some(format!(
            "`{step}` is not in xtask/callgrind.toml: `cargo xtask callgrind --accept`"
        ));
    };
    let most = known + known * TOLERANCE_PERCENT / 100;
    (count > most).then(|| format!("`{step}` takes {count} instructions per packet, was {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> Counts {
        pairs.iter().map(|(step, count)| ((*step).to_owned(), *count)).collect()
    }

    #[test]
    fn a_count_may_fall_or_stay_but_not_rise_beyond_the_tolerance() {
        let held = counts(&[("seal", 1_000)]);
        for allowed in [900, 1_000, 1_020] {
            assert!(refuse_risen(&held, &counts(&[("seal", allowed)])).is_ok(), "{allowed}");
        }
        assert!(refuse_risen(&held, &counts(&[("seal", 1_021)])).is_err());
        assert!(refuse_risen(&held, &counts(&[("open", 1)])).is_err());
    }

    #[test]
    fn writing_lowers_and_never_raises() {
        let held = counts(&[("open", 500), ("seal", 1_000)]);
        let found = counts(&[("open", 505), ("seal", 900)]);
        assert_eq!(lowered(&held, &found), counts(&[("open", 500), ("seal", 900)]));
    }

    #[test]
    fn the_file_reads_what_it_wrote() {
        let written = counts(&[("open", 500), ("seal", 1_000)]);
        let read: Counts = toml::from_str(&to_toml(&written)).unwrap();
        assert_eq!(read, written);
    }
}
