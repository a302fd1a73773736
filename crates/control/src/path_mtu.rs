//! Path MTU discovery of one path: which padded probes to send when, and what their silence means.
//!
//! Two questions may be open at a time: does a larger size pass (the search), and does the size in use still pass (the
//! confirmation, which finds black holes). Each is asked with a few probes of one size, spaced apart; the first answer
//! settles it, and if none came until [`PROBE_TIMER_MIN`] and a round trip after the last probe, it is settled too.
//! What follows from that is in `mtu_phase`. No ICMP is read: anybody can forge it, and many networks drop it.
//!
//! **Source:** RFC 8899 (DPLPMTUD) sections 4.3 and 5.

use core::time::Duration;
use std::collections::VecDeque;

use srwan_wire::time::Instant;

use crate::mtu_phase::{Bounds, Event, Phase};

/// Least wait for the answer to the last probe of a question; one round trip is added.
///
/// Source: PROBE_TIMER of RFC 8899 section 5.1.1, "MUST NOT be smaller than 1 second". Deviates from its "SHOULD be
/// larger than 15 seconds": the round trip is known, from ten probes a second.
const PROBE_TIMER_MIN: Duration = Duration::from_secs(1);

/// Distance of the probes of one question, unless the round trip is longer: so that a short burst of loss does not take
/// them all.
const PROBE_SPACING: Duration = Duration::from_millis(250);

/// Probes of one question on a path that loses nothing. Source: MAX_PROBES of RFC 8899 section 5.1.2.
pub(crate) const PROBES_MAX: u8 = 3;

/// The size of a path that carries traffic is confirmed this often: with the question itself a black hole lasts 2.5 s
/// and two round trips at most. Costs 12 kbit/s.
///
/// Source: CONFIRMATION_TIMER of RFC 8899 section 5.1.1: "frequent enough when data is flowing".
const CONFIRM_IN_USE: Duration = Duration::from_secs(1);

/// The size of another path is confirmed this often, so that it is nearly right when the path takes over.
const CONFIRM_IDLE: Duration = Duration::from_secs(5);

/// A larger size is tried again after this. Source: PMTU_RAISE_TIMER of RFC 8899 section 5.1.1.
const RAISE_AFTER: Duration = Duration::from_secs(600);

/// A path that does not carry the base size is asked again after this: as often as an idle one is confirmed.
const ERROR_RETRY: Duration = CONFIRM_IDLE;

/// Confirming probes whose outcomes are remembered: half a minute in use.
const OUTCOMES_MAX: usize = 32;

/// Outcomes that an estimate of their loss needs.
const OUTCOMES_MIN: usize = 8;

/// False alarms that the usual loss of large packets may cause: one in so many questions, an hour in
/// use. A full queue drops large packets before small ones, so the loss of small probes says too little.
const QUESTIONS_PER_FALSE_ALARM: u64 = 3_600;

/// Most probes of one question, whatever the loss: with them a black hole lasts 5 s.
const PROBES_MOST: u8 = 12;

/// Probes whose answers are waited for: two questions of at most [`PROBES_MOST`] each.
const IN_FLIGHT_MAX: usize = 32;

/// How the path is at this moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Its round trip.
    pub(crate) rtt: Duration,
    /// Probes of one question: more on a path that loses some.
    pub(crate) probes: u8,
    /// Whether it carries traffic.
    pub(crate) in_use: bool,
}

impl Pace {
    fn confirm_every(self) -> Duration {
        if self.in_use { CONFIRM_IN_USE } else { CONFIRM_IDLE }
    }

    /// From the probe with this number to the next one, or to the verdict.
    fn wait_after(self, sent: u8) -> Duration {
        if sent >= self.probes {
            PROBE_TIMER_MIN + self.rtt
        } else {
            PROBE_SPACING.max(self.rtt + self.rtt / 4)
        }
    }
}

/// A probe to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizedProbe {
    pub(crate) seq: u32,
    /// As long as the message must be. **Units:** octets.
    pub(crate) size: u16,
}

/// One question.
#[derive(Clone, Copy, Debug)]
struct Question {
    /// Probes sent.
    sent: u8,
    /// When the next one is due, or the verdict.
    at: Instant,
}

/// The two questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Search,
    Confirmation,
}

/// Path MTU discovery of one path.
#[derive(Clone, Debug)]
pub(crate) struct PathMtu {
    bounds: Bounds,
    phase: Phase,
    search: Question,
    confirmation: Question,
    raise_at: Instant,
    was_in_use: bool,
    /// Whether the base size ever passed since the path was last in error.
    is_proven: bool,
    /// Which of the last confirming probes were answered.
    outcomes: VecDeque<bool>,
    next_seq: u32,
    in_flight: VecDeque<SizedProbe>,
}

impl PathMtu {
    /// A path of which nothing is known yet, for inner packets of at most `max` octets.
    pub(crate) fn new(max: u16, now: Instant) -> Self {
        let question = Question { sent: 0, at: now };
        Self {
            bounds: Bounds::new(max),
            phase: Phase::Disabled { known: None },
            search: question,
            confirmation: question,
            raise_at: now + RAISE_AFTER,
            was_in_use: false,
            is_proven: false,
            outcomes: VecDeque::new(),
            next_seq: 1,
            in_flight: VecDeque::new(),
        }
    }

    /// The largest inner packet that the path carries, as far as it is known. **Units:** octets.
    pub(crate) fn inner_mtu(&self) -> Option<u16> {
        self.phase.inner_mtu(self.bounds)
    }

    /// Whether packets of a usual size were seen to pass, and not seen to fail since.
    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Whether packets of a usual size were seen not to pass, although the path is up.
    pub(crate) fn is_in_error(&self) -> bool {
        self.phase == Phase::Error
    }

    /// When [`PathMtu::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let search = self.phase.trial(self.bounds).map(|_| self.search.at);
        let confirmation = self.phase.confirmed().map(|_| self.confirmation.at);
        let raise = matches!(self.phase, Phase::Complete { .. }).then_some(self.raise_at);
        [search, confirmation, raise].into_iter().flatten().min()
    }

    /// The path is up, or it is down.
    pub(crate) fn set_up(&mut self, is_up: bool, now: Instant) {
        let was_up = !matches!(self.phase, Phase::Disabled { .. });
        if is_up != was_up {
            self.happen(if is_up { Event::Up } else { Event::Down }, now);
        }
    }

    /// Moves time on; every probe that is due.
    pub(crate) fn handle_timeout(&mut self, pace: Pace, now: Instant) -> Vec<SizedProbe> {
        let pace = Pace { probes: self.probes_for_loss(pace.probes), ..pace };
        self.note_use(pace.in_use, now);
        if matches!(self.phase, Phase::Complete { .. }) && self.raise_at <= now {
            self.happen(Event::Raise, now);
        }
        let probes = [Asks::Confirmation, Asks::Search].map(|asks| self.ask(asks, pace, now));
        probes.into_iter().flatten().collect()
    }

    /// A probe was answered.
    pub(crate) fn handle_answer(&mut self, seq: u32, pace: Pace, now: Instant) {
        let Some(index) = self.in_flight.iter().position(|probe| probe.seq == seq) else { return };
        let Some(probe) = self.in_flight.remove(index) else { return };
        self.note_outcomes(probe);
        self.happen(Event::Passed(probe.size), now);
        if self.phase.confirmed().is_some_and(|passes| probe.size >= passes) {
            self.confirmation = Question { sent: 0, at: now + pace.confirm_every() };
        }
    }

    /// The host's own interface refused a datagram as long as one for an inner packet of `size` octets.
    pub(crate) fn handle_refused(&mut self, size: u16, now: Instant) {
        self.happen(Event::Refused(size), now);
    }

    /// A path that takes over is confirmed at once.
    fn note_use(&mut self, in_use: bool, now: Instant) {
        if in_use && !self.was_in_use && self.confirmation.sent == 0 {
            self.confirmation.at = now;
        }
        self.was_in_use = in_use;
    }

    /// The probes before this one of the same question were lost, if it confirms the size in use.
    fn note_outcomes(&mut self, answered: SizedProbe) {
        if self.phase.confirmed() != Some(answered.size) {
            return;
        }
        let first = self.next_seq.wrapping_sub(u32::from(self.confirmation.sent));
        let lost = answered.seq.saturating_sub(first);
        let outcomes = (0..lost).map(|_| false).chain([true]);
        self.outcomes.extend(outcomes);
        while self.outcomes.len() > OUTCOMES_MAX {
            self.outcomes.pop_front();
        }
    }

    /// The fewest probes of a question that the usual loss of large packets takes all of less than once an hour.
    fn probes_for_loss(&self, least: u8) -> u8 {
        if self.outcomes.len() < OUTCOMES_MIN {
            return least;
        }
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let lost = count(self.outcomes.iter().filter(|was_answered| !**was_answered).count());
        let of = count(self.outcomes.len());
        let (mut run_ppb, mut probes) = (1_000_000_000_u64, 0);
        while probes < PROBES_MOST && run_ppb * QUESTIONS_PER_FALSE_ALARM > 1_000_000_000 {
            run_ppb = run_ppb * lost / of;
            probes += 1;
        }
        probes.max(least)
    }

    /// The next probe of a question if it is due, or its verdict.
    fn ask(&mut self, asks: Asks, pace: Pace, now: Instant) -> Option<SizedProbe> {
        let size = self.size(asks)?;
        let question = self.question(asks);
        if question.at > now {
            return None;
        }
        if question.sent < pace.probes {
            question.sent += 1;
            question.at = now + pace.wait_after(question.sent);
            return Some(self.send(size));
        }
        match asks {
            Asks::Search => {
                self.happen(Event::Lost, now);
                if self.phase == Phase::Error {
                    self.search = Question { sent: 0, at: now + ERROR_RETRY };
                }
            }
            Asks::Confirmation => self.happen(Event::BlackHole, now),
        }
        None
    }

    fn size(&self, asks: Asks) -> Option<u16> {
        match asks {
            Asks::Search => self.phase.trial(self.bounds),
            Asks::Confirmation => self.phase.confirmed(),
        }
    }

    fn question(&mut self, asks: Asks) -> &mut Question {
        match asks {
            Asks::Search => &mut self.search,
            Asks::Confirmation => &mut self.confirmation,
        }
    }

    fn send(&mut self, size: u16) -> SizedProbe {
        let probe = SizedProbe { seq: self.next_seq, size };
        self.next_seq = self.next_seq.wrapping_add(1);
        if self.in_flight.len() == IN_FLIGHT_MAX {
            self.in_flight.pop_front();
        }
        self.in_flight.push_back(probe);
        probe
    }

    /// Goes over to the state after `event`; whatever it asks is asked from the start.
    fn happen(&mut self, event: Event, now: Instant) {
        let before = self.phase;
        self.phase = before.next(event, self.bounds);
        if before.trial(self.bounds) != self.phase.trial(self.bounds) {
            self.search = Question { sent: 0, at: now };
        }
        if before.confirmed() != self.phase.confirmed() {
            self.confirmation = Question { sent: 0, at: now };
        }
        if event == Event::Raise || !matches!(before, Phase::Complete { .. }) {
            self.raise_at = now + RAISE_AFTER;
        }
        match self.phase {
            Phase::Error => self.is_proven = false,
            Phase::Searching { .. } | Phase::Complete { .. } => self.is_proven = true,
            Phase::Disabled { .. } | Phase::Base { .. } => {}
        }
        // Answers to probes from before say nothing about a path that has changed.
        if matches!(event, Event::Down | Event::BlackHole) {
            self.in_flight.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(80);
    const PACE: Pace = Pace { rtt: RTT, probes: PROBES_MAX, in_use: true };

    /// A path that carries inner packets of so many octets, and answers after a round trip.
    struct Wire {
        mtu: PathMtu,
        carries: u16,
        pace: Pace,
        now: Instant,
        answers: VecDeque<(Instant, u32)>,
        sent: Vec<(Instant, u16)>,
        loss_percent: u64,
        random: u64,
    }

    impl Wire {
        fn new(max: u16, carries: u16) -> Self {
            let now = Instant::ZERO + Duration::from_secs(1);
            let mut mtu = PathMtu::new(max, now);
            mtu.set_up(true, now);
            let (answers, sent) = (VecDeque::new(), Vec::new());
            Self { mtu, carries, pace: PACE, now, answers, sent, loss_percent: 0, random: 7 }
        }

        fn run(&mut self, length: Duration) {
            let end = self.now + length;
            loop {
                let answer = self.answers.front().map(|(at, _)| *at);
                let next = [self.mtu.poll_timeout(), answer].into_iter().flatten().min();
                let Some(next) = next.filter(|at| *at <= end) else { break };
                self.now = self.now.max(next);
                self.step();
            }
            self.now = end;
        }

        fn step(&mut self) {
            while let Some((_, seq)) = self.answers.pop_front_if(|(at, _)| *at <= self.now) {
                self.mtu.handle_answer(seq, self.pace, self.now);
            }
            for probe in self.mtu.handle_timeout(self.pace, self.now) {
                self.sent.push((self.now, probe.size));
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                let is_lost = self.random % 100 < self.loss_percent;
                if probe.size <= self.carries && !is_lost {
                    self.answers.push_back((self.now + self.pace.rtt, probe.seq));
                }
            }
        }

        /// How long until the MTU is at most `size`.
        fn until(&mut self, size: u16) -> Duration {
            let start = self.now;
            while self.mtu.inner_mtu().is_none_or(|mtu| mtu > size) {
                assert!(self.now.since(start) < Duration::from_secs(60), "never");
                self.run(Duration::from_millis(10));
            }
            self.now.since(start)
        }
    }

    fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_usual_path_is_known_after_two_round_trips() {
        let mut wire = Wire::new(1_380, 1_400);
        wire.run(2 * RTT + Duration::from_millis(1));
        assert_eq!(wire.mtu.inner_mtu(), Some(1_380));
        assert_eq!(wire.sent.iter().map(|sent| sent.1).collect::<Vec<_>>(), [1_160, 1_380]);
    }

    #[test]
    fn a_jumbo_path_is_used_in_full_and_a_usual_one_is_not_overrun() {
        let mut wire = Wire::new(8_900, 9_000);
        wire.run(secs(1));
        assert_eq!(wire.mtu.inner_mtu(), Some(8_900));
        let mut wire = Wire::new(8_900, 1_404);
        wire.run(secs(5));
        assert!((1_380..=1_404).contains(&wire.mtu.inner_mtu().unwrap()));
    }

    #[test]
    fn a_black_hole_lasts_at_most_two_and_a_half_seconds_and_a_round_trip() {
        for phase in 0..20 {
            let mut wire = Wire::new(1_380, 1_400);
            wire.run(secs(10) + Duration::from_millis(53 * phase));
            wire.carries = 1_200;
            let took = wire.until(1_200);
            assert!(took <= Duration::from_millis(2_500) + 2 * RTT, "{took:?}");
            wire.run(secs(20));
            let mtu = wire.mtu.inner_mtu().unwrap();
            assert!((1_184..=1_200).contains(&mtu), "{mtu} of 1200");
        }
    }

    #[test]
    fn a_link_that_shrinks_while_a_larger_size_is_searched_is_noticed_as_soon() {
        let mut wire = Wire::new(8_900, 1_404);
        wire.run(secs(4));
        wire.carries = 1_200;
        let took = wire.until(1_200);
        assert!(took <= Duration::from_millis(2_500) + 2 * RTT, "{took:?}");
    }

    #[test]
    fn a_false_alarm_is_over_after_two_round_trips() {
        let mut wire = Wire::new(1_380, 1_400);
        wire.run(secs(10));
        wire.carries = 1_200;
        wire.until(1_200);
        wire.carries = 1_400;
        wire.run(3 * RTT);
        assert_eq!(wire.mtu.inner_mtu(), Some(1_380));
        assert!(wire.mtu.is_proven());
    }

    #[test]
    fn a_full_queue_that_drops_large_packets_is_no_black_hole_for_long() {
        let mut wire = Wire::new(1_380, 1_400);
        wire.loss_percent = 30;
        let mut alarms = 0;
        let mut before = None;
        for _ in 0..36_000 {
            wire.run(Duration::from_millis(100));
            let mtu = wire.mtu.inner_mtu();
            alarms += usize::from(before == Some(1_380) && mtu != Some(1_380));
            before = mtu;
        }
        assert!(alarms <= 5, "{alarms} false alarms in an hour of 30 % loss");
    }

    #[test]
    fn a_path_that_grows_is_used_after_ten_minutes() {
        let mut wire = Wire::new(1_380, 1_300);
        wire.run(secs(60));
        assert!(wire.mtu.inner_mtu().unwrap() <= 1_300);
        wire.carries = 1_400;
        wire.run(secs(620));
        assert_eq!(wire.mtu.inner_mtu(), Some(1_380));
    }

    #[test]
    fn a_path_that_carries_everything_is_not_asked_for_more() {
        let mut wire = Wire::new(1_380, 1_400);
        wire.run(secs(2_000));
        assert_eq!(wire.mtu.inner_mtu(), Some(1_380));
        assert!(wire.mtu.poll_timeout().is_some_and(|at| at > wire.now));
    }

    #[test]
    fn a_silent_path_asks_nothing_and_goes_on_where_it_was() {
        let mut wire = Wire::new(1_380, 1_400);
        wire.run(secs(1));
        wire.mtu.set_up(false, wire.now);
        assert_eq!(wire.mtu.poll_timeout(), None);
        assert_eq!(wire.mtu.inner_mtu(), Some(1_380));
        wire.sent.clear();
        wire.mtu.set_up(true, wire.now);
        wire.run(Duration::from_millis(10));
        assert_eq!(wire.sent.first().map(|sent| sent.1), Some(1_380));
    }

    #[test]
    fn a_refusal_by_the_own_interface_counts_at_once() {
        let mut wire = Wire::new(1_380, 1_400);
        wire.run(secs(3));
        wire.carries = 1_299;
        wire.mtu.handle_refused(1_380, wire.now);
        assert_eq!(wire.mtu.inner_mtu(), Some(1_160));
        wire.run(secs(10));
        assert!((1_284..=1_299).contains(&wire.mtu.inner_mtu().unwrap()));
    }

    #[test]
    fn a_path_that_carries_nothing_large_is_in_error_until_it_does() {
        let mut wire = Wire::new(1_380, 600);
        wire.run(secs(5));
        assert!(!wire.mtu.is_proven());
        assert_eq!(wire.mtu.inner_mtu(), Some(552));
        let before = wire.sent.len();
        wire.run(secs(60));
        assert!(wire.sent.len() - before <= 30, "{} probes", wire.sent.len() - before);
        wire.carries = 1_400;
        wire.run(secs(8));
        assert_eq!(wire.mtu.inner_mtu(), Some(1_380));
    }

    #[test]
    fn confirming_costs_a_probe_a_second_in_use_and_one_in_five_otherwise() {
        for (in_use, most) in [(true, 65), (false, 15)] {
            let mut wire = Wire::new(1_380, 1_400);
            wire.pace.in_use = in_use;
            wire.run(secs(60));
            assert!(wire.sent.len() <= most, "{} probes", wire.sent.len());
        }
    }

    proptest! {
        /// Whatever the path does, it is never told to carry more than it last proved for long.
        #[test]
        fn no_black_hole_outlasts_its_bound(
            changes in proptest::collection::vec((1_160_u16..1_500, 0_u64..8_000), 1..12),
        ) {
            let mut wire = Wire::new(1_380, 1_400);
            for (carries, millis) in changes {
                wire.carries = carries;
                let took = wire.until(carries.max(1_160));
                prop_assert!(took <= Duration::from_millis(2_500) + 2 * RTT, "{took:?}");
                wire.run(Duration::from_millis(millis));
            }
        }
    }
}
