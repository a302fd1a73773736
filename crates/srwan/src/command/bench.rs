//! `srwan bench ...`

use crate::exit::Exit;
use crate::output::Output;
use clap::Subcommand;
use srwan_bench::ledger;

/// `srwan bench ...`
#[derive(Subcommand)]
pub enum BenchVerb {
    /// Validators under load, beside the engine alone: finality, tickets a second, memory, disk.
    Ledger(ledger::LedgerArgs),
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
            Self::Ledger(args) => {
                let report = ledger::run(&args, &|text| output.progress(text))?;
                output.answer(&report, ledger::Report::text)?;
            }
            Self::EngineNode { order } => ledger::empty::run(ledger::empty::read(&order)?)?,
        }
        Ok(Exit::Ok)
    }
}
