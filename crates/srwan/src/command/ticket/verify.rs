//! `srwan ticket verify`: who got what, recomputed from signatures and the rule alone.

use crate::evidence_file::EvidenceFile;
use crate::exit::Exit;
use crate::output::Output;
use crate::text::{labelled, table};
use serde::Serialize;
use srwan_api::http::ApiError;
use srwan_api::ledger::Share;
use srwan_ledger::amount::Amount;
use srwan_ledger::evidence::{LaneEvidence, Payout, Refusal, Step, recompute};
use srwan_wire::id::AccountKey;
use std::collections::BTreeMap;
use std::path::Path;

/// Digits of a key that tell accounts apart in a table; the JSON answer has all.
const KEY_DIGITS: usize = 16;

/// What the evidence shows.
#[derive(Serialize)]
struct Verified {
    schema: &'static str,
    chain: String,
    chain_id: String,
    tickets: Vec<TicketPaid>,
    /// What each account got from all of them.
    accounts: Vec<Share>,
    infra_coins: String,
    charge_coins: String,
}

/// One ticket, recomputed.
#[derive(Serialize)]
struct TicketPaid {
    hash: String,
    lane: String,
    payer: String,
    settled_before_bytes: u64,
    settled_bytes: u64,
    charge_coins: String,
    infra_coins: String,
    carry_coins: String,
    hops: Vec<Hop>,
}

/// One payee of a ticket.
#[derive(Serialize)]
struct Hop {
    hop: usize,
    account: String,
    weight: u32,
    coins: String,
}

/// Prints what each hop got; exit code 7 with the reason if the evidence does not hold.
pub fn verify(path: &Path, output: Output) -> anyhow::Result<Exit> {
    let file = EvidenceFile::read(path)?;
    let lanes = file.lanes()?;
    let mut sums = Sums::default();
    let mut tickets = Vec::new();
    for lane in &lanes {
        match recompute(lane) {
            Ok(payouts) => tickets.extend(paid(lane, &payouts, &mut sums)),
            Err(refusal) => {
                output.error(&problem(lane, &refusal));
                return Ok(Exit::Findings);
            }
        }
    }
    let answer = Verified {
        schema: "srwan.ticket-verify/1",
        chain: file.chain,
        chain_id: file.chain_id,
        tickets,
        accounts: sums.accounts(),
        infra_coins: coins(sums.infra),
        charge_coins: coins(sums.charge),
    };
    output.answer(&answer, text)?;
    Ok(Exit::Ok)
}

/// Sums over all tickets; wider than a supply, because a file can name more coins than there are.
#[derive(Default)]
struct Sums {
    shares: BTreeMap<AccountKey, u128>,
    infra: u128,
    charge: u128,
}

impl Sums {
    fn add(&mut self, payout: &Payout) {
        self.infra += u128::from(payout.infra.base());
        self.charge += u128::from(payout.charge.base());
        for (account, share) in &payout.shares {
            *self.shares.entry(*account).or_default() += u128::from(share.base());
        }
    }

    fn accounts(&self) -> Vec<Share> {
        let share = |(account, base): (&AccountKey, &u128)| Share {
            account: account.to_string(),
            coins: coins(*base),
        };
        self.shares.iter().map(share).collect()
    }
}

fn coins(base: u128) -> String {
    Amount::from_u128(base).map_or_else(|| "more than can be".to_owned(), |sum| sum.to_string())
}

/// The tickets of a lane with what they paid, in order.
fn paid(lane: &LaneEvidence, payouts: &[Payout], sums: &mut Sums) -> Vec<TicketPaid> {
    let tickets = lane.steps.iter().filter_map(|step| match step {
        Step::Ticket(claimed) => Some(claimed),
        Step::Raise(_) => None,
    });
    let mut shown = Vec::new();
    for (claimed, payout) in tickets.zip(payouts) {
        sums.add(payout);
        let hops = payout.shares.iter().zip(&lane.shown.payees).enumerate();
        let hop = |(index, ((account, share), payee)): (usize, (&(AccountKey, Amount), &_))| Hop {
            hop: index + 1,
            account: account.to_string(),
            weight: srwan_ledger::lane::Payee::clone(payee).weight,
            coins: share.to_string(),
        };
        shown.push(TicketPaid {
            hash: claimed.tx.body.hash().to_string(),
            lane: lane.shown.id.to_string(),
            payer: lane.shown.payer.to_string(),
            settled_before_bytes: payout.settled_before.0,
            settled_bytes: payout.settled.0,
            charge_coins: payout.charge.to_string(),
            infra_coins: payout.infra.to_string(),
            carry_coins: payout.carry.to_string(),
            hops: hops.map(hop).collect(),
        });
    }
    shown
}

fn problem(lane: &LaneEvidence, refusal: &Refusal) -> ApiError {
    let what = format!("the evidence of lane {} does not hold", lane.shown.id);
    ApiError::new(0, refusal.code(), what)
        .why(refusal.to_string())
        .fix("do not rely on this file; export it from a ledger: srwan ticket export --all")
}

fn text(verified: &Verified) -> String {
    let tickets: Vec<String> = verified.tickets.iter().map(ticket_text).collect();
    let accounts = verified.accounts.iter().map(|a| [a.account.clone(), a.coins.clone()]);
    let infra = ["infrastructure".to_owned(), verified.infra_coins.clone()];
    let totals = table(["ACCOUNT", "COINS"], accounts.chain([infra]));
    let holds = format!(
        "holds: {} tickets, {} coins charged; every signature, sum and share recomputed",
        verified.tickets.len(),
        verified.charge_coins,
    );
    format!("{}\n\n{totals}\n\n{}", tickets.join("\n\n"), labelled("", &holds, 0))
}

fn ticket_text(ticket: &TicketPaid) -> String {
    let last = ticket.hops.len();
    let rows = ticket.hops.iter().map(|hop| {
        let role = if hop.hop == last { "endpoint" } else { "relay" };
        let account = hop.account.chars().take(KEY_DIGITS).collect();
        let (weight, coins) = (hop.weight.to_string(), hop.coins.clone());
        [hop.hop.to_string(), role.to_owned(), account, weight, coins]
    });
    let other = |name: &str, coins: &str| {
        ["-".to_owned(), name.to_owned(), "-".to_owned(), "-".to_owned(), coins.to_owned()]
    };
    let rest = [other("infra", &ticket.infra_coins), other("carry", &ticket.carry_coins)];
    format!(
        "ticket  {}\nlane    {}\npayer   {}\noctets  {} to {}\ncharge  {}\n{}",
        ticket.hash,
        ticket.lane,
        ticket.payer,
        ticket.settled_before_bytes,
        ticket.settled_bytes,
        ticket.charge_coins,
        table(["HOP", "ROLE", "ACCOUNT", "WEIGHT", "COINS"], rows.chain(rest)),
    )
}
