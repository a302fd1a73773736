//! Pulses: rounds of the own row to every member, rows of others, and the relays that carry both
//! where the direct path does not.

use core::time::Duration;

use srwan_wire::id::NodeId;
use srwan_wire::oam::OAM_LEN_MAX;
use srwan_wire::pulse::{
    Measured, OBSERVATIONS_MAX, Pulse, Row, RowCell, RowCoding, RowHeader, SignedRow,
};
use srwan_wire::time::Instant;

use crate::config::AGE_INTERVALS_MAX;
use crate::control::{Arrival, Control};
use crate::event::{ControlEvent, MemberState, Reach, SegmentAlarm};
use crate::member::{CONNECT_VIA_AFTER, DIRECT_AFTER, DIRECT_FOR, Member, RELAY_PATIENCE};
use crate::outgoing::Outgoing;
use crate::reception::Change;
use crate::segment_watch::SegmentChanges;
use crate::survey::Carrying;

/// Own rows that were sent whole and may be built on: receivers acknowledge one within an interval.
const WHOLE_ROWS_MAX: usize = 8;

/// A delay is told anew when it left what was told by more than this: a quarter of the millisecond
/// of W23.
const DEAD_BAND_NS: u64 = 250_000;

/// Octets that a whole row may take of a message: what a pulse adds around it is below 120.
const ROW_LEN_MAX: usize = OAM_LEN_MAX - 120;

impl Control {
    /// Sends a round if it is due, or if an extra one is wanted and the last is long enough ago.
    pub(crate) fn run_rounds(&mut self, now: Instant) {
        if !self.rounds.take(now) {
            return;
        }
        self.sign_row(now);
        let nodes: Vec<NodeId> = self.members.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.queue_pulse(node, now));
    }

    /// Pulses again to members whose row is missing here, or who do not show that they hear this
    /// node.
    pub(crate) fn run_greetings(&mut self, now: Instant) {
        if self.next_greeting.is_none_or(|at| at > now) {
            return;
        }
        let is_due = |m: &Member| m.greetings_left > 0 && m.next_greeting <= now;
        let due: Vec<NodeId> =
            self.members.iter().filter(|(_, m)| is_due(m)).map(|(node, _)| *node).collect();
        self.sign_row(now);
        let spacing = self.config.extra_pulse_spacing();
        for node in due {
            let is_met = self.matrix.cell(self.me, node, now).is_some()
                && self.cell(node, self.me, now).is_some();
            let Some(member) = self.members.get_mut(&node) else { continue };
            member.greetings_left = if is_met { 0 } else { member.greetings_left - 1 };
            member.next_greeting = now + spacing;
            if !is_met {
                self.queue_pulse(node, now);
            }
        }
        let greeted = self.members.values().filter(|member| member.greetings_left > 0);
        self.next_greeting = greeted.map(|member| member.next_greeting).min();
    }

    /// Takes a pulse: a sample for the own row if it came directly, and its sender's row in any
    /// case.
    pub(crate) fn handle_pulse(&mut self, arrival: Arrival, body: &[u8], now: Instant) {
        let Ok(pulse) = Pulse::decode(body) else { return };
        let raw = self.clock.at(arrival.at).owd_since(pulse.sent);
        let Some(member) = self.members.get_mut(&arrival.from) else { return };
        member.acked = pulse.holds;
        let mut change = Change::Small;
        if arrival.relayed {
            member.heard_relayed = Some(arrival.at);
        } else {
            member.heard_direct = Some(arrival.at);
            change = member.reception.handle(&pulse, raw, arrival.at);
            let shown = member.reception.take_changes();
            self.tell_changes(arrival, shown);
        }
        let Some(member) = self.members.get_mut(&arrival.from) else { return };
        let base = pulse.coding.base().and_then(|seq| member.base(seq));
        if let Ok(signed) = pulse.signed_row(arrival.from, base) {
            if matches!(pulse.coding, RowCoding::Whole(_)) {
                member.hold(signed.row.clone());
            }
            change = change.max(self.take_row(signed, arrival.at));
        }
        for told in &pulse.observations {
            self.observations.hear(told, now);
        }
        self.rounds.want(change);
    }

    fn tell_changes(&mut self, arrival: Arrival, changes: SegmentChanges) {
        for change in changes.into_iter().flatten() {
            let (from, at) = (arrival.from, arrival.at);
            self.event(ControlEvent::SegmentAlarm(SegmentAlarm { from, change, at }));
        }
    }

    /// Keeps a row; says whether its measurer is heard for the first time, so that it needs the own
    /// row soon.
    fn take_row(&mut self, signed: SignedRow, at: Instant) -> Change {
        let is_first = self.matrix.row(signed.row.measurer).is_none();
        self.matrix.insert(signed, at);
        if is_first { Change::Known } else { Change::Small }
    }

    /// The encoded pulse for one member; `None` before the first row was signed.
    pub(crate) fn pulse_for(&mut self, to: NodeId, seq: u32, now: Instant) -> Option<Vec<u8>> {
        let interval = self.config.pulse_interval;
        let signed = &self.matrix.row(self.me)?.signed;
        let member = self.members.get(&to)?;
        let acked = self.whole_rows.iter().find(|row| row.seq == member.acked);
        let difference = acked.and_then(|base| self.differences.between(base, &signed.row));
        let is_whole = difference.is_none();
        let coding = difference.unwrap_or_else(|| RowCoding::whole(&signed.row));
        let sent = self.clock.at(now);
        let mut pulse = Pulse {
            sent,
            clock: signed.row.clock,
            clock_epoch: signed.row.clock_epoch,
            seq,
            interval_ms: signed.row.interval_ms,
            holds: member.holds(),
            row_seq: signed.row.seq,
            row_age_ns: sent.as_nanos().saturating_sub(signed.row.measured.as_nanos()),
            coding,
            signature: signed.signature,
            observations: Vec::new(),
        };
        if is_whole {
            self.keep_whole();
        }
        pulse.observations =
            self.observations.tell(OBSERVATIONS_MAX, interval * AGE_INTERVALS_MAX, now);
        let mut encoded = pulse.encode();
        if encoded.len() + 8 > OAM_LEN_MAX {
            pulse.observations.clear();
            encoded = pulse.encode();
        }
        Some(encoded)
    }

    fn keep_whole(&mut self) {
        let Some(held) = self.matrix.row(self.me) else { return };
        if self.whole_rows.back().is_some_and(|row| row.seq == held.signed.row.seq) {
            return;
        }
        if self.whole_rows.len() == WHOLE_ROWS_MAX {
            self.whole_rows.pop_front();
        }
        self.whole_rows.push_back(held.signed.row.clone());
    }

    /// Signs what this node measured.
    fn sign_row(&mut self, now: Instant) {
        let told = self.matrix.row(self.me).map(|held| &held.signed.row);
        let told = told.filter(|row| row.clock_epoch == self.clock_epoch);
        let cells = self.members.iter().filter_map(|(from, member)| {
            let measured = member.reception.measured(now)?;
            Some(settled(
                told.and_then(|row| row.cell(*from)),
                RowCell::new(*from, measured),
                measured,
            ))
        });
        let mut cells: Vec<RowCell> = cells.collect();
        self.row_seq = self.row_seq.saturating_add(1);
        let header = RowHeader {
            measurer: self.me,
            seq: self.row_seq,
            measured: self.clock.at(now),
            interval_ms: millis(self.config.pulse_interval),
            clock: self.config.clock,
            clock_epoch: self.clock_epoch,
        };
        while let Ok(row) = Row::new(header, cells.clone()) {
            if row.to_bytes().len() <= ROW_LEN_MAX {
                self.matrix.insert(row.sign(&self.config.signer), now);
                return;
            }
            // Only clocks that are years apart make a row this long: it then tells fewer members.
            cells.pop();
        }
    }

    /// Queues a pulse to one member: directly, and over a relay if the direct path seems not to
    /// work.
    fn queue_pulse(&mut self, to: NodeId, now: Instant) {
        let hears_us = self.matrix.cell(self.me, to, now).is_some();
        let Some(member) = self.members.get_mut(&to) else { return };
        let Some(reach) = member.reach else { return };
        let seq = member.next_seq;
        member.next_seq = member.next_seq.saturating_add(1);
        let works = member.is_heard_directly(now) && hears_us;
        let since_up = now.since(member.lost_since);
        if reach == Reach::Direct {
            self.push(Outgoing::Pulse { to, via: Vec::new(), seq });
        }
        if !works && (reach == Reach::Relayed || since_up > CONNECT_VIA_AFTER) {
            let via = self.relay_for(to, now);
            via.into_iter().for_each(|via| self.push(Outgoing::Pulse { to, via, seq }));
        }
    }

    /// The relay by which a member is to be reached; another one if the last brought nothing.
    fn relay_for(&mut self, to: NodeId, now: Instant) -> Option<Vec<NodeId>> {
        let member = self.members.get(&to)?;
        let patience = RELAY_PATIENCE.max(self.config.pulse_interval * 2);
        if let Some((via, since)) = &member.via {
            let answered = member.heard_relayed.is_some_and(|at| now.since(at) <= patience);
            if answered || now.since(*since) <= patience {
                return Some(via.clone());
            }
        }
        let relays = self.relays_towards(to, now);
        let member = self.members.get_mut(&to)?;
        let relay = relays.get(member.relays_tried.checked_rem(relays.len())?)?;
        member.relays_tried = member.relays_tried.wrapping_add(1);
        member.via = Some((vec![*relay], now));
        Some(vec![*relay])
    }

    /// Members that this node reaches directly and that exchange pulses with `to`, the quickest
    /// first.
    fn relays_towards(&self, to: NodeId, now: Instant) -> Vec<NodeId> {
        let mut found: Vec<(i64, NodeId)> = Vec::new();
        for (relay, member) in self.members.iter().filter(|(relay, _)| **relay != to) {
            let is_reached = member.reach == Some(Reach::Direct) && member.is_heard_directly(now);
            let carries = matches!(self.carrying(*relay), Carrying::For(_));
            let toward = self.cell(*relay, to, now).or_else(|| self.cell(to, *relay, now));
            if let (true, true, Some(toward)) = (is_reached, carries, toward) {
                found.push((toward.raw.as_nanos(), *relay));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, relay)| relay).collect()
    }

    /// Once a second: who is reached how, who has to be asked over a relay, who reports.
    pub(crate) fn look_after_members(&mut self, now: Instant) {
        let nodes: Vec<NodeId> = self.members.keys().copied().collect();
        for node in nodes {
            self.look_after(node, now);
        }
        self.elect(now);
    }

    fn look_after(&mut self, node: NodeId, now: Instant) {
        let Some(member) = self.members.get_mut(&node) else { return };
        let state = member.state_at(self.config.pulse_interval, now);
        if state != member.state {
            member.state = state;
            self.event(ControlEvent::Member { node, state });
        }
        self.try_direct(node, now);
        let Some(member) = self.members.get(&node) else { return };
        if member.reach.is_some() || now.since(member.lost_since) < CONNECT_VIA_AFTER {
            return;
        }
        let before = member.via.clone();
        let via = self.relay_for(node, now);
        if let Some(relays) = via.filter(|via| before.is_none_or(|(old, _)| old != *via)) {
            self.event(ControlEvent::ConnectVia { peer: node, relays });
        }
    }

    /// Calls a member directly now and then that is reached or heard over relays only.
    fn try_direct(&mut self, peer: NodeId, now: Instant) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        let patience = if member.tries_direct { DIRECT_FOR } else { DIRECT_AFTER };
        if now.since(member.direct_at) < patience {
            return;
        }
        match (member.reach, member.state) {
            (Some(Reach::Relayed), _) => self.alternate(peer, now),
            (Some(Reach::Direct), MemberState::Relayed) => {
                member.direct_at = now;
                self.event(ControlEvent::CallAgain { peer });
            }
            _ => {}
        }
    }

    /// The next call goes directly, or over the relays again if the last one was direct and did not help. Who has no
    /// relays, because it was called, calls as well: both sides forget theirs when a direct session comes up, and a
    /// relayed one that was under way may replace it.
    fn alternate(&mut self, peer: NodeId, now: Instant) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        let is_trying = member.tries_direct;
        (member.direct_at, member.tries_direct) = (now, !is_trying);
        let own_relays = member.via.as_ref().map(|(relays, _)| relays.clone());
        let relays = if is_trying { own_relays } else { Some(Vec::new()) };
        if let Some(relays) = relays {
            self.event(ControlEvent::ConnectVia { peer, relays });
        }
    }

    /// The lowest node that was heard within two intervals; this node once it has listened for one.
    fn elect(&mut self, now: Instant) {
        let heard = self.members.keys().find(|node| self.matrix.heard_within(**node, 2, now));
        let has_listened = now.since(self.started) >= self.config.pulse_interval
            || self.members.keys().all(|node| self.matrix.is_fresh(*node, now));
        let own = has_listened.then_some(self.me);
        let elected = [heard.copied(), own].into_iter().flatten().min();
        if elected != self.reporter {
            self.reporter = elected;
            elected.into_iter().for_each(|node| self.event(ControlEvent::Reporter { node }));
        }
    }
}

impl Member {
    fn state_at(&self, interval: Duration, now: Instant) -> MemberState {
        let limit = interval * AGE_INTERVALS_MAX;
        let is_recent = |at: Option<Instant>| at.is_some_and(|at| now.since(at) <= limit);
        if self.reception.age(now).is_some() {
            MemberState::Direct
        } else if is_recent(self.heard_relayed) {
            MemberState::Relayed
        } else {
            MemberState::Unreachable
        }
    }
}

/// What to tell of a cell: what was told before, as long as it is still about right, so that
/// differences stay small.
fn settled(told: Option<&RowCell>, fresh: RowCell, measured: Measured) -> RowCell {
    let Some(told) = told else { return fresh };
    let delay_moved = (told.raw() - fresh.raw()).as_nanos().unsigned_abs() > DEAD_BAND_NS;
    let jitter_moved = told.jitter().abs_diff(fresh.jitter()) > told.jitter() / 2 + JITTER_BAND;
    let loss_moved = told.loss().ppm().abs_diff(fresh.loss().ppm()) > LOSS_BAND_PPM;
    let age_moved = told.age(ONE).abs_diff(fresh.age(ONE)) > ONE / 2;
    let keep = Measured {
        raw: if delay_moved { fresh.raw() } else { told.raw() },
        jitter: if jitter_moved { fresh.jitter() } else { told.jitter() },
        loss: if loss_moved { fresh.loss() } else { told.loss() },
        age_steps: if age_moved { measured.age_steps } else { told.age_steps() },
    };
    RowCell::new(fresh.from(), keep)
}

/// Jitter is told anew when it changed by half and by this.
const JITTER_BAND: Duration = Duration::from_micros(500);

/// Loss is told anew when it changed by two percent: one pulse lost of 64 is chance, two are a
/// measurement.
const LOSS_BAND_PPM: u32 = 20_000;

/// An interval of which ages are parts, where only the parts matter.
const ONE: Duration = Duration::from_secs(4);

fn millis(length: Duration) -> u32 {
    u32::try_from(length.as_millis()).unwrap_or(u32::MAX)
}
