//! `srwan bench ...`

mod net;
mod strain;

use crate::exit::Exit;
use crate::output::Output;
use clap::Subcommand;
use srwan_bench::ledger;

/// `srwan bench ...`
#[derive(Subcommand)]
pub enum BenchVerb {
    /// Measure this program beside other ways to connect two sites, in one run on this machine.
    Net(net::Net),
    /// Validators under load, beside the engine alone: finality, tickets a second, memory, disk.
    Ledger(ledger::LedgerArgs),
    /// Send garbage to routers' ports at full speed while a flow goes on, and judge what came of it.
    Flood(strain::Flood),
    /// How far the matrix moves while a relay is under full load.
    Load(strain::Load),
    /// Fill a router's tables: memory of an idle peer, look-ups among a million destinations. Needs no root.
    Scale(strain::Scale),
    /// Be the sender of garbage.
    #[command(hide = true)]
    Garbage(strain::Garbage),
    /// Be one engine of such a measurement.
    #[command(hide = true)]
    EngineNode {
        /// What to do, in JSON.
        order: String,
    },
}

impl BenchVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Net(args) => args.run(output),
            Self::Ledger(args) => {
                let report = ledger::run(&args, &|text| output.progress(text))?;
                output.answer(&report, ledger::Report::text)?;
                Ok(Exit::Ok)
            }
            Self::Flood(args) => args.run(output),
            Self::Load(args) => args.run(output),
            Self::Scale(args) => args.run(output),
            Self::Garbage(args) => args.run(),
            Self::EngineNode { order } => {
                ledger::empty::run(ledger::empty::read(&order)?)?;
                Ok(Exit::Ok)
            }
        }
    }
}
