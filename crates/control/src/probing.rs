//! Probes: sending them on time, answering those of others, reading the answers.
//!
//! An answer goes back by two ways, the direct path and a relayed one, so that a dead way back does
//! not look like a dead way forth; the headend counts the first copy of each.

use core::time::Duration;

use srwan_wire::canary::{self, Canary};
use srwan_wire::id::{NodeId, PathId};
use srwan_wire::oam::{Probe, ProbePurpose, Reflection};
use srwan_wire::time::Instant;

use crate::control::{Arrival, Control};
use crate::event::Reach;
use crate::meter::Answer;
use crate::observe::PathKey;
use crate::outgoing::Outgoing;
use crate::track::{HOP_SAMPLE_INTERVAL, HopFigures};

/// The best way back to a headend is looked up again after this.
const RETURN_AGE_MAX: Duration = Duration::from_secs(1);

/// Who watches an endpoint has something to do every probe interval. Nothing done for so many of them means that the
/// router stood still: stopped, suspended, or its machine too busy.
const STALL_INTERVALS: u32 = 3;

impl Control {
    /// What was out while this router stood still says nothing of the paths: its answers were read late, and would make
    /// the next silence look short beside them for many seconds (seed 15703).
    pub(crate) fn notice_stall(&mut self, now: Instant) {
        let stood_still = now.since(self.turned);
        self.turned = now;
        if stood_still > self.config.liveness.interval * STALL_INTERVALS {
            let tracks =
                self.endpoints.values_mut().flat_map(|watched| watched.tracks.values_mut());
            tracks.for_each(|track| track.meter.forget_in_flight());
        }
    }

    /// Queues every probe that is due.
    pub(crate) fn run_probes(&mut self, now: Instant) {
        let interval = self.config.liveness.interval;
        let mut due = Vec::new();
        for endpoint in self.endpoints.values_mut() {
            let carrying: Vec<PathId> =
                endpoint.tracks.keys().copied().filter(|path| endpoint.carries(*path)).collect();
            let silent = canary::is(Canary::StandbySilent).then_some(endpoint.standby).flatten();
            for (path, track) in &mut endpoint.tracks {
                let is_suspect = track.meter.suspect_at().is_some_and(|at| at <= now);
                if track.next_probe <= now || is_suspect {
                    track.next_probe = if is_suspect {
                        now + interval
                    } else {
                        next_after(track.next_probe, interval, now)
                    };
                    if silent != Some(*path) {
                        due.push(Outgoing::Probe { endpoint: endpoint.node, path: *path });
                    }
                }
                if track.next_hop_sample <= now {
                    track.next_hop_sample = now + HOP_SAMPLE_INTERVAL;
                    if carrying.contains(path) && !track.is_default() {
                        due.extend(hop_samples(track.relays.as_slice(), endpoint.node, *path));
                    }
                }
            }
        }
        due.into_iter().for_each(|outgoing| self.push(outgoing));
    }

    /// Answers a probe by two ways, and keeps what it says about a path in use.
    pub(crate) fn handle_probe(&mut self, arrival: Arrival, probe: &Probe, now: Instant) {
        let received = self.clock.at(arrival.at);
        let path =
            PathKey { headend: arrival.from, relays: probe.relays.clone(), endpoint: self.me };
        let throughput = self.observations.throughput(&path, now);
        if probe.purpose == ProbePurpose::HopSample {
            self.observations.see(path, received.owd_since(probe.sent), now);
        }
        let to = arrival.from;
        for via in self.ways_back(to, probe, now) {
            let probe = probe.clone();
            self.push(Outgoing::Reflection { to, via, probe, received, throughput });
        }
    }

    /// Reads the answer to a probe: the second copy of one changes nothing.
    pub(crate) fn handle_reflection(
        &mut self,
        arrival: Arrival,
        reflection: &Reflection,
        now: Instant,
    ) {
        let owd = reflection.received.owd_since(reflection.sent);
        match reflection.purpose {
            ProbePurpose::HopSample => {
                let figures = HopFigures { owd, throughput: reflection.throughput, at: now };
                self.keep_hop(arrival.from, reflection, figures);
            }
            ProbePurpose::Liveness | ProbePurpose::Confirmation => {
                let held = reflection.reflected.owd_since(reflection.received).to_duration();
                let answer = Answer {
                    seq: reflection.seq,
                    forward: owd,
                    held: held.unwrap_or(Duration::ZERO),
                    at: arrival.at,
                };
                let watched = self.endpoints.get_mut(&arrival.from);
                let track = watched.and_then(|watched| watched.tracks.get_mut(&reflection.path));
                if let Some(track) = track {
                    track.meter.answer(answer);
                }
            }
            ProbePurpose::PathMtu => self.handle_mtu_answer(arrival.from, reflection, now),
            // The node answers the person who asked.
            ProbePurpose::Ping => {}
        }
    }

    fn keep_hop(&mut self, hop: NodeId, reflection: &Reflection, figures: HopFigures) {
        let tracks = self.endpoints.values_mut().filter_map(|watched| {
            let on_path = |relays: &[NodeId], end| relays.contains(&hop) || end == hop;
            let end = watched.node;
            let track = watched.tracks.get_mut(&reflection.path)?;
            on_path(track.relays.as_slice(), end).then_some(track)
        });
        tracks.for_each(|track| {
            track.hops.insert(hop, figures);
        });
    }

    /// Two ways back: the direct one, and the one that the probe came, or the best relay if it came
    /// directly. So the answers of two paths share at most the direct way, and one dead relay does
    /// not silence them all.
    fn ways_back(&mut self, to: NodeId, probe: &Probe, now: Instant) -> Vec<Vec<NodeId>> {
        let mut reversed = probe.relays.as_slice().to_vec();
        reversed.reverse();
        let has_direct = self.members.get(&to).is_some_and(|m| m.reach != Some(Reach::Relayed));
        let mut ways = Vec::with_capacity(2);
        if has_direct {
            ways.push(Vec::new());
        }
        if !reversed.is_empty() {
            ways.push(reversed);
        }
        if ways.len() < 2 {
            let best = self.best_way_back(to, now);
            ways.extend(best.filter(|best| !ways.contains(best)));
        }
        ways
    }

    fn best_way_back(&mut self, to: NodeId, now: Instant) -> Option<Vec<NodeId>> {
        let known = self.returns.get(&to).filter(|(at, _)| now.since(*at) < RETURN_AGE_MAX);
        if let Some((_, best)) = known {
            return best.clone();
        }
        self.renew_graph(now);
        let found = self.graph.best((self.me, to), 1, 1).into_iter().next();
        let best = found.map(|path| path.relays);
        self.returns.insert(to, (now, best.clone()));
        best
    }
}

/// One sample for each hop of the path, the endpoint included.
fn hop_samples(relays: &[NodeId], endpoint: NodeId, path: PathId) -> Vec<Outgoing> {
    let hops = relays.iter().copied().chain(core::iter::once(endpoint)).enumerate();
    hops.map(|(at, hop)| Outgoing::HopSample { hop, via: relays[..at].to_vec(), path }).collect()
}

/// The next time of a regular event: on its own beat, or from `now` if the machine slept through a
/// beat.
pub(crate) fn next_after(due: Instant, interval: Duration, now: Instant) -> Instant {
    let next = due + interval;
    if next > now { next } else { now + interval }
}
