//! The WebSocket of events, the metrics, and the bounds of the listener.

use std::io::{Read, Write};
use std::time::Duration;

use futures_util::StreamExt;
use srwan_api::http::Call;
use srwan_api::ledger::{Event, Happened};
use tokio_tungstenite::tungstenite::Message;

use crate::child::{Daemon, Site};
use crate::people::{genesis_toml, transfer};

/// The next `count` events from `from` on.
async fn listen(daemon: &Daemon, query: &str, count: usize) -> Vec<Event> {
    let stream = tokio::net::TcpStream::connect(daemon.address).await.unwrap();
    let url = format!("ws://{}/v1/events{query}", daemon.address);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let mut events = Vec::new();
    while events.len() < count {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => events.push(serde_json::from_str(&text).unwrap()),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
    events
}

#[tokio::test]
async fn events_arrive_in_order_and_can_be_replayed() {
    let site = Site::new();
    let daemon = site.start();
    let tx = transfer(1, 0, daemon.chain().await);
    daemon.run(&tx).await.unwrap();
    let events = listen(&daemon, "?from=0", 40).await;
    assert!(events.iter().enumerate().all(|(index, event)| event.seq == index as u64));
    assert!(events.is_sorted_by_key(|event| event.height));
    let hash = tx.body.hash().to_string();
    let is_it =
        |event: &Event| matches!(&event.what, Happened::Tx { hash: name, .. } if *name == hash);
    let position = events.iter().position(is_it).unwrap();
    // A block's own event comes after all that it did.
    let block =
        events[position..].iter().find(|event| matches!(event.what, Happened::Block { .. }));
    assert_eq!(block.unwrap().height, events[position].height);
    let again = listen(&daemon, &format!("?from={position}"), 3).await;
    assert_eq!(again, events[position..position + 3]);
    assert!(listen(&daemon, "", 1).await[0].seq >= 40);
    let blocks = listen(&daemon, "?from=0&kind=block", 5).await;
    assert!(blocks.iter().all(|event| matches!(event.what, Happened::Block { .. })));
    assert!(blocks.iter().map(|event| event.height).eq(1..=5));
    let plain = daemon.http.call(Call::get("/v1/events")).await.unwrap_err();
    assert_eq!((plain.status, plain.code.as_str()), (426, "SRW-L907"));
}

#[tokio::test]
async fn events_of_before_the_snapshot_are_gone_and_the_answer_says_so() {
    let site = Site::new();
    let daemon = site.start();
    listen(&daemon, "?from=0", 30).await;
    let (status, said) = daemon.terminate();
    assert_eq!(status.code(), Some(0), "{said}");
    let daemon = site.start();
    let gone = daemon.http.call(Call::get("/v1/events?from=0")).await.unwrap_err();
    assert_eq!((gone.status, gone.code.as_str()), (410, "SRW-L906"));
}

#[tokio::test]
async fn metrics_tell_what_was_done() {
    let site = Site::new();
    let daemon = site.start();
    let chain = daemon.chain().await;
    daemon.run(&transfer(1, 0, chain)).await.unwrap();
    daemon.client().submit(&transfer(1, 0, srwan_wire::id::ChainId([1; 32]))).await.unwrap_err();
    let answer = daemon.http.call(Call::get("/metrics")).await.unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    for expected in [
        "srwan_ledger_txs_total 1\n",
        "srwan_ledger_finality_seconds_count 1\n",
        "srwan_ledger_rejected_txs_total{code=\"SRW-L101\"} 1\n",
        "srwan_ledger_mempool_txs 0\n",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
}

#[tokio::test]
async fn a_crowd_and_a_client_that_says_nothing_are_cut_off() {
    let site = Site::with(
        "block_ms = 5\nidle_block_ms = 20\nconnections_max = 3\nconnections_per_ip_max = 2\n",
        &genesis_toml(),
    );
    let daemon = site.start();
    let connect = || std::net::TcpStream::connect(daemon.address).unwrap();
    let mut held = [connect(), connect()];
    held[0].write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nslow: ").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let mut third = connect();
    third.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(matches!(third.read(&mut [0]), Ok(0) | Err(_)), "one too many from one address");
    drop(held);
    crate::cluster::eventually("a place", || async { daemon.client().status().await.ok() }).await;
}
