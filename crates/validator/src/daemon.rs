//! Starting and stopping: configuration, key, files, RPC, engine, and back.

use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use srwan_api::http::ApiError;
use srwan_ledger::genesis::Genesis;
use srwan_wire::id::{AccountKey, ChainId, ValidatorKey};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::config::{Config, KEY_FILE};
use crate::engine::{Application, Solo};
use crate::fault::{self, code};
use crate::genesis_file;
use crate::keys;
use crate::ledger::Ledger;
use crate::rpc::{Served, router};
use crate::store::Store;

/// How long open connections get to end after a signal to stop.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(3);

/// What `init` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialised {
    /// The chain's name.
    pub chain: String,
    /// The chain's id.
    pub chain_id: ChainId,
    /// This validator's account.
    pub validator: AccountKey,
}

/// Begins a ledger in `state_dir` from the genesis file. Doing it again with the same file does no
/// harm.
///
/// **Errors:** the genesis file is wrong, or the directory belongs to another ledger. Nothing is
/// overwritten.
pub fn init(genesis: &Path, state_dir: &Path) -> anyhow::Result<Initialised> {
    std::fs::create_dir_all(state_dir).map_err(|error| fault::storage(state_dir, &error))?;
    let key = keys::load_or_create(&state_dir.join(KEY_FILE))?;
    let genesis = begin(genesis, state_dir, key.public())?;
    Ok(Initialised { chain_id: genesis.chain_id(), chain: genesis.chain, validator: key.public() })
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

/// Two serve the RPC while the engine's task waits for the disk on a third of its own.
const WORKER_THREADS: usize = 2;

async fn serve(config: Config) -> anyhow::Result<()> {
    let directory = &config.state_dir;
    std::fs::create_dir_all(directory).map_err(|error| fault::storage(directory, &error))?;
    let validator = keys::load_or_create(&config.validator_key)?.public();
    match &config.genesis {
        Some(genesis) => {
            begin(genesis, directory, validator)?;
        }
        None if Store::is_initialised(directory) => {}
        None => return Err(no_ledger(directory).into()),
    }
    let (store, genesis, view) = Store::open(directory)?;
    check_sole(&genesis, &validator)?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        ApiError::new(0, code::LISTEN, format!("cannot listen on {}", config.listen))
            .why(error.to_string())
            .fix("stop what listens there, or choose another address with `listen`")
    })?;
    let (stop, stopped) = watch::channel(false);
    let ledger = Arc::new(Ledger::new(view));
    let store = Arc::new(RwLock::new(store));
    let served = Arc::new(Served {
        ledger: Arc::clone(&ledger),
        store: Arc::clone(&store),
        chain: genesis.chain.clone(),
        validator,
        stop: stopped.clone(),
    });
    let mut signals = Signals::new()?;
    let listen = listener.local_addr()?;
    let rpc = spawn_rpc(listener, served, stopped.clone())?;
    let (height, chain_id) = (ledger.view().state.height(), genesis.chain_id());
    info!(%listen, chain = genesis.chain, %chain_id, %height, %validator, "ready ledger");
    let application = Application {
        ledger: &ledger,
        store: &store,
        validator: ValidatorKey(validator.0),
        snapshot_blocks: config.snapshot_blocks,
    };
    let engine = Solo { pacing: config.pacing };
    let stopping = async {
        signals.wait().await;
        ledger.stop_accepting();
        let _ = stop.send(true);
    };
    let (outcome, ()) = tokio::join!(
        async {
            let outcome = engine.run(&application, stopped).await;
            ledger.stop_accepting();
            let _ = stop.send(true);
            outcome
        },
        race(stopping, stop.subscribe()),
    );
    finish(outcome, &application, rpc).await
}

/// Ends after a clean stop with a snapshot; after a fault with the fault and no further write.
async fn finish(
    outcome: Result<(), ApiError>,
    application: &Application<'_>,
    rpc: JoinHandle<()>,
) -> anyhow::Result<()> {
    let height = application.ledger.view().state.height();
    match outcome {
        Ok(()) => application.snapshot(),
        Err(fault) => {
            error!(%height, code = fault.code, why = fault.why, "the ledger stops");
            return Err(fault.into());
        }
    }
    let _ = tokio::time::timeout(SHUTDOWN_PATIENCE, rpc).await;
    info!(%height, "stopped");
    Ok(())
}

/// Waits for `future`, but no longer than until `stop` says so.
async fn race(future: impl Future<Output = ()>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = future => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

fn spawn_rpc(
    listener: TcpListener,
    served: Arc<Served>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<JoinHandle<()>> {
    let routes = router(served);
    Ok(tokio::spawn(async move {
        let stopping = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let served = axum::serve(listener, routes).with_graceful_shutdown(stopping).await;
        if let Err(error) = served {
            error!(%error, "the RPC stopped");
        }
    }))
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

/// The engine of one validator can finalize only for a ledger of one.
fn check_sole(genesis: &Genesis, validator: &AccountKey) -> Result<(), ApiError> {
    let is_sole = genesis.validators.keys().all(|key| key.0 == validator.0);
    if is_sole {
        return Ok(());
    }
    let why = format!("it names {} validators; this one is {validator}", genesis.validators.len());
    Err(ApiError::new(0, code::BAD_GENESIS, "this validator cannot finalize this ledger alone")
        .why(why)
        .fix("name this validator alone in the genesis file, or none"))
}
