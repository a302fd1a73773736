//! The engine's thread and what others hold of it.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio as runtime};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::requests::Request;
use crate::seam::{Application, Certificate, FinalBlock};
use crate::shared::Shared;
use crate::silent::{self, Alone};
use crate::wiring::{self, Exit, Inlets, Parts};
use crate::{Config, keys, network};

/// Starts engines.
pub struct Engine;

impl Engine {
    /// Runs an engine in a thread of its own, with a runtime of its own, until [`Handle::stop`].
    ///
    /// Returns at once: whatever goes wrong later is what [`Handle::ended`] says. Committees, blocks and
    /// votes are recovered from the directory. Votes are durable before they leave the host: the
    /// engine's journal is synced before a vote is sent, so that kill -9 at any point cannot make this
    /// validator contradict itself.
    ///
    /// # Panics
    /// If the thread cannot be created.
    pub fn start(config: Config, application: Arc<dyn Application>) -> Handle {
        let shared = Shared::new(config, application);
        let (handle, inlets, end) = Handle::new(shared.clone());
        let body = move || {
            let ended = run(&shared, &inlets);
            end.send_replace(Some(ended));
        };
        let builder = thread::Builder::new().name("srwan-engine".into());
        builder.spawn(body).expect("a thread for the engine");
        handle
    }
}

/// Runs the engine, anew whenever its network must be built anew.
fn run(shared: &Arc<Shared>, inlets: &Inlets) -> End {
    loop {
        let life = catch_unwind(AssertUnwindSafe(|| live(shared.clone(), inlets.clone())));
        match life {
            Ok(Exit::Rewire) => tracing::info!("the network is built anew for more peers"),
            Ok(Exit::Stopped) => return End::Stopped,
            Ok(Exit::Fault(text)) => return End::Fault(text),
            Err(panic) => return End::Fault(panic_text(panic.as_ref())),
        }
    }
}

/// One life of the runtime.
fn live(shared: Arc<Shared>, inlets: Inlets) -> Exit {
    let settings = runtime::Config::new()
        .with_storage_directory(shared.config.directory.clone())
        .with_worker_threads(WORKERS)
        .with_max_blocking_threads(BLOCKING_THREADS_MAX);
    runtime::Runner::new(settings).start(|context| async move {
        let root = context.child("engine");
        let exit = match peers_max(&shared) {
            Ok(None) => {
                let parts = Parts {
                    channels: silent::channels(),
                    directory: Alone::new(keys::public(&shared.config.key_seed)),
                    peers_max: None,
                    prefix: String::new(),
                };
                wiring::run(root, shared, inlets, parts).await
            }
            Ok(Some((listen, room))) => {
                let (channels, directory) = network::open(&context, &shared.config, listen, room);
                let parts =
                    Parts { channels, directory, peers_max: Some(room), prefix: String::new() };
                wiring::run(root, shared, inlets, parts).await
            }
            Err(text) => Exit::Fault(text),
        };
        let _ = context.stop(0, Some(STOP_WAIT)).await;
        exit
    })
}

type Listening = (std::net::SocketAddr, NonZeroUsize);

/// Whether there is anybody to listen to, and room for how many.
fn peers_max(shared: &Shared) -> Result<Option<Listening>, String> {
    let epoch = shared.epochs.of(shared.executed() + 1);
    let mut keys: Vec<[u8; 32]> = Vec::new();
    for epoch in epoch.saturating_sub(1)..=epoch + 1 {
        let peers = shared.application.committee(epoch).unwrap_or_default();
        keys.extend(peers.iter().map(|peer| peer.key));
    }
    keys.extend(shared.application.followers().iter().map(|peer| peer.key));
    keys.extend(shared.config.bootstrap.iter().map(|peer| peer.key));
    keys.sort_unstable();
    keys.dedup();
    if keys.len() <= 1 && keys.iter().all(|key| *key == shared.config.public_key()) {
        return Ok(None);
    }
    let listen = shared.config.listen;
    let listen = listen.ok_or("there are other validators, but no address to listen on")?;
    let room = (keys.len() * 2).next_power_of_two().max(PEERS_MIN);
    Ok(NonZeroUsize::new(room).map(|room| (listen, room)))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the engine panicked").to_owned()
}

/// What the rest of the process holds of a running engine. Cheap to clone; every clone is the same.
///
/// The `async` calls may be awaited on any runtime. All answer as if nothing were known once the engine
/// has ended.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    gossip: mpsc::Sender<Vec<u8>>,
    end: watch::Receiver<Option<End>>,
}

impl Handle {
    /// A handle, and the ends that the engine holds.
    #[doc(hidden)]
    pub fn new(shared: Arc<Shared>) -> (Self, Inlets, watch::Sender<Option<End>>) {
        let (requests, requested) = mpsc::channel(REQUESTS_MAX);
        let (gossip, outgoing) = mpsc::channel(GOSSIP_MAX);
        let (ended, end) = watch::channel(None);
        let handle = Self { shared, requests, gossip, end };
        let inlets = Inlets {
            requests: Arc::new(Mutex::new(requested)),
            gossip: Arc::new(Mutex::new(outgoing)),
        };
        (handle, inlets, ended)
    }

    /// The final block at a height, if it is known here.
    pub async fn block(&self, height: u64) -> Option<FinalBlock> {
        self.ask(|reply| Request::Block(height, reply)).await
    }

    /// The certificate of the lowest block at or above `height` that has one of its own. Blocks between
    /// are final because that block is. `None` also if the application no longer knows the committee.
    pub async fn certificate(&self, height: u64) -> Option<Certificate> {
        self.ask(|reply| Request::Certificate(height, reply)).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Option<T>>) -> Request,
    ) -> Option<T> {
        if self.end.borrow().is_some() {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.ok()?;
        answer.await.ok().flatten()
    }

    /// Sends bytes to every connected validator, best effort: full queues and limits drop them, and so
    /// does a length above [`crate::Limits::gossip_octets_max`]. Never blocks.
    pub fn gossip(&self, bytes: Vec<u8>) {
        let octets_max = crate::block::usize_of(self.shared.config.limits.gossip_octets_max);
        if bytes.len() <= octets_max {
            let _ = self.gossip.try_send(bytes);
        }
    }

    /// Tells a waiting proposer to ask [`Application::pause`] again. Never blocks.
    pub fn wake(&self) {
        self.shared.wake.notify_waiters();
    }

    /// Where the engine is. Never blocks.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Ends the engine in good order and waits until it has ended. May be called from any clone, and
    /// again.
    pub async fn stop(&self) -> End {
        self.shared.stop.send_replace(true);
        self.ended().await
    }

    /// Waits until the engine has ended, and says why. [`End::Fault`] means that the process should exit
    /// with an error: a storage error, for instance, must not be carried on from (fail-stop).
    pub async fn ended(&self) -> End {
        let mut end = self.end.clone();
        let ended = end.wait_for(Option::is_some).await;
        let ended = ended.ok().and_then(|end| end.clone());
        ended.unwrap_or_else(|| End::Fault("the engine's thread is gone".into()))
    }
}

/// Where an engine is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Of the newest block that was given to [`Application::finalize`] and that it returned from.
    pub height: u64,
    /// Of the newest block known to be final; above `height` while catching up.
    pub height_known: u64,
    /// The epoch whose committee this engine follows.
    pub epoch: u64,
    /// The view inside the epoch that the newest finalization known here was made in.
    pub view: u64,
    /// Whether this validator votes in the epoch.
    pub voting: bool,
    /// Peers that spoke to this engine within the last half minute, ascending by key.
    pub peers: Vec<[u8; 32]>,
}

/// Why an engine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// [`Handle::stop`] was called.
    Stopped,
    /// It cannot go on. The text says why.
    Fault(String),
}

/// Questions that wait before askers do.
const REQUESTS_MAX: usize = 64;
/// Gossip that waits to be sent: a second's worth for one peer.
const GOSSIP_MAX: usize = 256;
/// Threads of the runtime. Consensus is waiting, not computing; blocking work has its own threads.
const WORKERS: usize = 2;
/// Threads for storage and the application's judgements.
const BLOCKING_THREADS_MAX: usize = 64;
/// Room for peers at least, so that a few joining validators do not rebuild the network.
const PEERS_MIN: usize = 16;
/// How long tasks may take to end. They hold nothing that a kill would lose.
const STOP_WAIT: Duration = Duration::from_secs(2);
