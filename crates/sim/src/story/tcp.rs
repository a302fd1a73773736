//! One direction of a host's TCP: a sender and a receiver of numbered segments, as far as a story can tell them from a
//! kernel's.
//!
//! Window: slow start, then CUBIC (RFC 9438). Losses: a segment is lost once one that was sent later has been
//! acknowledged for a quarter of a round trip (RACK, RFC 8985); silence ends with the retransmission timeout of
//! RFC 6298, at least 200 ms as Linux has it. Every segment is acknowledged by itself and with all before it, which is
//! what SACK comes to. Not modelled: delayed acknowledgements, a receive window, tail probes, header options.

use srwan_wire::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Octets of data in a segment: with the 28 octets of header that the simulated host writes, a packet of 1,380, which
/// fits every path (docs/protocol.md, "MTU").
pub const SEGMENT_OCTETS: u64 = 1_352;

/// Segments that a sender may have outstanding: 6 MB, what Linux lets a send buffer grow to.
const WINDOW_MAX: u32 = 4_400;
/// Source: RFC 6928.
const WINDOW_INITIAL: f64 = 10.0;
const WINDOW_MIN: f64 = 2.0;
/// Source: RFC 9438, sections 4.6 and 5: the window after a loss, and the speed of growth in segments per s^3.
const BETA: f64 = 0.7;
const CUBIC: f64 = 0.4;
/// Source: Linux, `TCP_RTO_MIN`; RFC 6298 has 1 s before the first round trip.
const RTO_MIN: Duration = Duration::from_millis(200);
const RTO_INITIAL: Duration = Duration::from_secs(1);
/// Source: Linux, `TCP_RTO_MAX`.
const RTO_MAX: Duration = Duration::from_secs(120);

/// A segment that is out.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    /// Position in the order of all transmissions.
    turn: u64,
    is_lost: bool,
    is_again: bool,
}

/// The sending end.
#[derive(Clone, Debug)]
pub struct Sender {
    next: u64,
    out: BTreeMap<u64, Sent>,
    turns: u64,
    newest_acked: Option<(u64, Instant)>,
    window: f64,
    threshold: f64,
    epoch: Option<(Instant, f64)>,
    window_before: f64,
    recovery_until: u64,
    round_trip: Option<(Duration, Duration)>,
    shortest: Option<Duration>,
    backoff: u32,
    armed: Instant,
}

impl Sender {
    /// A sender that has sent nothing.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            next: 0,
            out: BTreeMap::new(),
            turns: 0,
            newest_acked: None,
            window: WINDOW_INITIAL,
            threshold: f64::from(WINDOW_MAX),
            epoch: None,
            window_before: 0.0,
            recovery_until: 0,
            round_trip: None,
            shortest: None,
            backoff: 0,
            armed: now,
        }
    }

    /// The next segment to send, of the first `available` that the program wrote.
    pub fn poll_segment(&mut self, available: u64, now: Instant) -> Option<u64> {
        let flying = self.out.values().filter(|sent| !sent.is_lost).count();
        let flying = u32::try_from(flying).unwrap_or(WINDOW_MAX);
        if f64::from(flying) >= self.window || flying >= WINDOW_MAX {
            return None;
        }
        let lost = self.out.iter().find(|(_, sent)| sent.is_lost).map(|(segment, _)| *segment);
        let segment = lost.or_else(|| (self.next < available).then_some(self.next))?;
        self.next = self.next.max(segment + 1);
        if self.out.is_empty() {
            self.armed = now;
        }
        let sent = Sent { at: now, turn: self.turns, is_lost: false, is_again: lost.is_some() };
        self.out.insert(segment, sent);
        self.turns += 1;
        Some(segment)
    }

    /// Takes an acknowledgement of `segment` and of all before `all_before`.
    pub fn handle_ack(&mut self, segment: u64, all_before: u64, now: Instant) {
        let later = self.out.split_off(&all_before);
        let mut acked: Vec<(u64, Sent)> =
            std::mem::replace(&mut self.out, later).into_iter().collect();
        acked.extend(self.out.remove(&segment).map(|sent| (segment, sent)));
        for (number, sent) in &acked {
            if *number == segment && !sent.is_again {
                self.measure(now.since(sent.at));
            }
            self.newest_acked = self.newest_acked.max(Some((sent.turn, sent.at)));
        }
        if !acked.is_empty() {
            (self.backoff, self.armed) = (0, now);
            self.grow(u32::try_from(acked.len()).unwrap_or(u32::MAX), now);
        }
        self.find_lost(now);
    }

    /// When to call [`Sender::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.out.is_empty()).then(|| self.armed + self.timeout())
    }

    /// Nothing was acknowledged for too long: all that is out counts as lost, and the window begins anew.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        self.out.values_mut().for_each(|sent| sent.is_lost = true);
        self.reduce(now);
        self.window = 1.0;
        self.recovery_until = self.next;
        self.backoff = (self.backoff + 1).min(10);
        self.armed = now;
    }

    /// The smoothed round trip, once there is one.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip.map(|(mean, _)| mean)
    }

    fn timeout(&self) -> Duration {
        let base = match self.round_trip {
            None => RTO_INITIAL,
            Some((mean, deviation)) => mean + (deviation * 4).max(RTO_MIN),
        };
        (base * 2_u32.pow(self.backoff)).min(RTO_MAX)
    }

    fn measure(&mut self, sample: Duration) {
        self.shortest = Some(self.shortest.map_or(sample, |least| least.min(sample)));
        self.round_trip = Some(match self.round_trip {
            None => (sample, sample / 2),
            Some((mean, deviation)) => {
                ((mean * 7 + sample) / 8, (deviation * 3 + sample.abs_diff(mean)) / 4)
            }
        });
    }

    /// What was sent before something that has arrived, a quarter of a round trip ago or more, is lost.
    fn find_lost(&mut self, now: Instant) {
        let Some((turn, _)) = self.newest_acked else { return };
        let Some(mean) = self.round_trip() else { return };
        let patience = mean + self.shortest.unwrap_or(mean) / 4;
        let overdue =
            |sent: &Sent| !sent.is_lost && sent.turn < turn && now.since(sent.at) > patience;
        let lost: Vec<u64> =
            self.out.iter().filter(|(_, sent)| overdue(sent)).map(|(number, _)| *number).collect();
        for number in &lost {
            self.out.entry(*number).and_modify(|sent| sent.is_lost = true);
        }
        if lost.iter().any(|number| *number >= self.recovery_until) {
            self.reduce(now);
            self.recovery_until = self.next;
        }
    }

    fn reduce(&mut self, now: Instant) {
        // Source: RFC 9438, section 4.7, fast convergence.
        let fell = self.window < self.window_before;
        self.window_before = if fell { self.window * (1.0 + BETA) / 2.0 } else { self.window };
        self.window = (self.window * BETA).max(WINDOW_MIN);
        self.threshold = self.window;
        self.epoch = Some((now, self.window));
    }

    fn grow(&mut self, acked: u32, now: Instant) {
        let count = f64::from(acked);
        if self.window < self.threshold {
            self.window += count;
            return;
        }
        let (since, start) = *self.epoch.get_or_insert((now, self.window));
        let round_trip = self.round_trip().unwrap_or(RTO_INITIAL).as_secs_f64();
        let time = now.since(since).as_secs_f64() + round_trip;
        let plateau = self.window_before.max(start);
        let until_plateau = ((plateau - start) / CUBIC).cbrt();
        let target = (CUBIC * (time - until_plateau).powi(3) + plateau).min(self.window * 1.5);
        // Source: RFC 9438, section 4.3: never slower than a Reno of the same window.
        let as_reno = 3.0 * (1.0 - BETA) / (1.0 + BETA) / self.window;
        let as_cubic = (target - self.window).max(0.0) / self.window;
        self.window = (self.window + count * as_cubic.max(as_reno)).min(f64::from(WINDOW_MAX));
    }
}

/// The receiving end.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    /// All before it have arrived.
    next: u64,
    beyond: BTreeSet<u64>,
}

impl Receiver {
    /// Takes a segment; the acknowledgement says that all before the number returned are here.
    pub fn handle_segment(&mut self, segment: u64) -> u64 {
        if segment >= self.next {
            self.beyond.insert(segment);
        }
        while self.beyond.remove(&self.next) {
            self.next += 1;
        }
        self.next
    }

    /// Octets that the program could read so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.next * SEGMENT_OCTETS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carries segments over a path of 50 ms each way that loses those for which `loses` says so; the octets that were
    /// read after `seconds`.
    fn transfer(seconds: u64, loses: impl Fn(u64, Instant) -> bool) -> u64 {
        let one_way = Duration::from_millis(50);
        let end = Instant::ZERO + Duration::from_secs(seconds);
        let (mut sender, mut receiver) = (Sender::new(Instant::ZERO), Receiver::default());
        let mut flying: BTreeSet<(Instant, bool, u64, u64)> = BTreeSet::new();
        let (mut now, mut count) = (Instant::ZERO, 0);
        while now < end {
            let written = now.as_nanos() / 1_000_000;
            while let Some(segment) = sender.poll_segment(written, now) {
                count += 1;
                if !loses(count, now) {
                    flying.insert((now + one_way, false, segment, 0));
                }
            }
            let tick = Instant::from_nanos((now.as_nanos() / 1_000_000 + 1) * 1_000_000);
            let due = [sender.poll_timeout(), flying.first().map(|first| first.0)];
            now = due.into_iter().flatten().fold(tick, Instant::min).max(now);
            while let Some(first) = flying.first().copied().filter(|first| first.0 <= now) {
                flying.remove(&first);
                let (at, is_ack, segment, before) = first;
                if is_ack {
                    sender.handle_ack(segment, before, now);
                } else {
                    let before = receiver.handle_segment(segment);
                    flying.insert((at + one_way, true, segment, before));
                }
            }
            sender.handle_timeout(now);
        }
        receiver.octets()
    }

    #[test]
    fn a_paced_program_gets_its_pace_over_a_clean_path() {
        let octets = transfer(20, |_, _| false);
        assert!(octets > 19_500 * SEGMENT_OCTETS, "{octets}");
    }

    #[test]
    fn a_few_losses_cost_little() {
        let octets = transfer(20, |count, _| count % 5_000 == 0);
        assert!(octets > 19_000 * SEGMENT_OCTETS, "{octets}");
    }

    #[test]
    fn a_silence_ends_soon_after_the_path_is_back() {
        let dark = Duration::from_secs(5)..Duration::from_secs(7);
        let octets = transfer(20, |_, now| dark.contains(&now.since(Instant::ZERO)));
        assert!(octets > 15_000 * SEGMENT_OCTETS, "{octets}");
    }

    #[test]
    fn five_percent_of_loss_make_it_slow() {
        let octets = transfer(20, |count, _| count % 20 == 0);
        assert!(octets < 8_000 * SEGMENT_OCTETS, "{octets}");
    }
}
