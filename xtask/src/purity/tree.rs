//! What a pure crate is built from, as `cargo tree` says.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::crates::PureCrate;
use crate::source;

/// Crates that do IO, run tasks or talk to a kernel; a name that ends with `-` stands for all that start with it.
const IO_CRATES: &[&str] = &[
    "async-io",
    "async-std",
    "axum",
    "crossbeam-channel",
    "hyper",
    "hyper-util",
    "mio",
    "netlink-",
    "nix",
    "polling",
    "quinn-udp",
    "reqwest",
    "rtnetlink",
    "rusqlite",
    "rustix",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
    "tower-http",
    "tracing",
    "tun-rs",
];

/// The dependencies of `pure` that it may not have.
///
/// **Errors:** cargo cannot be run.
pub fn findings_of(pure: &PureCrate) -> Result<Vec<String>> {
    let package = format!("srwan-{}", pure.folder);
    let mut findings = Vec::new();
    for name in tree(&package, &[])? {
        if IO_CRATES.iter().any(|io| names(io, &name)) {
            findings.push(format!("{package} depends on {name}, which does IO"));
        }
    }
    for name in tree(&package, &["--depth", "1"])? {
        let Some(folder) = name.strip_prefix("srwan-") else { continue };
        if folder != pure.folder && !pure.may_know.contains(&folder) {
            findings.push(format!("{package} may not know {name} (see ARCHITECTURE.md)"));
        }
    }
    Ok(findings)
}

fn names(io: &str, name: &str) -> bool {
    if io.ends_with('-') { name.starts_with(io) } else { name == io }
}

fn tree(package: &str, options: &[&str]) -> Result<Vec<String>> {
    let shape = ["--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = Command::new("cargo")
        .current_dir(source::root())
        .args(["tree", "--quiet", "--package", package])
        .args(shape)
        .args(options)
        .output()
        .context("running cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree of {package}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let mut crates: Vec<String> =
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    crates.sort();
    crates.dedup();
    Ok(crates)
}
