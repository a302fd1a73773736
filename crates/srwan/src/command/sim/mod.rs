//! `srwan sim ...`

mod score;

use crate::exit::Exit;
use crate::output::Output;
use clap::Subcommand;

/// `srwan sim ...`
#[derive(Subcommand)]
pub enum SimVerb {
    /// Score detection, path choice, grouping and forecasts on real measurements.
    Score(score::Score),
}

impl SimVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Score(args) => args.run(output),
        }
    }
}
