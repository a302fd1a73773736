//! Is one path up, and how good is it: what its probes say.
//!
//! Every probe is sent over exactly the measured path; its reflection comes back by two ways, so a
//! silent path means that the *forward* way is dead. Four things are detected, each on its own:
//!
//! | condition | rule |
//! | --- | --- |
//! | blackout | `k` probes in a row overdue; `k` rises with the loss before the silence |
//! | loss | CUSUM of a Bernoulli sequence, 0.5 % against 5 % (Page 1954) |
//! | added delay | the window's median is above the baseline by more than max(5 ms, 10 %) |
//! | jitter | the smoothed difference of consecutive delays is above 10 ms, until below 5 |
//!
//! All arithmetic is in integers, so a run is the same everywhere.

use core::time::Duration;
use std::collections::VecDeque;

use srwan_wire::pulse::Loss;
use srwan_wire::time::{Instant, Owd};

/// Outcomes kept for the loss estimate: 20 s at 10 Hz, so that 5 % is known to 1.5 %.
const OUTCOMES_MAX: usize = 200;

/// Outcomes since loss began that say how great it is: one second.
const SPELL_OUTCOMES_MIN: u64 = 10;

/// Outcomes that a loss estimate needs before it may raise the misses.
const OUTCOMES_MIN: usize = 50;

/// A lossy path is clean again after a streak of arrivals that its loss would bring about once in
/// e^10 = 22,000 tries: 10 / p probes, 20 s at 5 %, two minutes at most.
const CLEAN_STREAK: u64 = 10;
const CLEAN_STREAK_MIN: u64 = 50;
const CLEAN_STREAK_MAX: u64 = 1_200;

/// Probes in flight that are remembered: 12 s at 10 Hz, longer than any round trip that is worth a
/// path.
const IN_FLIGHT_MAX: usize = 128;

/// Delay samples kept: 3 s at 10 Hz.
const SAMPLES_MAX: usize = 32;

/// Log-likelihood steps of the CUSUM, in thousandths: ln(0.05 / 0.005) for a loss, ln(0.95 / 0.995)
/// otherwise.
const CUSUM_LOST: i64 = 2_303;
const CUSUM_ARRIVED: i64 = -46;

/// The CUSUM's alarm: e^10.5 = 36,000 samples, an hour at 10 Hz, between false alarms at 0.5 %
/// loss.
const CUSUM_ALARM: i64 = 10_500;

/// Mean difference of consecutive delays at which a path is jittery; it stays so until it is below
/// half.
const JITTER_ALARM: Duration = Duration::from_millis(10);

/// Smoothing of the jitter: 1/32, three seconds at 10 Hz (RFC 3550 section 6.4.1 has 1/16, for
/// media at 50 Hz).
const JITTER_SHARE: i64 = 32;

/// Before a round trip was measured, an answer is overdue after this.
const OVERDUE_INITIAL: Duration = Duration::from_secs(1);

/// Least margin over the round trip before an answer is overdue: timers and queues of two hosts.
const OVERDUE_MARGIN_MIN: Duration = Duration::from_millis(20);

/// Time from the first to the last of the probes that a path is given up for: longer than a full
/// queue takes to drain (500 kB at 100 Mbit/s: 40 ms) and than most bursts of loss last.
const SILENCE_SPAN: Duration = Duration::from_millis(140);

/// Bounds of the distance of probes while an answer is overdue. On a path with a long round trip
/// most of the span is over when the first answer is overdue: what is left of it holds the last
/// probes, so that a path of 100 ms round trip is given up after 0.25 s. No nearer than 10 ms, so
/// that one burst of loss does not take them all.
const SUSPECT_SPACING_MIN: Duration = Duration::from_millis(10);
const SUSPECT_SPACING_MAX: Duration = Duration::from_millis(50);

/// Most misses that the adaptive rule asks for: at 10 Hz 1.6 s, within the 2 s that I29 allows at
/// most.
const MISSES_MAX: u8 = 16;

/// False blackouts that iid loss may cause: one in so many probes, an hour at 10 Hz (I30).
const PROBES_PER_FALSE_ALARM: u64 = 36_000;

/// Answers that confirm a path: I33.
pub(crate) const CONFIRMING_ANSWERS: u32 = 5;

/// A probe that is out.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    seq: u32,
    sent: Instant,
}

/// The answer to one probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) seq: u32,
    /// One-way delay headend -> endpoint by the two clocks: t2 - t1.
    pub(crate) forward: Owd,
    /// Time that the reflector took: t3 - t2.
    pub(crate) held: Duration,
    pub(crate) at: Instant,
}

/// What the probes of one path say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathFigures {
    /// One-way delay headend -> endpoint by the two clocks: median of the last window.
    pub forward: Owd,
    /// Shortest of the last round trips.
    pub round_trip: Duration,
    /// Mean difference of consecutive delays.
    pub jitter: Duration,
    /// Share of probes lost, of up to 200.
    pub loss: Loss,
    /// Probes answered since the path was first probed or last down.
    pub answered: u32,
}

/// What is wrong with a path; all false is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Nothing arrives.
    pub blackout: bool,
    /// It loses packets.
    pub lossy: bool,
    /// It takes longer than it used to.
    pub slow: bool,
    /// Its delay varies much.
    pub jittery: bool,
}

/// Measures one path by its probes.
#[derive(Clone, Debug)]
pub(crate) struct PathMeter {
    misses_min: u8,
    misses: u8,
    lost: usize,
    in_flight: VecDeque<InFlight>,
    next_seq: u32,
    newest_answered: u32,
    outcomes: VecDeque<bool>,
    samples: VecDeque<(Instant, Owd, Duration)>,
    answered: u32,
    smoothed_rtt: Option<(Duration, Duration)>,
    jitter_ns: i64,
    cusum: i64,
    spell: Spell,
    baseline: Option<i64>,
    added_ns: i64,
    conditions: Conditions,
}

impl PathMeter {
    pub(crate) fn new(misses_min: u8) -> Self {
        Self {
            misses_min: misses_min.max(1),
            misses: misses_min.max(1),
            lost: 0,
            in_flight: VecDeque::new(),
            next_seq: 1,
            newest_answered: 0,
            outcomes: VecDeque::new(),
            samples: VecDeque::new(),
            answered: 0,
            smoothed_rtt: None,
            jitter_ns: 0,
            cusum: 0,
            spell: Spell::default(),
            baseline: None,
            added_ns: 0,
            conditions: Conditions::default(),
        }
    }

    /// Notes that a probe leaves; its sequence number.
    pub(crate) fn send(&mut self, now: Instant) -> u32 {
        let seq = self.next_seq;
        self.next_seq = self.next_seq.saturating_add(1);
        if self.in_flight.len() == IN_FLIGHT_MAX {
            self.in_flight.pop_front();
        }
        self.in_flight.push_back(InFlight { seq, sent: now });
        seq
    }

    /// Takes an answer; `false` if it is a second copy, or the probe is not known any more.
    pub(crate) fn answer(&mut self, answer: Answer) -> bool {
        let Some(index) = self.in_flight.iter().position(|probe| probe.seq == answer.seq) else {
            return false;
        };
        let Some(probe) = self.in_flight.remove(index) else { return false };
        self.settle_overdue_before(index, answer.at);
        if self.conditions.blackout {
            self.recover();
        }
        self.newest_answered = self.newest_answered.max(answer.seq);
        self.outcome(true);
        self.answered = self.answered.saturating_add(1);
        let rtt = answer.at.since(probe.sent).saturating_sub(answer.held);
        self.smooth_rtt(rtt);
        self.sample(answer, rtt);
        true
    }

    /// When the path would be down if nothing arrived until then.
    pub(crate) fn blackout_at(&self) -> Option<Instant> {
        if self.conditions.blackout {
            return None;
        }
        let silent = self.in_flight.iter().filter(|probe| probe.seq > self.newest_answered);
        let last_miss = usize::from(self.misses).saturating_sub(1);
        let probe = silent.into_iter().nth(last_miss)?;
        Some(probe.sent + self.overdue_after())
    }

    /// When the silence asks for a probe out of turn: an answer is overdue, and the last probe is a
    /// while ago.
    ///
    /// Until the missing answers are enough for a blackout; then the regular probes are to find out
    /// when it ends.
    pub(crate) fn suspect_at(&self) -> Option<Instant> {
        if self.conditions.blackout || self.smoothed_rtt.is_none() {
            return None;
        }
        let mut silent = self.in_flight.iter().filter(|probe| probe.seq > self.newest_answered);
        let overdue = silent.next()?.sent + self.overdue_after();
        let needed = usize::from(self.misses).saturating_sub(1);
        let last = self.in_flight.back()?.sent;
        (silent.count() < needed).then(|| overdue.max(last + self.suspect_spacing()))
    }

    /// The last two probes of the span follow the first one that is overdue.
    fn suspect_spacing(&self) -> Duration {
        let left = SILENCE_SPAN.saturating_sub(self.overdue_after());
        (left / 2).clamp(SUSPECT_SPACING_MIN, SUSPECT_SPACING_MAX)
    }

    /// Moves time on: `true` if the path is down from this moment.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_down = self.blackout_at().is_some_and(|at| at <= now);
        if is_down {
            self.conditions.blackout = true;
            self.answered = 0;
        }
        is_down
    }

    /// Judges added delay and jitter once per window.
    pub(crate) fn close_window(&mut self, window: Duration, now: Instant) {
        let Some(median) = self.median_within(window, now) else { return };
        let baseline = self.baseline.get_or_insert(median);
        let share =
            if self.conditions.slow && median > *baseline { SLOW_SHARE } else { BASELINE_SHARE };
        *baseline += (median - *baseline) / share;
        self.added_ns = median - *baseline;
        let rtt = self.shortest_rtt().map_or(0, |rtt| Owd::from_duration(rtt).as_nanos());
        self.conditions.slow = self.added_ns > SLOW_MIN_NS.max(rtt / 20) + self.jitter_ns;
        let alarm = Owd::from_duration(JITTER_ALARM).as_nanos();
        let level = if self.conditions.jittery { alarm / 2 } else { alarm };
        self.conditions.jittery = self.jitter_ns > level && self.answered >= CONFIRMING_ANSWERS;
    }

    /// What is out will neither be answered nor count as lost.
    pub(crate) fn forget_in_flight(&mut self) {
        self.in_flight.clear();
    }

    /// The clock at one end started anew: past delays compare with nothing, what is lost or up
    /// stays known.
    pub(crate) fn forget_delays(&mut self) {
        self.samples.clear();
        self.baseline = None;
        self.conditions.slow = false;
    }

    pub(crate) fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// Enough end-to-end probes over this very path were answered, and it is up.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.answered >= CONFIRMING_ANSWERS && !self.conditions.blackout
    }

    pub(crate) fn figures(&self, window: Duration, now: Instant) -> Option<PathFigures> {
        Some(PathFigures {
            forward: Owd::from_nanos(self.median_within(window, now)?),
            round_trip: self.shortest_rtt()?,
            jitter: self.jitter(),
            loss: self.loss(),
            answered: self.answered,
        })
    }

    /// Misses beyond those of a path without loss.
    pub(crate) fn extra_misses(&self) -> u8 {
        self.misses.saturating_sub(self.misses_min)
    }

    /// How much longer the path takes than it used to, in nanoseconds.
    pub(crate) fn added_ns(&self) -> i64 {
        self.added_ns
    }

    pub(crate) fn answered(&self) -> u32 {
        self.answered
    }

    /// The last one-way delay that was measured, by the two clocks.
    pub(crate) fn last_forward(&self) -> Option<Owd> {
        self.samples.back().map(|sample| sample.1)
    }

    /// The shortest one-way delay of the last samples, by the two clocks: without most of the queues.
    pub(crate) fn least_forward(&self) -> Option<Owd> {
        self.samples.iter().map(|sample| sample.1).min()
    }

    pub(crate) fn jitter(&self) -> Duration {
        Duration::from_nanos(self.jitter_ns.unsigned_abs())
    }

    pub(crate) fn loss(&self) -> Loss {
        let (lost, all) = self.losses();
        Loss::of(lost, all)
    }

    /// Lost probes, and all of which it is known: those since the loss began, if it began within the window, since what
    /// was before says nothing of it.
    pub(crate) fn losses(&self) -> (u64, u64) {
        let window = (count(self.lost), count(self.outcomes.len()));
        let spell = self.spell.losses();
        let is_told = self.conditions.lossy && (SPELL_OUTCOMES_MIN..window.1).contains(&spell.1);
        if is_told { spell } else { window }
    }

    /// The loss, if there are outcomes enough to say; else none.
    pub(crate) fn settled_loss(&self) -> Loss {
        if self.outcomes.len() < OUTCOMES_MIN { Loss::NONE } else { self.loss() }
    }

    /// Misses in a row that mean a blackout: the fewest that iid loss as measured brings about less
    /// than once an hour.
    fn misses_for_loss(&self) -> u8 {
        if self.outcomes.len() < OUTCOMES_MIN {
            return self.misses_min;
        }
        let loss = u64::from(self.loss().ppm());
        let mut run_ppb: u64 = 1_000_000_000;
        let mut misses = 0;
        while misses < MISSES_MAX && (run_ppb * PROBES_PER_FALSE_ALARM > 1_000_000_000) {
            run_ppb = run_ppb * loss / 1_000_000;
            misses += 1;
        }
        misses.max(self.misses_min)
    }

    fn overdue_after(&self) -> Duration {
        match self.smoothed_rtt {
            None => OVERDUE_INITIAL,
            Some((rtt, deviation)) => rtt + (deviation * 4).max(OVERDUE_MARGIN_MIN),
        }
    }

    /// Smoothed round trip and deviation, as RFC 6298 section 2 does it.
    fn smooth_rtt(&mut self, rtt: Duration) {
        self.smoothed_rtt = Some(match self.smoothed_rtt {
            None => (rtt, rtt / 8),
            Some((mean, deviation)) => {
                let off = rtt.abs_diff(mean);
                ((mean * 7 + rtt) / 8, (deviation * 3 + off) / 4)
            }
        });
    }

    fn sample(&mut self, answer: Answer, rtt: Duration) {
        if let Some((_, before, _)) = self.samples.back() {
            let step = (answer.forward - *before).as_nanos().saturating_abs();
            // A plain mean at first, so that a path that was just met is not taken for a quiet one.
            let share = i64::from(self.answered).clamp(2, JITTER_SHARE);
            self.jitter_ns += (step.min(JITTER_STEP_MAX_NS) - self.jitter_ns) / share;
        }
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((answer.at, answer.forward, rtt));
    }

    fn median_within(&self, window: Duration, now: Instant) -> Option<i64> {
        let recent = self.samples.iter().rev().take_while(|sample| now.since(sample.0) <= window);
        let mut delays: Vec<i64> = recent.map(|sample| sample.1.as_nanos()).collect();
        delays.sort_unstable();
        delays.get(delays.len().saturating_sub(1) / 2).copied()
    }

    pub(crate) fn shortest_rtt(&self) -> Option<Duration> {
        self.samples.iter().map(|sample| sample.2).min()
    }

    /// Probes before the answered one that are overdue are lost; the others may still come.
    fn settle_overdue_before(&mut self, index: usize, now: Instant) {
        let overdue_after = self.overdue_after();
        let overdue = self.in_flight.iter().take(index);
        let lost = overdue.filter(|probe| probe.sent + overdue_after <= now).count();
        self.in_flight.drain(..lost);
        // A silence that was a blackout tells nothing about the loss before and after it.
        let counted = if self.conditions.blackout { 0 } else { lost };
        (0..counted).for_each(|_| self.outcome(false));
    }

    fn outcome(&mut self, arrived: bool) {
        if self.outcomes.len() == OUTCOMES_MAX && self.outcomes.pop_front() == Some(false) {
            self.lost -= 1;
        }
        self.outcomes.push_back(arrived);
        self.lost += usize::from(!arrived);
        self.misses = self.misses_for_loss();
        let step = if arrived { CUSUM_ARRIVED } else { CUSUM_LOST };
        self.cusum = (self.cusum + step).clamp(0, 2 * CUSUM_ALARM);
        if self.cusum == 0 && !self.conditions.lossy {
            self.spell = Spell::default();
        } else {
            self.spell.count(arrived);
        }
        if self.cusum >= CUSUM_ALARM {
            self.conditions.lossy = true;
        }
        if self.conditions.lossy && self.spell.is_over() {
            self.conditions.lossy = false;
            self.cusum = 0;
        }
    }

    /// After a blackout the path is judged anew, except for its baseline.
    fn recover(&mut self) {
        self.conditions = Conditions::default();
        self.outcomes.clear();
        self.lost = 0;
        self.misses = self.misses_min;
        self.samples.clear();
        self.cusum = 0;
        self.spell = Spell::default();
        self.answered = 0;
    }
}

/// Outcomes since the loss began, as far as the CUSUM can tell.
#[derive(Clone, Copy, Debug, Default)]
struct Spell {
    lost: u64,
    /// Arrivals and losses up to the last loss.
    until_last_loss: u64,
    /// Arrivals since the last loss.
    streak: u64,
}

impl Spell {
    fn count(&mut self, arrived: bool) {
        if arrived {
            self.streak += 1;
        } else {
            self.lost += 1;
            self.until_last_loss += self.streak + 1;
            self.streak = 0;
        }
    }

    /// Lost, and all.
    fn losses(self) -> (u64, u64) {
        (self.lost, self.until_last_loss + self.streak)
    }

    /// Arrivals have gone on for longer than the loss of this spell would let them.
    fn is_over(&self) -> bool {
        let between_losses = self.until_last_loss.checked_div(self.lost).unwrap_or(0);
        let needed = (CLEAN_STREAK * between_losses).clamp(CLEAN_STREAK_MIN, CLEAN_STREAK_MAX);
        self.streak >= needed
    }
}

/// A path is slow if its delay rose by more than this and by a tenth of the one-way delay.
const SLOW_MIN_NS: i64 = 5_000_000;

/// Smoothing of the baseline: 1/64 of a window's median, about 20 s at 300 ms; while the path is
/// slow 1/1024, so that the baseline stays what it was for some five minutes.
const BASELINE_SHARE: i64 = 64;
const SLOW_SHARE: i64 = 1_024;

/// A step of the delay counts at most this much as jitter: a lasting change of delay is one step,
/// not variation.
const JITTER_STEP_MAX_NS: i64 = 100_000_000;

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
