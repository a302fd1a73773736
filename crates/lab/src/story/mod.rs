//! A story: the events of a scenario happen to a running lab, and what comes of it is judged.
//!
//! One loop on one thread: what is due happens, what changed is told, then a short sleep. Flows and routers
//! are watched by threads of their own, which only write down what they see.

pub mod coins;
mod flow;
mod watch;

pub use srwan_scenario::{judge, record, report};

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::fabric::control::Request;
use crate::lab::Lab;
use crate::plan::Plan;
use crate::scenario::{Action, Direction, Event, Flow, Impairment, NodeName, Role, Scenario, Way};

use coins::LedgerView;
use flow::Transfer;
use judge::{Outcome, Verdict, seconds};
use record::{Coins, Record};
use watch::{Watch, Watched};

/// How a story is told.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    /// JSON objects instead of sentences.
    pub json: bool,
    /// The lab goes on after the story, so routers are not stopped to settle.
    pub keep: bool,
}

/// How a story ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All expectations held.
    Held,
    /// At least one did not.
    Failed,
    /// The machine was too slow for the figures to mean anything.
    Inconclusive,
    /// Someone stopped it.
    Interrupted,
}

impl Ending {
    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Held => "all expectations held",
            Self::Failed => "FAILED: at least one expectation did not hold",
            Self::Inconclusive => {
                "inconclusive: this machine was too slow for the figures to mean anything"
            }
            Self::Interrupted => "interrupted",
        }
    }

    /// The process exit code: 0 ok, 1 failed, 8 timeout for a machine too slow; 130 as shells have it.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Held => 0,
            Self::Failed => 1,
            Self::Inconclusive => 8,
            Self::Interrupted => 130,
        }
    }
}

/// Runs a scenario's events, flows and expectations on a running lab.
pub fn tell(lab: &mut Lab, telling: Telling) -> Result<Ending> {
    let mut story = Story::new(lab, telling);
    let finished = story.run();
    story.finish()?;
    let scenario = story.lab.plan().scenario.clone();
    let verdicts = judge::judge(&scenario, &story.record);
    story.print_report(&scenario, &verdicts);
    let failed = verdicts.iter().any(|verdict| verdict.outcome == Outcome::Failed);
    Ok(match (finished, story.record.is_conclusive(), failed || !story.record.faults.is_empty()) {
        (false, _, _) => Ending::Interrupted,
        (true, false, _) => Ending::Inconclusive,
        (true, true, true) => Ending::Failed,
        (true, true, false) => Ending::Held,
    })
}

struct Story<'a> {
    lab: &'a mut Lab,
    telling: Telling,
    origin: Instant,
    watch: Option<Watch>,
    transfers: Vec<Transfer>,
    ledger: Option<LedgerView>,
    record: Record,
    told_complete: usize,
}

impl<'a> Story<'a> {
    fn new(lab: &'a mut Lab, telling: Telling) -> Self {
        let origin = Instant::now();
        let routers = if lab.has_daemons() { watched(lab) } else { Vec::new() };
        let mut record = Record { routers: routers.len(), ..Record::default() };
        let watch = (!routers.is_empty()).then(|| Watch::start(routers, origin));
        let ledger = watch.as_ref().and_then(|_| LedgerView::of(lab.place(), lab.plan()).ok());
        if let Some(Ok(before)) = ledger.as_ref().map(LedgerView::sums) {
            record.coins = Some(Coins { before, ..Coins::default() });
        }
        Self {
            lab,
            telling,
            origin,
            watch,
            transfers: Vec::new(),
            ledger,
            record,
            told_complete: 0,
        }
    }

    /// Lets everything happen; `false` = interrupted.
    fn run(&mut self) -> bool {
        let scenario = self.lab.plan().scenario.clone();
        self.tell_line("start", &format!("{}: {}", scenario.name, scenario.title));
        let (mut events, mut flows) =
            (scenario.events.iter().peekable(), sorted(&scenario).into_iter().peekable());
        while self.origin.elapsed() < scenario.duration {
            let now = self.origin.elapsed();
            while let Some(flow) = flows.next_if(|flow| flow.start <= now) {
                self.start_flow(flow);
            }
            while let Some(event) = events.next_if(|event| event.at <= now) {
                self.happen(event);
            }
            self.stop_flows(now);
            self.tell_changes();
            if self.lab.interrupted() {
                return false;
            }
            thread::sleep(TICK);
        }
        true
    }

    fn start_flow(&mut self, flow: &Flow) {
        match Transfer::start(self.lab, flow, self.origin) {
            Ok(transfer) => {
                self.tell_line(
                    "flow",
                    &format!("{}: {} -> {} starts", flow.name, flow.from, flow.to),
                );
                self.transfers.push(transfer);
            }
            Err(error) => self.fault(&format!("flow {}: {error:#}", flow.name)),
        }
    }

    fn stop_flows(&mut self, now: Duration) {
        for transfer in self.transfers.iter_mut().filter(|transfer| transfer.flow.end <= now) {
            transfer.stop(self.origin);
        }
    }

    fn happen(&mut self, event: &Event) {
        let done = self.act(&event.action);
        let at = self.origin.elapsed();
        self.record.events.insert(event.label.clone(), at);
        self.tell_line("event", &format!("{}: {}", event.label, event.action.text()));
        if let Err(error) = done {
            self.fault(&format!("event {}: {error:#}", event.label));
        }
    }

    fn act(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Congest { links, impairment } => self.impair(links, impairment.clone()),
            Action::Fail { links } => self.impair(links, Impairment::blackhole()),
            Action::Heal { links } => self.lab.fabric(&Request::Heal { links: links.clone() }),
            Action::Cut { flow, way } => self.cut(flow, *way),
            Action::Kill { node } => self.signal(node, Signal::SIGKILL),
            Action::Stop { node } => self.signal(node, Signal::SIGTERM),
            Action::Pause { node } => self.signal(node, Signal::SIGSTOP),
            Action::Resume { node } => self.signal(node, Signal::SIGCONT),
            Action::Start { node } if self.lab.has_daemons() => self.lab.restart(node),
            Action::Wipe { node } if self.lab.has_daemons() => self.lab.wipe(node),
            Action::Start { .. } | Action::Wipe { .. } => Ok(()),
            Action::Exec { node, command } => self.exec(node, command),
        }
    }

    fn impair(&mut self, links: &[Direction], fault: Impairment) -> Result<()> {
        self.lab.fabric(&Request::Impair { links: links.to_vec(), fault })
    }

    /// The first link of the path that the headend says it uses; the direct one without an answer.
    fn cut(&mut self, flow: &str, way: Way) -> Result<()> {
        let scenario = &self.lab.plan().scenario;
        let key = judge::route_key(scenario, flow, way).context("the parser checked the flow")?;
        let seen = self.watch.as_ref().map(Watch::seen).unwrap_or_default();
        let latest = seen.routes.get(&key).and_then(|routes| routes.last());
        let relay = latest.and_then(|latest| latest.route.relays().first().cloned());
        let (_, target) = scenario.way_ends(flow, way).context("the parser checked the flow")?;
        let endpoint = scenario.site_of(target).to_string();
        let (from, to) = (NodeName::new(&key.headend)?, NodeName::new(&relay.unwrap_or(endpoint))?);
        self.tell_line("cut", &format!("{from} <-> {to} carries nothing"));
        let there = Direction { from: from.clone(), to: to.clone() };
        self.impair(&[there, Direction { from: to, to: from }], Impairment::blackhole())
    }

    fn signal(&mut self, node: &NodeName, signal: Signal) -> Result<()> {
        if !self.lab.has_daemons() {
            return Ok(());
        }
        self.lab.process(node).context("no process on that node")?.signal(signal);
        Ok(())
    }

    fn exec(&mut self, node: &NodeName, command: &[String]) -> Result<()> {
        let mut running = self.lab.order(node, "exec", command.to_vec()).start()?;
        let gone = running.wait_gone(Instant::now() + EXEC_WAIT);
        let status = running.ended();
        anyhow::ensure!(
            gone && status.is_some_and(|status| status.success()),
            "`{}` failed",
            command.join(" ")
        );
        Ok(())
    }

    fn tell_changes(&mut self) {
        let Some(watch) = &self.watch else { return };
        let (fresh, seen) = (watch.fresh(), watch.seen());
        for (key, change) in fresh {
            let line = report::change_line(
                &key.headend,
                &key.target,
                change.at,
                &change.route,
                &change.reason,
            );
            self.tell_line("path", line.trim_start());
        }
        if seen.complete.len() > self.told_complete {
            self.told_complete = seen.complete.len();
            if self.told_complete == self.record.routers {
                let last = seen.complete.values().max().copied().unwrap_or_default();
                self.tell_line(
                    "matrix",
                    &format!("complete at all routers after {}", seconds(last)),
                );
            }
        }
    }

    /// Ends flows, lets routers settle, and reads what is left to read.
    fn finish(&mut self) -> Result<()> {
        for transfer in &mut self.transfers {
            transfer.stop(self.origin);
            self.record.flows.insert(transfer.flow.name.clone(), transfer.log());
        }
        let stats = self.lab.stats()?;
        self.record.lateness = vec![stats.delivery, stats.pickup];
        self.read_matrix();
        if let Some(watch) = self.watch.take() {
            let seen = watch.seen();
            (self.record.routes, self.record.complete) = (seen.routes, seen.complete);
        }
        self.note_fallen();
        let held = self.held();
        if !self.telling.keep {
            self.lab.end_routers();
        }
        self.read_coins(&held);
        Ok(())
    }

    /// Each router is asked for its own column: the delays that it measures as receiver.
    fn read_matrix(&mut self) {
        let routers: Vec<NodeName> = self
            .lab
            .plan()
            .scenario
            .with_role(Role::Router)
            .map(|node| node.name.clone())
            .collect();
        for router in routers.iter().filter(|_| self.watch.is_some()) {
            let cells = watch::owd_cells(&admin_socket(self.lab, router)).unwrap_or_default();
            let own = cells.into_iter().filter(|((_, to), _)| to == router.as_str());
            self.record.owd.extend(own);
        }
    }

    /// A daemon that ended without an event saying so is a fault, whatever else held.
    fn note_fallen(&mut self) {
        let scenario = self.lab.plan().scenario.clone();
        let meant = |name: &str| {
            scenario.events.iter().any(|event| match &event.action {
                Action::Kill { node } | Action::Stop { node } => node.as_str() == name,
                Action::Congest { .. }
                | Action::Fail { .. }
                | Action::Heal { .. }
                | Action::Cut { .. }
                | Action::Pause { .. }
                | Action::Resume { .. }
                | Action::Start { .. }
                | Action::Wipe { .. }
                | Action::Exec { .. } => false,
            })
        };
        for (name, status) in self.lab.fallen().into_iter().filter(|(name, _)| !meant(name)) {
            self.fault(&format!("{name} ended by itself: {status}"));
        }
    }

    /// Octets that payees have evidence for, by lane: all of it must be settled in the end.
    fn held(&self) -> BTreeMap<String, u64> {
        let mut held = BTreeMap::new();
        let routers = self.lab.plan().scenario.with_role(Role::Router);
        for router in routers.filter(|_| self.ledger.is_some()) {
            let lanes = watch::held(&admin_socket(self.lab, &router.name)).unwrap_or_default();
            for (lane, octets) in lanes {
                let most: &mut u64 = held.entry(lane).or_default();
                *most = octets.max(*most);
            }
        }
        held
    }

    fn read_coins(&mut self, held: &BTreeMap<String, u64>) {
        let (Some(ledger), Some(coins)) = (&self.ledger, &mut self.record.coins) else { return };
        let read = ledger.settled_accounts().and_then(|accounts| {
            self.record.ledgers = ledger.tips();
            Ok((accounts, ledger.sums()?, ledger.lanes(held)?))
        });
        match read {
            Ok((accounts, after, lanes)) => {
                (coins.accounts, coins.after, self.record.lanes) = (accounts, after, lanes);
            }
            Err(error) => self.record.faults.push(format!("the ledger: {error:#}")),
        }
    }

    fn fault(&mut self, what: &str) {
        self.tell_line("fault", what);
        self.record.faults.push(what.to_owned());
    }

    fn tell_line(&self, kind: &str, text: &str) {
        let now = self.origin.elapsed();
        if self.telling.json {
            println!("{}", json!({"line": kind, "t_s": now.as_secs_f64(), "text": text}));
        } else {
            println!("{:>7.2}s {kind:6} {text}", now.as_secs_f64());
        }
    }

    fn print_report(&self, scenario: &Scenario, verdicts: &[Verdict]) {
        if self.telling.json {
            println!("{}", report::json(SCHEMA, scenario, &self.record, verdicts));
        } else {
            print!("{}", report::text(scenario, &self.record, verdicts));
        }
    }
}

/// Flows by time of start.
fn sorted(scenario: &Scenario) -> Vec<&Flow> {
    let mut flows: Vec<&Flow> = scenario.flows.iter().collect();
    flows.sort_by_key(|flow| flow.start);
    flows
}

fn watched(lab: &Lab) -> Vec<Watched> {
    let plan = lab.plan();
    let router = |name: &NodeName| Watched {
        name: name.to_string(),
        socket: admin_socket(lab, name),
        targets: targets(plan, name),
    };
    plan.scenario.with_role(Role::Router).map(|node| router(&node.name)).collect()
}

/// Receivers of flows that a router is headend for.
fn targets(plan: &Plan, router: &NodeName) -> Vec<(String, std::net::IpAddr)> {
    let ways = plan.scenario.flows.iter().flat_map(|flow| [(flow, Way::There), (flow, Way::Back)]);
    let headed = ways.filter(|(flow, way)| {
        plan.scenario.headend(&flow.name, *way).is_some_and(|headend| headend.name == *router)
    });
    let target = headed.filter_map(|(flow, way)| {
        let (_, target) = plan.scenario.way_ends(&flow.name, way)?;
        Some((target.name.to_string(), plan.address(&target.name)?))
    });
    let mut targets: Vec<_> = target.collect();
    targets.sort();
    targets.dedup();
    targets
}

fn admin_socket(lab: &Lab, router: &NodeName) -> std::path::PathBuf {
    lab.place().state(router).join(ADMIN_SOCKET)
}

/// Name of the form of the report.
const SCHEMA: &str = "srwan.lab.report/1";
/// Where routers answer, below their state directory.
const ADMIN_SOCKET: &str = "router.sock";
/// Events are at most this late.
const TICK: Duration = Duration::from_millis(20);
/// Commands of a scenario are short.
const EXEC_WAIT: Duration = Duration::from_secs(10);
