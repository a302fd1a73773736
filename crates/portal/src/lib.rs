//! A router's own web page.
//!
//! The portal has no privilege that a user lacks: it reads the router's admin API through the unix
//! socket, as the CLI does, and shows what it reads. It writes one file, the one-time login token.
//!
//! Who may see the page (docs/design promises I35 and I36): every route but `/health` and `/login`
//! needs a session; a session costs a token that only readers of a 0600 file have; requests under a
//! foreign name (421), from another site or without the session's CSRF token (403) are refused; the
//! page may load nothing from elsewhere.
//!
//! | route | answer |
//! | --- | --- |
//! | GET `/health` | `ok`, to anyone |
//! | GET `/login?token=T` | a session cookie; without a token a form |
//! | POST `/logout` | ends the session |
//! | GET `/`, `/assets/...` | the page |
//! | GET `/api/v1/session` | `{"csrf"}`, what each POST repeats in `x-srwan-csrf` |
//! | GET `/api/v1/overview` | the latest snapshot, for pages without a socket |
//! | GET `/ws` | snapshot, then JSON patches, numbered |
#![forbid(unsafe_code)]

mod assets;
mod attempts;
pub mod delta;
mod feed;
mod guard;
mod host;
mod listen;
mod live;
mod login;
mod overview;
mod problem;
mod session;
mod token;

use std::future::{Future, IntoFuture};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use srwan_api::http::HttpClient;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower_http::limit::RequestBodyLimitLayer;

pub use attempts::ATTEMPTS_MAX;
pub use guard::CSRF_HEADER;
pub use live::SOCKETS_MAX;
pub use session::SESSIONS_MAX;
pub use token::TokenError;

/// Largest body that is accepted, in octets: no route of the first page takes any.
const BODY_OCTETS_MAX: usize = 16 * 1024;

/// Time that open connections have to end after a stop; then they are cut.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What a portal needs to know.
#[derive(Clone, Debug)]
pub struct PortalConfig {
    /// Where it listens; loopback unless the operator chose otherwise.
    pub listen: SocketAddr,
    /// The router's admin socket.
    pub admin_socket: PathBuf,
    /// Where the one-time token is kept, mode 0600.
    pub token_file: PathBuf,
    /// Names under which it answers besides its own address and, on loopback, `localhost`; with or
    /// without a port.
    pub allowed_hosts: Vec<String>,
}

/// A portal that has its port and its token, and serves once it runs.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    portal: Arc<Portal>,
}

/// What the routes share.
struct Portal {
    hosts: host::HostAllowlist,
    token: token::TokenFile,
    attempts: attempts::Attempts,
    sessions: session::Sessions,
    feed: feed::Feed,
    sockets: Arc<Semaphore>,
    stop: watch::Sender<bool>,
    cookie: String,
}

impl Server {
    /// Takes the port and writes a fresh token.
    ///
    /// **Errors:** the port is taken, or the token file cannot be written.
    pub async fn bind(config: PortalConfig) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("portal: cannot listen on {}", config.listen))?;
        let address = listener.local_addr().context("portal: the socket has no address")?;
        let token = token::TokenFile::create(config.token_file)
            .context("portal: cannot write the login token")?;
        let portal = Portal {
            hosts: host::HostAllowlist::new(address, &config.allowed_hosts),
            token,
            attempts: attempts::Attempts::default(),
            sessions: session::Sessions::default(),
            feed: feed::Feed::new(HttpClient::unix(config.admin_socket), Instant::now()),
            sockets: Arc::new(Semaphore::new(SOCKETS_MAX)),
            stop: watch::Sender::new(false),
            cookie: login::cookie_name(address.port()),
        };
        Ok(Self { listener, address, portal: Arc::new(portal) })
    }

    /// The address taken, with its real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` ends, then lets open connections finish for two seconds.
    ///
    /// **Errors:** the system does not accept connections any more.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
        let portal = self.portal;
        let mut stop = portal.stop.subscribe();
        let stopped = async move {
            // An error means that the portal is gone, which is a stop too.
            let _stopped = stop.wait_for(|stop| *stop).await;
        };
        let listener = listen::BoundedListener::new(self.listener);
        let serve = axum::serve(listener, routes(&portal)).with_graceful_shutdown(stopped);
        let serve = serve.into_future();
        tokio::pin!(serve);
        tracing::info!(address = %self.address, "portal ready, `srwan portal url` opens it");
        tokio::select! {
            result = &mut serve => return result.context("portal: cannot serve"),
            () = portal.feed.run() => {}
            () = shutdown => {}
        }
        portal.stop.send_replace(true);
        match tokio::time::timeout(STOP_GRACE, serve).await {
            Ok(result) => result.context("portal: cannot serve"),
            Err(_) => Ok(()),
        }
    }
}

/// Serves a router's page until `shutdown` ends.
///
/// **Errors:** as [`Server::bind`] and [`Server::run`].
pub async fn serve(
    config: PortalConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    Server::bind(config).await?.run(shutdown).await
}

/// The address that opens the page once, with the token of the portal that runs; for people, never
/// for logs.
///
/// **Errors:** no token file (no portal runs), or one that others can read or that another user
/// owns.
pub fn portal_url(listen: SocketAddr, token_file: &Path) -> Result<String, TokenError> {
    let token = token::read(token_file)?;
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let address = SocketAddr::new(ip, listen.port());
    Ok(format!("http://{address}/login?token={token}"))
}

fn routes(portal: &Arc<Portal>) -> Router {
    let shared = || Arc::clone(portal);
    Router::new()
        .route("/", get(assets::index))
        .route("/assets/{name}", get(assets::file))
        .route("/logout", post(login::logout))
        .route("/api/v1/session", get(csrf))
        .route("/api/v1/overview", get(overview))
        .route("/ws", get(live::live))
        .fallback(nowhere)
        .layer(middleware::from_fn_with_state(shared(), guard::session))
        .route("/health", get(|| async { "ok\n" }))
        .route("/login", get(login::login))
        .layer(RequestBodyLimitLayer::new(BODY_OCTETS_MAX))
        .layer(middleware::from_fn_with_state(shared(), guard::site))
        .layer(middleware::from_fn(guard::headers))
        .with_state(shared())
}

async fn csrf(Extension(session): Extension<session::Session>) -> Response {
    Json(serde_json::json!({"schema": "srwan.session/1", "csrf": session.csrf})).into_response()
}

async fn overview(State(portal): State<Arc<Portal>>) -> Response {
    let frame = portal.feed.refresh().await;
    ([(header::CONTENT_TYPE, "application/json")], frame.snapshot.clone()).into_response()
}

async fn nowhere() -> Response {
    problem::Problem::NOT_FOUND.into_response()
}
