//! `srwan ticket export`: evidence out of a ledger's blocks, for people who do not want to ask it again.

use crate::evidence_file::{EvidenceFile, LaneFile, SCHEMA, StepFile, TicketFile, encoded};
use crate::output::Output;
use crate::problem::code;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use srwan_api::http::{ApiError, BlockingClient, escape};
use srwan_api::ledger::{Effect, Payee, Settlement, Status, Tickets, Tx, TxStatus};
use srwan_ledger::amount::Amount;
use srwan_ledger::block::Block;
use srwan_ledger::lane::{LaneOpen, lane_id};
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::{Action, SignedTx};
use srwan_wire::id::{ChainId, LaneId};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Digits of a ticket's or lane's name.
const NAME_DIGITS: usize = 64;

/// Blocks between two lines about how far the export is: some seconds of asking.
const BLOCKS_TOLD: u64 = 5_000;

/// Arguments of `ticket export`.
#[derive(Args)]
pub struct Export {
    /// Name of the ticket's transaction, or the start of it; the lane's earlier tickets come along.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// Every ticket that the ledger ever settled.
    #[arg(long)]
    all: bool,
    /// Address of a validator.
    #[arg(long, env = "SRWAN_LEDGER", value_name = "URL", default_value = "http://127.0.0.1:7090")]
    ledger: String,
    /// Where to write it; standard output unless given.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Export {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<()> {
        let wanted = self.id.map_or(Wanted::All, Wanted::One);
        export(&self.ledger, wanted, self.out.as_deref(), output)
    }
}

/// What is exported.
pub enum Wanted {
    /// Every ticket.
    All,
    /// The ticket whose name begins so.
    One(String),
}

/// Writes the evidence into `out`, or to standard output.
pub fn export(url: &str, wanted: Wanted, out: Option<&Path>, output: Output) -> anyhow::Result<()> {
    let walk = Walk::new(crate::command::daemon_at(url)?)?;
    let file = match wanted {
        Wanted::All => walk.all(output)?,
        Wanted::One(id) => walk.one(&id)?,
    };
    let text = serde_json::to_string_pretty(&file)?;
    let Some(path) = out else { return Ok(writeln!(std::io::stdout(), "{text}")?) };
    std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    let steps = file.lanes.iter().flat_map(|lane| &lane.steps);
    let tickets = steps.filter(|step| matches!(step, StepFile::Ticket(_))).count();
    let answer = serde_json::json!({
        "schema": "srwan.ticket-export/1",
        "tickets": tickets,
        "lanes": file.lanes.len(),
        "file": path.display().to_string(),
    });
    let (lanes, shown) = (file.lanes.len(), path.display());
    output.answer(&answer, |_| format!("{tickets} tickets of {lanes} lanes written to {shown}"))
}

/// A walk over the blocks of a ledger.
struct Walk {
    client: BlockingClient,
    status: Status,
    chain: ChainId,
}

/// What is known of a lane so far.
struct Found {
    opening: Option<(u64, SignedTx)>,
    steps: Vec<(u64, SignedTx, Option<Settlement>)>,
}

impl Walk {
    fn new(client: BlockingClient) -> anyhow::Result<Self> {
        let status: Status = client.get("/v1/status")?;
        let chain = ChainId::from_hex(&status.chain_id)
            .ok_or_else(|| no_evidence("its chain id is no key".to_owned()))?;
        Ok(Self { client, status, chain })
    }

    fn all(&self, output: Output) -> anyhow::Result<EvidenceFile> {
        let mut lanes: BTreeMap<LaneId, Found> = BTreeMap::new();
        for height in 1..=self.status.height {
            for tx in self.block(height)?.txs {
                let Some(lane) = self.lane_of(&tx) else { continue };
                let found = lanes.entry(lane).or_insert_with(Found::nothing);
                self.note(found, height, tx)?;
            }
            if height % BLOCKS_TOLD == 0 {
                output.progress(&format!("read {height} of {} blocks", self.status.height));
            }
        }
        lanes.retain(|_, found| found.has_paid());
        self.file(lanes)
    }

    /// The lane of one ticket, from its opening up to that ticket.
    fn one(&self, id: &str) -> anyhow::Result<EvidenceFile> {
        let (last, settlement) = self.find(id)?;
        let lane = LaneId::from_hex(&settlement.lane)
            .ok_or_else(|| no_evidence("the ticket names no lane".to_owned()))?;
        let mut found = Found::nothing();
        for height in (1..=last).rev() {
            let txs = self.block(height)?.txs.into_iter();
            let mut below = Found::nothing();
            for tx in txs.filter(|tx| self.lane_of(tx) == Some(lane)) {
                let is_asked_for = tx.body.hash().to_string().starts_with(id);
                self.note(&mut below, height, tx)?;
                if height == last && is_asked_for {
                    break;
                }
            }
            found.put_below(below);
            if found.opening.is_some() {
                break;
            }
        }
        self.file(BTreeMap::from([(lane, found)]))
    }

    /// The block of a ticket and what it settled.
    fn find(&self, id: &str) -> anyhow::Result<(u64, Settlement)> {
        if id.len() < NAME_DIGITS {
            let recent: Tickets = self.client.get("/v1/tickets")?;
            let ticket = recent.tickets.into_iter().find(|ticket| ticket.hash.starts_with(id));
            let ticket = ticket.ok_or_else(|| unknown(id))?;
            return Ok((ticket.height, ticket.settlement));
        }
        let tx: Tx = self.client.get(&format!("/v1/tx/{}", escape(id)))?;
        match (tx.height, tx.effect) {
            (Some(height), Some(Effect::Settled { settlement })) => Ok((height, settlement)),
            _ => Err(unknown(id).into()),
        }
    }

    fn block(&self, height: u64) -> anyhow::Result<Block> {
        let shown: srwan_api::ledger::Block = self.client.get(&format!("/v1/block/{height}"))?;
        let octets = STANDARD.decode(&shown.bytes).ok();
        let block = octets.and_then(|octets| borsh::from_slice::<Block>(&octets).ok());
        Ok(block.ok_or_else(|| no_evidence(format!("block {height} cannot be read")))?)
    }

    /// The lane that a transaction opens, raises or settles.
    fn lane_of(&self, tx: &SignedTx) -> Option<LaneId> {
        match &tx.body.action {
            Action::LaneOpen(_) => Some(lane_id(&self.chain, &tx.body.sender, tx.body.nonce)),
            Action::LaneRaise { lane, .. } => Some(*lane),
            Action::Ticket(ticket) => Some(ticket.lane),
            _ => None,
        }
    }

    /// Notes a transaction if it was applied, with what it settled.
    fn note(&self, found: &mut Found, height: u64, tx: SignedTx) -> anyhow::Result<()> {
        let hash = tx.body.hash();
        let became: Tx =
            self.client.get(&format!("/v1/tx/{hash}")).map_err(|error: ApiError| {
                match error.status {
                    404 => no_evidence(format!("it does not keep what became of {hash}")),
                    _ => error,
                }
            })?;
        match (became.status, became.effect) {
            (TxStatus::Applied, Some(Effect::LaneOpened { .. })) => {
                found.opening = Some((height, tx));
            }
            (TxStatus::Applied, Some(Effect::Settled { settlement })) => {
                found.steps.push((height, tx, Some(settlement)));
            }
            (TxStatus::Applied, Some(Effect::LaneRaised { .. })) => {
                found.steps.push((height, tx, None));
            }
            _ => {}
        }
        Ok(())
    }

    fn file(&self, lanes: BTreeMap<LaneId, Found>) -> anyhow::Result<EvidenceFile> {
        let lanes = lanes.into_iter().map(|(lane, found)| self.lane_file(lane, found));
        Ok(EvidenceFile {
            schema: SCHEMA.to_owned(),
            chain: self.status.chain.clone(),
            chain_id: self.status.chain_id.clone(),
            lanes: lanes.collect::<anyhow::Result<_>>()?,
        })
    }

    fn lane_file(&self, lane: LaneId, found: Found) -> anyhow::Result<LaneFile> {
        let missing =
            || no_evidence(format!("the opening of lane {lane} is in none of its blocks"));
        let (opening_height, opening) = found.opening.ok_or_else(missing)?;
        let Action::LaneOpen(open) = &opening.body.action else { return Err(missing().into()) };
        let payee = |payee: &srwan_ledger::lane::Payee| Payee {
            account: payee.account.to_string(),
            weight: payee.weight,
        };
        let mut carry = Carry::default();
        let steps =
            found.steps.iter().map(|(height, tx, paid)| step(*height, tx, paid, &mut carry));
        Ok(LaneFile {
            lane: lane.to_string(),
            payer: opening.body.sender.to_string(),
            path: open.path.to_string(),
            price_base_per_mb: open.price.0,
            infra_bps: self.infra_bps(lane),
            payees: LaneOpen::clone(open).payees.iter().map(payee).collect(),
            opening_height,
            opening: encoded(&opening),
            steps: steps.collect::<Result<_, ApiError>>()?,
        })
    }

    /// The lane's own part for infrastructure, where the ledger says it; else the one that counts for fresh lanes.
    fn infra_bps(&self, lane: LaneId) -> u16 {
        let shown = self.client.get::<serde_json::Value>(&format!("/v1/lane/{lane}")).ok();
        let own = shown.and_then(|lane| lane["infra_bps"].as_u64());
        own.and_then(|bps| u16::try_from(bps).ok()).unwrap_or(self.status.params.infra_bps)
    }
}

impl Found {
    const fn nothing() -> Self {
        Self { opening: None, steps: Vec::new() }
    }

    fn has_paid(&self) -> bool {
        self.steps.iter().any(|(_, _, paid)| paid.is_some())
    }

    /// Puts what a lower block has before the rest.
    fn put_below(&mut self, mut below: Self) {
        self.opening = self.opening.take().or(below.opening);
        below.steps.append(&mut self.steps);
        self.steps = below.steps;
    }
}

/// Counts what rounding leaves in a lane: charges less everything that was paid.
#[derive(Default)]
struct Carry {
    base: u128,
}

impl Carry {
    fn after(&mut self, paid: &Settlement) -> Option<Amount> {
        let base =
            |text: &str| Amount::parse_coins(text).ok().map(|coins| u128::from(coins.base()));
        let shares = paid.shares.iter().map(|share| base(&share.coins));
        let out = base(&paid.infra_coins)? + shares.sum::<Option<u128>>()?;
        self.base = (self.base + base(&paid.charge_coins)?).checked_sub(out)?;
        Amount::from_u128(self.base)
    }
}

fn step(
    height: u64,
    tx: &SignedTx,
    paid: &Option<Settlement>,
    carry: &mut Carry,
) -> Result<StepFile, ApiError> {
    let (Some(paid), Action::Ticket(ticket)) = (paid, &tx.body.action) else {
        return Ok(StepFile::Raise { height, tx: encoded(tx) });
    };
    let carry = carry.after(paid);
    let carry =
        carry.ok_or_else(|| no_evidence("a settlement pays more than its charge".into()))?;
    let Ticket { receipt, delivery, .. } = ticket;
    Ok(StepFile::Ticket(Box::new(TicketFile {
        height,
        tx: encoded(tx),
        receipt_bytes: receipt.body.octets.0,
        delivery_bytes: delivery.body.octets.0,
        settled_before_bytes: paid.settled_before_bytes,
        settled_bytes: paid.settled_bytes,
        charge_coins: paid.charge_coins.clone(),
        infra_coins: paid.infra_coins.clone(),
        shares: paid.shares.clone(),
        carry_coins: carry.to_string(),
    })))
}

fn unknown(id: &str) -> ApiError {
    ApiError::new(404, code::NO_SUCH_TICKET, format!("the ledger shows no ticket {id}"))
        .why("it settled none of that name, or so long ago that only the full name is found")
        .fix("give all 64 digits of the name, or export --all")
}

fn no_evidence(why: String) -> ApiError {
    ApiError::new(0, code::NO_EXPORT, "this ledger's answers are not enough for evidence")
        .why(why)
        .fix("ask a validator of this version that has all blocks: --ledger URL")
}
