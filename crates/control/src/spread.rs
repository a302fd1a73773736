//! Traffic for one endpoint over several paths at once (RFC 9256 section 2.11): which paths, and
//! which of them at this moment.
//!
//! The paths are written out by the operator with their weights, or chosen: the default path and the
//! cheapest candidates that share no relay with it or one another (for copies, no autonomous system
//! either: two paths that die together are one). Each is probed, confirmed and paid like any other
//! path. What shares the traffic at a moment is what is usable then, less what loses much while
//! another does not (copies take it too); for packets that take turns also less what is slower than the fastest.
//!
//! While an endpoint has such a rule and no pin, nothing is judged and nothing stands by: a path that
//! dies is simply left out.

use core::time::Duration;

use srwan_wire::id::{NodeId, PathId};
use srwan_wire::oam::Relays;
use srwan_wire::roster::ASN_UNKNOWN;
use srwan_wire::time::{Instant, Owd};

use crate::control::Control;
use crate::decision::{Candidate, Cause, Rule};
use crate::endpoint::{CONFIRM_WITHIN, Context, Endpoint, LANE_WITHIN};
use crate::event::{ControlEvent, SpreadChange, SpreadPath};
use crate::track::{DEFAULT_PATH, Start, Track};

/// Paths that share traffic at most: as many as a policy of the data plane has.
pub const SPREAD_PATHS_MAX: usize = 4;

/// Packets take turns on paths whose delays differ by at most this: TCP takes a packet for lost when
/// later ones overtake it by a quarter of the round trip (RFC 8985), 10 ms at 40 ms.
const EQUAL_WITHIN: Duration = Duration::from_millis(10);

/// A path that takes turns stays until its delay differs by more than this, so that it does not come
/// and go with its queue, which the packets that it gets fill themselves. The endpoint waits 100 ms.
const UNEQUAL_FROM: Duration = Duration::from_millis(40);

/// A path that loses so many packets is left out while another does not: more than TCP loses where it
/// fills a queue.
///
/// - **Units:** parts per million.
const LOSSY_FROM_PPM: u32 = 100_000;

/// A path that was left out for its loss comes back below this. **Units:** parts per million.
const LOSSY_UNTIL_PPM: u32 = 50_000;

/// How packets are spread over the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpreadMode {
    /// Each flow stays on one path.
    Flows,
    /// Packets take turns over paths of equal delay.
    Packets,
    /// Each packet goes over all paths.
    Copies,
}

/// A rule of the operator for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadConfig {
    /// How.
    pub mode: SpreadMode,
    /// Over how many chosen paths, up to [`SPREAD_PATHS_MAX`].
    pub paths: u8,
    /// Over these paths with these weights instead, up to [`SPREAD_PATHS_MAX`]; empty: chosen ones.
    pub explicit: Vec<(Relays, u8)>,
}

/// Weight of a chosen path.
const WEIGHT_CHOSEN: u8 = 1;

/// The state of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    config: SpreadConfig,
    wanted: Vec<(Relays, u8)>,
    told: Vec<SpreadPath>,
}

impl Control {
    /// Spreads traffic for a member over several paths, or no longer.
    pub fn set_spread(&mut self, endpoint: NodeId, config: Option<SpreadConfig>, now: Instant) {
        match config {
            Some(config) => self.spreads.insert(endpoint, config),
            None => self.spreads.remove(&endpoint),
        };
        self.next_survey = now;
    }

    /// Gives each watched endpoint its rule, and picks the paths for it.
    pub(crate) fn run_spreads(&mut self, now: Instant) {
        let members = &self.members;
        let asn = |node: NodeId| members.get(&node).map_or(ASN_UNKNOWN, |member| member.asn);
        for endpoint in self.endpoints.values_mut() {
            let config = self.spreads.get(&endpoint.node);
            let mut context = Context {
                policy: &self.config.policy,
                liveness: &self.config.liveness,
                events: &mut self.events,
                rng: &mut self.rng,
                now,
            };
            endpoint.set_spread(config, &mut context);
            endpoint.choose_paths(&asn, &mut context);
        }
    }
}

impl Endpoint {
    /// Whether several paths share the traffic, or shall.
    pub(crate) fn is_spread(&self) -> bool {
        self.spread.is_some() && self.pin.is_none()
    }

    /// The paths that share the traffic at this moment.
    pub(crate) fn shares(&self) -> &[SpreadPath] {
        self.spread.as_ref().map_or(&[], |spread| spread.told.as_slice())
    }

    /// What a path that shares the traffic is shown as.
    pub(crate) fn share_rule(&self, path: PathId) -> Option<Rule> {
        let of = self.shares().iter().map(|path| u32::from(path.weight)).sum();
        let share = self.shares().iter().find(|share| share.path == path)?;
        Some(Rule::Shares { weight: share.weight, of })
    }

    fn set_spread(&mut self, config: Option<&SpreadConfig>, context: &mut Context<'_>) {
        let is_same = self.spread.as_ref().map(|spread| &spread.config) == config;
        if is_same {
            return;
        }
        if self.active != DEFAULT_PATH && config.is_some() && self.pin.is_none() {
            self.return_to_default(context);
        }
        let Some(config) = config else { return self.drop_spread(context) };
        let told = self.spread.take().map_or(Vec::new(), |spread| spread.told);
        self.spread = Some(Spread { config: config.clone(), wanted: Vec::new(), told });
    }

    /// The rule is gone, and its paths with it.
    pub(crate) fn drop_spread(&mut self, context: &mut Context<'_>) {
        self.tell_shares(SpreadMode::Flows, Vec::new(), context);
        self.spread = None;
        self.remove_unwanted(&[], context);
    }

    /// Wants the paths of the rule, and starts to probe those that are not probed yet.
    fn choose_paths(&mut self, asn: &dyn Fn(NodeId) -> u32, context: &mut Context<'_>) {
        if !self.is_spread() {
            return;
        }
        let wanted = self.wanted_paths(asn, context.now);
        self.remove_unwanted(&wanted, context);
        for (relays, _) in &wanted {
            let is_new = self.id_of(relays.as_slice()).is_none();
            if is_new && !self.is_backed_off(relays.as_slice(), context.now) {
                self.probe_member(relays.clone(), context);
            }
        }
        if let Some(spread) = &mut self.spread {
            spread.wanted = wanted;
        }
    }

    fn wanted_paths(&self, asn: &dyn Fn(NodeId) -> u32, now: Instant) -> Vec<(Relays, u8)> {
        let Some(spread) = &self.spread else { return Vec::new() };
        if !spread.config.explicit.is_empty() {
            let explicit = spread.config.explicit.iter().take(SPREAD_PATHS_MAX);
            return explicit.filter(|(relays, _)| !self.is_forbidden(relays)).cloned().collect();
        }
        let most = usize::from(spread.config.paths).min(SPREAD_PATHS_MAX);
        // Those at hand first: a path that works is not left for one that might.
        let held = spread.wanted.iter().map(|(relays, _)| relays.clone());
        let default = core::iter::once(Relays::default());
        let open = self.survey.iter().filter(|candidate| candidate.rule == Rule::Outranked);
        let new = open.filter_map(|candidate| Relays::new(candidate.relays.clone()));
        let mut chosen: Vec<(Relays, u8)> = Vec::new();
        for relays in held.chain(default).chain(new) {
            let is_out = self.is_backed_off(relays.as_slice(), now) || self.is_forbidden(&relays);
            let clashes =
                |(other, _): &(Relays, u8)| shares_fate(&relays, other, spread.config.mode, asn);
            if chosen.len() < most && !is_out && !chosen.iter().any(clashes) {
                chosen.push((relays, WEIGHT_CHOSEN));
            }
        }
        chosen
    }

    /// Whether a relay of the path never carries or is quarantined.
    fn is_forbidden(&self, relays: &Relays) -> bool {
        let is_excluded = |candidate: &&Candidate| {
            matches!(candidate.rule, Rule::NeverCarries { .. } | Rule::Quarantined { .. })
        };
        let mut excluded = self.survey.iter().filter(is_excluded);
        excluded.any(|candidate| candidate.relays.iter().any(|r| relays.as_slice().contains(r)))
    }

    fn remove_unwanted(&mut self, wanted: &[(Relays, u8)], context: &mut Context<'_>) {
        let is_unwanted = |(id, track): &(&PathId, &Track)| {
            **id != DEFAULT_PATH && !wanted.iter().any(|(relays, _)| *relays == track.relays)
        };
        let ids: Vec<PathId> = self.tracks.iter().filter(is_unwanted).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.remove(id, context));
    }

    fn probe_member(&mut self, relays: Relays, context: &mut Context<'_>) {
        let surveyed = self.survey.iter().find(|c| c.relays == relays.as_slice());
        let is_paid = !relays.as_slice().is_empty() && surveyed.is_none_or(|c| c.price != Some(0));
        let start = Start { now: context.now, phase: context.rng.below(context.liveness.interval) };
        let id = self.free_id();
        self.tracks.insert(id, Track::new(relays, is_paid, context.liveness, start));
    }

    /// Asks for the lanes of paths that probes have confirmed: a path that does not work locks no coins.
    fn ask_lanes(&mut self, context: &mut Context<'_>) {
        let endpoint = self.node;
        for track in self.tracks.values_mut() {
            let is_due = track.meter.is_confirmed() && !track.is_lane_asked;
            if is_due && track.lane.is_some() {
                track.is_lane_asked = true;
                let relays = track.relays.as_slice().to_vec();
                context.events.push_back(ControlEvent::LaneWanted { endpoint, relays });
            }
        }
    }

    /// Moves time on: gives up paths that take too long, and tells the node who shares the traffic
    /// if that changed.
    pub(crate) fn run_spread(&mut self, context: &mut Context<'_>) {
        let Some(spread) = &self.spread else { return };
        let mode = spread.config.mode;
        if !self.is_spread() {
            return self.tell_shares(mode, Vec::new(), context);
        }
        self.ask_lanes(context);
        self.tracks.values_mut().for_each(|track| track.was_usable |= track.is_usable());
        let is_late = |track: &Track| {
            let age = context.now.since(track.since);
            let most = if track.meter.is_confirmed() { LANE_WITHIN } else { CONFIRM_WITHIN };
            let is_new = !track.was_usable && age > most;
            !track.is_default() && (track.mtu.is_in_error() || is_new)
        };
        let late: Vec<PathId> =
            self.tracks.iter().filter(|(_, track)| is_late(track)).map(|(id, _)| *id).collect();
        late.into_iter().for_each(|id| self.fail(id, context));
        let shares = self.usable_shares(mode);
        self.tell_shares(mode, shares, context);
    }

    fn usable_shares(&self, mode: SpreadMode) -> Vec<SpreadPath> {
        let Some(spread) = &self.spread else { return Vec::new() };
        let usable: Vec<(PathId, &Track, u8)> = spread
            .wanted
            .iter()
            .filter_map(|(relays, weight)| {
                let id = self.id_of(relays.as_slice())?;
                let track = self.tracks.get(&id).filter(|track| track.is_usable())?;
                Some((id, track, *weight))
            })
            .collect();
        let is_well = |id: &PathId, track: &Track| {
            let most = if self.has_share(*id) { LOSSY_FROM_PPM } else { LOSSY_UNTIL_PPM };
            track.meter.settled_loss().ppm() < most
        };
        let some_are_well = usable.iter().any(|(id, track, _)| is_well(id, track));
        let is_fit = |id: &PathId, track: &Track| !some_are_well || is_well(id, track);
        let fit = usable.iter().filter(|(id, track, _)| is_fit(id, track));
        let fastest = fit.filter_map(|(_, track, _)| track.meter.least_forward()).min();
        let shares = |id: PathId, track: &Track| match mode {
            SpreadMode::Copies => true,
            SpreadMode::Flows => is_fit(&id, track),
            SpreadMode::Packets => is_fit(&id, track) && self.is_equal(id, track, fastest),
        };
        usable
            .into_iter()
            .filter(|(id, track, _)| shares(*id, track))
            .map(|(path, track, weight)| {
                let relays = track.relays.as_slice().to_vec();
                SpreadPath { relays, path, weight }
            })
            .collect()
    }

    /// Whether a path is as fast as the fastest, or nearly so if it takes turns already.
    fn is_equal(&self, path: PathId, track: &Track, fastest: Option<Owd>) -> bool {
        let most = if self.has_share(path) { UNEQUAL_FROM } else { EQUAL_WITHIN };
        let delays = track.meter.least_forward().zip(fastest);
        delays.is_some_and(|(delay, fastest)| delay - fastest <= Owd::from_duration(most))
    }

    fn has_share(&self, path: PathId) -> bool {
        self.shares().iter().any(|share| share.path == path)
    }

    fn tell_shares(&mut self, mode: SpreadMode, paths: Vec<SpreadPath>, context: &mut Context<'_>) {
        if self.shares() == paths {
            return;
        }
        let relays =
            |paths: &[SpreadPath]| paths.first().map_or(vec![], |path| path.relays.clone());
        let (from, to) = (relays(self.shares()), relays(&paths));
        if let Some(spread) = &mut self.spread {
            spread.told = paths.clone();
        }
        let (endpoint, at) = (self.node, context.now);
        let change = SpreadChange { endpoint, mode, paths, at };
        context.events.push_back(ControlEvent::SpreadChange(change));
        self.record(Cause::Shares, from, to, context);
    }
}

/// Whether one failure would take both paths: a relay that they share, for copies also an autonomous
/// system. The default path shares its relays with nobody.
fn shares_fate(a: &Relays, b: &Relays, mode: SpreadMode, asn: &dyn Fn(NodeId) -> u32) -> bool {
    let pairs = a.as_slice().iter().flat_map(|a| b.as_slice().iter().map(move |b| (*a, *b)));
    let is_same = |(a, b): (NodeId, NodeId)| {
        let is_same_system = asn(a) != ASN_UNKNOWN && asn(a) == asn(b);
        a == b || mode == SpreadMode::Copies && is_same_system
    };
    a == b || pairs.into_iter().any(is_same)
}
