//! Checks what rustfmt and clippy do not: lengths, parameters, names, documents, and a few forbidden words.
//!
//! A sin that existed when its rule came stands in `xtask/ratchet.toml` with a number; the number may only fall.
//! `--write` lowers numbers, `--accept` also raises them and is for a reviewed exception.

mod measure;
mod ratchet;
mod rule;

use std::fs;

use anyhow::{Result, bail};

use crate::source::{self, Source};
use measure::Function;
use ratchet::Ratchet;
use rule::Sin;

/// What to do with what is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Compare with the ratchet.
    Check,
    /// Compare, and lower the ratchet's numbers that have fallen.
    Lower,
    /// Make the ratchet say what is there.
    Accept,
}

/// Runs all rules over all Rust files.
///
/// **Errors:** a sin that the ratchet does not list, or one that has grown.
pub fn run(mode: Mode) -> Result<()> {
    let sources = source::all()?;
    let sins: Vec<Sin> = sources.iter().flat_map(rule::sins_of).collect();
    report_lengths(&sources);
    let path = source::root().join("xtask/ratchet.toml");
    let held = Ratchet::read(&path)?;
    let found = Ratchet::of(&sins);
    if mode == Mode::Accept {
        return Ok(fs::write(&path, found.to_toml())?);
    }
    let (fallen, lowered) = held.lowered_to(&found);
    if mode == Mode::Lower {
        fs::write(&path, lowered.to_toml())?;
    } else if fallen > 0 {
        println!(
            "{fallen} numbers of xtask/ratchet.toml have fallen: run `cargo xtask tidy --write`"
        );
    }
    refuse_risen(&sins, &held)
}

fn refuse_risen(sins: &[Sin], held: &Ratchet) -> Result<()> {
    let risen: Vec<&Sin> = sins.iter().filter(|sin| !held.allows(sin)).collect();
    for sin in &risen {
        println!("{}", held.complain(sin));
    }
    if risen.is_empty() {
        println!("tidy: {} known sins, none new", held.len());
        return Ok(());
    }
    bail!("{} rules of tidy are broken", risen.len())
}

fn report_lengths(sources: &[Source]) {
    let product = sources.iter().filter(|source| !source.is_test);
    let functions = product.flat_map(measure::functions);
    let mut functions: Vec<Function> = functions.filter(|function| !function.in_test).collect();
    functions.sort_by_key(|function| function.lines);
    let Some(longest) = functions.last() else { return };
    println!(
        "functions outside tests: {}, median {} lines, nine of ten at most {}, longest {} (`{}`)",
        functions.len(),
        functions[functions.len() / 2].lines,
        functions[functions.len() * 9 / 10].lines,
        longest.lines,
        longest.name,
    );
}
