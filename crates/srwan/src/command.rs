//! The grammar: `srwan <noun> <verb>`; only frequent verbs stand on top.

mod bench;
mod config;
mod controller;
mod daemon;
mod doctor;
mod host;
mod ledger;
mod matrix;
mod path;
mod ping;
mod portal;
mod sending;
mod shell;
mod sim;
mod status;
mod ticket;
mod wallet;

use crate::exit::Exit;
use crate::output::Output;
use crate::problem::code;
use clap::Subcommand;
use srwan_api::http::{self, ApiError, BlockingClient, HttpClient};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Everything that `srwan` can do.
#[derive(Subcommand)]
pub enum Command {
    /// Run a segment router on this host.
    Up(daemon::Up),
    /// Stop the segment router that runs on this host: it settles its lanes first.
    Down,
    /// One look at the router: state, traffic, coins, health.
    Status(status::Status),
    /// Probe an endpoint over the direct path and over a path of relays, side by side.
    Ping(ping::Ping),
    /// Check this host for whatever keeps a router from working.
    Doctor(doctor::Doctor),
    /// The segment router.
    #[command(subcommand)]
    Router(daemon::RouterVerb),
    /// Candidate paths, the active one, and why.
    #[command(subcommand)]
    Path(path::PathVerb),
    /// The group's one-way delays as this router knows them.
    Matrix(matrix::Matrix),
    /// Coins of this router, and of any account whose key is here.
    #[command(subcommand)]
    Wallet(wallet::WalletVerb),
    /// Claims for relayed traffic, and what became of them.
    #[command(subcommand)]
    Ticket(ticket::TicketVerb),
    /// The controller: groups, rosters, segments.
    #[command(subcommand)]
    Controller(controller::ControllerVerb),
    /// The ledger: run a validator, ask one.
    #[command(subcommand)]
    Ledger(ledger::LedgerVerb),
    /// Configuration files.
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// What the router changed on this host.
    #[command(subcommand)]
    Host(host::HostVerb),
    /// The router's web page.
    #[command(subcommand)]
    Portal(portal::PortalVerb),
    /// A whole SR-WAN on this machine, in network namespaces.
    #[command(subcommand)]
    Lab(srwan_lab::cli::LabCommand),
    /// A whole SR-WAN in one thread and virtual time, and its choices scored on real measurements.
    #[command(subcommand)]
    Sim(sim::SimVerb),
    /// Measurements of this program on this machine.
    #[command(subcommand)]
    Bench(bench::BenchVerb),
    /// Print the completion script of a shell.
    Completion(shell::Completion),
    /// Write the manual pages.
    Man(shell::Man),
    /// Print the version of this program.
    Version,
}

impl Command {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Up(args) => args.run(),
            Self::Down => daemon::down(socket, output),
            Self::Status(args) => args.run(socket, output),
            Self::Ping(args) => args.run(socket, output),
            Self::Doctor(args) => args.run(output),
            Self::Router(verb) => verb.run(socket, output),
            Self::Path(verb) => verb.run(socket, output),
            Self::Matrix(args) => args.run(socket, output),
            Self::Wallet(verb) => verb.run(socket, output),
            Self::Ticket(verb) => verb.run(socket, output),
            Self::Controller(verb) => verb.run(output),
            Self::Ledger(verb) => verb.run(output),
            Self::Config(verb) => verb.run(output),
            Self::Host(verb) => verb.run(socket, output),
            Self::Portal(verb) => verb.run(socket, output),
            Self::Lab(command) => lab(command),
            Self::Sim(verb) => verb.run(output),
            Self::Bench(verb) => verb.run(output),
            Self::Completion(args) => args.run(),
            Self::Man(args) => args.run(),
            Self::Version => shell::version(output),
        }
    }
}

/// A client of the router behind `socket`; says at once if nobody can be asked there.
fn router(socket: &Path) -> anyhow::Result<BlockingClient> {
    // Connecting is all: the router sees a connection without a request, and forgets it.
    UnixStream::connect(socket).map_err(|error| no_router(socket, &error))?;
    Ok(BlockingClient::new(HttpClient::unix(socket))?)
}

fn no_router(socket: &Path, error: &io::Error) -> ApiError {
    let shown = socket.display();
    if error.kind() == io::ErrorKind::PermissionDenied {
        return ApiError::new(403, code::NOT_PERMITTED, format!("this user may not open {shown}"))
            .why("the admin socket is for the router's own user alone")
            .fix("run the command as that user, or as root");
    }
    ApiError::new(0, http::code::UNREACHABLE, format!("no router answers behind {shown}"))
        .why(error.to_string())
        .fix(
            "start one: srwan up --config FILE; or name its socket: --socket STATE_DIR/router.sock",
        )
}

/// A client of a daemon behind `url`.
fn daemon_at(url: &str) -> anyhow::Result<BlockingClient> {
    Ok(BlockingClient::new(HttpClient::new(url)?)?)
}

/// The lab has exit codes of its own (docs/testing.md): it ends the process with them.
fn lab(command: srwan_lab::cli::LabCommand) -> anyhow::Result<Exit> {
    let code = srwan_lab::cli::run(command);
    std::process::exit(code)
}
