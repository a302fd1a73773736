//! How often a wrong token may be tried.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens allowed per [`ATTEMPT_WINDOW`], over all clients together: behind loopback all have
/// one address.
pub const ATTEMPTS_MAX: usize = 5;

/// The time over which attempts are counted.
pub const ATTEMPT_WINDOW: Duration = Duration::from_secs(60);

/// Counts the attempts of the last minute. A right token gives its attempt back.
#[derive(Default)]
pub struct Attempts {
    times: Mutex<VecDeque<Instant>>,
}

impl Attempts {
    /// Counts one attempt at `now`.
    ///
    /// **Errors:** too many; the time after which one is allowed again. Nothing is counted then.
    pub fn begin(&self, now: Instant) -> Result<(), Duration> {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        while times.front().is_some_and(|first| now.duration_since(*first) >= ATTEMPT_WINDOW) {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= ATTEMPTS_MAX => {
                Err(ATTEMPT_WINDOW.saturating_sub(now.duration_since(*first)))
            }
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }

    /// Takes the latest attempt back: it was right.
    pub fn forgive(&self) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_attempts_a_minute_and_then_one_per_window() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for second in 0..5 {
            assert_eq!(attempts.begin(start + Duration::from_secs(second)), Ok(()));
        }
        let refused = attempts.begin(start + Duration::from_secs(5));
        assert_eq!(refused, Err(Duration::from_secs(55)));
        assert_eq!(attempts.begin(start + ATTEMPT_WINDOW), Ok(()));
        assert!(attempts.begin(start + ATTEMPT_WINDOW).is_err());
    }

    #[test]
    fn a_right_token_costs_no_attempt() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for _ in 0..20 {
            assert_eq!(attempts.begin(now), Ok(()));
            attempts.forgive();
        }
    }
}
