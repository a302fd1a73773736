//! Load on a ledger: accounts that transfer, fund lanes and settle them, and remember what they were told.
//!
//! Each payer hands in a few transactions at once to validators drawn by lot, the same bytes again until all are
//! final, and then writes down each outcome with its height: an acknowledgement that must hold for ever.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use srwan_api::http::HttpClient;
use srwan_api::ledger::{LedgerClient, Tx as TxAnswer, TxStatus};
use srwan_ledger::amount::Amount;
use srwan_ledger::hash::TxHash;
use srwan_ledger::tx::Author;
use srwan_wire::id::{AccountKey, ChainId};
use srwan_wire::sign::AccountSecret;

use crate::fabric::random::Random;

use super::payer::{Entry, Payer, Wanted};
use crate::cluster::secret;

/// A running load.
pub struct Load {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What payers share.
struct Desk {
    doors: Vec<LedgerClient>,
    stop: AtomicBool,
    tally: Mutex<Tally>,
}

/// What came of the load so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub applied: u64,
    /// Tickets handed in twice: the second one must not settle.
    pub repeated: u64,
    pub tickets: u64,
    /// What should not have happened.
    pub faults: Vec<String>,
    acks: VecDeque<Ack>,
}

/// An outcome that a validator told as final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    pub hash: TxHash,
    pub height: u64,
    pub status: TxStatus,
}

impl Load {
    /// Starts payers against validators at `urls`.
    ///
    /// **Errors:** no validator tells what a client must know to sign.
    pub fn start(urls: &[String], payers: u8, seed: u64) -> Result<Self> {
        let doors = urls.iter().map(|url| door(url)).collect::<Result<Vec<_>>>()?;
        let desk = Arc::new(Desk { doors, stop: AtomicBool::new(false), tally: Mutex::default() });
        let shared = Arc::clone(&desk);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(all_pay(&shared, payers, seed))
        });
        Ok(Self { desk, thread: Some(thread) })
    }

    /// What came of it so far, without the acknowledgements.
    pub fn tally(&self) -> Tally {
        let tally = self.desk.tally();
        Tally { acks: VecDeque::new(), ..tally.clone() }
    }

    /// Some of the latest acknowledgements.
    pub fn acks(&self, random: &mut Random) -> Vec<Ack> {
        let tally = self.desk.tally();
        let count = u64::try_from(tally.acks.len()).unwrap_or(0);
        let draw = |_| usize::try_from(random.below(count)).unwrap_or(0);
        let drawn: Vec<usize> = (0..SAMPLE).map(draw).collect();
        drawn.into_iter().filter_map(|at| tally.acks.get(at).cloned()).collect()
    }

    /// Lets payers finish what they handed in, and ends.
    pub fn stop(mut self) -> Result<Tally> {
        self.desk.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("a load is stopped once")?;
        thread.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
        Ok(self.tally())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.desk.stop.store(true, Ordering::Relaxed);
    }
}

/// The accounts of a load, for the genesis.
pub fn accounts(payers: u8, seed: u64) -> Vec<AccountKey> {
    let key = |number: u8| AccountSecret::from_seed(&secret(seed, number.into())).public();
    (0..payers).map(key).collect()
}

/// Whether one validator, asked by itself, still tells an acknowledged outcome.
///
/// **Errors:** it tells another one, or none.
pub fn check_ack(url: &str, ack: &Ack) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = runtime.block_on(door(url)?.tx(ack.hash, Duration::ZERO));
    let told = told.map_err(|error| anyhow::anyhow!("{url}: {}: {}", ack.hash, error.what))?;
    anyhow::ensure!(
        told.height == Some(ack.height) && told.status == ack.status,
        "{url}: {} was {:?} at height {}, and is {:?} at {:?}",
        ack.hash,
        ack.status,
        ack.height,
        told.status,
        told.height
    );
    Ok(())
}

fn door(url: &str) -> Result<LedgerClient> {
    Ok(LedgerClient::new(HttpClient::new(url)?.with_timeout(CALL_MAX)))
}

async fn all_pay(desk: &Arc<Desk>, payers: u8, seed: u64) -> Result<()> {
    let secrets: Vec<[u8; 32]> = (0..payers).map(|number| secret(seed, number.into())).collect();
    let status = desk.doors.first().context("no validator")?.status().await?;
    let chain = ChainId::from_hex(&status.chain_id).context("a chain has an id")?;
    let fees = status.params.fee_schedule().map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut all = tokio::task::JoinSet::new();
    for number in 0..usize::from(payers) {
        let author = Author::new(chain, fees, AccountSecret::from_seed(&secrets[number]));
        let random = Random::new(seed, u64::try_from(number)?);
        let payer = Payer::new(chain, author, (number, secrets.clone()), random);
        all.spawn(pay(Arc::clone(desk), payer));
    }
    while let Some(ended) = all.join_next().await {
        ended.context("a payer panicked")?;
    }
    Ok(())
}

/// One payer: some transactions, until they are final; then the next.
async fn pay(desk: Arc<Desk>, mut payer: Payer) {
    while !desk.stopped() {
        let height = desk.height(&mut payer.random).await;
        let batch = payer.next_batch(height);
        let mut open: Vec<&Entry> = batch.iter().collect();
        while !open.is_empty() {
            for entry in &open {
                desk.hand_in(&mut payer.random, entry).await;
            }
            let mut left = Vec::new();
            for entry in open {
                match desk.outcome(&mut payer.random, entry).await {
                    Some(outcome) => desk.note(entry, &outcome),
                    None => left.push(entry),
                }
            }
            open = left;
            if desk.stopped() {
                break;
            }
        }
    }
}

impl Desk {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn any(&self, random: &mut Random) -> &LedgerClient {
        let count = u64::try_from(self.doors.len()).unwrap_or(1);
        &self.doors[usize::try_from(random.below(count)).unwrap_or(0)]
    }

    /// The height that some validator tells; asks until one answers.
    async fn height(&self, random: &mut Random) -> u64 {
        loop {
            match self.any(random).status().await {
                Ok(status) => return status.height,
                Err(_) if self.stopped() => return 0,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Hands in to some validator; what it says does not matter, only what becomes final.
    async fn hand_in(&self, random: &mut Random, entry: &Entry) {
        for _ in 0..self.doors.len() {
            match self.any(random).submit(&entry.tx).await {
                Err(error) if error.is_transient() => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// What became of a transaction, if that is final soon.
    async fn outcome(&self, random: &mut Random, entry: &Entry) -> Option<TxAnswer> {
        let hash = entry.tx.body.hash();
        for _ in 0..OUTCOME_TRIES {
            match self.any(random).tx(hash, TX_WAIT).await {
                Ok(answer) if answer.status != TxStatus::Pending => return Some(answer),
                Ok(_) => {}
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
        None
    }

    fn note(&self, entry: &Entry, answer: &TxAnswer) {
        let mut tally = self.tally();
        let code = answer.problem.as_ref().map_or("", |problem| problem.code.as_str());
        match (entry.wanted, answer.status) {
            (Wanted::Applied, TxStatus::Applied) => tally.applied += 1,
            (Wanted::Settled, TxStatus::Applied) => {
                tally.applied += 1;
                tally.tickets += 1;
            }
            (Wanted::NothingToSettle, TxStatus::Rejected) if code == NOTHING_TO_SETTLE => {
                tally.repeated += 1;
            }
            (wanted, status) => {
                let hash = entry.tx.body.hash();
                tally.faults.push(format!("{hash}: wanted {wanted:?}, is {status:?} {code}"));
            }
        }
        let Some(height) = answer.height else { return };
        tally.acks.push_back(Ack { hash: entry.tx.body.hash(), height, status: answer.status });
        if tally.acks.len() > ACKS_MAX {
            tally.acks.pop_front();
        }
    }
}

/// What a payer's lane is funded with: 20 MB at the reference price.
pub const LANE_CAP: Amount = Amount::from_base(200_000_000);
/// A call to a validator that was killed a moment ago must not hold up a payer.
const CALL_MAX: Duration = Duration::from_secs(2);
const TX_WAIT: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(100);
/// Calls for an outcome before the transaction is handed in again: its pool may be gone.
const OUTCOME_TRIES: usize = 3;
/// Fewer than the 20,000 receipts that a validator keeps.
const ACKS_MAX: usize = 5_000;
/// Acknowledgements that a validator is asked for after each restart.
const SAMPLE: usize = 20;
const NOTHING_TO_SETTLE: &str = "SRW-L410";
