//! The one binary: each role of the system is a subcommand, and so is each question that a person may ask.

mod command;
mod exit;
mod output;

use clap::Parser;
use command::Command;
use output::Output;
use std::process::ExitCode;

/// A segment-routing WAN over the public Internet, backed by a ledger.
#[derive(Parser)]
#[command(name = "srwan", version, about, max_term_width = 100, propagate_version = true)]
struct Cli {
    /// Answer in JSON (every reading command).
    #[arg(long, global = true)]
    json: bool,

    /// Admin socket of the router that is asked.
    #[arg(
        long,
        global = true,
        env = "SRWAN_SOCKET",
        value_name = "PATH",
        default_value = "/var/lib/srwan/router.sock"
    )]
    socket: std::path::PathBuf,

    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_logs();
    let output = Output { json: cli.json };
    match cli.command.run(&cli.socket, output) {
        Ok(code) => code.into(),
        Err(error) => {
            output.error(&error);
            exit::Exit::of(&error).into()
        }
    }
}

/// Logs go to stderr; `SRWAN_LOG` chooses the level (`warn`, `info`, `srwan_router=debug`, ...).
fn init_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SRWAN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
