//! Probes that a person asked for: over a path and over the direct one, side by side.

use srwan_wire::id::{NodeId, PathId};
use srwan_wire::oam::{Oam, Probe, ProbePurpose, Reflection, Relays};
use srwan_wire::time::{Instant, Owd, Timestamp, WallClock};
use std::collections::VecDeque;
use std::time::Duration;

/// Pings under way at once: a person has few terminals.
pub const PINGS_MAX: usize = 16;

/// Probes of one ping.
pub const PROBES_MAX: u32 = 100;

/// How long after the last probe an answer still counts.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// What a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingOrder {
    /// The asker's name for it.
    pub id: u64,
    /// Whom to probe.
    pub endpoint: NodeId,
    /// Over which relays, beside the direct path; empty = only the direct path.
    pub relays: Vec<NodeId>,
    /// How many probes per path, at most [`PROBES_MAX`].
    pub count: u32,
    /// Between two probes of one path.
    pub interval: Duration,
}

/// What the probes said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingOutcome {
    /// The asker's name for it.
    pub id: u64,
    /// Whom it was for.
    pub endpoint: NodeId,
    /// Over the direct path.
    pub direct: PingFigures,
    /// Over the relays, if there were any.
    pub path: Option<PingFigures>,
}

/// What the probes over one path said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PingFigures {
    /// Relays in order.
    pub relays: Vec<NodeId>,
    /// Probes sent.
    pub sent: u32,
    /// One sample per answered probe.
    pub samples: Vec<PingSample>,
}

/// One answered probe. One-way delays are raw: they contain the offset of the two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingSample {
    /// t2 - t1.
    pub forward: Owd,
    /// t4 - t3.
    pub reverse: Owd,
    /// (t4 - t1) - (t3 - t2): exact, needs no clocks.
    pub rtt: Duration,
}

/// All pings under way.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    running: Vec<Run>,
    next_path: u8,
}

#[derive(Debug)]
struct Run {
    order: PingOrder,
    sides: Vec<Side>,
    next_at: Instant,
    ends_at: Option<Instant>,
}

#[derive(Debug)]
struct Side {
    path: PathId,
    answered: Vec<u32>,
    figures: PingFigures,
}

/// A probe to send.
pub(crate) struct PingSend {
    pub(crate) to: NodeId,
    pub(crate) via: Vec<NodeId>,
    pub(crate) oam: Oam,
}

impl Pings {
    /// Starts one; returns whether there was room and the order makes sense.
    pub(crate) fn start(&mut self, order: PingOrder, now: Instant) -> bool {
        let sane = (1..=PROBES_MAX).contains(&order.count);
        if self.running.len() >= PINGS_MAX || !sane {
            return false;
        }
        let mut sides = vec![self.side(Vec::new())];
        if !order.relays.is_empty() {
            sides.push(self.side(order.relays.clone()));
        }
        self.running.push(Run { order, sides, next_at: now, ends_at: None });
        true
    }

    /// Sends what is due and collects what is finished.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        clock: WallClock,
        out: &mut VecDeque<PingSend>,
    ) -> Vec<PingOutcome> {
        for run in &mut self.running {
            run.send_if_due(now, clock, out);
        }
        let done = |run: &Run| run.is_complete() || run.ends_at.is_some_and(|at| now >= at);
        let (finished, running) = std::mem::take(&mut self.running).into_iter().partition(done);
        self.running = running;
        let finished: Vec<Run> = finished;
        finished.into_iter().map(Run::into_outcome).collect()
    }

    /// Takes the answer to a probe; the second copy of one is ignored.
    pub(crate) fn handle(&mut self, from: NodeId, reflection: &Reflection, received: Timestamp) {
        let runs = self.running.iter_mut().filter(|run| run.order.endpoint == from);
        let found = runs.flat_map(|run| &mut run.sides).find(|side| side.path == reflection.path);
        let Some(side) = found.filter(|side| !side.answered.contains(&reflection.seq)) else {
            return;
        };
        if side.figures.sent <= reflection.seq {
            return;
        }
        side.answered.push(reflection.seq);
        side.figures.samples.push(sample(reflection, received));
    }

    /// When `tick` is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.running.iter().map(|run| run.ends_at.unwrap_or(run.next_at)).min()
    }

    fn side(&mut self, relays: Vec<NodeId>) -> Side {
        self.next_path = self.next_path.wrapping_add(1);
        let figures = PingFigures { relays, ..PingFigures::default() };
        Side { path: PathId(self.next_path), answered: Vec::new(), figures }
    }
}

impl Run {
    fn send_if_due(&mut self, now: Instant, clock: WallClock, out: &mut VecDeque<PingSend>) {
        if self.ends_at.is_some() || now < self.next_at {
            return;
        }
        for side in &mut self.sides {
            let Some(relays) = Relays::new(side.figures.relays.clone()) else { continue };
            let probe = Probe {
                purpose: ProbePurpose::Ping,
                path: side.path,
                seq: side.figures.sent,
                sent: clock.at(now),
                relays,
            };
            side.figures.sent += 1;
            let via = side.figures.relays.clone();
            out.push_back(PingSend { to: self.order.endpoint, via, oam: Oam::Probe(probe) });
        }
        let all_sent = self.sides.iter().all(|side| side.figures.sent >= self.order.count);
        self.next_at = now + self.order.interval;
        self.ends_at = all_sent.then(|| now + ANSWER_WAIT);
    }

    fn is_complete(&self) -> bool {
        let complete =
            |side: &Side| side.answered.len() >= usize::try_from(self.order.count).unwrap_or(0);
        self.ends_at.is_some() && self.sides.iter().all(complete)
    }

    fn into_outcome(self) -> PingOutcome {
        let mut figures = self.sides.into_iter().map(|side| side.figures);
        let direct = figures.next().unwrap_or_default();
        let (id, endpoint) = (self.order.id, self.order.endpoint);
        PingOutcome { id, endpoint, direct, path: figures.next() }
    }
}

fn sample(reflection: &Reflection, received: Timestamp) -> PingSample {
    let forward = reflection.received.owd_since(reflection.sent);
    let reverse = received.owd_since(reflection.reflected);
    let rtt = (forward + reverse).to_duration().unwrap_or_default();
    PingSample { forward, reverse, rtt }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_offsets_cancel_in_the_round_trip() {
        let offset = 10_000_000_000;
        let reflection = Reflection {
            purpose: ProbePurpose::Ping,
            path: PathId(1),
            seq: 0,
            sent: Timestamp::from_nanos(1_000),
            received: Timestamp::from_nanos(1_000 + 80 + offset),
            reflected: Timestamp::from_nanos(1_000 + 85 + offset),
            throughput: 0,
        };
        let sample = sample(&reflection, Timestamp::from_nanos(1_000 + 105));
        assert_eq!(sample.rtt, Duration::from_nanos(100));
        assert_eq!(sample.forward, Owd::from_nanos(80 + 10_000_000_000));
    }

    #[test]
    fn a_ping_ends_when_all_answers_are_there_or_the_wait_is_over() {
        let (mut pings, mut out) = (Pings::default(), VecDeque::new());
        let endpoint = NodeId::new(2).unwrap();
        let interval = Duration::from_millis(100);
        let order = PingOrder { id: 7, endpoint, relays: vec![], count: 2, interval };
        assert!(pings.start(order, Instant::ZERO));
        let clock = WallClock::new(Timestamp::from_nanos(0));
        assert!(pings.tick(Instant::ZERO, clock, &mut out).is_empty());
        let later = Instant::ZERO + interval;
        assert!(pings.tick(later, clock, &mut out).is_empty());
        assert_eq!(out.len(), 2);
        let outcome = pings.tick(later + ANSWER_WAIT, clock, &mut out);
        assert_eq!(
            (outcome[0].id, outcome[0].direct.sent, outcome[0].direct.samples.len()),
            (7, 2, 0)
        );
    }
}
