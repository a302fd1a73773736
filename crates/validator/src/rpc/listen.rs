//! Accepting connections with bounds: so many in all and per address, each with a time to say what
//! it wants and a time to take the answer.
//!
//! Whoever exceeds a bound is cut off without an answer: an answer would cost what the bound saves.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep};
use tracing::debug;

use crate::config::RpcLimits;
use crate::metrics::Metrics;

/// Time for a request's head, also between two requests: a client writes it in one go.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// Time in which some of an answer must be taken.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// Octets of a request's head, and of what is read ahead.
const HEAD_OCTETS_MAX: usize = 16 * 1024;
/// Pause after a failed accept: the usual cause is a lack of descriptors, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `routes` until `stop` says so, then waits for open connections to end what they are in.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    bounds: (RpcLimits, Arc<Metrics>),
    mut stop: watch::Receiver<bool>,
) {
    let (limits, metrics) = bounds;
    let gate = Gate { limits, open: Arc::default() };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match gate.enter(peer) {
                Some(place) => {
                    connections.spawn(connection(stream, routes.clone(), place, stop.clone()));
                }
                None => {
                    metrics.connections_refused.inc();
                }
            },
            Err(error) => {
                debug!(%error, "accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

/// One connection from its first octet to its last.
async fn connection(
    stream: TcpStream,
    routes: Router,
    _place: Place,
    mut stop: watch::Receiver<bool>,
) {
    // Without it an answer may wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(HEAD_OCTETS_MAX);
    let service = TowerToHyperService::new(routes);
    let served = http.serve_connection(TokioIo::new(Taken::new(stream)), service).with_upgrades();
    tokio::pin!(served);
    tokio::select! {
        _ = &mut served => {}
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
}

/// Returns when `stop` says so.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Counts who is in.
struct Gate {
    limits: RpcLimits,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    all: u32,
    by_address: BTreeMap<IpAddr, u32>,
}

impl Gate {
    /// A place for a connection from `peer`, if there is one.
    fn enter(&self, peer: SocketAddr) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(peer.ip());
        let here = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= self.limits.connections_max || here >= self.limits.connections_per_ip_max {
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, here + 1);
        Some(Place { address, open: Arc::clone(&self.open) })
    }
}

/// What counts as one client: an address, or the /64 that any IPv6 host may have all of.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

/// A connection's place; given back when dropped.
struct Place {
    address: IpAddr,
    open: Arc<Mutex<Open>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(here) = open.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// A stream that ends if its peer takes nothing for [`WRITE_PATIENCE`].
struct Taken {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl Taken {
    fn new(stream: TcpStream) -> Self {
        Self { stream, deadline: Box::pin(sleep(WRITE_PATIENCE)), is_waiting: false }
    }

    /// Starts the clock when a write begins to wait, and ends the wait when it has run out.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_waiting = false;
            return written;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.deadline.as_mut().reset(Instant::now() + WRITE_PATIENCE);
        }
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Taken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Taken {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
