//! A portal in front of a recorded router: for work on the page, and for `ui/browser.mjs`.
//!
//! `cargo run -p srwan-portal --example recorded [FOLDER] [PORT]` prints an address per login on
//! stdout, one after each line on stdin, and ends with stdin. FOLDER holds the answers of the admin
//! API as `status.json` and so on; counters rise, so that the page has something to show.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use axum::extract::{Path as Route, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use srwan_portal::{PortalConfig, Server, portal_url};
use tokio::net::UnixListener;
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture");
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| recorded.into()));
    let port: u16 = arguments.next().unwrap_or_else(|| "7443".into()).parse().context("PORT")?;
    let scratch = tempfile::tempdir()?;
    let admin_socket = scratch.path().join("router.sock");
    let token_file = scratch.path().join("portal.token");
    let listener = UnixListener::bind(&admin_socket)?;
    let router = Arc::new(Recorded { folder, start: Instant::now() });
    let routes = Router::new().route("/v1/{part}", get(answer)).with_state(router);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let listen = ([127, 0, 0, 1], port).into();
    let allowed_hosts = Vec::new();
    let config =
        PortalConfig { listen, admin_socket, token_file: token_file.clone(), allowed_hosts };
    let server = Server::bind(config).await?;
    let address = server.local_addr();
    println!("{}", portal_url(address, &token_file)?);
    let end = print_addresses(address, token_file);
    let run = server.run(async move {
        let _end = end.await;
    });
    run.await
}

/// Ends with stdin; each line of it asks for the address of one more login.
fn print_addresses(address: SocketAddr, token_file: PathBuf) -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        // Dropped with the thread, which ends the wait.
        let _ended: oneshot::Sender<()> = ended;
        for _ in std::io::stdin().lines() {
            match portal_url(address, &token_file) {
                Ok(url) => println!("{url}"),
                Err(error) => eprintln!("{error}"),
            }
        }
    });
    end
}

struct Recorded {
    folder: PathBuf,
    start: Instant,
}

async fn answer(
    State(router): State<Arc<Recorded>>,
    Route(part): Route<String>,
) -> Result<Json<Value>, StatusCode> {
    if !part.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(StatusCode::NOT_FOUND);
    }
    let file = router.folder.join(format!("{part}.json"));
    let text = std::fs::read_to_string(file).map_err(|_| StatusCode::NOT_FOUND)?;
    let mut value = serde_json::from_str(&text).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    age(&mut value, router.start.elapsed().as_secs());
    Ok(Json(value))
}

/// Lets time pass: counters rise unevenly, as traffic does.
fn age(value: &mut Value, seconds: u64) {
    let mut add = |name: &str, amount: u64| {
        if let Some(number) = value.get_mut(name) {
            *number = number.as_u64().unwrap_or_default().saturating_add(amount).into();
        }
    };
    add("uptime_s", seconds);
    let sum = |wave: fn(u64) -> u64| (0..seconds).map(wave).sum();
    add("relayed_bytes", sum(|s| 9_000_000 + s * s * 7919 % 4_000_000));
    add("sent_bytes", sum(|s| 1_200_000 + s * 104_729 % 900_000));
    add("delivered_bytes", sum(|s| 2_000_000 + (s * 31) % 17 * 40_000));
}
