//! The one binary: each role of the system is a subcommand, and so is each question that a person may ask.

mod command;
mod evidence_file;
mod exit;
mod output;
mod problem;
mod text;

use clap::{ColorChoice, Parser};
use command::Command;
use exit::Exit;
use output::Output;
use std::io::IsTerminal;
use std::process::ExitCode;

/// A segment-routing WAN over the public Internet, backed by a ledger.
#[derive(Parser)]
#[command(
    name = "srwan",
    version,
    about,
    color = ColorChoice::Never,
    max_term_width = text::COLUMNS,
    propagate_version = true,
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 daemon not running, 4 not found, \
        5 not permitted, 6 bad config, 7 findings, 8 timeout, 9 insufficient funds."
)]
struct Cli {
    /// Answer in JSON (every reading command).
    #[arg(long, global = true)]
    json: bool,

    /// Colour in logs: only on a terminal, always, or never (as with NO_COLOR). Answers have none.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,

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
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error).into(),
    };
    init_logs(cli.color);
    let output = Output { json: cli.json };
    match cli.command.run(&cli.socket, output) {
        Ok(code) => code.into(),
        Err(error) if is_closed_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            output.error(&problem::of(&error));
            Exit::of(&error).into()
        }
    }
}

/// Help and version are answers; everything else that clap says is a mistake in the arguments.
fn refuse(error: &clap::Error) -> Exit {
    use clap::error::ErrorKind;
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if is_help {
        // A reader that went away wants no more help.
        let _ = error.print();
        return if error.exit_code() == 0 { Exit::Ok } else { Exit::Usage };
    }
    let json = std::env::args_os().any(|argument| argument == "--json");
    Output { json }.error(&problem::of_usage(error));
    Exit::Usage
}

/// Whoever read the answer has seen enough (`srwan ... | head`).
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let system = error.downcast_ref::<std::io::Error>();
    system.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Logs go to stderr; `SRWAN_LOG` chooses the level (`warn`, `info`, `srwan_router=debug`, ...).
fn init_logs(color: ColorChoice) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SRWAN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Source of NO_COLOR: https://no-color.org, "when present and not an empty string".
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let is_colored = match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => wanted && std::io::stderr().is_terminal(),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(is_colored)
        .init();
}
