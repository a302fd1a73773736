//! What an endpoint's owner may ask: every candidate with the rule that chose or excluded it, and what was decided.

use srwan_wire::id::{NodeId, PathId};
use srwan_wire::time::Instant;

use super::{Context, Endpoint};
use crate::config::PolicyConfig;
use crate::decision::{Candidate, Cause, Decision, Rule};
use crate::event::LaneState;
use crate::track::{DEFAULT_PATH, Track};

impl Endpoint {
    /// Every candidate with its figures and rule as of `now`.
    pub(crate) fn candidates(&self, policy: &PolicyConfig, now: Instant) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = self.survey.clone();
        for track in self.tracks.values() {
            let relays = track.relays.as_slice();
            if !found.iter().any(|candidate| candidate.relays == relays) {
                found.push(Candidate::probed_only(relays.to_vec()));
            }
        }
        for candidate in &mut found {
            self.annotate(candidate, policy, now);
        }
        found
    }

    pub(crate) fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.log.iter()
    }

    pub(crate) fn record(
        &mut self,
        cause: Cause,
        from: Vec<NodeId>,
        to: Vec<NodeId>,
        context: &Context<'_>,
    ) {
        self.record_of(None, cause, from, to, context);
    }

    pub(super) fn record_of(
        &mut self,
        class: Option<u8>,
        cause: Cause,
        from: Vec<NodeId>,
        to: Vec<NodeId>,
        context: &Context<'_>,
    ) {
        let candidates = self.candidates(context.policy, context.now);
        let (at, offset) = (context.now, self.offset);
        let decision = Decision { at, class, cause, from, to, offset, candidates };
        self.log.push(decision);
    }

    fn annotate(&self, candidate: &mut Candidate, policy: &PolicyConfig, now: Instant) {
        let id = self.id_of(&candidate.relays);
        if let Some(track) = id.and_then(|id| self.tracks.get(&id)) {
            candidate.measured = track.figures(policy, now);
            candidate.conditions = track.meter.conditions();
            candidate.inner_mtu = track.mtu.inner_mtu();
        }
        let probed = id.and_then(|id| self.tracks.get(&id).map(|track| self.rule_of(id, track)));
        let backed_off = self
            .back_offs
            .iter()
            .find(|(path, b)| path.as_slice() == candidate.relays && b.until > now)
            .map(|(_, b)| Rule::BackedOff { until: b.until });
        if let Some(rule) = probed.or(backed_off) {
            candidate.rule = rule;
        }
    }

    fn rule_of(&self, id: PathId, track: &Track) -> Rule {
        if self.pin.as_ref() == Some(&track.relays) {
            return Rule::Pinned;
        }
        if let Some(rule) = self.share_rule(id) {
            return rule;
        }
        if id == self.active && !self.is_spread() {
            return Rule::Active;
        }
        if let Some(class) = self.class_on(id) {
            return Rule::CarriesClass { class };
        }
        if track.meter.conditions().blackout {
            return Rule::Down;
        }
        if id == DEFAULT_PATH {
            return Rule::Default;
        }
        if !track.meter.is_confirmed() {
            return Rule::Confirming { answered: track.meter.answered() };
        }
        match track.lane {
            Some(LaneState::Pending) => Rule::LanePending,
            Some(LaneState::Refused) => Rule::Unfunded,
            Some(LaneState::Ready) | None => Rule::Standby,
        }
    }
}
