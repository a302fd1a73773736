//! `srwan completion`, `srwan man`, `srwan version`

use crate::exit::Exit;
use crate::output::Output;
use anyhow::Context;
use clap::{Args, CommandFactory};
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `completion`.
#[derive(Args)]
pub struct Completion {
    /// Which shell.
    shell: clap_complete::Shell,
}

impl Completion {
    /// Prints the script.
    pub fn run(self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Cli::command(), "srwan", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(Exit::Ok)
    }
}

/// Arguments of `man`.
#[derive(Args)]
pub struct Man {
    /// Directory that the pages are written to.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Man {
    /// Writes one page per command.
    pub fn run(self) -> anyhow::Result<Exit> {
        let shown = self.dir.display();
        std::fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {shown}"))?;
        clap_mangen::generate_to(crate::Cli::command(), &self.dir)
            .with_context(|| format!("cannot write the pages to {shown}"))?;
        Ok(Exit::Ok)
    }
}

/// Prints the version.
pub fn version(output: Output) -> anyhow::Result<Exit> {
    let answer = serde_json::json!({
        "schema": "srwan.version/1",
        "version": env!("CARGO_PKG_VERSION"),
    });
    output.answer(&answer, |_| format!("srwan {}", env!("CARGO_PKG_VERSION")))?;
    Ok(Exit::Ok)
}
