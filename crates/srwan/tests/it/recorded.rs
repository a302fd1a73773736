//! A server on a unix socket with the answers that real routers once gave.

use axum::Router;
use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::path::PathBuf;

use crate::run::page;

/// The server; it ends with the test's process.
pub struct Recorded {
    folder: tempfile::TempDir,
    socket: String,
}

impl Recorded {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("router.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(async { tokio::net::UnixListener::bind(&socket).unwrap() });
        std::thread::spawn(move || {
            runtime.block_on(async { axum::serve(listener, routes()).await.unwrap() });
        });
        Self { folder, socket: socket.to_str().unwrap().to_owned() }
    }

    pub fn socket(&self) -> &str {
        &self.socket
    }

    pub fn state_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Asks the binary a question about this router.
    pub fn ask(&self, arguments: &[&str]) -> crate::run::Ran {
        crate::run::srwan(&[arguments, &["--socket", self.socket()]].concat())
    }
}

fn fixture(name: &str) -> Value {
    serde_json::from_str(&page(&format!("crates/portal/tests/fixture/{name}.json"))).unwrap()
}

fn routes() -> Router {
    let still = |name: &'static str| get(async move || answer(&fixture(name)));
    Router::new()
        .route("/v1/status", still("status"))
        .route("/v1/matrix", still("matrix"))
        .route("/v1/wallet", still("wallet"))
        .route("/v1/paths", still("paths"))
        .route("/v1/peers", get(async || answer(&peers())))
        .route("/v1/tickets", get(async || answer(&tickets())))
        .route("/v1/why", get(async |RawQuery(query)| about(query.as_deref(), &why())))
        .route("/v1/ping", post(async |body: Bytes| about(Some(&text(&body)), &ping())))
        .route("/v1/drain", post(async || answer(&fixture("status"))))
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// The answer, unless the question names what is not there.
fn about(question: Option<&str>, value: &Value) -> Response {
    if !question.is_some_and(|text| text.contains("atlantis")) {
        return answer(value);
    }
    let problem = json!({
        "code": "SRW-P001",
        "what": "\"atlantis\" is no router of the group, and no address behind one",
        "why": "", "fix": "`srwan status` lists the routers", "status": 404,
    });
    (
        StatusCode::NOT_FOUND,
        [(header::CONTENT_TYPE, "application/problem+json")],
        problem.to_string(),
    )
        .into_response()
}

fn peers() -> Value {
    json!({ "schema": "srwan.peers/1", "peers": [{
        "node": 2, "name": "fra", "city": "Frankfurt am Main, where the names of cities are long",
        "asn": 64502, "session": "direct", "address": "198.18.2.1:4766", "pulse_age_s": 0.8,
        "rx_bytes": 12_345_678, "tx_bytes": 999, "rx_packets": 9000, "tx_packets": 9,
        "handshakes": 3,
    }] })
}

fn tickets() -> Value {
    json!({ "schema": "srwan.tickets/1", "tickets": [{
        "id": "ab".repeat(32), "lane": "cd".repeat(32), "path": ["lon", "fra", "sin"],
        "bytes": 1_000_000_000_u64, "state": "final", "reason": null, "earned_coins": "4.95",
        "time": "2026-11-22T12:00:00.000Z", "height": 812,
    }] })
}

fn why() -> Value {
    let paths = fixture("paths");
    let endpoint = &paths["endpoints"][0];
    json!({
        "schema": "srwan.why/1", "time": paths["time"], "dest": "198.18.9.10",
        "resolution": "router sin (node 4), prefix 198.18.9.0/24, Singapore AS 64504",
        "paths": endpoint,
        "decisions": [{
            "time": "2026-11-22T12:00:00.000Z", "from": null, "to": ["fra", "bom"],
            "trigger": "delay", "reason": "the default path gained 150.2 ms ".repeat(6),
            "candidates": endpoint["candidates"],
        }],
    })
}

fn ping() -> Value {
    let side = |relays: Value, answered: u32| {
        json!({
            "relays": relays, "sent": 5, "answered": answered, "error_us": 420,
            "forward_us": [80_100, 81_200, 93_000], "reverse_us": [79_000, 79_900, 80_400],
            "rtt_us": [160_000, 161_000, 172_000],
        })
    };
    json!({
        "schema": "srwan.ping/1", "endpoint": "sin",
        "direct": side(json!([]), 3), "path": side(json!(["fra", "bom"]), 5),
    })
}
