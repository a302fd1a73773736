//! Starting, running and stopping a controller.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use srwan_api::controller::{ControllerClient, TokenBody};
use srwan_api::http::ApiError;
use srwan_wire::id::AccountKey;
use srwan_wire::sign::AccountSecret;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Config;
use crate::desk::Desk;
use crate::http::{App, router};
use crate::keys::{ADMIN_TOKEN_FILE, KEY_FILE, load, load_or_create};
use crate::listen::{Bounded, Peer};
use crate::problem::code;

/// File in the state directory that says where the running controller listens.
const URL_FILE: &str = "controller.url";

/// How often to look for what is due by the clock: a parole may be this late.
const TICK: Duration = Duration::from_secs(1);

/// How long a stop waits for answers that are being written.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// A controller that is serving.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whose signature is on its rosters.
    pub controller_key: AccountKey,
    app: App,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
    ticker: JoinHandle<()>,
}

impl Running {
    /// Answers what is being asked, closes the store, and ends.
    pub async fn stop(self) {
        let Self { app, stop, mut server, ticker, .. } = self;
        stop.send_replace(true);
        // Not aborted: what it does at the desk would outlive it, and hold the store open.
        let _ = ticker.await;
        if tokio::time::timeout(STOP_WAIT, &mut server).await.is_err() {
            server.abort();
            let _ = server.await;
        }
        app.close().await;
    }
}

/// Starts a controller on the calling runtime.
///
/// # Errors
/// What keeps it from serving: its keys, its store, its port.
pub async fn start(config: Config) -> Result<Running, ApiError> {
    std::fs::create_dir_all(&config.state_dir).map_err(|error| {
        ApiError::new(0, code::STATE_DIR, format!("cannot make {}", config.state_dir.display()))
            .why(error.to_string())
            .fix("choose a state_dir that the user who runs the controller may write")
    })?;
    let seed = load_or_create(&config.state_dir.join(KEY_FILE))?;
    let admin = load_or_create(&config.state_dir.join(ADMIN_TOKEN_FILE))?;
    let controller_key = AccountSecret::from_seed(&seed.0).public();
    let clock = Clock::start();
    let desk = Desk::open(&config, seed, clock)?;
    let listener = listen(config.listen).await?;
    let address = listener.local_addr().map_err(|error| listen_error(config.listen, &error))?;
    write_url(&config.state_dir, address)?;
    let (stop, stopping) = watch::channel(false);
    let app = App::new(desk, config, admin, clock, stopping.clone());
    let ticker = tokio::spawn(tick(app.clone(), stopping.clone()));
    let server = tokio::spawn(serve(listener, app.clone(), stopping));
    Ok(Running { address, controller_key, app, stop, server, ticker })
}

/// Runs the controller of this configuration file until SIGTERM or SIGINT.
///
/// # Errors
/// An [`ApiError`], as `anyhow::Error`: what keeps it from serving.
pub fn run(config: &Path) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut running = start(config).await?;
        tracing::info!(
            "ready controller listen=http://{} key={}",
            running.address,
            running.controller_key
        );
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping on SIGTERM"),
            _ = interrupt.recv() => tracing::info!("stopping on SIGINT"),
            ended = &mut running.server => anyhow::bail!("the server ended: {ended:?}"),
        }
        running.stop().await;
        Ok(())
    })
}

/// The public key of the controller whose state is in this directory, as hexadecimal digits.
///
/// # Errors
/// An [`ApiError`], as `anyhow::Error`: there is no readable key.
pub fn key_show(state_dir: &Path) -> anyhow::Result<String> {
    let seed = load(&state_dir.join(KEY_FILE))?;
    Ok(AccountSecret::from_seed(&seed.0).public().to_string())
}

/// Asks the running controller whose state is in this directory for a join token.
///
/// # Errors
/// An [`ApiError`], as `anyhow::Error`: it is not running, or the token file is not readable.
pub fn token_new(state_dir: &Path) -> anyhow::Result<String> {
    let admin = load(&state_dir.join(ADMIN_TOKEN_FILE))?;
    let path = state_dir.join(URL_FILE);
    let url = std::fs::read_to_string(&path).map_err(|error| {
        ApiError::new(0, srwan_api::http::code::UNREACHABLE, "no controller runs on this state_dir")
            .why(format!("{}: {error}", path.display()))
            .fix("start it: `srwan controller run --config FILE`")
    })?;
    let client = ControllerClient::new(url.trim())?.with_admin_token(&admin.to_hex());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(client.issue_token(&TokenBody::default()))?;
    Ok(answer.token)
}

async fn serve(
    listener: TcpListener,
    app: App,
    mut stopping: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let service = router(app).into_make_service_with_connect_info::<Peer>();
    axum::serve(Bounded::new(listener), service)
        .with_graceful_shutdown(async move {
            // An error means that the sender is gone, which is a stop as well.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        })
        .await
}

async fn tick(app: App, mut stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            _ = ticks.tick() => {}
        }
        app.tick().await;
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ApiError> {
    TcpListener::bind(address).await.map_err(|error| listen_error(address, &error))
}

fn listen_error(address: SocketAddr, error: &std::io::Error) -> ApiError {
    ApiError::new(0, code::LISTEN, format!("cannot listen on {address}"))
        .why(error.to_string())
        .fix("choose another port with `listen`, or stop the program that has this one")
}

/// Leaves word of where the controller listens, for commands on the same machine.
fn write_url(state_dir: &Path, address: SocketAddr) -> Result<(), ApiError> {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        let loopback = match address {
            SocketAddr::V4(_) => std::net::IpAddr::from([127, 0, 0, 1]),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        reachable.set_ip(loopback);
    }
    let path = state_dir.join(URL_FILE);
    std::fs::write(&path, format!("http://{reachable}\n")).map_err(|error| {
        ApiError::new(0, code::STATE_DIR, format!("cannot write {}", path.display()))
            .why(error.to_string())
    })
}
