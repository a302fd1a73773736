//! What the parts say to one another, and what goes out.
//!
//! `settle` runs at the end of every input: it carries events of the data plane to control, decisions of control to
//! steering and the payer, and the wishes of payer and payee to the data plane and the shell, until nothing is left.

use crate::event::{NodeEvent, Transmit};
use crate::node::Node;
use crate::pay::{Hop, LanePhase, PathKey, PayAction, ServedTerms, Terms};
use crate::ping::PingSend;
use crate::statement::PeerOctets;
use rand_chacha::rand_core::Rng;
use srwan_control::{ControlEvent, LaneState, PathKey as ObservedKey, Reach as ControlReach};
use srwan_dataplane::{Event, LaneEntry, Reach};
use srwan_wire::id::{LaneLabel, NodeId, Octets};
use srwan_wire::oam::{Oam, Relays};
use srwan_wire::receipt::Price;
use srwan_wire::time::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Between two looks at the lanes while octets flow: at 1 Gbit/s 1.25 MB pass, within what receipts are ahead.
const TICK_BUSY: Duration = Duration::from_millis(10);

/// Between two looks at the lanes while nothing flows.
const TICK_IDLE: Duration = Duration::from_millis(100);

/// Throughput of a lane is a mean over this: as often as the hops of a path are sampled.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// A served lane that is this close to its allowance is as good as used up: two full-sized packets.
const ALLOWANCE_MARGIN: u64 = 3_000;

/// Events that wait for the shell, which drains them after every input.
const EVENTS_MAX: usize = 65_536;

/// Messages that wait to be sealed; beyond it the oldest is lost like any datagram, and its timer sends it again.
const MESSAGES_MAX: usize = 4_096;

/// Paths whose lanes' last phase is remembered; beyond it something may be told twice.
const PATHS_TOLD_MAX: usize = 1_024;

/// A message that waits to be sealed.
struct Message {
    to: NodeId,
    via: Vec<NodeId>,
    oam: Oam,
}

/// Queues and clocks of the glue.
pub(crate) struct Settling {
    events: VecDeque<NodeEvent>,
    messages: VecDeque<Message>,
    pings: VecDeque<PingSend>,
    next_tick: Instant,
    next_statements: Instant,
    octets_seen: u64,
    /// Octets from the host since the last look at the lanes.
    pub(crate) host_octets: usize,
    malformed: u64,
    unsealed: u64,
    next_returns: Instant,
    /// Octets sealed for each peer when it was last looked at.
    sealed: BTreeMap<NodeId, u64>,
    rated_at: Instant,
    rated: BTreeMap<LaneLabel, Octets>,
    was_complete: bool,
    told: BTreeMap<PathKey, LanePhase>,
}

impl Settling {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            events: VecDeque::new(),
            messages: VecDeque::new(),
            pings: VecDeque::new(),
            next_tick: now,
            next_statements: now,
            octets_seen: 0,
            host_octets: 0,
            malformed: 0,
            unsealed: 0,
            next_returns: now,
            sealed: BTreeMap::new(),
            rated_at: now,
            rated: BTreeMap::new(),
            was_complete: false,
            told: BTreeMap::new(),
        }
    }

    pub(crate) fn event(&mut self, event: NodeEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        }
    }

    /// Tells of a lane's phase if it is another than people know. A refused lane that is asked for again stays refused
    /// for them until it becomes ready: while coins are short it would be opened and refused without end.
    fn tell_phase(&mut self, path: PathKey, phase: LanePhase) {
        let known = self.told.get(&path).copied();
        let is_retry = known == Some(LanePhase::Refused) && phase == LanePhase::Opening;
        if known == Some(phase) || is_retry {
            return;
        }
        if self.told.len() >= PATHS_TOLD_MAX {
            self.told.clear();
        }
        self.told.insert(path.clone(), phase);
        self.event(NodeEvent::LaneChanged { path, phase });
    }

    pub(crate) fn poll_event(&mut self) -> Option<NodeEvent> {
        self.events.pop_front()
    }

    pub(crate) fn next_tick(&self) -> Instant {
        self.next_tick
    }

    /// The next tick is due at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.next_tick = now;
        self.host_octets = 0;
    }

    pub(crate) fn count_malformed(&mut self) {
        self.malformed += 1;
    }

    /// Authentic control messages that could not be read, and own ones that could not be sealed.
    pub(crate) fn message_faults(&self) -> (u64, u64) {
        (self.malformed, self.unsealed)
    }

    fn message(&mut self, to: NodeId, via: Vec<NodeId>, oam: Oam) {
        if self.messages.len() >= MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(Message { to, via, oam });
    }
}

impl Node {
    pub(crate) fn settle(&mut self, now: Instant) {
        while self.settle_once(now) {}
    }

    /// Does what time asks for beside what the parts do themselves.
    pub(crate) fn tick(&mut self, now: Instant) {
        if now < self.settling.next_tick && self.pings.poll_timeout().is_none_or(|at| now < at) {
            return;
        }
        self.tick_pings(now);
        self.end_flows(now);
        self.tick_lanes(now);
        self.state_links(now);
        self.note_matrix(now);
    }

    /// The next control message, sealed.
    pub(crate) fn next_message(&mut self, now: Instant) -> Option<Transmit> {
        loop {
            let message = self.next_unsealed(now)?;
            let (to, via) = (message.to, message.via.as_slice());
            let mut payload = Vec::new();
            match self.dataplane.seal_oam(to, via, &message.oam.encode(), &mut payload, now) {
                Ok(address) => return Some(Transmit { to: address, tos: 0, payload }),
                Err(_) => self.settling.unsealed += 1,
            }
        }
    }

    fn next_unsealed(&mut self, now: Instant) -> Option<Message> {
        if let Some(message) = self.settling.messages.pop_front() {
            return Some(message);
        }
        if let Some(PingSend { to, via, oam }) = self.settling.pings.pop_front() {
            return Some(Message { to, via, oam });
        }
        let transmit = self.control.poll_transmit(now)?;
        Some(Message { to: transmit.to, via: transmit.via, oam: transmit.oam })
    }

    fn settle_once(&mut self, now: Instant) -> bool {
        let mut did = false;
        while let Some(event) = self.dataplane.poll_event() {
            did = true;
            self.on_link(event, now);
        }
        while let Some(event) = self.control.poll_event() {
            did = true;
            self.on_control(event, now);
        }
        while let Some(event) = self.control.poll_destination_event() {
            did = true;
            self.on_destination(event, now);
        }
        while let Some(action) = self.payer.poll_action().or_else(|| self.payee.poll_action()) {
            did = true;
            self.on_pay(action, now);
        }
        did
    }

    fn on_link(&mut self, event: Event, now: Instant) {
        match event {
            Event::PeerUp(node) => {
                self.tell_reach(node, now);
                self.settling.event(NodeEvent::PeerUp { node });
            }
            Event::Rekeyed(node) => self.tell_reach(node, now),
            Event::PeerDown(node) => {
                self.control.handle_peer_down(node, now);
                self.settling.event(NodeEvent::PeerDown { node });
            }
            Event::Roamed(_, _) => {}
        }
    }

    /// Tells control how the session with a router goes, which a renewal may have changed.
    fn tell_reach(&mut self, node: NodeId, now: Instant) {
        let is_relayed = self.dataplane.relays(node).is_some_and(|relays| !relays.is_empty());
        let reach = if is_relayed { ControlReach::Relayed } else { ControlReach::Direct };
        self.control.handle_peer_up(node, reach, now);
    }

    fn on_control(&mut self, event: ControlEvent, now: Instant) {
        match event {
            ControlEvent::PolicyChange(change) => self.on_policy(change),
            ControlEvent::SpreadChange(change) => self.on_spread(change),
            ControlEvent::LaneWanted { endpoint, relays } => self.want_lane(endpoint, relays, now),
            ControlEvent::LaneUnwanted { endpoint, relays } => {
                self.payer.unwant(&PathKey { relays, endpoint }, now);
            }
            ControlEvent::ConnectVia { peer, relays } => {
                let reach = if relays.is_empty() { Reach::Direct } else { Reach::Via(relays) };
                self.dataplane.connect(peer, reach, now);
            }
            ControlEvent::CallAgain { peer } => self.dataplane.call_again(peer, now),
            ControlEvent::InnerMtu { endpoint, relays, octets } => {
                self.steering.set_inner_mtu(endpoint, &relays, octets, &mut self.dataplane);
            }
            ControlEvent::Member { .. } => {}
            ControlEvent::SegmentAlarm(alarm) => {
                let (from, change) = (alarm.from, alarm.change);
                self.settling.event(NodeEvent::SegmentChanged { from, change });
            }
            ControlEvent::Reporter { node } => {
                let is_me = node == self.config.node;
                self.settling.event(NodeEvent::Reporter(is_me));
            }
        }
    }

    fn want_lane(&mut self, endpoint: NodeId, relays: Vec<NodeId>, now: Instant) {
        let key = PathKey { relays, endpoint };
        let (hops, terms) = (self.hops(&key), self.terms(&key));
        match (hops, terms, self.config.chain) {
            (Some(hops), Some(terms), Some(_)) => {
                let label = self.fresh_label();
                self.payer.want(label, &hops, terms, now);
            }
            _ => self.tell_lane(&key, LaneState::Refused, now),
        }
    }

    fn hops(&self, path: &PathKey) -> Option<Vec<Hop>> {
        let nodes = path.relays.iter().chain([&path.endpoint]);
        nodes
            .map(|n| self.members.get(n).map(|m| Hop { node: *n, account: m.account_key }))
            .collect()
    }

    /// The lane's price is the dearest hop's; `None` if one of them never carries.
    pub(crate) fn terms(&self, path: &PathKey) -> Option<Terms> {
        let nodes = path.relays.iter().chain([&path.endpoint]);
        let prices: Option<Vec<u64>> = nodes.map(|n| self.members.get(n)?.price).collect();
        let price = prices?.into_iter().max()?;
        Some(Terms { price: Price(price), cap: self.config.lane_cap })
    }

    fn fresh_label(&mut self) -> LaneLabel {
        loop {
            let label = LaneLabel(self.rng.next_u32());
            if label != LaneLabel(0) && !self.payer.uses(label) {
                return label;
            }
        }
    }

    fn on_pay(&mut self, action: PayAction, now: Instant) {
        match action {
            PayAction::Send { to, via, oam } => self.settling.message(to, via, oam),
            PayAction::Open(request) => self.settling.event(NodeEvent::OpenLane(request)),
            PayAction::Close(lane) => self.settling.event(NodeEvent::CloseLane(lane)),
            PayAction::Lookup(lane) => self.settling.event(NodeEvent::LookUpLane(lane)),
            PayAction::Install(terms) => self.serve(&terms),
            PayAction::Raise { label, allowed } => {
                self.dataplane.raise_lane(label, allowed);
            }
            PayAction::Remove(label) => {
                self.dataplane.remove_lane(label);
            }
            PayAction::Phase { path, label, phase } => self.on_phase(path, label, phase, now),
            PayAction::Store(evidence) => self.settling.event(NodeEvent::Store(evidence)),
            PayAction::Settle(evidence) => self.settling.event(NodeEvent::Settle(evidence)),
        }
    }

    fn serve(&mut self, terms: &ServedTerms) {
        let entry = LaneEntry {
            label: terms.label,
            previous: terms.previous,
            next: terms.next,
            octets: Octets(0),
            allowed: terms.allowed,
        };
        if self.dataplane.install_lane(entry).is_err() {
            self.payee.handle_exhausted(terms.label);
        }
    }

    fn on_phase(&mut self, path: PathKey, label: LaneLabel, phase: LanePhase, now: Instant) {
        if phase == LanePhase::Ready {
            self.pay_with(&path, label, now);
        }
        let state = match phase {
            LanePhase::Opening | LanePhase::Ending => LaneState::Pending,
            LanePhase::Ready => LaneState::Ready,
            LanePhase::Stalled | LanePhase::Refused => LaneState::Refused,
        };
        if phase != LanePhase::Ending {
            self.tell_lane(&path, state, now);
        }
        self.settling.tell_phase(path, phase);
    }

    fn tell_lane(&mut self, path: &PathKey, state: LaneState, now: Instant) {
        self.control.handle_lane(path.endpoint, &path.relays, state, now);
    }

    fn tick_pings(&mut self, now: Instant) {
        let outcomes = self.pings.tick(now, self.config.clock, &mut self.settling.pings);
        for outcome in outcomes {
            self.settling.event(NodeEvent::Pinged(outcome));
        }
    }

    fn tick_lanes(&mut self, now: Instant) {
        self.dataplane.fold_fast_path(now);
        let dataplane = &self.dataplane;
        let counted = |label: LaneLabel| dataplane.lane_octets(label).unwrap_or_default();
        self.payer.tick(now, counted);
        let statements = &self.statements;
        self.payee.tick(now, counted, |setup| statements.beside(setup));
        let worn = self.payer.wearing_out(counted);
        let all: u64 = self.dataplane.lanes().map(|(_, meter)| meter.octets.0).sum();
        for (path, terms) in worn {
            if let Some(hops) = self.hops(&path) {
                let label = self.fresh_label();
                self.payer.succeed(label, &hops, terms, now);
            }
        }
        self.forget_unused_lanes();
        self.warn_of_exhausted();
        self.tell_throughput(now);
        self.tell_returns(now);
        let is_busy = all != self.settling.octets_seen;
        self.settling.octets_seen = all;
        self.settling.next_tick = now + if is_busy { TICK_BUSY } else { TICK_IDLE };
    }

    /// Lanes of our own that the payer no longer knows are taken out of the data plane.
    fn forget_unused_lanes(&mut self) {
        let me = self.config.node;
        let own = self.dataplane.lanes().filter(|(entry, _)| entry.previous == me);
        let gone: Vec<_> =
            own.map(|(entry, _)| entry.label).filter(|label| !self.payer.uses(*label)).collect();
        for label in gone {
            self.dataplane.remove_lane(label);
        }
    }

    fn warn_of_exhausted(&mut self) {
        let me = self.config.node;
        let used_up = |allowed: Octets, used: Octets| used.0 + ALLOWANCE_MARGIN >= allowed.0;
        let served = self.dataplane.lanes().filter(|(entry, _)| entry.previous != me);
        let labels: Vec<_> = served
            .filter(|(entry, meter)| used_up(entry.allowed, meter.octets))
            .map(|(entry, _)| entry.label)
            .collect();
        for label in labels {
            self.payee.handle_exhausted(label);
        }
    }

    /// Tells control how fast the lanes served here lately were, so that each hop of a path can say it (W29).
    fn tell_throughput(&mut self, now: Instant) {
        let elapsed = now.since(self.settling.rated_at);
        if elapsed < RATE_WINDOW {
            return;
        }
        self.settling.rated_at = now;
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        let served: Vec<_> = self.payee.views().filter(|lane| lane.serving).collect();
        let mut rated = BTreeMap::new();
        for lane in served {
            let before = self.settling.rated.get(&lane.label).copied().unwrap_or(lane.octets);
            let rate = lane.octets.0.saturating_sub(before.0).saturating_mul(1_000) / millis;
            rated.insert(lane.label, lane.octets);
            if let Some(path) = observed_key(&lane.path, self.config.node) {
                self.control.set_throughput(path, rate, now);
            }
        }
        self.settling.rated = rated;
    }

    /// Tells control who gets packets straight from here, so that their path is asked what it carries.
    fn tell_returns(&mut self, now: Instant) {
        if now < self.settling.next_returns {
            return;
        }
        self.settling.next_returns = now + RATE_WINDOW;
        let sealed: BTreeMap<_, _> =
            self.dataplane.meters().map(|(node, meter)| (node, meter.sealed.octets)).collect();
        let before = core::mem::take(&mut self.settling.sealed);
        let grew = |node: &NodeId, octets: u64| before.get(node).is_some_and(|old| *old < octets);
        for (node, _) in sealed.iter().filter(|(node, octets)| grew(node, **octets)) {
            self.control.note_return(*node, now);
        }
        self.settling.sealed = sealed;
    }

    /// Signs the counters of links that moved, once per pulse.
    fn state_links(&mut self, now: Instant) {
        if now < self.settling.next_statements || self.config.chain.is_none() {
            return;
        }
        self.settling.next_statements = now + self.config.pulse_interval;
        let totals = self.dataplane.totals();
        let total = PeerOctets { received: totals.link_in.octets, sent: totals.link_out.octets };
        let links: Vec<_> = self
            .dataplane
            .meters()
            .filter(|(_, meter)| {
                meter.relayed.octets + meter.delivered.octets + meter.sealed.octets > 0
            })
            .map(|(node, m)| {
                (node, PeerOctets { received: m.link_in.octets, sent: m.link_out.octets })
            })
            .collect();
        for (node, link) in links {
            let Some(member) = self.members.get(&node) else { continue };
            if let Some(statement) = self.statements.state(node, member.account_key, link, total) {
                self.settling.message(node, Vec::new(), Oam::LinkStatement(statement));
            }
        }
    }

    fn note_matrix(&mut self, now: Instant) {
        if !self.settling.was_complete
            && self.members.len() > 1
            && self.control.matrix(now).is_full()
        {
            self.settling.was_complete = true;
            self.settling.event(NodeEvent::MatrixComplete);
        }
    }
}

/// The path from the headend up to `me`, from all nodes of a path.
fn observed_key(path: &[NodeId], me: NodeId) -> Option<ObservedKey> {
    let at = path.iter().position(|node| *node == me)?;
    let relays = Relays::new(path.get(1..at)?.to_vec())?;
    Some(ObservedKey { headend: *path.first()?, relays, endpoint: me })
}
