//! The socket of a page.

use std::sync::atomic::Ordering;

use serde_json::Value;
use srwan_portal::SOCKETS_MAX;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::desk::{Browser, Desk};

#[tokio::test]
async fn a_socket_begins_with_a_snapshot_and_goes_on_with_deltas() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let mut page = Page::open(&desk, &browser).await.unwrap();
    let first = page.next().await.unwrap();
    assert_eq!(first["kind"], "snapshot");
    let uptime = &first["data"]["status"]["uptime_s"];
    let second = page.next().await.unwrap();
    assert_eq!(second["kind"], "delta");
    assert_eq!(second["seq"], first["seq"].as_u64().unwrap() + 1);
    let operations = second["ops"].as_array().unwrap();
    let change = operations.iter().find(|op| op["path"] == "/status/uptime_s").unwrap();
    assert_eq!(change["op"], "replace");
    assert_eq!(change["value"], uptime.as_u64().unwrap() + 1);
    assert!(operations.len() < 10, "nothing else changed but the clocks: {operations:?}");
}

#[tokio::test]
async fn a_page_that_missed_a_number_gets_a_snapshot() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let mut page = Page::open(&desk, &browser).await.unwrap();
    let first = page.next().await.unwrap();
    page.say("resync").await;
    let again = page.next().await.unwrap();
    assert_eq!(again["kind"], "snapshot");
    assert!(again["seq"].as_u64() >= first["seq"].as_u64());
    assert_eq!(page.next().await.unwrap()["kind"], "delta");
}

#[tokio::test]
async fn the_router_is_read_once_for_all_pages() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let mut pages = Vec::new();
    for _ in 0..10 {
        let mut page = Page::open(&desk, &browser).await.unwrap();
        page.next().await.unwrap();
        pages.push(page);
    }
    let before = desk.looks.load(Ordering::Relaxed);
    assert!(before <= 3, "ten pages caused {before} looks");
}

#[tokio::test]
async fn a_socket_needs_a_session_and_an_origin() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let own = format!("http://{}", desk.address);
    let foreign = Page::open_as(&desk, &browser.cookie, Some("http://evil.example")).await;
    assert_eq!(foreign.err(), Some(403));
    assert_eq!(Page::open_as(&desk, &browser.cookie, None).await.err(), Some(403));
    assert_eq!(Page::open_as(&desk, "Cookie: a=b", Some(&own)).await.err(), Some(401));
    assert!(Page::open_as(&desk, &browser.cookie, Some(&own)).await.is_ok());
}

#[tokio::test]
async fn too_many_sockets_are_refused_and_a_closed_one_makes_room() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let mut pages = Vec::new();
    for _ in 0..SOCKETS_MAX {
        pages.push(Page::open(&desk, &browser).await.unwrap());
    }
    assert_eq!(Page::open(&desk, &browser).await.err(), Some(503));
    let mut leaving = pages.pop().unwrap();
    leaving.socket.close(None).await.unwrap();
    while leaving.next().await.is_some() {}
    drop(leaving);
    while Page::open(&desk, &browser).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn logout_closes_the_sockets_of_that_session_alone() {
    let desk = Desk::open().await;
    let (one, other) = (desk.login().await, desk.login().await);
    let mut closed = Page::open(&desk, &one).await.unwrap();
    let mut open = Page::open(&desk, &other).await.unwrap();
    let token = format!("{}x-srwan-csrf: {}\r\n", one.cookie, one.csrf);
    assert_eq!(desk.post("/logout", &token).await.status, 204);
    while closed.next().await.is_some() {}
    assert_eq!(open.next().await.unwrap()["kind"], "snapshot");
    assert_eq!(open.next().await.unwrap()["kind"], "delta");
}

#[tokio::test]
async fn a_page_that_talks_too_much_is_closed() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let mut page = Page::open(&desk, &browser).await.unwrap();
    page.say(&"x".repeat(100_000)).await;
    while page.next().await.is_some() {}
}

#[tokio::test]
async fn a_stop_closes_sockets_and_ends() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let mut page = Page::open(&desk, &browser).await.unwrap();
    page.next().await.unwrap();
    desk.stop().await;
    while page.next().await.is_some() {}
}

struct Page {
    socket: WebSocketStream<TcpStream>,
}

impl Page {
    async fn open(desk: &Desk, browser: &Browser) -> Result<Self, u16> {
        Self::open_as(desk, &browser.cookie, Some(&format!("http://{}", desk.address))).await
    }

    /// Opens a socket, or says with which status it was refused.
    async fn open_as(desk: &Desk, cookie: &str, origin: Option<&str>) -> Result<Self, u16> {
        let mut request = format!("ws://{}/ws", desk.address).into_client_request().unwrap();
        let cookie = cookie.trim().strip_prefix("Cookie: ").unwrap();
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(desk.address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message, or `None` once the socket is closed.
    async fn next(&mut self) -> Option<Value> {
        loop {
            match futures_util::StreamExt::next(&mut self.socket).await? {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    async fn say(&mut self, text: &str) {
        // The portal may close while it is told something; what it answers is what counts.
        let _closed = futures_util::SinkExt::send(&mut self.socket, Message::text(text)).await;
    }
}
