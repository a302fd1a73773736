//! `srwan completion` and `srwan man`

use crate::exit::Exit;
use clap::{Args, CommandFactory};
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
        clap_complete::generate(self.shell, &mut crate::Cli::command(), "srwan", &mut std::io::stdout());
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
        std::fs::create_dir_all(&self.dir)?;
        clap_mangen::generate_to(crate::Cli::command(), &self.dir)?;
        Ok(Exit::Ok)
    }
}
