//! `srwan sim ...`: the routers and the ledger of a whole WAN in one thread and virtual time.

mod failover;
mod list;
mod run;
mod score;

use crate::exit::Exit;
use crate::output::Output;
use clap::Subcommand;

/// `srwan sim ...`
#[derive(Subcommand)]
pub enum SimVerb {
    /// Run a scenario of the lab in virtual time, and judge it the same way.
    Run(run::Run),
    /// The scenarios that come with the program, and which of them need the lab.
    List,
    /// Paths that die by the thousand, and hours in which none does: how long, how often, and what it costs.
    Failover(failover::Failover),
    /// Score detection, path choice, grouping and forecasts on real measurements.
    Score(score::Score),
}

impl SimVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Run(args) => args.run(output),
            Self::List => list::run(output),
            Self::Failover(args) => args.run(output),
            Self::Score(args) => args.run(output),
        }
    }
}
