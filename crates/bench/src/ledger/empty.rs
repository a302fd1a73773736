//! The engine by itself: a validator whose blocks hold octets that nobody looks at.
//!
//! It is a process of its own, as a validator is, and tells on standard output what it saw.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use srwan_engine::seam::{Application, Equivocation, FinalBlock, Payload, Peer, Position, Verdict};
use srwan_engine::{Config, Engine, Reach, light};

use super::machine;

/// What such a validator is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Which of the committee it is.
    pub own: usize,
    /// All addresses, in the order of their numbers.
    pub committee: Vec<SocketAddr>,
    pub folder: PathBuf,
    /// Of each block's body.
    pub block_octets: usize,
    /// Least time between two blocks.
    pub pause_ms: u64,
    /// How long it measures, once blocks come.
    pub seconds: f64,
}

/// What it saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    pub blocks_per_second: f64,
    /// From proposing to finality, of the blocks that it proposed itself. **Units:** milliseconds.
    pub finality_ms: Vec<f64>,
    pub resident_mb: u64,
}

/// Blocks of octets.
struct Empty {
    order: Order,
    peers: Vec<Peer>,
    executed: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    proposed: Option<(u64, Instant)>,
    finality_ms: Vec<f64>,
    /// When blocks became final, after those that a start takes.
    blocks: Vec<Instant>,
}

/// Runs until it is killed; after the time of its order it says what it saw.
pub fn run(order: Order) -> Result<()> {
    let (seconds, own) = (order.seconds, order.own);
    let mut config = Config::new(seed(own), b"srwan bench engine", order.folder.clone());
    config.listen = order.committee.get(own).copied();
    config.reach = Reach::Private;
    let application = Arc::new(Empty::new(order));
    let engine = Engine::start(config, Arc::<Empty>::clone(&application));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    while application.seen().blocks.is_empty() {
        std::thread::sleep(POLL);
    }
    std::thread::sleep(Duration::from_secs_f64(seconds));
    println!("{}", serde_json::to_string(&application.told())?);
    std::io::stdout().flush()?;
    // The others may still measure: it goes on until it is ended.
    let end = runtime.block_on(engine.ended());
    anyhow::bail!("the engine ended: {end:?}")
}

fn seed(number: usize) -> [u8; 32] {
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed
}

impl Empty {
    fn new(order: Order) -> Self {
        let peer = |(number, address): (usize, &SocketAddr)| Peer {
            key: light::public_key(&seed(number)),
            address: *address,
        };
        let mut peers: Vec<Peer> = order.committee.iter().enumerate().map(peer).collect();
        peers.sort();
        Self { order, peers, executed: AtomicU64::new(0), seen: Mutex::default() }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> Told {
        let seen = self.seen();
        let span = |blocks: &[Instant]| match blocks {
            [first, .., last] => last.duration_since(*first).as_secs_f64(),
            [] | [_] => f64::INFINITY,
        };
        Told {
            blocks_per_second: seen.blocks.len().saturating_sub(1) as f64 / span(&seen.blocks),
            finality_ms: seen.finality_ms.clone(),
            resident_mb: machine::resident_mb(std::process::id()),
        }
    }
}

impl Application for Empty {
    fn propose(&self, position: &Position<'_>) -> Option<Payload> {
        self.seen().proposed = Some((position.height, Instant::now()));
        let own = u64::try_from(self.order.own).ok()?;
        let header = [own.to_le_bytes(), position.height.to_le_bytes()].concat();
        Some(Payload { header, body: vec![0xa5; self.order.block_octets] })
    }

    fn verify(&self, _: &Position<'_>, _: &Payload) -> Verdict {
        Verdict::Valid
    }

    fn finalize(&self, block: &FinalBlock) {
        let own = u64::try_from(self.order.own).unwrap_or(u64::MAX).to_le_bytes();
        let mut seen = self.seen();
        if block.height > WARM_UP_BLOCKS {
            seen.blocks.push(Instant::now());
            let is_own = block.payload.header.starts_with(&own);
            match seen.proposed {
                Some((height, at)) if is_own && height == block.height => {
                    seen.finality_ms.push(1e3 * at.elapsed().as_secs_f64());
                }
                Some(_) | None => {}
            }
        }
        self.executed.store(block.height, Ordering::Release);
    }

    fn executed(&self) -> u64 {
        self.executed.load(Ordering::Acquire)
    }

    fn committee(&self, _: u64) -> Option<Vec<Peer>> {
        Some(self.peers.clone())
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(self.order.pause_ms)
    }

    fn equivocation(&self, proof: &Equivocation) {
        eprintln!("a validator equivocated: {:?}", proof.key);
    }

    fn gossip(&self, _: [u8; 32], _: &[u8]) {}
}

/// Reads an order, as `srwan bench engine-node` is given it.
pub fn read(text: &str) -> Result<Order> {
    serde_json::from_str(text).context("an order of this program's own making")
}

/// Blocks before measuring: the first ones wait for peers.
const WARM_UP_BLOCKS: u64 = 20;
const POLL: Duration = Duration::from_millis(20);
