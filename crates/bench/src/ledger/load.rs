//! Load on validators: batches of signed tickets at a rate or as fast as they become final, and when each did.
//!
//! A batch goes to one validator, the next batch to the next one. Finality is what the first validator tells its
//! listeners: the time at which a block's event is heard here counts for each of its transactions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::StreamExt as _;
use srwan_api::http::HttpClient;
use srwan_api::ledger::{Event, Happened, LedgerClient};
use srwan_ledger::tx::SignedTx;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio_tungstenite::tungstenite::Message;

/// How fast tickets are handed in.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// So many a second, whatever becomes of them.
    PerSecond(f64),
    /// As fast as they become final: at most so many are on their way.
    InFlight(u64),
}

/// When things happened.
#[derive(Debug)]
pub struct Seen {
    /// From handing in to finality, of every ticket. **Units:** milliseconds.
    pub latencies_ms: Vec<f64>,
    /// Tickets made final a second, between the first and the last block that had any.
    pub per_second: f64,
    /// Transactions in blocks.
    pub finalized: u64,
    /// Blocks that had transactions.
    pub blocks: u64,
}

/// One validator's listener, and what it heard.
struct Listener {
    finalized: AtomicU64,
    blocks: Mutex<BTreeMap<u64, (Instant, u32)>>,
    heard: Notify,
}

/// Hands in all `txs`, waits until they are final, and says how long that took.
///
/// # Errors
/// A transaction is not taken, or is not final after [`FINAL_MAX`].
pub async fn run(urls: &[String], txs: Vec<SignedTx>, pace: Pace) -> Result<Seen> {
    let listener = listen(&urls[0]).await?;
    let doors: Vec<LedgerClient> = urls.iter().map(|url| door(url)).collect::<Result<_>>()?;
    let batches: Vec<Vec<SignedTx>> = txs.chunks(BATCH).map(<[_]>::to_vec).collect();
    let total = u64::try_from(txs.len())?;
    drop(txs);
    let sent = hand_in(&listener, &doors, &batches, pace).await?;
    let waiting = listener.wait_for(total);
    tokio::time::timeout(FINAL_MAX, waiting).await.context("tickets do not become final")?;
    seen(&listener, &doors[0], &batches, &sent).await
}

/// Hands in every batch; when each was.
async fn hand_in(
    listener: &Listener,
    doors: &[LedgerClient],
    batches: &[Vec<SignedTx>],
    pace: Pace,
) -> Result<Vec<Instant>> {
    let calls = Arc::new(Semaphore::new(CALLS_MAX));
    let (began, mut sent, mut open) = (Instant::now(), Vec::new(), tokio::task::JoinSet::new());
    let mut handed = 0_u64;
    for (number, batch) in batches.iter().enumerate() {
        match pace {
            Pace::PerSecond(rate) => {
                let due = began + Duration::from_secs_f64(handed as f64 / rate);
                tokio::time::sleep_until(due.into()).await;
            }
            Pace::InFlight(most) => listener.wait_for((handed + 1).saturating_sub(most)).await,
        }
        let permit = Arc::clone(&calls).acquire_owned().await?;
        handed += u64::try_from(batch.len())?;
        sent.push(Instant::now());
        let (door, batch) = (doors[number % doors.len()].clone(), batch.clone());
        open.spawn(async move {
            let taken = take(&door, &batch).await;
            drop(permit);
            taken
        });
        while let Some(ended) = open.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = open.join_next().await {
        ended??;
    }
    Ok(sent)
}

async fn take(door: &LedgerClient, batch: &[SignedTx]) -> Result<()> {
    let taken = door.submit_many(batch).await.map_err(|error| anyhow::anyhow!("{error}"))?;
    let refused = taken.txs.iter().find_map(|tx| tx.problem.as_ref());
    anyhow::ensure!(refused.is_none(), "a transaction is not taken: {refused:?}");
    Ok(())
}

/// Which block each transaction came into, and so when it was final.
async fn seen(
    listener: &Listener,
    door: &LedgerClient,
    batches: &[Vec<SignedTx>],
    sent: &[Instant],
) -> Result<Seen> {
    let blocks = listener.blocks().clone();
    let mut final_at = BTreeMap::new();
    for (height, (at, txs)) in &blocks {
        if *txs > 0 {
            let block = door.block(srwan_wire::id::Height(*height)).await;
            let block = block.map_err(|error| anyhow::anyhow!("{error}"))?;
            final_at.extend(block.txs.into_iter().map(|hash| (hash, *at)));
        }
    }
    let mut latencies_ms = Vec::new();
    for (batch, sent) in batches.iter().zip(sent) {
        for tx in batch {
            let at = final_at.get(&tx.body.hash().to_string()).context("it is in a block")?;
            latencies_ms.push(1e3 * at.saturating_duration_since(*sent).as_secs_f64());
        }
    }
    let full: Vec<(Instant, u32)> = blocks.into_values().filter(|(_, txs)| *txs > 0).collect();
    Ok(Seen {
        latencies_ms,
        per_second: rate(&full),
        finalized: full.iter().map(|(_, txs)| u64::from(*txs)).sum(),
        blocks: u64::try_from(full.len())?,
    })
}

/// Transactions of all blocks but the first, over the time since the first.
fn rate(blocks: &[(Instant, u32)]) -> f64 {
    let (Some((first, _)), Some((last, _))) = (blocks.first(), blocks.last()) else { return 0.0 };
    let txs: u64 = blocks[1..].iter().map(|(_, txs)| u64::from(*txs)).sum();
    txs as f64 / last.duration_since(*first).as_secs_f64()
}

impl Listener {
    fn blocks(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, (Instant, u32)>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when so many transactions are final.
    async fn wait_for(&self, finalized: u64) {
        loop {
            let heard = self.heard.notified();
            if self.finalized.load(Ordering::Acquire) >= finalized {
                return;
            }
            heard.await;
        }
    }

    fn hear(&self, text: &str) -> Result<()> {
        let event: Event = serde_json::from_str(text).context("an event")?;
        if let Happened::Block { txs, .. } = event.what {
            self.blocks().insert(event.height, (Instant::now(), txs));
            self.finalized.fetch_add(txs.into(), Ordering::AcqRel);
            self.heard.notify_waiters();
        }
        Ok(())
    }
}

/// Hears from here on when blocks are final at one validator.
async fn listen(url: &str) -> Result<Arc<Listener>> {
    let address = url.strip_prefix("http://").context("a plain URL")?;
    let stream = TcpStream::connect(address).await?;
    let path = format!("ws://{address}/v1/events?kind=block");
    let (mut socket, _) = tokio_tungstenite::client_async(path, stream).await?;
    let listener = Arc::new(Listener {
        finalized: AtomicU64::new(0),
        blocks: Mutex::default(),
        heard: Notify::new(),
    });
    let ears = Arc::downgrade(&listener);
    tokio::spawn(async move {
        while let (Some(Ok(message)), Some(listener)) = (socket.next().await, ears.upgrade()) {
            if let Message::Text(text) = message
                && let Err(error) = listener.hear(&text)
            {
                eprintln!("a listener stops: {error:#}");
                return;
            }
        }
    });
    Ok(listener)
}

/// A client of one validator.
pub fn door(url: &str) -> Result<LedgerClient> {
    Ok(LedgerClient::new(HttpClient::new(url)?.with_timeout(FINAL_MAX)))
}

/// Transactions of one call: a router that comes back from an outage hands in about as many.
const BATCH: usize = 64;
/// Calls at once: enough that none waits for another.
const CALLS_MAX: usize = 16;
/// A load that the validators cannot carry at all.
const FINAL_MAX: Duration = Duration::from_secs(60);
