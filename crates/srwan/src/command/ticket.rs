//! `srwan ticket ...`

mod export;
mod verify;

use crate::exit::Exit;
use crate::output::Output;
use crate::problem::code;
use crate::text::{octets, or_dash, table};
use clap::Subcommand;
use serde::Serialize;
use srwan_api::http::ApiError;
use srwan_api::router::{Ticket, Tickets};
use std::path::{Path, PathBuf};

pub use export::{Export, Wanted, export};

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
    /// Recompute payouts from an evidence file alone, without any daemon; exit code 7 if it does not hold.
    Verify {
        /// The file, from `srwan ticket export`.
        file: PathBuf,
    },
    /// Write the signed evidence of a ticket, or of all tickets of a ledger, into a file.
    Export(Export),
}

impl TicketVerb {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::List => output.answer(&tickets(socket)?, tickets_text)?,
            Self::Show { id } => {
                let found = tickets(socket)?.tickets.into_iter().find(|t| t.id.starts_with(&id));
                let ticket = found.ok_or_else(|| unknown_ticket(&id))?;
                let answer = OneTicket { schema: "srwan.ticket/1", ticket };
                output.answer(&answer, |answer| ticket_text(&answer.ticket))?;
            }
            Self::Verify { file } => return verify::verify(&file, output),
            Self::Export(args) => args.run(output)?,
        }
        Ok(Exit::Ok)
    }
}

fn tickets(socket: &Path) -> anyhow::Result<Tickets> {
    Ok(super::router(socket)?.get("/v1/tickets")?)
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
        "ticket   {}\nlane     {}\npath     {}\noctets   {}\nstate    {}\nreason   {}\n\
         earned   {}\ntime     {}\nheight   {}",
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
