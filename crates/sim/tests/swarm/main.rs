//! Six hundred seeds of the swarm, in two halves, so that two cores take one each.

use srwan_sim::swarm::{self, Batch};
use std::ops::Range;

/// Runs seeds; each that fails is named with the command that runs it again.
fn run(seeds: Range<u64>) {
    let mut batch = Batch::default();
    for seed in seeds {
        let report = swarm::run(seed);
        for violation in &report.violations {
            println!("seed {seed} ({}): {violation}", report.character.name());
        }
        batch.add(report);
    }
    println!("{} seeds, {} events, {:?}", batch.seeds, batch.events, batch.tally);
    let again = |seed: u64| format!("srwan sim run swarm --seed {seed}");
    let failed: Vec<_> = batch.failed.iter().map(|report| again(report.seed)).collect();
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), failed.join("\n"));
    assert!(batch.is_green(), "nothing was seen of {:?}", batch.vacuous());
}

#[test]
fn three_hundred_seeds_break_no_promise() {
    run(0..300);
}

#[test]
fn three_hundred_more_seeds_break_no_promise() {
    run(300..600);
}
