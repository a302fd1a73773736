//! The controller's clock: the host's time at start, and monotonic from there.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use srwan_wire::time::Timestamp;

/// A clock that steps of the host's real-time clock do not move.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Duration,
    started: Instant,
}

impl Clock {
    /// Starts at the host's real time.
    pub fn start() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch, started: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let since = self.epoch.saturating_add(self.started.elapsed());
        Timestamp::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long it has been running.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}
