//! Proves that pure crates do no IO: by their dependency trees, by the arrows between our crates, by their source.
//!
//! Clippy bans the same calls while one types (`crates/*/clippy.toml`); this check also sees crates that were
//! added, names that are not methods, and loops over hash tables.

mod iteration;
mod scan;
mod tree;

use anyhow::{Result, bail};

use crate::crates::{PURE, is_pure};
use crate::source::{self, Source};

/// Runs all three checks.
///
/// **Errors:** any finding; each is printed.
pub fn run() -> Result<()> {
    let mut findings = Vec::new();
    for pure in PURE {
        findings.extend(tree::findings_of(pure)?);
    }
    let sources = source::all()?;
    let product = sources.iter().filter(|source| is_pure(&source.path) && !source.is_test);
    for source in product {
        findings.extend(scan::findings_of(source));
        findings.extend(iteration::findings_of(source));
        findings.extend(allows_unsafe(source));
    }
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("purity: {} crates, no IO", PURE.len());
        return Ok(());
    }
    bail!("{} findings in pure crates", findings.len())
}

fn allows_unsafe(source: &Source) -> Option<String> {
    let is_root = source.path.ends_with("/src/lib.rs");
    let forbids = source.text.contains("#![forbid(unsafe_code)]");
    (is_root && !forbids).then(|| format!("{}:1: lacks `#![forbid(unsafe_code)]`", source.path))
}
