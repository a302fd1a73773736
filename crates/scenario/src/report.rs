//! The end of a story for people: phases, paths, coins, verdicts. ASCII, at most 100 columns.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Flow, Scenario, Way, Window};

use super::judge::{Outcome, Verdict, coins_text, route_key, seconds};
use super::record::{EVENT_GAP, FlowEnd, Record, Route};

/// A stretch of a flow between two events.
struct Phase {
    window: Window,
    /// The event that began it.
    name: String,
}

/// The whole report as text.
pub fn text(scenario: &Scenario, record: &Record, verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    for flow in &scenario.flows {
        flow_text(&mut out, scenario, record, flow);
    }
    coins(&mut out, record);
    for sight in &record.lateness {
        let line =
            format!("p50 {}us, p99 {}us, max {}us", sight.p50_us, sight.p99_us, sight.max_us);
        push(&mut out, &format!("fabric lateness: {line} over {} packets", sight.count));
    }
    for verdict in verdicts {
        let word = outcome_word(verdict.outcome);
        push(&mut out, &format!("{word:7} {}: {}", verdict.what, verdict.figures));
    }
    for fault in &record.faults {
        push(&mut out, &format!("fault   {fault}"));
    }
    out
}

/// The whole report as one JSON object; `schema` names its form.
pub fn json(schema: &str, scenario: &Scenario, record: &Record, verdicts: &[Verdict]) -> Value {
    let flows: Vec<Value> =
        scenario.flows.iter().map(|flow| flow_json(scenario, record, flow)).collect();
    let coins = record.coins.as_ref().map(|coins| {
        let accounts = coins.accounts.iter().map(|(name, account)| {
            let (earned, applied) = (plain(account.earned), plain(account.applied));
            json!({"router": name, "earned_coins": earned, "applied_coins": applied})
        });
        json!({
            "total_before_coins": plain(coins.before.total),
            "total_after_coins": plain(coins.after.total),
            "accounts": accounts.collect::<Vec<_>>(),
        })
    });
    let verdicts: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            let outcome = outcome_word(verdict.outcome);
            json!({"what": verdict.what, "outcome": outcome, "figures": verdict.figures})
        })
        .collect();
    json!({
        "schema": schema,
        "scenario": scenario.name,
        "flows": flows,
        "coins": coins,
        "lateness": record.lateness,
        "conclusive": record.is_conclusive(),
        "expectations": verdicts,
        "faults": record.faults,
    })
}

fn flow_text(out: &mut String, scenario: &Scenario, record: &Record, flow: &Flow) {
    push(out, &format!("flow {}: {} -> {}", flow.name, flow.from, flow.to));
    let Some(log) = record.flows.get(&flow.name) else { return push(out, "  it did not start") };
    if let Some(FlowEnd::Skipped { why }) = &log.end {
        return push(out, &format!("  skipped: {why}"));
    }
    push(
        out,
        &format!("  {:18} {:>14} {:>12} {:>10}  {}", "phase", "time", "throughput", "rtt", "path"),
    );
    for phase in phases(scenario, record, flow) {
        let rtt = log.rtt_ms(phase.window).map_or("-".to_owned(), |ms| format!("{ms:.1}ms"));
        let time = format!(
            "{:.1}..{:.1}s",
            phase.window.from.as_secs_f64(),
            phase.window.until.as_secs_f64()
        );
        let rate = format!("{:.1}Mbit/s", log.mbps(phase.window));
        let path = path_in(scenario, record, flow, phase.window);
        push(out, &format!("  {:18} {time:>14} {rate:>12} {rtt:>10}  {path}", phase.name));
    }
    for seen in changes(scenario, record, flow) {
        push(out, &seen);
    }
}

fn flow_json(scenario: &Scenario, record: &Record, flow: &Flow) -> Value {
    let log = record.flows.get(&flow.name).cloned().unwrap_or_default();
    let phase = |phase: Phase| {
        json!({
            "phase": phase.name,
            "from_s": phase.window.from.as_secs_f64(),
            "until_s": phase.window.until.as_secs_f64(),
            "throughput_mbps": log.mbps(phase.window),
            "rtt_ms": log.rtt_ms(phase.window),
            "path": path_in(scenario, record, flow, phase.window),
        })
    };
    json!({
        "flow": flow.name,
        "bytes": log.bytes.last().map_or(0, |(_, bytes)| *bytes),
        "end": end_word(log.end.as_ref()),
        "stall_max_s": log.stall_max().as_secs_f64(),
        "phases": phases(scenario, record, flow).into_iter().map(phase).collect::<Vec<_>>(),
        "changes": changes(scenario, record, flow),
    })
}

fn end_word(end: Option<&FlowEnd>) -> &str {
    match end {
        Some(FlowEnd::Lived) => "lived",
        Some(FlowEnd::Broke { why } | FlowEnd::Skipped { why }) => why,
        None => "did not end",
    }
}

/// The flow's time, cut at the events that happened in it.
fn phases(scenario: &Scenario, record: &Record, flow: &Flow) -> Vec<Phase> {
    let log = record.flows.get(&flow.name);
    let start = log.and_then(|log| log.started).unwrap_or(flow.start);
    let end = log.and_then(|log| log.bytes.last()).map_or(flow.end, |(at, _)| *at);
    let within = |at: &Duration| *at > start && *at < end;
    let happened = scenario.events.iter().filter_map(|event| {
        let at = record.events.get(&event.label).copied().filter(within)?;
        Some((at, event.label.clone()))
    });
    let mut happened: Vec<(Duration, String)> = happened.collect();
    // Several faults at once are one phase, named by the last of them.
    happened.dedup_by(|later, earlier| {
        let together = later.0.saturating_sub(earlier.0) < EVENT_GAP;
        if together {
            earlier.1.clone_from(&later.1);
        }
        together
    });
    let mut cuts = vec![(start, "before".to_owned())];
    cuts.extend(happened);
    let ends = cuts.iter().skip(1).map(|(at, _)| *at).chain([end]).collect::<Vec<_>>();
    let phase = |((from, name), until)| Phase { window: Window { from, until }, name };
    cuts.into_iter()
        .zip(ends)
        .map(phase)
        .filter(|phase| phase.window.from < phase.window.until)
        .collect()
}

/// The paths of both ways at the end of a phase.
fn path_in(scenario: &Scenario, record: &Record, flow: &Flow, window: Window) -> String {
    let mut texts = Vec::new();
    for (way, arrow) in [(Way::There, "out"), (Way::Back, "back")] {
        if let Some(key) = route_key(scenario, &flow.name, way) {
            // A moment before the end: the next phase begins with the event, not with its effect.
            let at = window.until.saturating_sub(Duration::from_millis(1));
            texts.push(format!("{arrow} {}", record.route_at(&key, at).text()));
        }
    }
    texts.join("; ")
}

fn changes(scenario: &Scenario, record: &Record, flow: &Flow) -> Vec<String> {
    let keys =
        [Way::There, Way::Back].into_iter().filter_map(|way| route_key(scenario, &flow.name, way));
    let mut lines = Vec::new();
    for key in keys {
        for seen in record.routes.get(&key).into_iter().flatten() {
            lines.push((
                seen.at,
                change_line(&key.headend, &key.target, seen.at, &seen.route, &seen.reason),
            ));
        }
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// One change of path for people.
pub fn change_line(
    headend: &str,
    target: &str,
    at: Duration,
    route: &Route,
    reason: &str,
) -> String {
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("  {} {headend} sends to {target} {}{why}", seconds(at), route.text())
}

fn coins(out: &mut String, record: &Record) {
    let Some(coins) = &record.coins else { return };
    for (name, account) in
        coins.accounts.iter().filter(|(_, account)| account.earned + account.applied > 0)
    {
        let (earned, applied) = (coins_text(account.earned), coins_text(account.applied));
        push(out, &format!("{name}: earned {earned}, applied {applied}"));
    }
    let (before, after) = (coins_text(coins.before.total), coins_text(coins.after.total));
    let word = if coins.before.total == coins.after.total { "unchanged" } else { "CHANGED" };
    push(out, &format!("sum of all coins: {before} before, {after} after: {word}"));
}

fn plain(base: u128) -> String {
    coins_text(base).trim_end_matches(" coins").to_owned()
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Held => "held",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "skipped",
    }
}

fn push(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("a String takes everything");
}
