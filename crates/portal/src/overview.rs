//! What the first page shows, read from the router's admin API.
//!
//! The portal adds nothing to what the API says. It leaves out what would change at each look
//! without telling anything: the age of a matrix cell becomes the moment it was seen, so that a
//! cell changes when it is measured.

use std::time::{Duration, Instant};

use serde::Serialize;
use srwan_api::http::{ApiError, HttpClient};
use srwan_api::router::{Event, Events, Matrix, MatrixCell, MatrixMember, Paths, Status, Wallet};

/// Events kept for the page; the CLI shows more.
pub const EVENTS_MAX: usize = 60;

/// Deadline of one call: a router on the same host that needs longer is as good as down.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Difference in milliseconds below which a cell counts as seen at the same moment: ages are read
/// at slightly different times, and pulses come at least a second apart.
const SEEN_SLACK_MS: u64 = 900;

/// All that the first page shows.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// `srwan.overview/1`.
    pub schema: &'static str,
    /// Milliseconds since the portal started; the clock of `seen_ms`.
    pub clock_ms: u64,
    /// Why the latest look failed; what follows is then from an earlier one.
    pub error: Option<ApiError>,
    /// When the router was last read, on the clock of `clock_ms`; absent if never.
    pub read_ms: Option<u64>,
    /// What the router is doing.
    pub status: Option<Status>,
    /// One-way delays.
    pub matrix: Option<MatrixView>,
    /// Candidate paths.
    pub paths: Option<Paths>,
    /// Coins.
    pub wallet: Option<Wallet>,
    /// Oldest first, at most [`EVENTS_MAX`].
    pub events: Vec<Event>,
}

/// The matrix without what changes at each look.
#[derive(Clone, Debug, Serialize)]
pub struct MatrixView {
    /// Row and column order.
    pub members: Vec<MatrixMember>,
    /// **Shape:** as [`Matrix::cells`].
    pub cells: Vec<Option<CellView>>,
}

/// One directed pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellView {
    /// As [`MatrixCell::owd_us`].
    pub owd_us: i64,
    /// As [`MatrixCell::owd_error_us`].
    pub owd_error_us: u64,
    /// As [`MatrixCell::jitter_us`].
    pub jitter_us: u64,
    /// As [`MatrixCell::loss`].
    pub loss: f64,
    /// As [`MatrixCell::gain_us`].
    pub gain_us: Option<i64>,
    /// As [`MatrixCell::gain_relays`].
    pub gain_relays: Vec<u32>,
    /// As [`MatrixCell::improved`].
    pub improved: bool,
    /// When it was measured, on the clock of [`Overview::clock_ms`]; negative if before the portal
    /// started.
    pub seen_ms: i64,
}

/// Reads the admin API again and again, and remembers the latest answers.
pub struct Reader {
    client: HttpClient,
    started: Instant,
    latest: Overview,
    events_next: u64,
}

impl Reader {
    /// Reads with `client`; its clock starts at `now`.
    pub fn new(client: HttpClient, now: Instant) -> Self {
        let client = client.with_timeout(CALL_TIMEOUT);
        Self { client, started: now, latest: Overview::empty(), events_next: 0 }
    }

    /// Looks at the router once. What cannot be read keeps its earlier value, and `error` says why.
    pub async fn read(&mut self, now: Instant) -> Overview {
        self.latest.error = self.read_all(now).await.err();
        self.latest.clock_ms = milliseconds(now.saturating_duration_since(self.started));
        if self.latest.error.is_none() {
            self.latest.read_ms = Some(self.latest.clock_ms);
        }
        self.latest.clone()
    }

    async fn read_all(&mut self, now: Instant) -> Result<(), ApiError> {
        self.latest.status = Some(self.client.get("/v1/status").await?);
        let matrix: Matrix = self.client.get("/v1/matrix").await?;
        let clock_ms = milliseconds(now.saturating_duration_since(self.started));
        self.latest.matrix = Some(view(matrix, self.latest.matrix.take(), clock_ms));
        self.latest.paths = Some(self.client.get("/v1/paths").await?);
        self.latest.wallet = Some(self.client.get("/v1/wallet").await?);
        self.read_events().await
    }

    async fn read_events(&mut self) -> Result<(), ApiError> {
        let mut answer = self.events_after(self.events_next).await?;
        if answer.next < self.events_next {
            // The router restarted and counts from the beginning again.
            self.latest.events.clear();
            answer = self.events_after(0).await?;
        }
        let known = self.latest.events.last().map(|event| event.seq);
        let fresh =
            answer.events.into_iter().filter(|event| known.is_none_or(|seq| event.seq > seq));
        self.latest.events.extend(fresh);
        let surplus = self.latest.events.len().saturating_sub(EVENTS_MAX);
        self.latest.events.drain(..surplus);
        self.events_next = answer.next;
        Ok(())
    }

    async fn events_after(&self, after: u64) -> Result<Events, ApiError> {
        self.client.get(&format!("/v1/events?after={after}")).await
    }
}

impl Overview {
    fn empty() -> Self {
        Self {
            schema: "srwan.overview/1",
            clock_ms: 0,
            error: None,
            read_ms: None,
            status: None,
            matrix: None,
            paths: None,
            wallet: None,
            events: Vec::new(),
        }
    }
}

fn view(matrix: Matrix, before: Option<MatrixView>, clock_ms: u64) -> MatrixView {
    let mut before = before.map(|view| view.cells).unwrap_or_default().into_iter();
    let cells = matrix.cells.into_iter().map(|cell| {
        let earlier = before.next().flatten();
        cell.map(|cell| settle(cell_view(cell, clock_ms), earlier))
    });
    let cells = cells.collect();
    MatrixView { members: matrix.members, cells }
}

fn cell_view(cell: MatrixCell, clock_ms: u64) -> CellView {
    let clock_ms = i64::try_from(clock_ms).unwrap_or(i64::MAX);
    let age_ms = i64::try_from(cell.age_ms).unwrap_or(i64::MAX);
    CellView {
        owd_us: cell.owd_us,
        owd_error_us: cell.owd_error_us,
        jitter_us: cell.jitter_us,
        loss: cell.loss,
        gain_us: cell.gain_us,
        gain_relays: cell.gain_relays,
        improved: cell.improved,
        seen_ms: clock_ms.saturating_sub(age_ms),
    }
}

/// Keeps the earlier moment if it is the same one but for the time that reading took.
fn settle(mut cell: CellView, earlier: Option<CellView>) -> CellView {
    if let Some(earlier) = earlier
        && cell.seen_ms.abs_diff(earlier.seen_ms) < SEEN_SLACK_MS
    {
        cell.seen_ms = earlier.seen_ms;
    }
    cell
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
