//! Everything about one endpoint of interest: its probed paths, which of them carries traffic,
//! which stands by.
//!
//! ```text
//!          survey proposes       5 answers, lane ready     blackout, or gain in 3 windows
//! (matrix) --------------> challenger -------------> standby ----------------------> active
//!                              | 3 s without            | down, refused                | down:
//!                              v                        v                              | standby
//!                          back-off <-------------------+------------------------------+ or dflt
//!                                                          default well for 10 s: default
//! ```
//! The default path is always probed. The matrix proposes, a measurement disposes (invariant 8).

mod reasons;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use srwan_wire::id::{NodeId, PathId};
use srwan_wire::oam::Relays;
use srwan_wire::path_group::GROUP_FIRST;
use srwan_wire::time::{Instant, Owd};

use crate::choice::Preference;
use crate::class::Class;
use crate::clock::Bounded;
use crate::config::{LivenessConfig, PolicyConfig};
use crate::decision::{Candidate, Cause, DecisionLog, Rule};
use crate::event::{ControlEvent, LaneState, PolicyChange};
use crate::meter::PathFigures;
use crate::random::PhaseRng;
use crate::spread::Spread;
use crate::switching::Judge;
use crate::track::{DEFAULT_PATH, Start, Track};

/// A challenger that was not confirmed within this is left alone: the five probes take half a
/// second and a round trip.
pub(crate) const CONFIRM_WITHIN: Duration = Duration::from_secs(3);

/// A challenger whose lane is not ready within this is left alone; a lane needs a final block and a
/// round trip.
pub(crate) const LANE_WITHIN: Duration = Duration::from_secs(30);

/// First back-off of a path that failed; doubles with each failure in a row.
const BACK_OFF: Duration = Duration::from_secs(30);

/// Doublings of the back-off: at most 16 minutes.
const BACK_OFF_DOUBLINGS: u32 = 5;

/// Paths in back-off that are remembered.
const BACK_OFFS_MAX: usize = 64;

/// What the machine needs from its owner at each step.
pub(crate) struct Context<'a> {
    pub(crate) policy: &'a PolicyConfig,
    pub(crate) liveness: &'a LivenessConfig,
    pub(crate) events: &'a mut VecDeque<ControlEvent>,
    pub(crate) rng: &'a mut PhaseRng,
    pub(crate) now: Instant,
}

#[derive(Clone, Copy, Debug)]
struct BackOff {
    until: Instant,
    failures: u32,
}

/// Traffic goes from one path to another: all that is of no class, or that of one class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) class: Option<u8>,
    pub(crate) from: PathId,
    pub(crate) to: PathId,
    pub(crate) cause: Cause,
}

/// One endpoint of interest.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) node: NodeId,
    pub(crate) tracks: BTreeMap<PathId, Track>,
    pub(crate) active: PathId,
    pub(crate) standby: Option<PathId>,
    challenger: Option<PathId>,
    pub(crate) pin: Option<Relays>,
    pub(crate) spread: Option<Spread>,
    judge: Judge,
    /// What wants other paths than the rest.
    pub(crate) classes: Vec<Class>,
    back_offs: BTreeMap<Relays, BackOff>,
    pub(crate) survey: Vec<Candidate>,
    offset: Option<Bounded>,
    log: DecisionLog,
    last_id: u8,
    next_window: Instant,
}

impl Endpoint {
    pub(crate) fn new(node: NodeId, classes: &[Preference], context: &mut Context<'_>) -> Self {
        let start = Start { now: context.now, phase: context.rng.below(context.liveness.interval) };
        let default = Track::new(Relays::default(), false, context.liveness, start);
        Self {
            node,
            tracks: BTreeMap::from([(DEFAULT_PATH, default)]),
            active: DEFAULT_PATH,
            standby: None,
            challenger: None,
            pin: None,
            spread: None,
            judge: Judge::default(),
            classes: classes.iter().copied().map(Class::new).collect(),
            back_offs: BTreeMap::new(),
            survey: Vec::new(),
            offset: None,
            log: DecisionLog::default(),
            last_id: 0,
            next_window: context.now + context.policy.window,
        }
    }

    // ---- getters -----------------------------------------

    /// The relays of the path that carries traffic.
    pub(crate) fn active_relays(&self) -> &[NodeId] {
        self.tracks.get(&self.active).map_or(&[], |track| track.relays.as_slice())
    }

    /// What probes over the active path say.
    pub(crate) fn active_figures(
        &self,
        policy: &PolicyConfig,
        now: Instant,
    ) -> Option<PathFigures> {
        let shared = self.shares().first().map(|share| share.path);
        self.tracks.get(&shared.unwrap_or(self.active))?.figures(policy, now)
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        let tracks = self.tracks.values().flat_map(|track| {
            let hop_sample = (!track.is_default()).then_some(track.next_hop_sample);
            [
                Some(track.next_probe),
                hop_sample,
                track.meter.blackout_at(),
                track.meter.suspect_at(),
            ]
        });
        tracks.flatten().chain(self.mtu_timeout()).fold(self.next_window, Instant::min)
    }

    // ---- commands -----------------------------------------

    pub(crate) fn pin(&mut self, relays: Relays) {
        self.pin = Some(relays);
        self.judge.reset_streak();
    }

    pub(crate) fn unpin(&mut self, context: &mut Context<'_>) {
        if self.pin.take().is_some() && self.active != DEFAULT_PATH {
            self.move_to(DEFAULT_PATH, Cause::Unpinned, context);
            self.gather_classes(Cause::Unpinned, context);
        }
    }

    pub(crate) fn set_lane(
        &mut self,
        relays: &[NodeId],
        lane: LaneState,
        context: &mut Context<'_>,
    ) {
        let Some(id) = self.id_of(relays) else { return };
        let Some(track) = self.tracks.get_mut(&id) else { return };
        // A lane that is ready stays so while its successor is opened.
        let is_succession = track.lane == Some(LaneState::Ready) && lane == LaneState::Pending;
        if track.lane.is_none() || is_succession {
            return;
        }
        track.lane = Some(lane);
        if lane == LaneState::Refused {
            if id == self.active {
                self.leave_active(Cause::LaneLost, context);
            }
            self.fail(id, context);
        }
    }

    /// Takes the candidates of a new survey and picks who is to stand by.
    pub(crate) fn set_survey(
        &mut self,
        survey: Vec<Candidate>,
        offset: Option<Bounded>,
        context: &mut Context<'_>,
    ) {
        self.survey = survey;
        self.offset = offset;
        self.drop_disallowed(context);
        if let Some(relays) = self.wanted(context).filter(|_| !self.is_spread()) {
            self.challenge(relays, context);
        }
    }

    /// This node's clock started anew: delays measured with the old one compare with nothing.
    pub(crate) fn forget_delays(&mut self) {
        self.judge.forget();
        self.classes.iter_mut().for_each(Class::forget);
        self.tracks.values_mut().for_each(|track| track.meter.forget_delays());
    }

    /// Ends everything about this endpoint: no traffic is left on a relayed path, and no lane is wanted.
    pub(crate) fn close(&mut self, context: &mut Context<'_>) {
        if self.spread.is_some() {
            self.drop_spread(context);
        }
        self.move_to(DEFAULT_PATH, Cause::Left, context);
        self.gather_classes(Cause::Left, context);
        let ids: Vec<PathId> = self.tracks.keys().copied().collect();
        ids.into_iter().for_each(|id| self.remove(id, context));
    }

    // ---- time -----------------------------------------

    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let went_down: Vec<PathId> = self
            .tracks
            .iter_mut()
            .filter_map(|(id, track)| track.meter.handle_timeout(now).then_some(*id))
            .collect();
        if went_down.contains(&self.active) && !self.is_spread() {
            self.leave_active(Cause::Blackout, context);
        }
        self.rescue_classes(context);
        for id in went_down {
            self.fail(id, context);
        }
        self.settle_challenger(context);
        if self.is_stranded() && !self.is_spread() {
            self.leave_active(Cause::Blackout, context);
        }
        if self.next_window <= now {
            self.close_window(context);
        }
    }

    fn close_window(&mut self, context: &mut Context<'_>) {
        let (policy, now) = (context.policy, context.now);
        self.next_window = now + policy.window;
        self.tracks.values_mut().for_each(|track| track.meter.close_window(policy.window, now));
        if self.pin.is_some() {
            self.follow_pin(context);
            return self.gather_classes(Cause::Pinned, context);
        }
        if self.is_spread() {
            return self.gather_classes(Cause::Shares, context);
        }
        self.judge_all(context);
        self.judge_classes(context);
    }

    /// Compares once more for all traffic that is of no class.
    fn judge_all(&mut self, context: &mut Context<'_>) {
        let (policy, now) = (context.policy, context.now);
        let standby = self.standby.and_then(|id| self.tracks.get(&id)).filter(|t| t.is_usable());
        let (Some(active), Some(default)) =
            (self.tracks.get(&self.active), self.tracks.get(&DEFAULT_PATH))
        else {
            return;
        };
        let verdict = if self.active == DEFAULT_PATH {
            self.judge.on_default(default, standby, policy, now)
        } else {
            self.judge.on_relays(default, active, standby, policy, now)
        };
        match (verdict, self.standby) {
            (Some(Cause::Return), _) => self.move_to(DEFAULT_PATH, Cause::Return, context),
            (Some(cause), Some(standby)) => self.move_to(standby, cause, context),
            (Some(_) | None, _) => {}
        }
    }

    fn follow_pin(&mut self, context: &mut Context<'_>) {
        let Some(pinned) = self.pin.as_ref().and_then(|pin| self.id_of(pin.as_slice())) else {
            return;
        };
        let usable = self.tracks.get(&pinned).is_some_and(|t| t.is_default() || t.is_usable());
        if usable && self.active != pinned {
            self.move_to(pinned, Cause::Pinned, context);
        }
    }

    /// The active path is down: whatever comes up may take over at once.
    fn is_stranded(&self) -> bool {
        let active = self.tracks.get(&self.active);
        let is_down = active.is_none_or(|track| track.meter.conditions().blackout);
        is_down && self.rescue().is_some()
    }

    // ---- moving traffic -----------------------------------------

    /// Leaves the active path at once: to the cheapest usable path, else to the default one.
    fn leave_active(&mut self, cause: Cause, context: &mut Context<'_>) {
        if let Some(to) = self.rescue() {
            self.move_to(to, cause, context);
        } else if self.active != DEFAULT_PATH {
            self.move_to(DEFAULT_PATH, cause, context);
        }
    }

    /// Traffic goes to the default path, because several paths shall share it from here on.
    pub(crate) fn return_to_default(&mut self, context: &mut Context<'_>) {
        self.move_to(DEFAULT_PATH, Cause::Shares, context);
    }

    /// The usable path with the least delay, other than the active one; the default path needs no
    /// confirmation, only not to be down.
    fn rescue(&self) -> Option<PathId> {
        self.rescue_from(self.active)
    }

    /// The same, other than `active`.
    pub(crate) fn rescue_from(&self, active: PathId) -> Option<PathId> {
        let is_up = |track: &Track| {
            !track.meter.conditions().blackout && (track.is_default() || track.is_usable())
        };
        let others = self.tracks.iter().filter(|(id, track)| **id != active && is_up(track));
        let delay = |track: &Track| track.meter.last_forward().map(Owd::as_nanos);
        others.min_by_key(|(id, track)| (delay(track).unwrap_or(i64::MAX), **id)).map(|(id, _)| *id)
    }

    fn move_to(&mut self, to: PathId, cause: Cause, context: &mut Context<'_>) {
        let from = core::mem::replace(&mut self.active, to);
        if from == to {
            return;
        }
        self.judge.note_switch(from == DEFAULT_PATH, cause, context.policy, context.now);
        let change = self.change(&Move { class: None, from, to, cause }, context);
        self.swap_standby(from, to, cause, context);
        self.tell_change(change, context);
    }

    /// A move in words for the node.
    pub(crate) fn change(&self, moved: &Move, context: &Context<'_>) -> PolicyChange {
        let Move { class, from, to, cause } = *moved;
        let relays = |id: &PathId| {
            let track = self.tracks.get(id).filter(|track| !track.is_default())?;
            Some(track.relays.as_slice().to_vec())
        };
        PolicyChange {
            endpoint: self.node,
            class,
            active: relays(&to),
            previous: relays(&from),
            path: to,
            cause,
            gain: self.gain_between(from, to, context),
            at: context.now,
        }
    }

    /// Keeps why traffic moved, and tells the node.
    pub(crate) fn tell_change(&mut self, change: PolicyChange, context: &mut Context<'_>) {
        let relays = |path: &Option<Vec<NodeId>>| path.clone().unwrap_or_default();
        let (from, to) = (relays(&change.previous), relays(&change.active));
        self.record_of(change.class, change.cause, from, to, context);
        context.events.push_back(ControlEvent::PolicyChange(change));
    }

    /// The path that is left stands by in place of the one that took over; after a return,
    /// whichever stood by before, since the one that is left has just proved itself.
    fn swap_standby(&mut self, from: PathId, to: PathId, cause: Cause, context: &mut Context<'_>) {
        let took_over = self.standby == Some(to);
        if took_over {
            self.standby = None;
        }
        if from == DEFAULT_PATH {
            return;
        }
        let is_proven = matches!(cause, Cause::Return | Cause::Unpinned);
        match self.standby {
            Some(other) if is_proven => {
                self.remove(other, context);
                self.standby = Some(from);
            }
            Some(_) => self.remove(from, context),
            None => self.standby = Some(from),
        }
    }

    fn gain_between(&self, from: PathId, to: PathId, context: &Context<'_>) -> Option<Owd> {
        let delay = |id: &PathId| {
            let track = self.tracks.get(id)?;
            Some(track.figures(context.policy, context.now)?.forward)
        };
        Some(delay(&from)? - delay(&to)?)
    }

    // ---- standby and challenger -----------------------------------------

    /// The relays that should be probed next, if the present standby is not good enough.
    fn wanted(&self, context: &Context<'_>) -> Option<Relays> {
        let pinned = self.pin.as_ref().filter(|pin| self.id_of(pin.as_slice()).is_none());
        if pinned.is_some() {
            return pinned.cloned();
        }
        let best = self.best_stand_in(context)?;
        let best_relays = Relays::new(best.relays.clone())?;
        if self.id_of(best_relays.as_slice()).is_some() {
            return None;
        }
        let held = self.standby.or(self.challenger).and_then(|id| self.tracks.get(&id));
        let Some(held) = held else { return Some(best_relays) };
        let of_held = self.survey.iter().find(|c| c.relays == held.relays.as_slice());
        let held_cost = of_held.and_then(|candidate| candidate.cost);
        let needed = Owd::from_duration(context.policy.gain_min);
        let is_better = match (held_cost, best.cost) {
            (Some(held), Some(best)) => held - best > needed,
            (None, _) => true,
            (Some(_), None) => false,
        };
        is_better.then_some(best_relays)
    }

    /// The cheapest candidate in order that is not active and not in back-off; without a relay of
    /// the active path if there is such a one, so that one dead relay does not take both.
    fn best_stand_in(&self, context: &Context<'_>) -> Option<&Candidate> {
        let active = self.active_relays();
        let is_open = |c: &&Candidate| {
            c.rule == Rule::Outranked
                && c.relays != active
                && !self.is_backed_off(&c.relays, context.now)
        };
        let shares = |c: &Candidate| c.relays.iter().any(|relay| active.contains(relay));
        self.survey
            .iter()
            .filter(is_open)
            .min_by_key(|c| (self.suspicion(c, context.now), shares(c), c.cost.is_none(), c.cost))
    }

    /// How many relays of a candidate stand on paths that lately failed.
    fn suspicion(&self, candidate: &Candidate, now: Instant) -> usize {
        let failed = |relay: &NodeId| {
            self.back_offs.iter().any(|(path, b)| b.until > now && path.as_slice().contains(relay))
        };
        candidate.relays.iter().filter(|relay| failed(relay)).count()
    }

    pub(crate) fn is_backed_off(&self, relays: &[NodeId], now: Instant) -> bool {
        self.back_offs
            .iter()
            .any(|(path, back_off)| path.as_slice() == relays && back_off.until > now)
    }

    fn challenge(&mut self, relays: Relays, context: &mut Context<'_>) {
        if let Some(old) = self.challenger.take() {
            self.remove(old, context);
        }
        let surveyed = self.survey.iter().find(|c| c.relays == relays.as_slice());
        let is_paid = !relays.as_slice().is_empty() && surveyed.is_none_or(|c| c.price != Some(0));
        let start = Start { now: context.now, phase: context.rng.below(context.liveness.interval) };
        let id = self.free_id();
        if is_paid {
            let (endpoint, relays) = (self.node, relays.as_slice().to_vec());
            context.events.push_back(ControlEvent::LaneWanted { endpoint, relays });
        }
        let track = Track::new(relays, is_paid, context.liveness, start);
        self.tracks.insert(id, Track { is_lane_asked: is_paid, ..track });
        self.challenger = Some(id);
    }

    /// A confirmed challenger becomes the standby; one that takes too long is left alone.
    fn settle_challenger(&mut self, context: &mut Context<'_>) {
        let Some(id) = self.challenger else { return };
        let Some(track) = self.tracks.get(&id) else { return };
        let age = context.now.since(track.since);
        if track.is_usable() {
            self.challenger = None;
            let old = self.standby.replace(id);
            if let Some(old) = old {
                self.evict_classes(old, Some(id), Cause::StandbyChanged, context);
            }
            if let Some(old) = old.filter(|old| *old != self.active) {
                self.remove(old, context);
            }
            let relays = self.active_relays().to_vec();
            self.record(Cause::StandbyChanged, relays.clone(), relays, context);
            return;
        }
        let is_late =
            if track.meter.is_confirmed() { age > LANE_WITHIN } else { age > CONFIRM_WITHIN };
        if is_late || track.mtu.is_in_error() {
            self.fail(id, context);
        }
    }

    /// Leaves a path alone for a while. The default and the active path stay.
    pub(crate) fn fail(&mut self, id: PathId, context: &mut Context<'_>) {
        if id == DEFAULT_PATH || id == self.active {
            return;
        }
        let Some(track) = self.tracks.get(&id) else { return };
        self.back_off(track.relays.clone(), context.now);
        self.remove(id, context);
    }

    fn back_off(&mut self, relays: Relays, now: Instant) {
        if self.back_offs.len() >= BACK_OFFS_MAX {
            self.back_offs.retain(|_, back_off| back_off.until > now);
        }
        if self.back_offs.len() >= BACK_OFFS_MAX {
            self.back_offs.pop_first();
        }
        let failures =
            self.back_offs.get(&relays).map_or(0, |b| b.failures).min(BACK_OFF_DOUBLINGS);
        let until = now + BACK_OFF * 2_u32.pow(failures);
        self.back_offs.insert(relays, BackOff { until, failures: failures + 1 });
    }

    fn drop_disallowed(&mut self, context: &mut Context<'_>) {
        let forbidden = |track: &Track| {
            self.survey.iter().any(|candidate| {
                let excluded =
                    matches!(candidate.rule, Rule::NeverCarries { .. } | Rule::Quarantined { .. });
                excluded && candidate.relays.iter().any(|r| track.relays.as_slice().contains(r))
            })
        };
        let ids: Vec<PathId> =
            self.tracks.iter().filter(|(_, track)| forbidden(track)).map(|(id, _)| *id).collect();
        for id in ids {
            if id == self.active {
                self.leave_active(Cause::LaneLost, context);
            }
            self.remove(id, context);
        }
    }

    pub(crate) fn remove(&mut self, id: PathId, context: &mut Context<'_>) {
        if id == self.active {
            return;
        }
        self.evict_classes(id, None, Cause::StandbyChanged, context);
        self.standby = self.standby.filter(|standby| *standby != id);
        self.challenger = self.challenger.filter(|challenger| *challenger != id);
        let Some(track) = self.tracks.remove(&id) else { return };
        if track.lane.is_some() {
            let (endpoint, relays) = (self.node, track.relays.as_slice().to_vec());
            context.events.push_back(ControlEvent::LaneUnwanted { endpoint, relays });
        }
    }

    pub(crate) fn id_of(&self, relays: &[NodeId]) -> Option<PathId> {
        self.tracks.iter().find(|(_, track)| track.relays.as_slice() == relays).map(|(id, _)| *id)
    }

    /// The next number that no track has: a reused one keeps counting in the data plane. Groups of
    /// paths have the numbers from [`GROUP_FIRST`] on.
    pub(crate) fn free_id(&mut self) -> PathId {
        loop {
            self.last_id = self.last_id % (GROUP_FIRST - 1) + 1;
            if !self.tracks.contains_key(&PathId(self.last_id)) {
                return PathId(self.last_id);
            }
        }
    }
}

impl Endpoint {
    /// Whether a path with these relays stands by, for tests and `candidates`.
    pub(crate) fn standby_relays(&self) -> Option<&[NodeId]> {
        let track = self.tracks.get(&self.standby?)?;
        Some(track.relays.as_slice())
    }
}
