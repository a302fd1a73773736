//! One reader of the router for all open pages: numbered frames, each a snapshot and what changed
//! since the one before.
//!
//! However many pages are open, the router is asked once per [`PERIOD`], and not at all while
//! nobody looks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use srwan_api::http::HttpClient;
use tokio::sync::{Mutex, watch};

use crate::delta::diff;
use crate::overview::Reader;

/// Time between two looks at the router: what a person takes for live.
pub const PERIOD: Duration = Duration::from_secs(1);

/// A look may take this share of the time: a large group's matrix is then read less often, never
/// back to back.
const DUTY: u32 = 5;

/// One state of the page.
pub struct Frame {
    /// Rises by one per frame.
    pub seq: u64,
    /// The message that says everything.
    pub snapshot: String,
    /// The message that says what changed since the frame before; `None` if that would be longer.
    pub delta: Option<String>,
    data: Value,
}

/// The latest frame, and who waits for the next.
pub struct Feed {
    reader: Mutex<Schedule>,
    latest: watch::Sender<Arc<Frame>>,
}

struct Schedule {
    reader: Reader,
    due: Instant,
}

impl Feed {
    /// A feed from the router behind `client`.
    pub fn new(client: HttpClient, now: Instant) -> Self {
        let schedule = Schedule { reader: Reader::new(client, now), due: now };
        let frame = Frame { seq: 0, snapshot: String::new(), delta: None, data: Value::Null };
        Self { reader: Mutex::new(schedule), latest: watch::Sender::new(Arc::new(frame)) }
    }

    /// The frames from here on.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Frame>> {
        self.latest.subscribe()
    }

    /// The latest frame, at most a period old. Callers wait for one another, so the router is read
    /// once.
    pub async fn refresh(&self) -> Arc<Frame> {
        let mut schedule = self.reader.lock().await;
        let begun = Instant::now();
        if begun >= schedule.due {
            let overview = schedule.reader.read(begun).await;
            let took = begun.elapsed();
            schedule.due = begun + PERIOD.max(took.saturating_mul(DUTY));
            let data = serde_json::to_value(overview).unwrap_or_default();
            let before = Arc::clone(&self.latest.borrow());
            self.latest.send_replace(Arc::new(next_frame(&before, data)));
        }
        Arc::clone(&self.latest.borrow())
    }

    /// Makes a frame per period while someone looks, until dropped.
    pub async fn run(&self) {
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if self.latest.receiver_count() > 0 {
                self.refresh().await;
            }
        }
    }
}

fn next_frame(before: &Frame, data: Value) -> Frame {
    let seq = before.seq.saturating_add(1);
    let snapshot = json!({"kind": "snapshot", "seq": seq, "data": data}).to_string();
    let operations = if before.data.is_null() { None } else { diff(&before.data, &data) };
    let delta = operations.map(|ops| json!({"kind": "delta", "seq": seq, "ops": ops}).to_string());
    let delta = delta.filter(|delta| delta.len() < snapshot.len());
    Frame { seq, snapshot, delta, data }
}
