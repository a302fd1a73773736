//! Starting and stopping: configuration, key, files, engine, RPC, and back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use srwan_api::http::ApiError;
use srwan_engine::{End, Engine, Handle, Reach, Timeouts};
use srwan_ledger::genesis::Genesis;
use srwan_ledger::state::State;
use srwan_wire::id::{AccountKey, ChainId, ValidatorKey};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::application::Blocks;
use crate::config::{Config, KEY_FILE, Pacing};
use crate::fault::{self, code};
use crate::genesis_file;
use crate::gossip::{Inbox, spawn_checker};
use crate::keys::{self, ValidatorSecret};
use crate::ledger::Ledger;
use crate::report::Reporter;
use crate::rpc::{Served, listen, router};
use crate::snapshots::Snapshotter;
use crate::store::Store;

/// How long open connections get to end after a signal to stop.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(3);

/// How often it is asked whether the blocks from before the start are executed again.
const REPLAY_PERIOD: Duration = Duration::from_millis(5);

/// Two serve the RPC; the engine has threads of its own.
const WORKER_THREADS: usize = 2;

/// What `init` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialised {
    /// The chain's name.
    pub chain: String,
    /// The chain's id.
    pub chain_id: ChainId,
    /// This validator's consensus key, which is its account's as well unless genesis says otherwise.
    pub validator: AccountKey,
}

/// Makes a consensus key in `state_dir`, or reads the one that is there: its public half is what a
/// genesis file names. Every validator of a new ledger does this before the genesis file is written.
///
/// **Errors:** the directory cannot be written, or the key file is damaged or readable by others.
pub fn keygen(state_dir: &Path) -> anyhow::Result<ValidatorKey> {
    std::fs::create_dir_all(state_dir).map_err(|error| fault::storage(state_dir, &error))?;
    let key = keys::load_or_create(&state_dir.join(KEY_FILE))?;
    Ok(key.validator())
}

/// Begins a ledger in `state_dir` from the genesis file. Doing it again with the same file does no
/// harm.
///
/// **Errors:** the genesis file is wrong, or the directory belongs to another ledger. Nothing is
/// overwritten.
pub fn init(genesis: &Path, state_dir: &Path) -> anyhow::Result<Initialised> {
    let validator = AccountKey(keygen(state_dir)?.0);
    let genesis = begin(genesis, state_dir, validator)?;
    Ok(Initialised { chain_id: genesis.chain_id(), chain: genesis.chain, validator })
}

/// Runs a validator until SIGTERM or SIGINT.
///
/// **Errors:** it could not start, or its disk failed while it ran; no final block is lost.
pub fn run(config: &Path) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("ledger")
        .enable_all()
        .build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let directory = &config.state_dir;
    std::fs::create_dir_all(directory).map_err(|error| fault::storage(directory, &error))?;
    let secret = keys::load_or_create(&config.validator_key)?;
    match &config.genesis {
        Some(genesis) => {
            begin(genesis, directory, AccountKey(secret.validator().0))?;
        }
        None if Store::is_initialised(directory) => {}
        None => return Err(no_ledger(directory).into()),
    }
    let (store, genesis, view) = Store::open(directory)?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        ApiError::new(0, code::LISTEN, format!("cannot listen on {}", config.listen))
            .why(error.to_string())
            .fix("stop what listens there, or choose another address with `listen`")
    })?;
    let mut signals = Signals::new()?;
    let engine = engine_config(&config, &store, &view.state, &secret);
    let ledger = Arc::new(Ledger::new(view));
    let running = start(&config, Arc::new(store), &ledger, (engine, secret));
    let (stop, stopped) = watch::channel(false);
    let served = Arc::new(Served {
        ledger: Arc::clone(&ledger),
        chain: genesis.chain.clone(),
        validator: running.blocks.validator,
        stop: stopped.clone(),
    });
    let listen = listener.local_addr()?;
    let bounds = (config.rpc, Arc::clone(&ledger.metrics));
    let rpc = tokio::spawn(listen::serve(listener, router(served), bounds, stopped.clone()));
    let sending = {
        let (ledger, engine) = (Arc::clone(&ledger), running.engine.clone());
        tokio::spawn(async move { ledger.outbox.send_all(&engine, stopped).await })
    };
    let ready = async {
        ledger.note_stored(&running.engine).await;
        // Alone it is ready when it has all that was final; with peers it says that it catches up.
        while ledger.standing().replaying && genesis.validators.len() == 1 {
            tokio::time::sleep(REPLAY_PERIOD).await;
        }
        let (height, chain_id) = (ledger.view().state.height(), genesis.chain_id());
        let validator = running.blocks.validator;
        info!(%listen, chain = genesis.chain, %chain_id, %height, %validator, "ready ledger");
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        () = signals.wait() => None,
        end = running.engine.ended() => Some(end),
        () = ready => None,
    };
    ledger.stop_accepting();
    let _ = stop.send(true);
    let end = match ended {
        Some(end) => end,
        None => running.engine.stop().await,
    };
    sending.abort();
    finish(end, &running.blocks, rpc).await
}

/// A running engine and what it works on.
struct Running {
    engine: Handle,
    blocks: Arc<Blocks>,
}

fn start(
    config: &Config,
    store: Arc<Store>,
    ledger: &Arc<Ledger>,
    (engine, secret): (srwan_engine::Config, ValidatorSecret),
) -> Running {
    let (inbox, heard) = Inbox::new();
    let blocks = Arc::new(Blocks {
        ledger: Arc::clone(ledger),
        validator: secret.validator(),
        pacing: config.pacing,
        snapshots: Snapshotter::new(store, config.snapshot_blocks),
        inbox,
    });
    let is_known = ledger.view().state.validator(&blocks.validator).is_some();
    if !is_known {
        warn!(validator = %blocks.validator, "it follows this ledger, and never votes");
    }
    spawn_checker(Arc::clone(ledger), Reporter { secret: secret.account() }, heard);
    let application: Arc<dyn srwan_engine::seam::Application> = Arc::<Blocks>::clone(&blocks);
    let engine = Engine::start(engine, application);
    ledger.connect(engine.clone());
    Running { engine, blocks }
}

/// What the engine is told; what belongs to the chain's rules comes from the chain.
fn engine_config(
    config: &Config,
    store: &Store,
    state: &State,
    secret: &ValidatorSecret,
) -> srwan_engine::Config {
    let directory = store.engine_directory();
    let mut engine = srwan_engine::Config::new(secret.seed(), &state.chain().0, directory);
    engine.listen = Some(config.p2p_listen);
    // Validators that can only be reached from inside one network may share addresses.
    engine.reach = Reach::of(state.validators().map(|(_, row)| row.address.ip()));
    engine.timeouts = timeouts(&config.pacing);
    if let Some(blocks) = std::num::NonZeroU64::new(state.params().committee_blocks) {
        engine.epoch_blocks = blocks;
    }
    engine
}

/// A leader gets its longest pause, of which the engine waits three quarters of this time at most, and
/// a second in which a block travels.
fn timeouts(pacing: &Pacing) -> Timeouts {
    let leader = pacing.idle_block * 4 / 3 + Duration::from_secs(1);
    let certification = leader + Duration::from_secs(1);
    Timeouts { leader, certification, skip: certification * 2, ..Timeouts::default() }
}

/// Ends after a clean stop with a snapshot; after a fault with the fault and no further write.
async fn finish(end: End, blocks: &Blocks, rpc: JoinHandle<()>) -> anyhow::Result<()> {
    let height = blocks.ledger.view().state.height();
    match end {
        End::Stopped => tokio::task::block_in_place(|| blocks.snapshots.last(&blocks.ledger)),
        End::Fault(why) => {
            error!(%height, code = code::STORAGE, why, "the ledger stops");
            return Err(ApiError::new(0, code::STORAGE, "the engine cannot go on")
                .why(why)
                .fix("free or replace the disk, then start again: no final block is lost")
                .into());
        }
    }
    let _ = tokio::time::timeout(SHUTDOWN_PATIENCE, rpc).await;
    info!(%height, "stopped");
    Ok(())
}

/// SIGTERM and SIGINT, caught from the moment that this exists.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn begin(file: &Path, directory: &Path, validator: AccountKey) -> Result<Genesis, ApiError> {
    let genesis = genesis_file::load(file, validator)?;
    Store::init(directory, &genesis)?;
    Ok(genesis)
}

fn no_ledger(directory: &Path) -> ApiError {
    fault::at(directory, code::UNREADABLE, "no ledger was begun in the state directory")
        .fix("name a genesis file with `genesis`, or run `srwan ledger init`")
}
