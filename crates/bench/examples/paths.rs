//! How long the path search takes in a full group: `cargo run --release -p srwan-bench --example paths`.

use srwan_control::{Cell, Graph};
use srwan_wire::id::NodeId;
use srwan_wire::pulse::Loss;
use srwan_wire::time::Owd;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Members of a full group (W18).
const MEMBERS: u32 = 100;

/// Runs of which the median and the shortest are told.
const RUNS: usize = 101;

fn main() {
    let graph = graph();
    tell("all pairs over one relay", || black_box(graph.all_pairs_one_relay()).len());
    tell("all pairs over two relays", || black_box(graph.all_pairs_two_relays()).len());
}

/// Delays between 5 and 95 ms, as good as random, all known; everybody carries for the same price.
fn graph() -> Graph {
    let nodes: Vec<NodeId> = (1..=MEMBERS).filter_map(NodeId::new).collect();
    let cell = |from: NodeId, to: NodeId| {
        let spread = (u64::from(from.get()) * 7_919 + u64::from(to.get()) * 104_729) % 90_000;
        let raw = Owd::from_duration(Duration::from_micros(5_000 + spread));
        let (jitter, age) = (Duration::from_micros(300), Duration::ZERO);
        Some(Cell { raw, jitter, loss: Loss::NONE, age })
    };
    Graph::new(nodes, cell, |_| Some(10_000_000))
}

fn tell(what: &str, search: impl Fn() -> usize) {
    let mut took: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            black_box(search());
            start.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!("{what}: median {:?}, shortest {:?}", took[RUNS / 2], took[0]);
}
