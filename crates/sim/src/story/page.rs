//! A story as one page without anything beside it: verdicts, paths, delays, throughput, coins.

use super::Told;
use super::plot::{Plot, colour, escaped};
use srwan_scenario::judge::{Outcome, coins_text, route_key, seconds};
use srwan_scenario::record::{FlowLog, Route, RouteKey, RouteSeen};
use srwan_scenario::{Flow, Way, Window};
use std::time::Duration;

/// Heights of pictures. **Units:** pixels.
const BAND_HEIGHT: f64 = 56.0;
const LINES_HEIGHT: f64 = 170.0;

/// Distance of two points of throughput: shorter ones show single bursts.
const RATE_EVERY: Duration = Duration::from_millis(500);

const DEFAULT_COLOUR: &str = "#c9ced6";

const STYLE: &str = "\
body{font:14px/1.45 system-ui,sans-serif;max-width:1040px;margin:2rem auto;padding:0 1rem}\
body{color:#1b2330;background:#fff}h1{font-size:1.3rem}h2{font-size:1.05rem;margin:1.6rem 0 .2rem}\
svg{width:100%;height:auto;background:#fafbfc}table{border-collapse:collapse;width:100%}\
td{padding:.15rem .6rem .15rem 0;vertical-align:top;border-bottom:1px solid #e6e9ee}\
.held{color:#00724e}.failed{color:#b3261e;font-weight:600}text{fill:#5b6675;font-size:10px}\
.tick{text-anchor:middle}.value{text-anchor:end}.word{font-size:9px}\
.grid{stroke:#e6e9ee}.moment{stroke:#8a94a3;stroke-dasharray:3 3}\
.line{fill:none;stroke-width:1.6}\
.key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}";

/// The page; `audit` names the run.
#[must_use]
pub fn html(told: &Told, seed: u64, audit: &str) -> String {
    let scenario = &told.scenario;
    let name = escaped(scenario.name.as_str());
    let head = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>srwan sim: {name}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{name}: {}</h1>\n\
         <p>Simulated, seed {seed}, audit {audit}. Times are of the story.</p>\n",
        escaped(&scenario.title)
    );
    let flows: String = scenario.flows.iter().map(|flow| of_flow(told, flow)).collect();
    format!("{head}{}{flows}{}</body></html>\n", verdicts(told), earned(told))
}

fn verdicts(told: &Told) -> String {
    let row = |(class, word, what, figures): (&str, &str, &str, &str)| {
        let (what, figures) = (escaped(what), escaped(figures));
        format!("<tr><td class=\"{class}\">{word}</td><td>{what}</td><td>{figures}</td></tr>\n")
    };
    let judged = told.verdicts.iter().map(|verdict| {
        let (class, word) = match verdict.outcome {
            Outcome::Held => ("held", "held"),
            Outcome::Failed => ("failed", "FAILED"),
            Outcome::Skipped => ("failed", "skipped"),
        };
        row((class, word, &verdict.what, &verdict.figures))
    });
    let faults = told.record.faults.iter().map(|fault| row(("failed", "fault", "", fault)));
    format!("<table>\n{}</table>\n", judged.chain(faults).collect::<String>())
}

fn of_flow(told: &Told, flow: &Flow) -> String {
    let scenario = &told.scenario;
    let ways = [Way::There, Way::Back].into_iter();
    let keys: Vec<RouteKey> = ways.filter_map(|way| route_key(scenario, &flow.name, way)).collect();
    let mut out = format!(
        "<h2>flow {}: {} &rarr; {}</h2>\n",
        escaped(&flow.name),
        escaped(flow.from.as_str()),
        escaped(flow.to.as_str())
    );
    for key in &keys {
        out.push_str(&paths(told, key));
        out.push_str(&delays(told, key));
    }
    if let Some(log) = told.record.flows.get(&flow.name) {
        out.push_str(&throughput(told, flow, log));
    }
    out
}

/// Which path when, with the changes and their reasons as a list.
fn paths(told: &Told, key: &RouteKey) -> String {
    let seen = told.record.routes.get(key).map(Vec::as_slice).unwrap_or_default();
    let end = told.scenario.duration;
    let mut plot = Plot::new(BAND_HEIGHT, end, 1.0);
    let first = RouteSeen { at: Duration::ZERO, route: Route::Default, reason: String::new() };
    let all: Vec<&RouteSeen> = std::iter::once(&first).chain(seen).collect();
    let mut known: Vec<&Route> = Vec::new();
    for (at, change) in all.iter().enumerate() {
        let until = all.get(at + 1).map_or(end, |next| next.at);
        let fill = colour_of(&change.route, &mut known);
        let words = format!("{} from {}", change.route.text(), seconds(change.at));
        plot.band(fill, change.at, until, &words);
    }
    moments(told, &mut plot);
    let keys: String = known
        .iter()
        .map(|route| {
            let fill = if **route == Route::Default {
                DEFAULT_COLOUR
            } else {
                colour_of(route, &mut known.clone())
            };
            format!(
                "<span class=\"key\" style=\"background:{fill}\"></span>{}",
                escaped(&route.text())
            )
        })
        .collect();
    let changes: String = seen.iter().map(|change| change_row(told, change)).collect();
    format!(
        "<p>{} sends to {}: {keys}</p>\n{}<table>{changes}</table>\n",
        escaped(&key.headend),
        escaped(&key.target),
        plot.svg(None)
    )
}

fn colour_of<'a>(route: &'a Route, known: &mut Vec<&'a Route>) -> &'static str {
    let at = known.iter().position(|other| *other == route).unwrap_or_else(|| {
        known.push(route);
        known.len() - 1
    });
    if *route == Route::Default { DEFAULT_COLOUR } else { colour(at) }
}

/// A change with how long after the last event it came: a failover, if that was a fault.
fn change_row(told: &Told, change: &RouteSeen) -> String {
    let before = told.record.events.iter().filter(|(_, at)| **at <= change.at);
    let last = before.max_by_key(|(_, at)| **at);
    let after = last.map_or(String::new(), |(label, at)| {
        format!("{} after {}", seconds(change.at.saturating_sub(*at)), escaped(label))
    });
    format!(
        "<tr><td>{}</td><td>{}</td><td>{after}</td><td>{}</td></tr>\n",
        seconds(change.at),
        escaped(&change.route.text()),
        escaped(&change.reason)
    )
}

fn delays(told: &Told, key: &RouteKey) -> String {
    let Some(samples) = told.samples.delays.get(key) else { return String::new() };
    let values = samples.iter().flat_map(|sample| [sample.default_ms, sample.active_ms]);
    let top = values.flatten().fold(0.0, f64::max) * 1.1;
    let mut plot = Plot::new(LINES_HEIGHT, told.scenario.duration, top);
    plot.line(colour(1), samples.iter().map(|sample| (sample.at, sample.default_ms)));
    plot.line(colour(0), samples.iter().map(|sample| (sample.at, sample.active_ms)));
    moments(told, &mut plot);
    format!(
        "<p>one-way delay as {} measures it: {}default path {}path in use; \
         a gap is a dead path</p>\n{}",
        escaped(&key.headend),
        key_of(1),
        key_of(0),
        plot.svg(Some("ms"))
    )
}

fn throughput(told: &Told, flow: &Flow, log: &FlowLog) -> String {
    let mut points = Vec::new();
    let mut from = flow.start;
    while from < flow.end {
        let until = from + RATE_EVERY;
        points.push((until, log.mbps(Window { from, until })));
        from = until;
    }
    let top = points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max) * 1.1;
    let mut plot = Plot::new(LINES_HEIGHT, told.scenario.duration, top);
    plot.line(colour(2), points.into_iter().map(|(at, rate)| (at, Some(rate))));
    moments(told, &mut plot);
    format!("<p>throughput of {}</p>\n{}", escaped(&flow.name), plot.svg(Some("Mbit/s")))
}

fn earned(told: &Told) -> String {
    let coins = |base: u64| Duration::from_nanos(base).as_secs_f64();
    let all = &told.samples.earned;
    let top = all.values().flatten().map(|(_, base)| coins(*base)).fold(0.0, f64::max) * 1.1;
    let mut plot = Plot::new(LINES_HEIGHT, told.scenario.duration, top);
    let end = told.scenario.duration;
    let mut keys = String::new();
    let earners = all.iter().filter(|(_, log)| log.iter().any(|(_, base)| *base > 0));
    for (at, (name, log)) in earners.enumerate() {
        let steps = log.iter().enumerate().flat_map(|(at, (from, base))| {
            let until = log.get(at + 1).map_or(end, |next| next.0);
            [(*from, Some(coins(*base))), (until, Some(coins(*base)))]
        });
        plot.line(colour(at), steps);
        keys.push_str(&format!("{}{}", key_of(at), escaped(name)));
    }
    moments(told, &mut plot);
    let sum = told.record.coins.as_ref().map_or(String::new(), |sums| {
        let (before, after) = (coins_text(sums.before.total), coins_text(sums.after.total));
        format!("; the sum of all coins is {before} before and {after} after")
    });
    format!(
        "<h2>coins that tickets brought: {keys}</h2>\n<p>settled on the ledger{sum}</p>\n{}",
        plot.svg(Some("coins"))
    )
}

fn key_of(at: usize) -> String {
    format!("<span class=\"key\" style=\"background:{}\"></span>", colour(at))
}

fn moments(told: &Told, plot: &mut Plot) {
    for (label, at) in &told.record.events {
        plot.moment(*at, label);
    }
}
