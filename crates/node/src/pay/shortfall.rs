//! Whether what is sent on a lane arrives: probes may pass a relay that lets data fall.
//!
//! The endpoint signs what it delivered. Both counts are compared in windows, so that what is still under way weighs
//! little; three windows in a row that lack a fifth are no chance, and no path that control would keep for its loss.

use srwan_wire::id::Octets;
use srwan_wire::time::Instant;
use std::time::Duration;

/// Length of a window: ten deliveries of the endpoint, and long against any round trip.
const WINDOW: Duration = Duration::from_secs(2);

/// Octets that must be sent in a window for it to count: some fifty packets.
const SENT_MIN: u64 = 64 << 10;

/// Part that must arrive, in percent. Control leaves a path that loses so much by itself if probes show it.
const ARRIVES_MIN_PERCENT: u64 = 80;

/// Windows in a row that must lack more.
const WINDOWS: u8 = 3;

/// What a lane's payer remembers of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shortfall {
    since: Option<Instant>,
    sent: Octets,
    delivered: Octets,
    bad: u8,
}

impl Shortfall {
    /// Takes both counts; `true` if too much was lost for too long.
    pub(super) fn judge(&mut self, sent: Octets, delivered: Octets, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.since(since) < WINDOW {
            return false;
        }
        let sent_by = sent.0.saturating_sub(self.sent.0);
        let delivered_by = delivered.0.saturating_sub(self.delivered.0);
        let lacks = delivered_by.saturating_mul(100) < sent_by.saturating_mul(ARRIVES_MIN_PERCENT);
        let counts = sent_by >= SENT_MIN;
        self.bad = if counts && lacks { self.bad.saturating_add(1) } else { 0 };
        (self.since, self.sent, self.delivered) = (Some(now), sent, delivered);
        self.bad >= WINDOWS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges second by second a lane on which a mebibyte a second is sent and `percent` of it arrives; returns after
    /// how many seconds it is found to lose too much.
    fn found_after(percent: u64) -> Option<u64> {
        let mut shortfall = Shortfall::default();
        let at = |second: u64| Instant::from_nanos(second * 1_000_000_000);
        (0..60).find(|second| {
            let sent = Octets(second << 20);
            shortfall.judge(sent, Octets(sent.0 * percent / 100), at(*second))
        })
    }

    #[test]
    fn a_lane_on_which_a_fifth_is_lost_is_found_within_seconds_and_a_good_one_never() {
        assert_eq!(found_after(0), Some(6));
        assert_eq!(found_after(70), Some(6));
        assert_eq!(found_after(85), None);
        assert_eq!(found_after(100), None);
    }

    #[test]
    fn a_lane_on_which_nothing_is_sent_loses_nothing() {
        let mut shortfall = Shortfall::default();
        let quiet = |second: u64| {
            shortfall.judge(Octets(9), Octets(0), Instant::from_nanos(second * 1_000_000_000))
        };
        assert!(!(0..60).any(quiet));
    }
}
