//! One core, no processes: how long the state machine takes for a ticket, and what a million accounts weigh.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use srwan_ledger::amount::Amount;
use srwan_ledger::block::{Block, Maker};
use srwan_ledger::genesis::GenesisValidator;
use srwan_ledger::genesis::{Genesis, Params};
use srwan_ledger::outcome::Outcome;
use srwan_ledger::proof::Kind;
use srwan_ledger::signature::Checked;
use srwan_ledger::state::State;
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::{AccountKey, ValidatorKey};

use super::machine;
use super::tickets::{Market, secret};

/// What one size of ledger came to.
#[derive(Clone, Debug, Serialize)]
pub struct Core {
    pub accounts: u32,
    /// Signatures already checked, state root included.
    pub apply_us: f64,
    pub applied_per_second: f64,
    /// All signatures of a ticket, in batches of a block's.
    pub signatures_us: f64,
    pub state_mb: u64,
    pub proof_octets: usize,
    pub snapshot_octets: usize,
    pub snapshot_read_seconds: f64,
}

impl Core {
    /// A line.
    pub fn text(&self) -> String {
        format!(
            "one core, {} accounts: apply {:.2} us a ticket ({:.0}/s), its signatures {:.1} us; \
             state {} MB, account proof {} octets, snapshot {:.1} MB read in {:.2} s",
            self.accounts,
            self.apply_us,
            self.applied_per_second,
            self.signatures_us,
            self.state_mb,
            self.proof_octets,
            self.snapshot_octets as f64 / 1e6,
            self.snapshot_read_seconds
        )
    }
}

/// Measures a ledger with so many accounts.
pub fn measure(accounts: u32) -> Result<Core> {
    let before = machine::resident_mb(std::process::id());
    let mut state = State::genesis(&genesis(accounts)).context("the genesis keeps its rules")?;
    let state_mb = machine::resident_mb(std::process::id()).saturating_sub(before);
    let proof = state.prove(Kind::Account, &secret(0).public().0).proof;
    let proof_octets = borsh::to_vec(&proof)?.len();
    let fees = Params::DEFAULT.fees;
    let mut market = Market::new(state.chain(), fees, PAYERS, state.next_height());
    let opening = market.open();
    execute(&mut state, opening, &Checked::new())?;
    let (mut signatures, mut apply) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        let tickets = market.tickets(PAYERS);
        let mut checked = Checked::new();
        let begun = Instant::now();
        checked.check(&state, &tickets);
        signatures.push(each_us(begun, tickets.len()));
        apply.push(execute(&mut state, tickets, &checked)?);
    }
    let snapshot = state.to_snapshot();
    drop(state);
    let begun = Instant::now();
    State::from_snapshot(&snapshot).context("the snapshot is whole")?;
    let apply_us = machine::median(&mut apply);
    Ok(Core {
        accounts,
        apply_us,
        applied_per_second: 1e6 / apply_us,
        signatures_us: machine::median(&mut signatures),
        state_mb,
        proof_octets,
        snapshot_octets: snapshot.len(),
        snapshot_read_seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Executes a block that must apply wholly; microseconds for each of its transactions.
fn execute(state: &mut State, txs: Vec<SignedTx>, checked: &Checked) -> Result<f64> {
    let (count, header) = (txs.len(), state.next_header(Maker::default(), &txs));
    let block = Block { header, txs };
    let begun = Instant::now();
    let outcome = state.execute_checked(&block, checked)?;
    let took = each_us(begun, count);
    let is_applied = |outcome: &Outcome| matches!(outcome, Outcome::Applied(_));
    let refused = outcome.receipts.iter().find(|receipt| !is_applied(&receipt.outcome));
    anyhow::ensure!(refused.is_none(), "a transaction was not applied: {refused:?}");
    Ok(took)
}

fn each_us(begun: Instant, count: usize) -> f64 {
    1e6 * begun.elapsed().as_secs_f64() / count as f64
}

/// Payers with coins, and as many others as it takes.
pub fn genesis(accounts: u32) -> Genesis {
    let payers = u32::try_from(PAYERS).unwrap_or(accounts);
    let rich = (0..payers).map(|payer| (secret(payer).public(), coins(1_000)));
    let other = |n: u32| (AccountKey(*blake3::hash(&n.to_le_bytes()).as_bytes()), coins(1));
    Genesis {
        chain: "measure".into(),
        supply: coins(1_000_000_000),
        accounts: rich.chain((payers..accounts).map(other)).collect(),
        subsidy: Amount::ZERO,
        validators: BTreeMap::new(),
        params: Params::DEFAULT,
    }
}

/// A validator that is alone, and gets all fees.
pub fn sole_validator(key: ValidatorKey) -> BTreeMap<ValidatorKey, GenesisValidator> {
    let address = ([127, 0, 0, 1], 7_091).into();
    let account = AccountKey(key.0);
    [(key, GenesisValidator { account, address, power: 1, bond: Amount::ZERO })].into()
}

fn coins(coins: u64) -> Amount {
    Amount::from_coins(coins).unwrap_or(Amount::ZERO)
}

/// Enough that neither a block's tickets nor their lanes stay in the first caches.
pub const PAYERS: usize = 1_000;
/// Medians of so many blocks.
const BLOCKS: usize = 20;
