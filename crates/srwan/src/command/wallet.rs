//! `srwan wallet ...` and `srwan ticket ...`

use crate::exit::Exit;
use crate::output::Output;
use crate::problem::code;
use crate::text::{octets, or_dash, table};
use anyhow::Context;
use clap::Subcommand;
use serde::Serialize;
use srwan_api::http::ApiError;
use srwan_api::router::{Ticket, Tickets, Wallet};
use srwan_wire::sign::AccountSecret;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `srwan wallet ...`
#[derive(Subcommand)]
pub enum WalletVerb {
    /// Make an account key (mode 0600) and print the account.
    New {
        /// Where to write the key; an existing file is never overwritten.
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
    },
    /// Show balance, escrow, lanes, coins earned and applied.
    Show,
    /// Show the balance only.
    Balance,
}

impl WalletVerb {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::New { key_file } => {
                output.value("srwan.wallet-new/1", "account", &new_key(&key_file)?)?;
            }
            Self::Show => output.answer(&wallet(socket)?, wallet_text)?,
            Self::Balance => {
                let balance = wallet(socket)?.balance_coins;
                let answer = serde_json::json!({
                    "schema": "srwan.wallet-balance/1",
                    "balance_coins": balance,
                });
                output.answer(&answer, |_| or_dash(balance, |coins| coins))?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn new_key(path: &Path) -> anyhow::Result<String> {
    let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
    getrandom::fill(seed.as_mut()).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("creating {}", path.display()))?;
    let text = zeroize::Zeroizing::new(format!("{}\n", hex::encode(seed.as_ref())));
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context("writing the key")?;
    Ok(AccountSecret::from_seed(&seed).public().to_string())
}

fn wallet(socket: &Path) -> anyhow::Result<Wallet> {
    Ok(super::router(socket)?.get("/v1/wallet")?)
}

fn wallet_text(wallet: &Wallet) -> String {
    let coins = |value: &Option<String>| or_dash(value.clone(), |coins| coins);
    let head = format!(
        "account  {}\nbalance  {}\nescrow   {}\nlanes    {}\nearned   {}\napplied  {}",
        wallet.account,
        coins(&wallet.balance_coins),
        coins(&wallet.escrow_coins),
        coins(&wallet.lanes_coins),
        wallet.earned_coins,
        wallet.applied_coins,
    );
    let rows = wallet.lanes.iter().map(|lane| {
        let counts = (octets(lane.bytes), octets(lane.receipt_bytes), octets(lane.settled_bytes));
        let (path, id) = (lane.path.join(" > "), lane.lane.chars().take(12).collect());
        [id, lane.role.clone(), lane.state.clone(), path, counts.0, counts.1, counts.2]
    });
    let lanes = table(["LANE", "ROLE", "STATE", "PATH", "COUNTED", "RECEIPT", "SETTLED"], rows);
    if wallet.lanes.is_empty() { head } else { format!("{head}\n\n{lanes}") }
}

/// `srwan ticket ...`
#[derive(Subcommand)]
pub enum TicketVerb {
    /// List the tickets that this router submitted.
    List,
    /// Show one.
    Show {
        /// Its id or the start of it.
        id: String,
    },
}

impl TicketVerb {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        let tickets: Tickets = super::router(socket)?.get("/v1/tickets")?;
        match self {
            Self::List => output.answer(&tickets, tickets_text)?,
            Self::Show { id } => {
                let found = tickets.tickets.iter().find(|t| t.id.starts_with(&id));
                let ticket = found.ok_or_else(|| unknown_ticket(&id))?.clone();
                let answer = OneTicket { schema: "srwan.ticket/1", ticket };
                output.answer(&answer, |answer| ticket_text(&answer.ticket))?;
            }
        }
        Ok(Exit::Ok)
    }
}

/// One ticket as an answer of its own.
#[derive(Serialize)]
struct OneTicket {
    schema: &'static str,
    #[serde(flatten)]
    ticket: Ticket,
}

fn unknown_ticket(id: &str) -> ApiError {
    ApiError::new(404, code::NO_SUCH_TICKET, format!("no ticket starts with {id}"))
        .why("this router did not submit it, or it is older than what is kept")
        .fix("srwan ticket list")
}

fn tickets_text(tickets: &Tickets) -> String {
    let rows = tickets.tickets.iter().map(|t| {
        let id = t.id.chars().take(12).collect();
        let earned = t.earned_coins.clone();
        [id, t.time.clone(), t.path.join(" > "), octets(t.bytes), t.state.clone(), earned]
    });
    table(["TICKET", "TIME", "PATH", "OCTETS", "STATE", "EARNED"], rows)
}

fn ticket_text(ticket: &Ticket) -> String {
    format!(
        "ticket   {}\nlane     {}\npath     {}\noctets   {}\nstate    {}\nreason   {}\nearned   {}\n\
         time     {}\nheight   {}",
        ticket.id,
        ticket.lane,
        ticket.path.join(" > "),
        ticket.bytes,
        ticket.state,
        or_dash(ticket.reason.clone(), |reason| reason),
        ticket.earned_coins,
        ticket.time,
        or_dash(ticket.height, |height| height.to_string()),
    )
}
