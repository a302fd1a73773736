//! `/ws`: one socket per open page. A snapshot first, then what changes, and a snapshot again after
//! a gap.
//!
//! The page says one thing only, the text `resync`, when it missed a number. A page that does not
//! read is closed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use tokio::time::{interval, timeout};

use crate::Portal;
use crate::feed::Frame;
use crate::guard;
use crate::problem::Problem;
use crate::session::Session;

/// Open sockets at once; a page that gets none polls.
pub const SOCKETS_MAX: usize = 16;

/// Largest message a page may send, in octets; it has one word to say.
const MESSAGE_OCTETS_MAX: usize = 256;

/// Time between pings, by which a vanished page is found; the answer also keeps the connection from
/// being silent.
const PING_PERIOD: Duration = Duration::from_secs(20);

/// A page that does not take a message within this time is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// What a page says when it missed a frame.
const RESYNC: &str = "resync";

/// Opens the socket of a page.
pub async fn live(
    State(portal): State<Arc<Portal>>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    // SameSite and CORS do not cover sockets in every browser, but every browser says who opens
    // one.
    if guard::lacks_origin(&headers) {
        return Problem::ORIGIN.into_response();
    }
    let Ok(permit) = Arc::clone(&portal.sockets).try_acquire_owned() else {
        return Problem::SOCKETS.into_response();
    };
    let upgrade = upgrade.max_message_size(MESSAGE_OCTETS_MAX).max_frame_size(MESSAGE_OCTETS_MAX);
    upgrade.on_upgrade(move |socket| async move {
        let mut page = Page { socket, sent: None };
        // An error here is a page that went away; there is nobody to tell.
        let _gone = follow(&portal, &session, &mut page).await;
        let _closed = timeout(SEND_TIMEOUT, page.socket.send(Message::Close(None))).await;
        drop(permit);
    })
}

/// The page went away, or does not read.
struct Gone;

struct Page {
    socket: WebSocket,
    sent: Option<u64>,
}

impl Page {
    async fn show(&mut self, frame: &Frame) -> Result<(), Gone> {
        let follows = self.sent.is_some_and(|sent| sent.checked_add(1) == Some(frame.seq));
        let text = match &frame.delta {
            Some(delta) if follows => delta,
            _ => &frame.snapshot,
        };
        self.sent = Some(frame.seq);
        self.send(Message::Text(text.as_str().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(SEND_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

/// Shows every frame until the page goes, its session ends or the portal stops.
async fn follow(portal: &Portal, session: &Session, page: &mut Page) -> Result<(), Gone> {
    let mut frames = portal.feed.subscribe();
    let mut closings = portal.sessions.closings();
    let mut stop = portal.stop.subscribe();
    let mut ping = interval(PING_PERIOD);
    page.show(&portal.feed.refresh().await.clone()).await?;
    frames.mark_unchanged();
    while !*stop.borrow_and_update() {
        tokio::select! {
            _ = stop.changed() => {}
            changed = frames.changed() => {
                changed.map_err(|_| Gone)?;
                let frame = Arc::clone(&frames.borrow_and_update());
                page.show(&frame).await?;
            }
            _ = closings.changed() => is_open(portal, session)?,
            _ = ping.tick() => {
                is_open(portal, session)?;
                page.send(Message::Ping("srwan".into())).await?;
            }
            message = page.socket.recv() => {
                if is_resync(message)? {
                    page.sent = None;
                    page.show(&portal.feed.refresh().await.clone()).await?;
                }
            }
        }
    }
    Ok(())
}

fn is_open(portal: &Portal, session: &Session) -> Result<(), Gone> {
    portal.sessions.find(&session.id, Instant::now()).map(|_| ()).ok_or(Gone)
}

fn is_resync(message: Option<Result<Message, axum::Error>>) -> Result<bool, Gone> {
    match message {
        None | Some(Err(_) | Ok(Message::Close(_))) => Err(Gone),
        Some(Ok(Message::Text(text))) => Ok(text.as_str() == RESYNC),
        Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => Ok(false),
    }
}
