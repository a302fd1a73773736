//! `srwan sim ...`: the routers and the ledger of a whole WAN in one thread and virtual time.

mod adversaries;
mod bench;
mod run;
mod swarm;

use crate::exit::Exit;
use crate::output::Output;
use clap::Subcommand;

/// `srwan sim ...`
#[derive(Subcommand)]
pub enum SimVerb {
    /// Run the swarm: each seed draws a WAN, what goes wrong and who attacks, and is judged.
    Run(run::Run),
    /// Play every attack that is known, and tell what it gains, who is quarantined and when.
    Adversaries(adversaries::Adversaries),
    /// Measure how many events a second the simulator does here, on one core.
    Bench(bench::Bench),
}

impl SimVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Run(args) => args.run(output),
            Self::Adversaries(args) => args.run(output),
            Self::Bench(args) => args.run(output),
        }
    }
}
