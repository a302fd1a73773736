//! How often one address may ask for something dear: a token bucket per address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Addresses remembered; the one that was quiet longest is forgotten first.
const ADDRESSES_MAX: usize = 4_096;

/// How many asks an address has, and how fast they come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Asks in one go.
    pub burst: u32,
    /// Asks that come back per minute.
    pub per_minute: u32,
}

/// A limiter of one kind of ask.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    buckets: BTreeMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In sixty-thousandths: `per_minute` times elapsed milliseconds is exact in this unit.
    level: u64,
    at: Instant,
}

/// Units of [`Bucket::level`] that one ask takes.
const ASK: u64 = 60_000;

impl Limiter {
    /// A limiter that nobody has used.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: BTreeMap::new() }
    }

    /// Takes one ask from an address.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&mut self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let full = u64::from(self.rate.burst) * ASK;
        let rate = u64::from(self.rate.per_minute);
        self.make_room(address);
        let bucket = self.buckets.entry(address).or_insert(Bucket { level: full, at: now });
        let elapsed = now.saturating_duration_since(bucket.at);
        let gained = rate * u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX / (rate + 1));
        let level = bucket.level.saturating_add(gained).min(full);
        if level < ASK {
            let wait_ms = (ASK - level).div_ceil(rate.max(1));
            return Err(Duration::from_millis(wait_ms));
        }
        *bucket = Bucket { level: level - ASK, at: now };
        Ok(())
    }

    fn make_room(&mut self, address: IpAddr) {
        if self.buckets.len() < ADDRESSES_MAX || self.buckets.contains_key(&address) {
            return;
        }
        let quietest = self.buckets.iter().min_by_key(|(_, bucket)| bucket.at);
        if let Some(quietest) = quietest.map(|(address, _)| *address) {
            self.buckets.remove(&quietest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_has_its_burst_and_then_its_rate() {
        let mut limiter = Limiter::new(Rate { burst: 2, per_minute: 60 });
        let (start, [one, two]) = (Instant::now(), [1, 2].map(|i| Ipv4Addr::new(10, 0, 0, i)));
        let mut take =
            |address: Ipv4Addr, ms| limiter.take(address.into(), start + Duration::from_millis(ms));
        assert_eq!([take(one, 0), take(one, 0)], [Ok(()), Ok(())]);
        assert_eq!(take(one, 0), Err(Duration::from_secs(1)));
        assert_eq!(take(two, 0), Ok(()));
        assert_eq!(take(one, 400), Err(Duration::from_millis(600)));
        assert_eq!(take(one, 1_000), Ok(()));
        assert!(take(one, 1_001).is_err());
    }

    #[test]
    fn the_table_is_bounded() {
        let mut limiter = Limiter::new(Rate { burst: 1, per_minute: 1 });
        let start = Instant::now();
        for i in 0..10_000_u32 {
            let at = start + Duration::from_millis(i.into());
            assert_eq!(limiter.take(Ipv4Addr::from(i).into(), at), Ok(()));
        }
        assert_eq!(limiter.buckets.len(), ADDRESSES_MAX);
    }
}
