//! A portal on a free port, a recorded router behind it, and a client that says exactly what a
//! test tells it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::routing::get;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::Value;
use srwan_api::router::{Events, Matrix, Paths, Status, Wallet};
use srwan_portal::{PortalConfig, Server, portal_url};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running portal; stops when dropped.
pub struct Desk {
    pub address: SocketAddr,
    pub token_file: PathBuf,
    pub looks: Arc<AtomicU64>,
    pub folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    portal: JoinHandle<anyhow::Result<()>>,
}

/// What was answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// What a logged-in browser knows.
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

impl Desk {
    pub async fn open() -> Self {
        Self::open_with(true).await
    }

    /// A portal whose router runs or not.
    pub async fn open_with(router_runs: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin_socket = folder.path().join("router.sock");
        let token_file = folder.path().join("portal.token");
        let looks = Arc::new(AtomicU64::new(0));
        if router_runs {
            let listener = UnixListener::bind(&admin_socket).unwrap();
            let routes = recorded_router(Arc::clone(&looks));
            tokio::spawn(async move { axum::serve(listener, routes).await });
        }
        let config = PortalConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            admin_socket,
            token_file: token_file.clone(),
            allowed_hosts: vec!["router.example".into()],
        };
        let server = Server::bind(config).await.unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let portal = tokio::spawn(server.run(async move {
            let _dropped = stopped.await;
        }));
        Self { address, token_file, looks, folder, stop: Some(stop), portal }
    }

    pub fn token(&self) -> String {
        let url = portal_url(self.address, &self.token_file).unwrap();
        url.split_once("token=").unwrap().1.into()
    }

    /// Sends GET with a correct `Host` and `extra` header lines.
    pub async fn get(&self, path: &str, extra: &str) -> Reply {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{extra}", self.address)).await
    }

    /// Sends POST without a body.
    pub async fn post(&self, path: &str, extra: &str) -> Reply {
        let host = self.address;
        let length = "Content-Length: 0\r\n";
        self.raw(&format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{length}{extra}")).await
    }

    /// Sends `head` and the end of a head, and reads all that comes.
    pub async fn raw(&self, head: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{head}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_ascii_lowercase(), body: body.into() }
    }

    pub async fn login(&self) -> Browser {
        let reply = self.get(&format!("/login?token={}", self.token()), "").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let line = reply.header("set-cookie").unwrap();
        let cookie = format!("Cookie: {}\r\n", line.split(';').next().unwrap());
        let session = self.get("/api/v1/session", &cookie).await;
        let csrf = session.json()["csrf"].as_str().unwrap().into();
        Browser { cookie, csrf }
    }

    pub async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.portal.await.unwrap().unwrap();
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().into()
    }
}

/// Serves recorded answers; each look at the status finds the router a second older, and
/// measurements age as nothing new is measured.
fn recorded_router(looks: Arc<AtomicU64>) -> Router {
    let status = move || async move {
        let mut status: Status = recorded(include_str!("../fixture/status.json"));
        status.uptime_s += looks.fetch_add(1, Ordering::Relaxed);
        Json(status)
    };
    let start = Instant::now();
    let matrix = move || async move {
        let mut matrix: Matrix = recorded(include_str!("../fixture/matrix.json"));
        let age_ms = u64::try_from(start.elapsed().as_millis()).unwrap();
        matrix.cells.iter_mut().flatten().for_each(|cell| cell.age_ms += age_ms);
        Json(matrix)
    };
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/matrix", get(matrix))
        .route("/v1/paths", get(answer::<Paths>(include_str!("../fixture/paths.json"))))
        .route("/v1/wallet", get(answer::<Wallet>(include_str!("../fixture/wallet.json"))))
        .route("/v1/events", get(answer::<Events>(include_str!("../fixture/events.json"))))
}

/// A recording is read as the type that the API documents, so it cannot drift from it.
fn recorded<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

fn answer<T: DeserializeOwned + serde::Serialize>(
    text: &'static str,
) -> impl Fn() -> std::future::Ready<Json<T>> + Clone {
    move || std::future::ready(Json(recorded(text)))
}
