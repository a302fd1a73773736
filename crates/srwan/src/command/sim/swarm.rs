//! `srwan sim run swarm`

use crate::exit::Exit;
use crate::output::Output;
use serde_json::json;
use srwan_sim::swarm::{self, Batch, Report};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// How many seeds the gate runs, and so does who names none.
const SEEDS: u64 = 600;

/// Runs the seeds on all cores, prints what they came to, and judges: `first` and those after it; `first` alone if it
/// is named without a count.
pub fn run(first: Option<u64>, count: Option<u64>, output: Output) -> anyhow::Result<Exit> {
    let count = count.unwrap_or(if first.is_some() { 1 } else { SEEDS });
    let first = first.unwrap_or(0);
    let begun = Instant::now();
    let mut reports = on_all_cores(first..first.saturating_add(count), output);
    reports.sort_by_key(|report| report.seed);
    let mut batch = Batch::default();
    reports.into_iter().for_each(|report| batch.add(report));
    let took = begun.elapsed().as_secs_f64();
    let answer = json!({
        "schema": "srwan.sim.swarm/1",
        "version": env!("CARGO_PKG_VERSION"),
        "seeds": batch.seeds,
        "seconds": took,
        "events": batch.events,
        "audit": format!("{:032x}", batch.audit),
        "seen": batch.tally.all().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "not_seen": batch.vacuous(),
        "failed": batch.failed.iter().map(failure).collect::<Vec<_>>(),
        "failure_rate_max": batch.failure_rate_max(),
    });
    output.answer(&answer, |_| text(&batch, took))?;
    Ok(if batch.is_green() { Exit::Ok } else { Exit::Failed })
}

fn on_all_cores(seeds: std::ops::Range<u64>, output: Output) -> Vec<Report> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut reports = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return reports;
            }
            let report = swarm::run(seed);
            if let Some(first) = report.violations.first() {
                output.progress(&format!("seed {seed} ({}): {first}", report.character.name()));
                output.progress(&format!("  again: srwan sim run swarm --seed {seed}"));
            }
            reports.push(report);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|reports| reports.expect("a seed does not panic")).collect()
    })
}

fn failure(report: &Report) -> serde_json::Value {
    let violations: Vec<_> = report.violations.iter().map(ToString::to_string).collect();
    json!({
        "seed": report.seed,
        "character": report.character.name(),
        "violations": violations,
        "again": format!("srwan sim run swarm --seed {}", report.seed),
    })
}

fn text(batch: &Batch, took: f64) -> String {
    let mut text = format!(
        "{} seeds in {took:.1} s, {} events, audit {:032x}\n",
        batch.seeds, batch.events, batch.audit
    );
    for (character, count) in &batch.characters {
        text += &format!("  {:<9} {count} seeds\n", character.name());
    }
    for (name, count) in batch.tally.all() {
        text += &format!("  {name:<18} {count}\n");
    }
    if !batch.vacuous().is_empty() {
        text += &format!("NOT SEEN: {}\n", batch.vacuous().join(", "));
    }
    for report in &batch.failed {
        for violation in &report.violations {
            text += &format!("seed {} {}: {violation}\n", report.seed, report.character.name());
        }
        text += &format!("  again: srwan sim run swarm --seed {}\n", report.seed);
    }
    match batch.is_green() {
        true => {
            text + &format!("clean: at most {:.4} of seeds fail (95 %)", batch.failure_rate_max())
        }
        false => text + &format!("{} seeds FAILED", batch.failed.len()),
    }
}
