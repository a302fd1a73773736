//! The machine that puts control together: commands, messages, time, and what comes out.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use srwan_wire::id::NodeId;
use srwan_wire::oam::{Oam, Relays};
use srwan_wire::pulse::{ErrorEstimate, Row, SignedRow};
use srwan_wire::roster::Roster;
use srwan_wire::time::{Instant, Owd, WallClock};

use crate::clock::{Bounded, ClockPair};
use crate::config::ControlConfig;
use crate::decision::{Candidate, Decision};
use crate::destination::{Destinations, Place};
use crate::differences::Differences;
use crate::endpoint::{Context, Endpoint};
use crate::estimate::Estimate;
use crate::event::{
    ControlEvent, ControlTransmit, DestinationEvent, LaneState, MemberState, Reach,
};
use crate::graph::Graph;
use crate::matrix::{self, Cell, Matrix, MatrixView};
use crate::member::Member;
use crate::observe::{Observations, ObservedPath, PathKey};
use crate::outgoing::Outgoing;
use crate::random::PhaseRng;
use crate::reception::Change;
use crate::return_path::ReturnPaths;
use crate::rounds::Rounds;
use crate::spread::SpreadConfig;
use crate::survey::{Carrying, Ground, segments};
use crate::track::HopFigures;

/// The parts of a `Control` that a step of an endpoint needs, borrowed beside the endpoint itself.
macro_rules! context {
    ($control:expr, $now:expr) => {
        Context {
            policy: &$control.config.policy,
            liveness: &$control.config.liveness,
            events: &mut $control.events,
            rng: &mut $control.rng,
            now: $now,
        }
    };
}

/// Messages that wait for `poll_transmit`: a round of pulses to 99 members, their copies over
/// relays, and the probes and reflections of a busy moment. Beyond it the oldest is dropped, as a
/// network would.
const OUTGOING_MAX: usize = 4_096;

/// Events that wait for `poll_event`; the node drains them after every step.
const EVENTS_MAX: usize = 4_096;

/// Candidates are surveyed this often, and members looked after.
const SURVEY_INTERVAL: Duration = Duration::from_secs(1);

/// A snapshot of the matrix serves surveys and ways back for so long: it costs 10,000 look-ups in a
/// group of 100.
const GRAPH_AGE_MAX: Duration = Duration::from_millis(500);

/// A message as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Whose session opened it.
    pub from: NodeId,
    /// It came over relays, so its travel time is not that of the direct path.
    pub relayed: bool,
    /// When it was received (kernel timestamp if there is one).
    pub at: Instant,
}

/// Who, how far, which way, is it up.
///
/// Drain order after each `handle_*` or command: [`Control::poll_transmit`],
/// [`Control::poll_timeout`], [`Control::poll_event`].
#[derive(Debug)]
pub struct Control {
    pub(crate) config: ControlConfig,
    pub(crate) me: NodeId,
    pub(crate) clock: WallClock,
    pub(crate) clock_epoch: u32,
    pub(crate) rng: PhaseRng,
    pub(crate) started: Instant,
    /// When something was last handled.
    pub(crate) turned: Instant,
    pub(crate) members: BTreeMap<NodeId, Member>,
    pub(crate) own_price: Option<u64>,
    pub(crate) quarantined: BTreeSet<NodeId>,
    pub(crate) matrix: Matrix,
    pub(crate) row_seq: u32,
    pub(crate) whole_rows: VecDeque<Row>,
    pub(crate) differences: Differences,
    pub(crate) rounds: Rounds,
    pub(crate) next_greeting: Option<Instant>,
    pub(crate) next_survey: Instant,
    pub(crate) graph: Graph,
    pub(crate) graph_at: Option<Instant>,
    pub(crate) endpoints: BTreeMap<NodeId, Endpoint>,
    pub(crate) return_paths: ReturnPaths,
    pub(crate) spreads: BTreeMap<NodeId, SpreadConfig>,
    pub(crate) returns: BTreeMap<NodeId, (Instant, Option<Vec<NodeId>>)>,
    pub(crate) observations: Observations,
    pub(crate) destinations: Destinations,
    pub(crate) destination_events: VecDeque<DestinationEvent>,
    /// The egresses of the group (this node too, if it is one) and where they are.
    pub(crate) places: BTreeMap<NodeId, Place>,
    pub(crate) reporter: Option<NodeId>,
    pub(crate) outgoing: VecDeque<Outgoing>,
    pub(crate) events: VecDeque<ControlEvent>,
}

impl Control {
    /// A node that knows nobody yet. `seed` spreads probes and pulses in time and names the clock
    /// epoch.
    #[must_use]
    pub fn new(
        config: ControlConfig,
        me: NodeId,
        clock: WallClock,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut rng = PhaseRng::new(seed);
        let first = rng.below(config.pulse_interval);
        Self {
            clock_epoch: epoch(rng.next()),
            row_seq: u32::from(low_bits(rng.next())),
            rounds: Rounds::new(&config, now + first),
            config,
            me,
            clock,
            rng,
            started: now,
            turned: now,
            members: BTreeMap::new(),
            own_price: None,
            quarantined: BTreeSet::new(),
            matrix: Matrix::default(),
            whole_rows: VecDeque::new(),
            differences: Differences::default(),
            next_greeting: None,
            next_survey: now + SURVEY_INTERVAL,
            graph: Graph::default(),
            graph_at: None,
            endpoints: BTreeMap::new(),
            return_paths: ReturnPaths::new(),
            spreads: BTreeMap::new(),
            returns: BTreeMap::new(),
            observations: Observations::default(),
            destinations: Destinations::default(),
            destination_events: VecDeque::new(),
            places: BTreeMap::new(),
            reporter: None,
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    // ---- commands -----------------------------------------

    /// Takes a roster that was verified: members come, change and go.
    pub fn set_roster(&mut self, roster: &Roster, now: Instant) {
        self.own_price = roster.member(self.me).and_then(|member| member.price);
        let me = self.me;
        self.members.retain(|node, _| roster.member(*node).is_some());
        self.matrix.retain(|node| node == me || roster.member(node).is_some());
        for member in roster.members.iter().filter(|member| member.node != me) {
            self.members
                .entry(member.node)
                .and_modify(|known| (known.price, known.asn) = (member.price, member.asn))
                .or_insert_with(|| Member::new(member.price, member.asn, now));
        }
        let gone: Vec<NodeId> = self
            .endpoints
            .keys()
            .filter(|node| !self.members.contains_key(node))
            .copied()
            .collect();
        gone.into_iter().for_each(|node| self.set_interest(node, false, now));
        self.set_places(roster);
        self.returns.clear();
        self.graph_at = None;
        self.next_survey = now;
    }

    /// Says who is never to relay, whatever the matrix says.
    pub fn set_quarantine(&mut self, nodes: BTreeSet<NodeId>, now: Instant) {
        self.quarantined = nodes;
        self.graph_at = None;
        self.next_survey = now;
    }

    /// Starts or stops watching the paths to a member: there is (or was) traffic for it.
    pub fn set_interest(&mut self, endpoint: NodeId, is_wanted: bool, now: Instant) {
        if is_wanted && endpoint != self.me && self.members.contains_key(&endpoint) {
            if !self.endpoints.contains_key(&endpoint) {
                let mut context = context!(self, now);
                let watched = Endpoint::new(endpoint, &self.config.classes, &mut context);
                self.endpoints.insert(endpoint, watched);
                self.next_survey = now;
            }
        } else if !is_wanted && let Some(mut watched) = self.endpoints.remove(&endpoint) {
            watched.close(&mut context!(self, now));
        }
    }

    /// Sends traffic for `endpoint` over `relays` (none: the default path) whatever is measured, as
    /// long as it is up.
    ///
    /// # Errors
    /// [`PinError`] if the endpoint is not watched, or the relays are no path to it.
    pub fn pin(
        &mut self,
        endpoint: NodeId,
        relays: &[NodeId],
        now: Instant,
    ) -> Result<(), PinError> {
        let path = Relays::new(relays.to_vec()).ok_or(PinError::TooLong)?;
        let distinct: BTreeSet<&NodeId> = relays.iter().collect();
        let own_end = relays.iter().any(|relay| *relay == endpoint || *relay == self.me);
        if distinct.len() != relays.len() || own_end {
            return Err(PinError::Loop);
        }
        if let Some(unknown) = relays.iter().find(|relay| !self.members.contains_key(relay)) {
            return Err(PinError::UnknownRelay(*unknown));
        }
        let watched = self.endpoints.get_mut(&endpoint).ok_or(PinError::NotWatched(endpoint))?;
        watched.pin(path);
        self.next_survey = now;
        Ok(())
    }

    /// Lets measurements decide again.
    pub fn unpin(&mut self, endpoint: NodeId, now: Instant) {
        if let Some(watched) = self.endpoints.get_mut(&endpoint) {
            watched.unpin(&mut context!(self, now));
        }
    }

    /// Starts the clock anew (after a suspend): every delay measured with the old one is forgotten
    /// by all members.
    pub fn reset_clock(&mut self, clock: WallClock, now: Instant) {
        self.clock = clock;
        self.clock_epoch = epoch(self.rng.next());
        self.members.values_mut().for_each(|member| member.reception = Default::default());
        self.whole_rows.clear();
        self.rounds.want(Change::Known);
        self.endpoints.values_mut().for_each(Endpoint::forget_delays);
        self.next_survey = now;
    }

    /// Says how fast a lane that this node carries or ends lately was.
    pub fn set_throughput(&mut self, path: PathKey, octets_per_second: u64, now: Instant) {
        self.observations.set_throughput(path, octets_per_second, now);
    }

    // ---- what happens -----------------------------------------

    /// A session with a member is up.
    pub fn handle_peer_up(&mut self, peer: NodeId, reach: Reach, now: Instant) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        if member.reach != Some(reach) {
            (member.direct_at, member.tries_direct) = (now, false);
        }
        member.reach = Some(reach);
        member.lost_since = now;
        member.greet(now);
        self.next_greeting = Some(now);
        let was_relayed = reach == Reach::Direct && member.via.take().is_some();
        if was_relayed {
            // Renewals go the direct way from here on.
            self.event(ControlEvent::ConnectVia { peer, relays: Vec::new() });
        }
    }

    /// The session with a member is gone.
    pub fn handle_peer_down(&mut self, peer: NodeId, now: Instant) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        member.reach = None;
        member.lost_since = now;
        member.via = None;
    }

    /// Takes a message that a session opened. Only pulses, probes and measurements concern control.
    pub fn handle_oam(&mut self, arrival: Arrival, oam: &Oam, now: Instant) {
        if !self.members.contains_key(&arrival.from) {
            return;
        }
        self.notice_stall(now);
        match oam {
            Oam::Pulse(body) => self.handle_pulse(arrival, body, now),
            Oam::Probe(probe) => self.handle_probe(arrival, probe, now),
            Oam::PaddedProbe(padded) => self.handle_probe(arrival, &padded.probe, now),
            Oam::Reflection(reflection) => self.handle_reflection(arrival, reflection, now),
            Oam::Destination(probe) => self.handle_destination(arrival, probe, now),
            Oam::LaneSetup(_)
            | Oam::LaneAnswer(_)
            | Oam::Receipt(_)
            | Oam::Delivery(_)
            | Oam::ReceiptAck(_)
            | Oam::LaneEnd(_)
            | Oam::LinkStatement(_)
            | Oam::Reflexive(_) => {}
        }
    }

    /// The node found out whether the lane of a path is served.
    pub fn handle_lane(
        &mut self,
        endpoint: NodeId,
        relays: &[NodeId],
        lane: LaneState,
        now: Instant,
    ) {
        if let Some(watched) = self.endpoints.get_mut(&endpoint) {
            watched.set_lane(relays, lane, &mut context!(self, now));
            watched.run_spread(&mut context!(self, now));
        }
    }

    /// Moves time on: everything that is due by `now` happens.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.notice_stall(now);
        self.run_rounds(now);
        self.run_greetings(now);
        if self.next_survey <= now {
            self.next_survey = now + SURVEY_INTERVAL;
            self.look_after_members(now);
            self.survey(now);
            self.run_spreads(now);
        }
        for endpoint in self.endpoints.values_mut() {
            endpoint.handle_timeout(&mut context!(self, now));
            endpoint.run_spread(&mut context!(self, now));
        }
        self.run_probes(now);
        self.run_mtu(now);
        self.run_destinations(now);
    }

    // ---- what comes out -----------------------------------------

    /// The next message to seal and send; its timestamps are taken here, so send it at once.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<ControlTransmit> {
        while let Some(next) = self.outgoing.pop_front() {
            if let Some(transmit) = self.stamp(next, now) {
                return Some(transmit);
            }
        }
        None
    }

    /// When [`Control::handle_timeout`] is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let endpoints = self.endpoints.values().map(Endpoint::poll_timeout);
        let others = endpoints
            .chain(self.next_greeting)
            .chain(self.destinations.poll_timeout())
            .chain(self.return_timeout());
        others.fold(self.rounds.poll_timeout().min(self.next_survey), Instant::min)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<ControlEvent> {
        self.events.pop_front()
    }

    // ---- getters -----------------------------------------

    /// The matrix as this node knows it, delays with their clock offset removed as far as it is
    /// known.
    #[must_use]
    pub fn matrix(&self, now: Instant) -> MatrixView {
        matrix::show(self.nodes(), |from, to| self.cell(from, to, now), |node| self.clock_of(node))
    }

    /// One raw cell.
    #[must_use]
    pub fn cell(&self, from: NodeId, to: NodeId, now: Instant) -> Option<Cell> {
        if to != self.me {
            return self.matrix.cell(from, to, now);
        }
        let reception = &self.members.get(&from)?.reception;
        let measured = reception.measured(now)?;
        let (raw, jitter, loss) = (measured.raw, measured.jitter, measured.loss);
        Some(Cell { raw, jitter, loss, age: reception.age(now)? })
    }

    /// What the next pulse of a member is expected to take, from all since its delay last changed.
    #[must_use]
    pub fn estimate(&self, from: NodeId) -> Option<Estimate> {
        self.members.get(&from)?.reception.estimate()
    }

    /// The signed rows that are fresh, the own one included: what the reporter hands to the
    /// controller.
    pub fn signed_rows(&self, now: Instant) -> impl Iterator<Item = &SignedRow> {
        self.matrix.rows().filter(move |held| held.is_fresh(now)).map(|held| &held.signed)
    }

    /// The elected reporter: the lowest node whose pulse is not older than two intervals. `None`
    /// while this node still listens for one (its first interval).
    #[must_use]
    pub fn reporter(&self) -> Option<NodeId> {
        self.reporter
    }

    /// How each member is reached.
    pub fn member_states(&self) -> impl Iterator<Item = (NodeId, MemberState)> {
        self.members.iter().map(|(node, member)| (*node, member.state))
    }

    /// Watched endpoints with the relays of their active path (none: the default path).
    pub fn active_paths(&self) -> impl Iterator<Item = (NodeId, &[NodeId])> {
        self.endpoints.iter().map(|(node, endpoint)| (*node, endpoint.active_relays()))
    }

    /// The relays of the path that stands by for an endpoint.
    #[must_use]
    pub fn standby(&self, endpoint: NodeId) -> Option<&[NodeId]> {
        self.endpoints.get(&endpoint)?.standby_relays()
    }

    /// Every candidate for an endpoint with its figures and the rule that chose or excluded it.
    #[must_use]
    pub fn candidates(&self, endpoint: NodeId, now: Instant) -> Vec<Candidate> {
        let watched = self.endpoints.get(&endpoint);
        watched.map_or(Vec::new(), |watched| watched.candidates(&self.config.policy, now))
    }

    /// The last decisions about an endpoint, oldest first.
    pub fn decisions(&self, endpoint: NodeId) -> impl Iterator<Item = &Decision> {
        self.endpoints.get(&endpoint).into_iter().flat_map(Endpoint::decisions)
    }

    /// What the hops of the active path to an endpoint measured.
    pub fn hops(&self, endpoint: NodeId) -> impl Iterator<Item = (NodeId, HopFigures)> {
        let watched = self.endpoints.get(&endpoint);
        let track = watched.and_then(|watched| watched.tracks.get(&watched.active));
        track.into_iter().flat_map(|track| track.hops.iter().map(|(hop, figures)| (*hop, *figures)))
    }

    /// Paths in use anywhere in the group, measured against what the matrix says.
    #[must_use]
    pub fn observations(&self, now: Instant) -> Vec<ObservedPath> {
        let expected = |path: &PathKey| {
            let mut cells = segments((path.headend, path.endpoint), path.relays.as_slice())
                .map(|(from, to)| self.cell(from, to, now));
            cells.try_fold(Owd::ZERO, |sum, cell| Some(sum + cell?.raw))
        };
        self.observations.list(expected, now)
    }

    /// Offset of a member's clock over this node's, as far as it is known.
    #[must_use]
    pub fn clock_offset(&self, node: NodeId, now: Instant) -> Option<Bounded> {
        self.clock_pair(node, now).offset()
    }

    /// Members whose clock cannot be what both sides claim: the delays shown for them rest on
    /// measurements alone.
    pub fn clock_contradictions(&self, now: Instant) -> impl Iterator<Item = NodeId> {
        self.members.keys().copied().filter(move |node| self.clock_pair(*node, now).contradicts())
    }

    // ---- shared by the parts -----------------------------------------

    pub(crate) fn push(&mut self, outgoing: Outgoing) {
        if self.outgoing.len() == OUTGOING_MAX {
            self.outgoing.pop_front();
        }
        self.outgoing.push_back(outgoing);
    }

    pub(crate) fn event(&mut self, event: ControlEvent) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(crate) fn carrying(&self, node: NodeId) -> Carrying {
        let price = if node == self.me {
            self.own_price
        } else {
            self.members.get(&node).and_then(|member| member.price)
        };
        match price {
            _ if self.quarantined.contains(&node) => Carrying::Quarantined,
            Some(price) => Carrying::For(price),
            None => Carrying::Never,
        }
    }

    /// All members and this node, ascending.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self.members.keys().copied().collect();
        let at = nodes.partition_point(|node| *node < self.me);
        nodes.insert(at, self.me);
        nodes
    }

    fn clock_of(&self, node: NodeId) -> Option<ErrorEstimate> {
        if node == self.me { Some(self.config.clock) } else { self.matrix.clock_of(node) }
    }

    fn clock_pair(&self, node: NodeId, now: Instant) -> ClockPair {
        let unknown = ErrorEstimate::new(false, Duration::ZERO);
        ClockPair {
            forward: self.cell(self.me, node, now).map(|cell| cell.raw),
            reverse: self.cell(node, self.me, now).map(|cell| cell.raw),
            estimates: [self.config.clock, self.clock_of(node).unwrap_or(unknown)],
        }
    }

    /// Takes a snapshot of the matrix, unless the last one is young enough.
    pub(crate) fn renew_graph(&mut self, now: Instant) {
        if self.graph_at.is_some_and(|at| now.since(at) < GRAPH_AGE_MAX) {
            return;
        }
        self.graph_at = Some(now);
        let cell = |from, to| self.cell(from, to, now);
        let price = |node| match self.carrying(node) {
            Carrying::For(price) => Some(price),
            Carrying::Never | Carrying::Quarantined => None,
        };
        self.graph = Graph::new(self.nodes(), cell, price);
    }

    fn survey(&mut self, now: Instant) {
        if self.endpoints.is_empty() {
            return;
        }
        self.renew_graph(now);
        let watched: Vec<NodeId> = self.endpoints.keys().copied().collect();
        for endpoint in watched {
            let ground = Ground {
                graph: &self.graph,
                cell: &|from, to| self.cell(from, to, now),
                carrying: &|node| self.carrying(node),
                ends: (self.me, endpoint),
                relays_max: self.config.policy.relays_max,
                gain_min: Owd::from_duration(self.config.policy.gain_min),
                gain_min_percent: self.config.policy.gain_min_percent,
            };
            let found = ground.survey();
            let offset = self.clock_offset(endpoint, now);
            if let Some(watched) = self.endpoints.get_mut(&endpoint) {
                watched.set_survey(found, offset, &mut context!(self, now));
            }
        }
    }
}

/// Why a pin is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// More relays than a path can have.
    #[error("a path has at most 3 relays")]
    TooLong,
    /// A node stands twice in the path.
    #[error("a node stands twice in the path")]
    Loop,
    /// This relay is not in the roster.
    #[error("{0} is not a member of the group")]
    UnknownRelay(NodeId),
    /// No traffic goes there.
    #[error("paths to {0} are not watched")]
    NotWatched(NodeId),
}

fn epoch(random: u64) -> u32 {
    u32::try_from(random >> 32).expect("32 bits are left")
}

fn low_bits(random: u64) -> u16 {
    u16::try_from(random & 0xffff).expect("masked to 16 bits")
}
