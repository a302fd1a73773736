//! The objects of the XDP relay: built by clang, committed, and compared with their source.
//!
//! `xdp --build` makes them and writes `built.toml` beside them: the digests of source and objects, and which clang it
//! was. `xdp` compares. Digests say that nobody forgot to build; where the very same clang is installed the objects are
//! built again and must be the same octets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use toml::Table;

use crate::source;

/// The folder of the sources and objects.
const FOLDER: &str = "crates/router/xdp";

/// What is compiled, each into an object beside it.
const PROGRAMS: [&str; 2] = ["relay.bpf", "bench.bpf"];

/// Everything that an object depends on.
const SOURCES: [&str; 5] = ["bench.bpf.c", "kernel.h", "lane.h", "relay.bpf.c", "siphash.h"];

/// `-mcpu=v3`: atomics that return what was there, since Linux 5.12. `-g` is for the types of maps.
const FLAGS: [&str; 9] =
    ["-target", "bpfel", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-nostdinc"];

/// The compiler that the objects are built with; Debian has it.
const CLANG: &str = "clang-19";

/// Takes debugging information out, and leaves the types.
const STRIP: &str = "llvm-strip-19";

/// What the comparison came to, if nothing is wrong.
pub enum Outcome {
    /// The objects were built again and are the same.
    Rebuilt,
    /// Only digests could be compared, and why.
    Digests(String),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rebuilt => f.write_str("built again, the same octets"),
            Self::Digests(why) => write!(f, "SKIPPED: the build: {why}"),
        }
    }
}

/// Compares the committed objects with their source.
///
/// **Errors:** a source or an object is not what `built.toml` says, or clang makes another object.
pub fn check() -> Result<Outcome> {
    let folder = source::root().join(FOLDER);
    let built = fs::read_to_string(folder.join("built.toml")).context("reading built.toml")?;
    let built: Table = toml::from_str(&built)?;
    for (name, digest) in digests(&folder)? {
        if built.get(&name).and_then(toml::Value::as_str) != Some(digest.as_str()) {
            bail!("{FOLDER}/{name} is not what was built: run `cargo xtask xdp --build`");
        }
    }
    let wanted = built.get("clang").and_then(toml::Value::as_str).unwrap_or_default();
    match clang_version() {
        Ok(version) if version == wanted => rebuild(&folder).map(|()| Outcome::Rebuilt),
        Ok(version) => Ok(Outcome::Digests(format!("built by `{wanted}`, here is `{version}`"))),
        Err(_) => Ok(Outcome::Digests(format!("{CLANG} is not installed, so only digests agree"))),
    }
}

/// Builds the objects and writes down what they were built from.
///
/// **Errors:** no clang, or it finds fault with the source.
pub fn build() -> Result<()> {
    let folder = source::root().join(FOLDER);
    for program in PROGRAMS {
        compile(&folder, program, &object(&folder, program))?;
    }
    let mut table = Table::new();
    table.insert("clang".into(), clang_version()?.into());
    table.extend(digests(&folder)?.into_iter().map(|(name, digest)| (name, digest.into())));
    let header =
        "# Written by `cargo xtask xdp --build`: the digests (BLAKE3) of what belongs together.\n";
    Ok(fs::write(folder.join("built.toml"), format!("{header}{table}"))?)
}

fn rebuild(folder: &Path) -> Result<()> {
    for program in PROGRAMS {
        let fresh = source::root().join("target").join(format!("{program}.o"));
        compile(folder, program, &fresh)?;
        if fs::read(&fresh)? != fs::read(object(folder, program))? {
            bail!("{program}.o is not what clang makes of it: run `cargo xtask xdp --build`");
        }
    }
    Ok(())
}

fn compile(folder: &Path, program: &str, into: &Path) -> Result<()> {
    let here = format!("-ffile-prefix-map={}=.", folder.display());
    let mut clang = Command::new(CLANG);
    clang.current_dir(folder).args(FLAGS).arg(here).arg("-c").arg(format!("{program}.c"));
    run(clang.arg("-o").arg(into))?;
    run(Command::new(STRIP).arg("--strip-debug").arg(into))
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let help = || format!("{name} cannot be started: apt install clang-19 llvm-19");
    let status = command.status().with_context(help)?;
    if status.success() { Ok(()) } else { bail!("{name} ended with {status}") }
}

/// The first line of `clang --version`.
fn clang_version() -> Result<String> {
    let output = Command::new(CLANG).arg("--version").output()?;
    let text = String::from_utf8(output.stdout)?;
    text.lines().next().map(str::to_owned).context("clang says no version")
}

fn object(folder: &Path, program: &str) -> PathBuf {
    folder.join(format!("{program}.o"))
}

/// Names and digests of all sources and objects, and of the flags.
fn digests(folder: &Path) -> Result<Vec<(String, String)>> {
    let objects = PROGRAMS.iter().map(|program| format!("{program}.o"));
    let names = SOURCES.iter().map(|name| (*name).to_owned()).chain(objects);
    let of_file = |name: String| {
        let octets = fs::read(folder.join(&name)).with_context(|| format!("reading {name}"))?;
        Ok((name, blake3::hash(&octets).to_string()))
    };
    let flags = blake3::hash(FLAGS.join(" ").as_bytes()).to_string();
    names.map(of_file).chain([Ok(("flags".into(), flags))]).collect()
}
