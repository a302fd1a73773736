//! The lab's verbs alone, without the daemons: for the tests of this crate and for plain topologies.
//!
//! `SRWAN_DAEMONS=PATH` names a program with the daemons' verbs; without it, labs have machines and links only.

use clap::Parser;
use srwan_lab::cli::{LabCommand, run_with};

#[derive(Parser)]
#[command(name = "srwan-lab")]
struct Cli {
    #[command(subcommand)]
    noun: Noun,
}

#[derive(clap::Subcommand)]
enum Noun {
    /// A whole SR-WAN on this machine.
    #[command(subcommand)]
    Lab(LabCommand),
}

fn main() {
    let Cli { noun: Noun::Lab(command) } = Cli::parse();
    std::process::exit(run_with(command, std::env::var_os("SRWAN_DAEMONS").map(Into::into)));
}
