//! Looks at the routers through their admin API, as any user may, and notes when what they say changes.
//!
//! A thread per router: one that hangs or is dead delays no other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use ipnet::IpNet;
use serde::Deserialize;

use crate::http;

use super::record::{Route, RouteKey, RouteSeen};

/// A router to look at.
#[derive(Clone, Debug)]
pub struct Watched {
    pub name: String,
    pub socket: PathBuf,
    /// Receivers of flows that this router is headend for: the node and its address.
    pub targets: Vec<(String, IpAddr)>,
}

/// What the routers said so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub routes: BTreeMap<RouteKey, Vec<RouteSeen>>,
    /// When each router first had a complete matrix.
    pub complete: BTreeMap<String, Duration>,
    /// Routes that nobody has printed yet.
    pub fresh: Vec<(RouteKey, RouteSeen)>,
    pub portals: BTreeMap<String, String>,
}

/// Threads that look until this is dropped.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to look; `origin` is the start of the story.
    pub fn start(routers: Vec<Watched>, origin: Instant) -> Self {
        let watch = Self { seen: Arc::default(), stop: Arc::default() };
        for router in routers {
            let (seen, stop) = (Arc::clone(&watch.seen), Arc::clone(&watch.stop));
            thread::spawn(move || look_on(&router, origin, &seen, &stop));
        }
        watch
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }

    /// Changes of path since the last call.
    pub fn fresh(&self) -> Vec<(RouteKey, RouteSeen)> {
        self.seen.lock().map(|mut seen| std::mem::take(&mut seen.fresh)).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn look_on(router: &Watched, origin: Instant, seen: &Mutex<Seen>, stop: &AtomicBool) {
    let mut unanswered = 0;
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let answer = status(router);
        unanswered = if answer.is_ok() { 0 } else { unanswered + 1 };
        if let Ok(mut seen) = seen.lock() {
            match answer {
                Ok(status) => note(&mut seen, router, &status, origin.elapsed()),
                Err(_) if unanswered == UNANSWERED_DEAD => {
                    note_dead(&mut seen, router, origin.elapsed())
                }
                Err(_) => {}
            }
        }
        let busy = router.targets.is_empty();
        let interval = if busy { INTERVAL_RELAY } else { INTERVAL_HEADEND };
        thread::sleep(interval.saturating_sub(asked.elapsed()));
    }
}

/// The part of a router's status that a story needs; the whole is in the product's API.
#[derive(Deserialize)]
struct Status {
    matrix_complete: bool,
    engaged: Vec<Engaged>,
    portal_url: Option<String>,
}

#[derive(Deserialize)]
struct Engaged {
    endpoint: String,
    prefixes: Vec<String>,
    relays: Vec<String>,
    reason: String,
}

fn status(router: &Watched) -> Result<Status> {
    Ok(serde_json::from_value(http::get_unix(&router.socket, "/v1/status")?)?)
}

fn note(seen: &mut Seen, router: &Watched, status: &Status, now: Duration) {
    if status.matrix_complete {
        seen.complete.entry(router.name.clone()).or_insert(now);
    }
    if let Some(url) = &status.portal_url {
        seen.portals.insert(router.name.clone(), url.clone());
    }
    for (target, address) in &router.targets {
        let (route, reason) = route_to(status, *address);
        note_route(seen, &router.name, target, RouteSeen { at: now, route, reason });
    }
}

/// A router that does not answer sends nothing over relays: its host uses the default route.
fn note_dead(seen: &mut Seen, router: &Watched, now: Duration) {
    for (target, _) in &router.targets {
        let reason = "the router does not answer".to_owned();
        note_route(
            seen,
            &router.name,
            target,
            RouteSeen { at: now, route: Route::Default, reason },
        );
    }
}

fn note_route(seen: &mut Seen, headend: &str, target: &str, change: RouteSeen) {
    let key = RouteKey { headend: headend.to_owned(), target: target.to_owned() };
    let log = seen.routes.entry(key.clone()).or_default();
    let last = log.last().map_or(&Route::Default, |last| &last.route);
    if *last != change.route {
        log.push(change.clone());
        seen.fresh.push((key, change));
    }
}

/// The engaged destination whose prefix holds the address most closely.
fn route_to(status: &Status, address: IpAddr) -> (Route, String) {
    let length = |engaged: &Engaged| {
        let nets = engaged.prefixes.iter().filter_map(|net| net.parse::<IpNet>().ok());
        nets.filter(|net| net.contains(&address)).map(|net| net.prefix_len()).max()
    };
    let holding = status.engaged.iter().filter_map(|engaged| Some((length(engaged)?, engaged)));
    match holding.max_by_key(|(length, _)| *length) {
        Some((_, engaged)) => {
            let why = format!("{} ({})", engaged.reason, engaged.endpoint);
            (Route::Engaged { relays: engaged.relays.clone() }, why)
        }
        None => (Route::Default, String::new()),
    }
}

/// One-way delays of all pairs as the receivers have them.
pub fn owd_cells(socket: &std::path::Path) -> Result<BTreeMap<(String, String), Duration>> {
    let matrix: Matrix = serde_json::from_value(http::get_unix(socket, "/v1/matrix")?)?;
    let count = matrix.members.len();
    let name = |at: usize| matrix.members[at].name.clone();
    let cells = matrix.cells.iter().take(count * count).enumerate();
    let known = cells.filter_map(|(at, cell)| {
        let owd = u64::try_from(cell.as_ref()?.owd_us).ok()?;
        Some(((name(at / count), name(at % count)), Duration::from_micros(owd)))
    });
    Ok(known.collect())
}

/// Octets that a router has evidence of for each lane that pays it: what payer and endpoint both signed.
pub fn held(socket: &std::path::Path) -> Result<BTreeMap<String, u64>> {
    let answer: Wallet = serde_json::from_value(http::get_unix(socket, "/v1/wallet")?)?;
    let served = answer.lanes.into_iter().filter(|lane| lane.role != "payer");
    Ok(served.map(|lane| (lane.lane, lane.receipt_bytes.min(lane.delivery_bytes))).collect())
}

#[derive(Deserialize)]
struct Wallet {
    lanes: Vec<HeldLane>,
}

#[derive(Deserialize)]
struct HeldLane {
    lane: String,
    role: String,
    receipt_bytes: u64,
    delivery_bytes: u64,
}

#[derive(Deserialize)]
struct Matrix {
    members: Vec<Member>,
    cells: Vec<Option<Cell>>,
}

#[derive(Deserialize)]
struct Member {
    name: String,
}

#[derive(Deserialize)]
struct Cell {
    owd_us: i64,
}

/// Resolution of "moved within": a tenth of the tightest promise, failover in 500 ms.
const INTERVAL_HEADEND: Duration = Duration::from_millis(50);
/// A busy router may miss one question; one that misses these is dead or frozen.
const UNANSWERED_DEAD: u32 = 3;
/// The others are asked for their matrix alone.
const INTERVAL_RELAY: Duration = Duration::from_millis(250);
