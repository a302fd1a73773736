//! A scenario file run in virtual time: the same events, flows and expectations as in the lab, judged by the same code.
//!
//! - `refusal`: what a simulation has not, found before anything runs
//! - `cast`: the routers of the file as the routers of a world
//! - `transfer`, `tcp`: hosts and their connections
//! - `routes`, `coins`: what headends and the ledger say, as the judge reads it
//! - `samples`: delays and coins over time, for people
//! - `page`, `plot`: the story as a page to look at
//!
//! Like every machine here it has no clock: whoever runs it calls [`Story::run`] as far as it likes, and reads the
//! lines. A story begins when all routers start; in the lab it begins when they are ready, a second later.

pub mod cast;
pub mod coins;
pub mod page;
pub mod plot;
pub mod refusal;
pub mod routes;
pub mod samples;
pub mod tcp;
pub mod transfer;

use crate::world::World;
use cast::Cast;
use refusal::Refusal;
use routes::Routes;
use samples::Samples;
use srwan_scenario::judge::{self, Outcome, Verdict, seconds};
use srwan_scenario::record::{FlowLog, Record, Sums};
use srwan_scenario::report;
use srwan_scenario::{Action, Direction, Event, Flow, Impairment, NodeName, Scenario, Way};
use srwan_wire::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;
use transfer::{End, Transfer};

/// Flows and matrices are looked at this often, as in the lab.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);

/// After the story: what lanes need to be settled, five blocks and the answers to them.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Time of the story.
    pub at: Duration,
    /// `start`, `flow`, `event`, `cut`, `path`, `matrix`, `note`.
    pub kind: &'static str,
    /// What.
    pub text: String,
}

/// A scenario on its way.
pub struct Story {
    scenario: Scenario,
    cast: Cast,
    world: World,
    origin: Instant,
    coins_before: Sums,
    events: Vec<Event>,
    flows: Vec<Flow>,
    transfers: Vec<Transfer>,
    routes: Routes,
    record: Record,
    samples: Samples,
    next_sample: Instant,
    lines: Vec<Line>,
}

/// How a story ended.
#[derive(Clone, Debug)]
pub struct Told {
    /// What was told.
    pub scenario: Scenario,
    /// What was seen.
    pub record: Record,
    /// The judgement.
    pub verdicts: Vec<Verdict>,
    /// Delays and coins over time.
    pub samples: Samples,
    /// Two runs with the same one are the same.
    pub audit: String,
}

impl Told {
    /// Whether all expectations held.
    #[must_use]
    pub fn holds(&self) -> bool {
        let failed = self.verdicts.iter().any(|verdict| verdict.outcome != Outcome::Held);
        !failed && self.record.faults.is_empty()
    }
}

impl Story {
    /// A story that has not begun; `seed` is of every draw.
    ///
    /// **Errors:** the scenario needs what only the lab has.
    pub fn new(scenario: &Scenario, seed: u64) -> Result<Self, Refusal> {
        refusal::check(scenario)?;
        let cast = Cast::of(scenario);
        let world = cast.world(scenario, seed)?;
        // Both are taken from the end.
        let mut events = scenario.events.clone();
        events.reverse();
        let mut flows = scenario.flows.clone();
        flows.sort_by_key(|flow| std::cmp::Reverse(flow.start));
        let mut story = Self {
            routes: Routes::of(scenario, &cast),
            record: Record { routers: cast.len(), ..Record::default() },
            samples: Samples::default(),
            origin: world.now(),
            coins_before: coins::sums(&world.bank),
            next_sample: world.now(),
            lines: Vec::new(),
            transfers: Vec::new(),
            scenario: scenario.clone(),
            cast,
            world,
            events,
            flows,
        };
        story.tell("start", format!("{}: {} (seed {seed})", scenario.name, scenario.title));
        Ok(story)
    }

    /// Lets the story go on until this time of its own, or to its end; whether it goes on after it.
    pub fn run(&mut self, until: Duration) -> bool {
        let until = self.origin + until.min(self.scenario.duration);
        while self.world.now() < until {
            let due = self.next_due().min(until);
            self.world.advance(due);
            self.react();
        }
        self.now() < self.scenario.duration
    }

    /// What was told since the last call.
    pub fn take_lines(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }

    /// Ends flows, lets the routers settle, and judges.
    #[must_use]
    pub fn finish(mut self) -> Told {
        let now = self.world.now();
        for transfer in &mut self.transfers {
            transfer.end(now);
        }
        self.read_matrix();
        let held = coins::held(&self.world, &self.cast);
        self.settle();
        self.record.coins = Some(coins::coins(self.coins_before.clone(), &self.world, &self.cast));
        self.record.lanes = coins::lanes(&self.world.bank, &held);
        self.record.routes = self.routes.seen().clone();
        let logs = self.transfers.iter().map(|one| (one.flow().name.clone(), one.log().clone()));
        self.record.flows = logs.collect::<BTreeMap<String, FlowLog>>();
        let verdicts = judge::judge(&self.scenario, &self.record);
        let audit = self.world.audit.hash().to_string();
        let Self { scenario, record, samples, .. } = self;
        Told { scenario, record, verdicts, samples, audit }
    }

    fn now(&self) -> Duration {
        self.world.now().since(self.origin)
    }

    fn tell(&mut self, kind: &'static str, text: String) {
        let at = self.now();
        self.lines.push(Line { at, kind, text });
    }

    /// When hosts, events or flows are due next.
    fn next_due(&self) -> Instant {
        let now = self.world.now();
        let running = self.transfers.iter().filter(|transfer| !transfer.is_over());
        let packets = running.clone().filter_map(|transfer| transfer.poll_timeout(now));
        let ends = running.map(|transfer| self.origin + transfer.flow().end);
        let event = self.events.last().map(|event| self.origin + event.at);
        let flow = self.flows.last().map(|flow| self.origin + flow.start);
        let due = packets.chain(ends).chain(event).chain(flow);
        due.fold(self.next_sample, Instant::min)
    }

    /// Everything that is due at this moment.
    fn react(&mut self) {
        self.take_deliveries();
        self.take_log();
        let now = self.now();
        while let Some(flow) = self.flows.pop_if(|flow| flow.start <= now) {
            self.start_flow(&flow);
        }
        while let Some(event) = self.events.pop_if(|event| event.at <= now) {
            self.happen(&event);
        }
        self.send_packets();
        self.take_log();
        if self.next_sample <= self.world.now() {
            self.next_sample = self.world.now() + SAMPLE_EVERY;
            self.sample();
        }
    }

    fn start_flow(&mut self, flow: &Flow) {
        let number = u16::try_from(self.transfers.len()).unwrap_or(u16::MAX);
        self.transfers.push(Transfer::start(number, flow, self.origin, self.world.now()));
        self.tell("flow", format!("{}: {} -> {} starts", flow.name, flow.from, flow.to));
    }

    fn take_deliveries(&mut self) {
        let now = self.world.now();
        for delivered in std::mem::take(&mut self.world.delivered) {
            let payload = delivered.packet.get(HOST_HEADER_OCTETS..).unwrap_or_default();
            let number = Transfer::number_of(payload).map(usize::from);
            let Some(transfer) = number.and_then(|at| self.transfers.get_mut(at)) else { continue };
            let Some((starter, _)) = self.cast.ends(&self.scenario, transfer.flow()) else {
                continue;
            };
            let end = if delivered.router == starter { End::Starter } else { End::Answerer };
            if !transfer.is_over() {
                transfer.handle_packet(end, payload, now);
            }
        }
    }

    fn send_packets(&mut self) {
        for at in 0..self.transfers.len() {
            self.send_packets_of(at);
        }
    }

    fn send_packets_of(&mut self, at: usize) {
        let now = self.world.now();
        let transfer = &mut self.transfers[at];
        if !transfer.is_over() && self.origin + transfer.flow().end <= now {
            transfer.end(now);
        }
        let Some((starter, answerer)) = self.cast.ends(&self.scenario, transfer.flow()) else {
            return;
        };
        while let Some(packet) = transfer.poll_packet(now).filter(|_| !transfer.is_over()) {
            let (from, to) = match packet.from {
                End::Starter => (starter, answerer),
                End::Answerer => (answerer, starter),
            };
            self.world.host_sends(from, to, &packet.payload);
        }
    }

    fn take_log(&mut self) {
        let log = std::mem::take(&mut self.world.log);
        self.routes.handle_log(&log, &self.cast, self.origin);
        for (key, seen) in self.routes.take_fresh() {
            let line =
                report::change_line(&key.headend, &key.target, seen.at, &seen.route, &seen.reason);
            self.tell("path", line.trim_start().to_owned());
        }
    }

    fn sample(&mut self) {
        let now = self.world.now();
        self.transfers.iter_mut().filter(|one| !one.is_over()).for_each(|one| one.sample(now));
        self.look_at_matrices();
        let at = self.now();
        self.samples.take(&self.world, &self.cast, self.routes.watched(), at);
    }

    fn look_at_matrices(&mut self) {
        if self.record.complete.len() == self.cast.len() {
            return;
        }
        let at = self.now();
        for place in 0..self.cast.len() {
            let name = self.cast.name(place).to_string();
            let is_known = self.record.complete.contains_key(&name);
            if !is_known && self.world.is_running(place) && self.world.view(place).matrix.is_full()
            {
                self.record.complete.insert(name, at);
            }
        }
        if self.record.complete.len() == self.cast.len() {
            self.tell("matrix", format!("complete at all routers after {}", seconds(at)));
        }
    }

    // ---- events -----------------------------------------

    fn happen(&mut self, event: &Event) {
        let at = self.now();
        self.record.events.insert(event.label.clone(), at);
        self.tell("event", format!("{}: {}", event.label, event.action.text()));
        match &event.action {
            Action::Congest { links, impairment } => self.impair(links, Some(impairment)),
            Action::Fail { links } => self.impair(links, Some(&Impairment::blackhole())),
            Action::Heal { links } => self.heal(links),
            Action::Cut { flow, way } => self.cut(flow, *way),
            Action::Kill { node } => self.kill(node),
            Action::Start { node } => self.start(node),
            Action::Stop { .. }
            | Action::Pause { .. }
            | Action::Resume { .. }
            | Action::Wipe { .. }
            | Action::Exec { .. } => {
                let what = format!("event {}: not simulated", event.label);
                self.record.faults.push(what);
            }
        }
    }

    /// Links of the controller and the ledger are none of a simulation: it has no such machines.
    fn impair(&mut self, links: &[Direction], fault: Option<&Impairment>) {
        for link in links {
            let ends = self.cast.place(&link.from).zip(self.cast.place(&link.to));
            let link = ends.and_then(|(from, to)| self.world.net.shaped(from, to));
            link.into_iter().for_each(|link| link.set_fault(fault.cloned()));
        }
    }

    fn heal(&mut self, links: &[Direction]) {
        if !links.is_empty() {
            return self.impair(links, None);
        }
        for (from, to) in pairs(self.cast.len()) {
            let link = self.world.net.shaped(from, to);
            link.into_iter().for_each(|link| link.set_fault(None));
        }
    }

    /// The first link of the path in use, both directions.
    fn cut(&mut self, flow: &str, way: Way) {
        let ends = judge::route_key(&self.scenario, flow, way);
        let target = self.scenario.way_ends(flow, way).map(|(_, target)| target);
        let Some((key, target)) = ends.zip(target) else { return };
        let relay = self.routes.route(&key).relays().first().cloned();
        let next = relay.unwrap_or_else(|| self.scenario.site_of(target).to_string());
        let names = NodeName::new(&key.headend).ok().zip(NodeName::new(&next).ok());
        let Some((from, to)) = names else { return };
        self.tell("cut", format!("{from} <-> {to} carries nothing"));
        let there = Direction { from: from.clone(), to: to.clone() };
        self.impair(&[there, Direction { from: to, to: from }], Some(&Impairment::blackhole()));
    }

    fn kill(&mut self, node: &NodeName) {
        let Some(place) = self.cast.place(node) else { return };
        self.world.kill(place);
        let at = self.now();
        self.routes.handle_death(place, at);
    }

    /// The router finds the handshake timestamp of its last start on its disk.
    fn start(&mut self, node: &NodeName) {
        let Some(place) = self.cast.place(node) else { return };
        self.world.start_again(place, 0);
    }

    // ---- the end -----------------------------------------

    /// Each router is asked for its own column: the delays that it measures as receiver.
    fn read_matrix(&mut self) {
        for to in (0..self.cast.len()).filter(|place| self.world.is_running(*place)) {
            let view = self.world.view(to);
            for from in (0..self.cast.len()).filter(|from| *from != to) {
                let Some(source) = routes::node_at(from) else { continue };
                let target = view.node;
                let Some(cell) = view.matrix.between(source, target) else { continue };
                let owd = cell.delay.map_or(cell.cell.raw, |delay| delay.value);
                let names = (self.cast.name(from).to_string(), self.cast.name(to).to_string());
                self.record.owd.extend(owd.to_duration().map(|owd| (names, owd)));
            }
        }
    }

    fn settle(&mut self) {
        let now = self.world.now();
        for place in 0..self.cast.len() {
            if self.world.is_running(place) {
                self.world.router(place).drain(now);
            }
        }
        self.world.run(SETTLE_WITHIN);
    }
}

/// Octets of the IPv4 and UDP headers that a simulated host writes.
const HOST_HEADER_OCTETS: usize = 28;

fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |from| (0..count).map(move |to| (from, to)))
}
