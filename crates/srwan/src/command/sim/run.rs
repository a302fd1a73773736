//! `srwan sim run`

use super::swarm::{self, Seeds};
use crate::exit::Exit;
use crate::output::Output;
use anyhow::bail;
use clap::Args;

/// Arguments of `sim run`.
#[derive(Args)]
pub struct Run {
    /// What to run: `swarm`.
    #[arg(value_name = "swarm")]
    scenario: String,
    #[command(flatten)]
    seeds: Seeds,
}

impl Run {
    /// Runs it, prints it, and judges.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self.scenario.as_str() {
            "swarm" => swarm::run(self.seeds, output),
            other => bail!("there is no scenario `{other}`: `swarm` is what can be run"),
        }
    }
}
