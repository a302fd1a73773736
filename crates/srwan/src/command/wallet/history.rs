//! `srwan wallet history`: what moved the coins of an account.
//!
//! A ledger that keeps a history is asked for it. Another one is asked for its last blocks: then what the end of a
//! block moved (dividends, refunds, bonds) is not seen, and the answer says so.

use super::super::sending::{LedgerUrl, parse_account, secret};
use crate::output::Output;
use crate::text::{or_dash, table};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::{Deserialize, Serialize};
use srwan_api::http::{ApiError, BlockingClient};
use srwan_api::ledger::{Effect, Status, Tx, TxStatus};
use srwan_ledger::amount::Amount;
use srwan_ledger::block::Block;
use srwan_ledger::tx::{Action, SignedTx};
use srwan_wire::id::AccountKey;
use srwan_wire::time::Timestamp;
use std::path::PathBuf;

/// Arguments of `wallet history`.
#[derive(Args)]
pub struct History {
    /// The account of this key file.
    #[arg(long, value_name = "FILE", required_unless_present = "account")]
    key_file: Option<PathBuf>,
    /// This account.
    #[arg(long, value_name = "KEY", value_parser = parse_account, conflicts_with = "key_file")]
    account: Option<AccountKey>,
    #[command(flatten)]
    at: LedgerUrl,
    /// Only what is below this height.
    #[arg(long, value_name = "HEIGHT")]
    before: Option<u64>,
    /// How many at most, 1 to 200.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
}

/// What moved the coins of an account, newest first.
#[derive(Serialize, Deserialize)]
struct Moves {
    schema: String,
    account: String,
    /// To be given as `--before` for what is older; nothing if there is none.
    next_before: Option<u64>,
    entries: Vec<Move>,
    /// Whether what the end of a block moves is missing.
    #[serde(default)]
    transactions_only: bool,
}

/// One thing that moved coins, or cost a fee.
#[derive(Serialize, Deserialize)]
struct Move {
    height: u64,
    time_ns: u64,
    /// The transaction; none for what the rules did at the end of a block.
    hash: Option<String>,
    kind: String,
    /// Change of the balance, with the fee if the account paid it.
    coins: String,
    /// The other account, or the lane.
    other: Option<String>,
}

/// Blocks that are read of a ledger that keeps no history: some seconds of asking.
const BLOCKS_MAX: u64 = 2_000;

/// Statuses of a validator that does not know the question.
const UNKNOWN_QUESTION: [u16; 2] = [404, 405];

impl History {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<()> {
        let key = match (&self.key_file, self.account) {
            (Some(path), _) => secret(path)?.public(),
            (None, key) => key.expect("clap asks for one of the two"),
        };
        let client = crate::command::daemon_at(&self.at.ledger)?;
        let before = self.before.map_or_else(String::new, |height| format!("&before={height}"));
        let asked = format!("/v1/account/{key}/history?limit={}{before}", self.limit);
        let moves = match client.get::<Moves>(&asked) {
            Err(error) if UNKNOWN_QUESTION.contains(&error.status) => self.walk(&client, key)?,
            answered => answered?,
        };
        output.answer(&moves, text)
    }

    fn walk(&self, client: &BlockingClient, key: AccountKey) -> Result<Moves, ApiError> {
        let status: Status = client.get("/v1/status")?;
        let top = self.before.map_or(status.height, |before| before.saturating_sub(1));
        let top = top.min(status.height);
        let bottom = top.saturating_sub(BLOCKS_MAX).max(1);
        let (mut entries, mut lowest) = (Vec::new(), top);
        for height in (bottom..=top).rev() {
            if entries.len() >= usize::from(self.limit) {
                break;
            }
            lowest = height;
            entries.extend(moves_in(client, key, height)?);
        }
        Ok(Moves {
            schema: "srwan.ledger.history/1".to_owned(),
            account: key.to_string(),
            next_before: (lowest > 1).then_some(lowest),
            entries,
            transactions_only: true,
        })
    }
}

/// What the transactions of one block moved, newest first.
fn moves_in(client: &BlockingClient, key: AccountKey, height: u64) -> Result<Vec<Move>, ApiError> {
    let shown: srwan_api::ledger::Block = client.get(&format!("/v1/block/{height}"))?;
    if shown.txs.is_empty() {
        return Ok(Vec::new());
    }
    let octets = STANDARD.decode(&shown.bytes).ok();
    let block: Option<Block> = octets.and_then(|octets| borsh::from_slice(&octets).ok());
    let mut moves = Vec::new();
    for tx in block.map(|block| block.txs).unwrap_or_default() {
        if !concerns(&tx, &key) {
            continue;
        }
        let became: Tx = client.get(&format!("/v1/tx/{}", tx.body.hash()))?;
        moves.extend(Change::of(&tx, &became, &key).entry(height, shown.time_ns, &tx));
    }
    moves.reverse();
    Ok(moves)
}

fn concerns(tx: &SignedTx, key: &AccountKey) -> bool {
    let gets = match &tx.body.action {
        Action::Transfer { to, .. } => to == key,
        // Who is paid stands in its effect alone.
        Action::Ticket(_) => true,
        _ => false,
    };
    gets || tx.body.sender == *key
}

/// What one transaction did to one balance.
struct Change {
    kind: &'static str,
    gained: Amount,
    lost: Amount,
    other: Option<String>,
}

impl Change {
    fn of(tx: &SignedTx, became: &Tx, key: &AccountKey) -> Self {
        let coins = |text: &str| Amount::parse_coins(text).unwrap_or(Amount::ZERO);
        let is_own = tx.body.sender == *key;
        // The lane may have paid a ticket's fee: then the account's share tells all that it got.
        let is_ticket = matches!(tx.body.action, Action::Ticket(_));
        let fee = if is_own && !is_ticket { coins(&became.fee_coins) } else { Amount::ZERO };
        let none = Self { kind: "fee", gained: Amount::ZERO, lost: fee, other: None };
        let Some(effect) = became.effect.as_ref().filter(|_| became.status == TxStatus::Applied)
        else {
            return Self { kind: "rejected", ..none };
        };
        let lose = |text: &str| fee.checked_add(coins(text)).unwrap_or(fee);
        match effect {
            Effect::Transferred { to, coins: sent } if is_own => {
                Self { kind: "transferred", lost: lose(sent), other: Some(to.clone()), ..none }
            }
            Effect::Transferred { coins: got, .. } => {
                let from = tx.body.sender.to_string();
                Self { kind: "received", gained: coins(got), other: Some(from), ..none }
            }
            Effect::EscrowAdded { coins } => {
                Self { kind: "escrow_added", lost: lose(coins), ..none }
            }
            Effect::EscrowWithdrawn { coins: got } => {
                Self { kind: "escrow_withdrawn", gained: coins(got), ..none }
            }
            Effect::LaneOpened { lane, .. } => lane_change("lane_opened", lane, none),
            Effect::LaneRaised { lane, .. } => lane_change("lane_raised", lane, none),
            Effect::LaneClosing { lane, .. } => lane_change("lane_closing", lane, none),
            Effect::Settled { settlement } => {
                let account = key.to_string();
                let own = settlement.shares.iter().find(|share| share.account == account);
                let gained = own.map_or(Amount::ZERO, |share| coins(&share.coins));
                lane_change("earned", &settlement.lane, Self { gained, ..none })
            }
            _ => none,
        }
    }

    /// The entry; none for a ticket that neither paid the account nor was its own.
    fn entry(self, height: u64, time_ns: u64, tx: &SignedTx) -> Option<Move> {
        if self.kind == "earned" && self.gained.is_zero() {
            return None;
        }
        let coins = match self.gained.checked_sub(self.lost) {
            Some(more) => more.to_string(),
            None => format!("-{}", self.lost.saturating_sub(self.gained)),
        };
        let (hash, kind) = (Some(tx.body.hash().to_string()), self.kind.to_owned());
        Some(Move { height, time_ns, hash, kind, coins, other: self.other })
    }
}

fn lane_change(kind: &'static str, lane: &str, change: Change) -> Change {
    Change { kind, other: Some(lane.to_owned()), ..change }
}

/// Digits of a name that tell it apart in a table; the JSON answer has all.
const NAME_DIGITS: usize = 16;

fn text(moves: &Moves) -> String {
    let short = |name: &Option<String>| {
        or_dash(name.as_ref(), |name| name.chars().take(NAME_DIGITS).collect())
    };
    let rows = moves.entries.iter().map(|entry| {
        let time = srwan_api::rfc3339::format(Timestamp::from_nanos(entry.time_ns));
        let (hash, other) = (short(&entry.hash), short(&entry.other));
        [entry.height.to_string(), time, entry.kind.clone(), entry.coins.clone(), other, hash]
    });
    let head = ["HEIGHT", "TIME", "WHAT", "COINS", "OTHER", "TRANSACTION"];
    let mut shown = table(head, rows);
    if moves.transactions_only {
        shown
            .push_str("\n\nthis ledger keeps no history: dividends, refunds and bonds are missing");
    }
    if let Some(before) = moves.next_before {
        shown.push_str(&format!("\nolder: --before {before}"));
    }
    shown
}
