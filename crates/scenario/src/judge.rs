//! Whether an expectation held, and the figures that say so. Pure: looks at the record alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::{Action, Expect, ExpectKind, Scenario, Way, Window};

use super::record::{
    FlowEnd, FlowLog, KindCount, LaneSettled, LedgerTip, Record, Route, RouteKey, SettledStep,
};

/// The judgement on one expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The kind and what it is about.
    pub what: String,
    pub outcome: Outcome,
    /// The measured figures beside the wanted ones.
    pub figures: String,
}

/// How it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Held,
    Failed,
    /// Nothing to look at: the flow's program is not installed.
    Skipped,
}

/// Judges all expectations of a scenario.
pub fn judge(scenario: &Scenario, record: &Record) -> Vec<Verdict> {
    let bench = Bench { scenario, record };
    scenario.expects.iter().map(|expect| bench.verdict(expect)).collect()
}

/// The two ends of a way of a flow.
pub fn route_key(scenario: &Scenario, flow: &str, way: Way) -> Option<RouteKey> {
    let headend = scenario.headend(flow, way)?;
    let (_, target) = scenario.way_ends(flow, way)?;
    Some(RouteKey { headend: headend.name.to_string(), target: target.name.to_string() })
}

struct Bench<'a> {
    scenario: &'a Scenario,
    record: &'a Record,
}

type Finding = (bool, String);

impl Bench<'_> {
    fn verdict(&self, expect: &Expect) -> Verdict {
        let kind = &expect.kind;
        let subject = self.subject(kind);
        let what = format!("{} {subject}", kind.word()).trim_end().to_owned();
        if let Some(why) = self.skipped(&subject) {
            return Verdict { what, outcome: Outcome::Skipped, figures: why };
        }
        let (held, figures) = self.finding(kind);
        Verdict { what, outcome: if held { Outcome::Held } else { Outcome::Failed }, figures }
    }

    fn subject(&self, kind: &ExpectKind) -> String {
        match kind {
            ExpectKind::UsesRelays { flow, .. }
            | ExpectKind::UsesDefault { flow, .. }
            | ExpectKind::Relayed { flow, .. }
            | ExpectKind::TcpSurvives { flow, .. }
            | ExpectKind::Intact { flow, .. }
            | ExpectKind::FlowMoves { flow, .. }
            | ExpectKind::Throughput { flow, .. }
            | ExpectKind::RoundTrip { flow, .. }
            | ExpectKind::Failover { flow, .. }
            | ExpectKind::SwitchesAtMost { flow, .. } => flow.clone(),
            ExpectKind::Owd { from, to, .. } => format!("{from} to {to}"),
            ExpectKind::RelayEarned { node: Some(node) } => node.to_string(),
            ExpectKind::RelayEarned { node: None }
            | ExpectKind::MatrixComplete { .. }
            | ExpectKind::CoinsConserved
            | ExpectKind::SettledOnce
            | ExpectKind::LedgersAgree => String::new(),
        }
    }

    fn skipped(&self, flow: &str) -> Option<String> {
        match self.record.flows.get(flow)?.end.as_ref()? {
            FlowEnd::Skipped { why } => Some(why.clone()),
            FlowEnd::Lived | FlowEnd::Broke { .. } => None,
        }
    }

    fn finding(&self, kind: &ExpectKind) -> Finding {
        match kind {
            ExpectKind::MatrixComplete { within } => self.matrix(*within),
            ExpectKind::UsesRelays { flow, after, within, relays_min, via, way } => {
                let via: Vec<&str> = via.iter().map(|name| name.as_str()).collect();
                let fits = |route: &Route| {
                    let relays = route.relays();
                    let passes = |name: &&str| relays.iter().any(|relay| relay == name);
                    relays.len() >= usize::from(*relays_min) && via.iter().all(passes)
                };
                self.route(flow, *way, Since { after: after.as_deref(), within: *within }, fits)
            }
            ExpectKind::UsesDefault { flow, after, within, way } => {
                let fits = |route: &Route| route.relays().is_empty();
                self.route(flow, *way, Since { after: after.as_deref(), within: *within }, fits)
            }
            ExpectKind::Relayed { flow, window, share_min, way } => {
                self.relayed(route_key(self.scenario, flow, *way).as_ref(), *window, *share_min)
            }
            ExpectKind::TcpSurvives { flow, stall_max } => self.survives(flow, *stall_max),
            ExpectKind::Intact { flow, lost_max } => self.flow(flow, |log| intact(log, *lost_max)),
            ExpectKind::FlowMoves { flow, after, within } => self.moves(flow, after, *within),
            ExpectKind::Throughput { flow, window, mbps_min } => {
                self.flow(flow, |log| throughput(log, *window, *mbps_min))
            }
            ExpectKind::RoundTrip { flow, window, ms_max } => {
                self.flow(flow, |log| round_trip(log, *window, *ms_max))
            }
            ExpectKind::Owd { from, to, owd, tolerance } => {
                self.owd((from.to_string(), to.to_string()), *owd, *tolerance)
            }
            ExpectKind::SwitchesAtMost { flow, count, way } => self.switches(flow, *way, *count),
            ExpectKind::Failover { flow, way, p50, max } => {
                self.failover(flow, *way, Limits { p50: *p50, max: *max })
            }
            ExpectKind::CoinsConserved => self.conserved(),
            ExpectKind::SettledOnce => settled_once(&self.record.lanes),
            ExpectKind::LedgersAgree => ledgers_agree(&self.record.ledgers),
            ExpectKind::RelayEarned { node } => {
                self.earned(node.as_ref().map(|node| node.as_str()))
            }
        }
    }

    fn matrix(&self, within: Duration) -> Finding {
        let complete = &self.record.complete;
        let last = complete.values().max().copied().unwrap_or_default();
        let held = complete.len() == self.record.routers && last <= within;
        let count = format!("{} of {} routers", complete.len(), self.record.routers);
        (held, format!("{count}, the last at {}, wanted by {}", seconds(last), seconds(within)))
    }

    fn route(&self, flow: &str, way: Way, since: Since, fits: impl Fn(&Route) -> bool) -> Finding {
        let Some(from) = self.time_of(since.after) else {
            return (false, "the event before it did not happen".to_owned());
        };
        let Some(key) = route_key(self.scenario, flow, way) else {
            return (false, "no router sends it".to_owned());
        };
        let wanted = format!("wanted within {}", seconds(since.within));
        match self.record.route_when(&key, from, fits) {
            Some((at, route)) => {
                let took = at - from;
                let what = format!("{} {} after {}", route.text(), seconds(took), since.name());
                (took <= since.within, format!("{what}, {wanted}"))
            }
            None => {
                let route = self.record.route_at(&key, self.scenario.duration);
                (false, format!("never; at the end {}, {wanted}", route.text()))
            }
        }
    }

    fn relayed(&self, key: Option<&RouteKey>, window: Window, share_min: f64) -> Finding {
        let time = key.map_or(Duration::ZERO, |key| self.record.relayed_time(key, window));
        let share = time.as_secs_f64() / (window.until - window.from).as_secs_f64();
        let (percent, wanted) = (share * 100.0, share_min * 100.0);
        let span = format!("{}..{}", seconds(window.from), seconds(window.until));
        (share >= share_min, format!("{percent:.1}% of {span} over relays, wanted {wanted:.0}%"))
    }

    fn survives(&self, flow: &str, stall_max: Option<Duration>) -> Finding {
        self.flow(flow, |log| {
            let stall = log.stall_max();
            let bytes = log.bytes.last().map_or(0, |(_, bytes)| *bytes);
            let quiet = stall_max.is_none_or(|max| stall <= max);
            let limit =
                stall_max.map_or(String::new(), |max| format!(", wanted at most {}", seconds(max)));
            let figures = format!("{bytes} bytes, longest silence {}{limit}", seconds(stall));
            match &log.end {
                Some(FlowEnd::Broke { why }) => (false, format!("{why}; {figures}")),
                Some(FlowEnd::Lived) => (quiet && bytes > 0, figures),
                Some(FlowEnd::Skipped { .. }) | None => {
                    (false, format!("it did not end; {figures}"))
                }
            }
        })
    }

    fn moves(&self, flow: &str, after: &str, within: Duration) -> Finding {
        let Some(from) = self.time_of(Some(after)) else {
            return (false, "the event before it did not happen".to_owned());
        };
        self.flow(flow, |log| {
            let end = log.bytes.last().map_or(from, |(at, _)| *at);
            let until = self.record.next_event(from).unwrap_or(end).min(end).max(from);
            match log.silence(Window { from, until }) {
                (silence, true) => {
                    let what = format!("longest silence {} after {after}", seconds(silence));
                    (silence <= within, format!("{what}, wanted at most {}", seconds(within)))
                }
                (_, false) => (false, format!("no byte after {after}")),
            }
        })
    }

    fn owd(&self, cell: (String, String), wanted: Duration, tolerance: Duration) -> Finding {
        let Some(owd) = self.record.owd.get(&cell) else { return (false, "unknown".to_owned()) };
        let error = owd.abs_diff(wanted);
        (
            error <= tolerance,
            format!("{}, wanted {} +-{}", millis(*owd), millis(wanted), millis(tolerance)),
        )
    }

    fn switches(&self, flow: &str, way: Way, most: u32) -> Finding {
        let key = route_key(self.scenario, flow, way);
        let count = key.map_or(0, |key| self.record.switches(&key));
        let held = u32::try_from(count).is_ok_and(|count| count <= most);
        (held, format!("{count} changes of path, wanted at most {most}"))
    }

    /// Over all cuts of this flow's path: how long until its headend used another.
    fn failover(&self, flow: &str, way: Way, limits: Limits) -> Finding {
        let cut = Action::Cut { flow: flow.to_owned(), way };
        let cuts = self.scenario.events.iter().filter(|event| event.action == cut);
        let happened: Vec<_> =
            cuts.filter_map(|event| self.record.events.get(&event.label).copied()).collect();
        let key = route_key(self.scenario, flow, way);
        let time = |at: &Duration| self.record.failover(key.as_ref()?, *at);
        let mut times: Vec<Duration> = happened.iter().filter_map(time).collect();
        times.sort();
        let count = format!("{} of {} cuts answered", times.len(), happened.len());
        let (Some(p50), Some(max)) = (times.get(times.len() / 2), times.last()) else {
            return (false, count);
        };
        let held = times.len() == happened.len() && *p50 <= limits.p50 && *max <= limits.max;
        let figures = format!("p50 {}, max {}", seconds(*p50), seconds(*max));
        let wanted = format!("wanted {} and {}", seconds(limits.p50), seconds(limits.max));
        (held, format!("{count}, {figures}, {wanted}"))
    }

    fn conserved(&self) -> Finding {
        let Some(coins) = &self.record.coins else {
            return (false, "the ledger did not answer".to_owned());
        };
        let (before, after) = (&coins.before, &coins.after);
        let held = before.total == after.total
            && after.total == after.supply
            && after.height > before.height;
        let (from, to) = (coins_text(before.total), coins_text(after.total));
        (held, format!("{from} at height {}, {to} at height {}", before.height, after.height))
    }

    fn earned(&self, node: Option<&str>) -> Finding {
        let Some(coins) = &self.record.coins else {
            return (false, "the ledger did not answer".to_owned());
        };
        let wanted =
            coins.accounts.iter().filter(|(name, _)| node.is_none_or(|node| node == *name));
        let earned: Vec<_> = wanted.filter(|(_, account)| account.earned > 0).collect();
        let list =
            earned.iter().map(|(name, account)| format!("{name} {}", coins_text(account.earned)));
        let list = list.collect::<Vec<_>>().join(", ");
        (
            !earned.is_empty(),
            if list.is_empty() { "nobody earned anything".to_owned() } else { list },
        )
    }

    fn flow(&self, name: &str, look: impl FnOnce(&FlowLog) -> Finding) -> Finding {
        self.record.flows.get(name).map_or((false, "it did not start".to_owned()), look)
    }

    /// When an event happened; without one, the beginning.
    fn time_of(&self, label: Option<&str>) -> Option<Duration> {
        label.map_or(Some(Duration::ZERO), |label| self.record.events.get(label).copied())
    }
}

/// Bounds on times of failover.
struct Limits {
    p50: Duration,
    max: Duration,
}

/// From which event on, and for how long.
struct Since<'a> {
    after: Option<&'a str>,
    within: Duration,
}

impl Since<'_> {
    fn name(&self) -> &str {
        self.after.unwrap_or("the start")
    }
}

/// No packet of any kind damaged, and few of each lost; the figures name the worst kind.
fn intact(log: &FlowLog, lost_max: f64) -> Finding {
    // A flow sends thousands of packets, not billions.
    let float = |packets: u64| f64::from(u32::try_from(packets).unwrap_or(u32::MAX));
    let lost = |count: &KindCount| 1.0 - float(count.intact) / float(count.sent.max(1));
    let Some((worst, count)) =
        log.kinds.iter().max_by(|(_, a), (_, b)| lost(a).total_cmp(&lost(b)))
    else {
        return (false, "nothing was counted".to_owned());
    };
    let sum = |pick: fn(&KindCount) -> u64| log.kinds.values().map(pick).sum::<u64>();
    let (sent, came, damaged) =
        (sum(|count| count.sent), sum(|count| count.intact), sum(|count| count.damaged));
    let kinds = log.kinds.len();
    let figures = format!(
        "{came} of {sent} packets of {kinds} kinds came back, {damaged} damaged; {worst}: {} of {}",
        count.intact, count.sent
    );
    (damaged == 0 && lost(count) <= lost_max, figures)
}

fn throughput(log: &FlowLog, window: Window, mbps_min: f64) -> Finding {
    let mbps = log.mbps(window);
    (mbps >= mbps_min, format!("{mbps:.1} Mbit/s, wanted at least {mbps_min:.1}"))
}

fn round_trip(log: &FlowLog, window: Window, ms_max: f64) -> Finding {
    match log.rtt_ms(window) {
        Some(ms) => (ms <= ms_max, format!("{ms:.1}ms, wanted at most {ms_max:.1}ms")),
        None => (false, "no echo in that time".to_owned()),
    }
}

/// Every octet of every lane was paid for by one ticket, and none was forgotten.
fn settled_once(lanes: &BTreeMap<String, LaneSettled>) -> Finding {
    let wrong = lanes.iter().filter_map(|(lane, settled)| Some((lane, settled.flaw()?)));
    let wrong: Vec<String> = wrong.map(|(lane, why)| format!("lane {lane}: {why}")).collect();
    if !wrong.is_empty() {
        return (false, wrong.join("; "));
    }
    let steps: Vec<&SettledStep> = lanes.values().flat_map(|lane| &lane.steps).collect();
    let hashes: BTreeSet<&str> = steps.iter().map(|step| step.hash.as_str()).collect();
    let octets: u64 = lanes.values().map(|lane| lane.settled).sum();
    let paid: u128 = lanes.values().map(|lane| lane.paid).sum();
    let figures = format!(
        "{} tickets of {} lanes settled {octets} bytes for {}",
        steps.len(),
        lanes.len(),
        coins_text(paid)
    );
    (!steps.is_empty() && hashes.len() == steps.len(), figures)
}

impl LaneSettled {
    /// What is wrong with it, if anything is.
    fn flaw(&self) -> Option<String> {
        let mut reached = 0;
        for step in &self.steps {
            if step.before != reached || step.after <= step.before {
                let (before, after) = (step.before, step.after);
                return Some(format!("a ticket settled {before}..{after} after {reached}"));
            }
            reached = step.after;
        }
        let moved: u128 = self.steps.iter().map(|step| step.moved).sum();
        let unsettled = self.held.saturating_sub(self.settled);
        if reached != self.settled {
            Some(format!("tickets reach {reached} bytes, the lane {}", self.settled))
        } else if moved != self.paid {
            let (moved, paid) = (coins_text(moved), coins_text(self.paid));
            Some(format!("tickets moved {moved}, the lane paid {paid}"))
        } else if unsettled >= UNSETTLED_MAX {
            Some(format!("evidence for {} bytes, settled {}", self.held, self.settled))
        } else {
            None
        }
    }
}

/// One height and one state everywhere.
fn ledgers_agree(ledgers: &BTreeMap<String, Option<LedgerTip>>) -> Finding {
    let silent: Vec<&str> =
        ledgers.iter().filter(|(_, tip)| tip.is_none()).map(|(name, _)| name.as_str()).collect();
    if !silent.is_empty() {
        return (false, format!("no answer from {}", silent.join(", ")));
    }
    let tips: BTreeSet<(u64, &str)> =
        ledgers.values().flatten().map(|tip| (tip.height, tip.state_root.as_str())).collect();
    let shown = |(height, root): &(u64, &str)| {
        format!("height {height} state {}", root.get(..ROOT_SHOWN).unwrap_or(root))
    };
    let shown: Vec<String> = tips.iter().map(shown).collect();
    (tips.len() == 1, format!("{} validators: {}", ledgers.len(), shown.join(", ")))
}

/// `1.25s`
pub fn seconds(time: Duration) -> String {
    format!("{:.2}s", time.as_secs_f64())
}

/// `41.2ms`
pub fn millis(time: Duration) -> String {
    format!("{:.1}ms", time.as_secs_f64() * 1e3)
}

/// Base units as coins, without needless zeros.
pub fn coins_text(base: u128) -> String {
    let (whole, rest) = (base / BASE_PER_COIN, base % BASE_PER_COIN);
    let text = format!("{whole}.{rest:09}");
    let trimmed = text.trim_end_matches('0').trim_end_matches('.');
    format!("{trimmed} coins")
}

/// Coins as the ledger writes them; `None` for anything else.
pub fn coins_from(text: &str) -> Option<u128> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || rest.len() > DECIMALS || !digits(whole) || !digits(rest) {
        return None;
    }
    format!("{whole}{rest:0<DECIMALS$}").parse().ok()
}

/// The ledger takes no ticket for less of an open lane (`min_settle_bytes`), so that much may wait.
const UNSETTLED_MAX: u64 = 10_000_000;
/// Hexadecimal digits of a state root that are shown.
const ROOT_SHOWN: usize = 12;
/// Source: design of the economics, "Units".
const BASE_PER_COIN: u128 = 1_000_000_000;
const DECIMALS: usize = 9;
