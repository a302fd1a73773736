//! A rate limit: so many a second, with a burst.
//!
//! The generic cell rate algorithm: one number per limit, namely when the next arrival would be due
//! if all arrivals so far had been evenly spaced. **Source:** ITU-T I.371, annex A.

use core::time::Duration;
use srwan_wire::time::Instant;

/// A limit on arrivals.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    interval: Duration,
    tolerance: Duration,
    due: Instant,
}

impl TokenBucket {
    /// A full bucket: `per_second` arrivals a second in the long run, `burst` at once (both at
    /// least one).
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, tolerance: interval * burst.max(1), due: Instant::ZERO }
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        self.take_many(1, now)
    }

    /// Takes so many tokens if there are as many.
    pub fn take_many(&mut self, tokens: u32, now: Instant) -> bool {
        let due = self.due.max(now) + self.interval * tokens;
        let has_token = due.since(now) <= self.tolerance;
        if has_token {
            self.due = due;
        }
        has_token
    }

    /// Whether less than half of the burst is left.
    #[must_use]
    pub fn is_low(&self, now: Instant) -> bool {
        self.due.since(now) > self.tolerance / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = TokenBucket::new(10, 5);
        let burst = (0..20).filter(|_| bucket.take(at(1_000))).count();
        assert_eq!(burst, 5);
        let later = (0..1_000).filter(|ms| bucket.take(at(1_000 + ms))).count();
        assert_eq!(later, 9);
    }

    #[test]
    fn what_costs_more_passes_less_often() {
        let mut bucket = TokenBucket::new(10, 5);
        assert_eq!((0..20).filter(|_| bucket.take_many(2, at(0))).count(), 2);
        assert!(bucket.take(at(0)));
        assert!(!bucket.take_many(6, at(10_000)), "more than the burst never passes");
    }

    #[test]
    fn it_is_low_when_half_is_gone_and_recovers() {
        let mut bucket = TokenBucket::new(10, 4);
        assert!(!bucket.is_low(at(0)));
        (0..3).for_each(|_| assert!(bucket.take(at(0))));
        assert!(bucket.is_low(at(0)));
        assert!(!bucket.is_low(at(1_000)));
    }
}
