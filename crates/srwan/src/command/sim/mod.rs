//! `srwan sim ...`: the routers and the ledger of a whole WAN in one thread and virtual time.

mod adversaries;
mod bench;
mod failover;
mod list;
mod run;
mod score;
mod swarm;

use crate::exit::Exit;
use crate::output::Output;
use clap::Subcommand;

/// `srwan sim ...`
#[derive(Subcommand)]
pub enum SimVerb {
    /// Run a scenario of the lab in virtual time and judge it the same way, or the swarm: many seeds, each of which
    /// draws a WAN, what goes wrong and who attacks.
    Run(run::Run),
    /// The scenarios that come with the program, and which of them need the lab.
    List,
    /// Paths that die by the thousand, and hours in which none does: how long, how often, and what it costs.
    Failover(failover::Failover),
    /// Score detection, path choice, grouping and forecasts on real measurements.
    Score(score::Score),
    /// Play every attack that is known, and tell what it gains, who is quarantined and when.
    Adversaries(adversaries::Adversaries),
    /// Measure how many events a second the simulator does here.
    Bench(bench::Bench),
}

impl SimVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Run(args) => args.run(output),
            Self::List => list::run(output),
            Self::Failover(args) => args.run(output),
            Self::Score(args) => args.run(output),
            Self::Adversaries(args) => args.run(output),
            Self::Bench(args) => args.run(output),
        }
    }
}
