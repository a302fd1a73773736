//! Path search against enumeration of every path.

use core::time::Duration;

use proptest::prelude::*;
use srwan_control::{Cell, Graph, RankedPath};
use srwan_wire::id::NodeId;
use srwan_wire::pulse::Loss;
use srwan_wire::time::Owd;

use crate::world::node;

/// - **Shape:** `n * n` raw delays in ns with loss in ppm, row = sender.
#[derive(Clone, Debug)]
struct Truth {
    nodes: Vec<NodeId>,
    cells: Vec<Option<(i64, u32)>>,
    prices: Vec<Option<u64>>,
}

impl Truth {
    fn cell(&self, from: NodeId, to: NodeId) -> Option<Cell> {
        let index = |id| self.nodes.iter().position(|n| *n == id).unwrap();
        let (raw, loss) = self.cells[index(from) * self.nodes.len() + index(to)]?;
        Some(Cell {
            raw: Owd::from_nanos(raw),
            jitter: Duration::ZERO,
            loss: Loss::from_ppm(loss),
            age: Duration::ZERO,
        })
    }

    fn price(&self, id: NodeId) -> Option<u64> {
        self.prices[self.nodes.iter().position(|n| *n == id).unwrap()]
    }

    fn graph(&self) -> Graph {
        Graph::new(self.nodes.clone(), |a, b| self.cell(a, b), |id| self.price(id))
    }

    /// Every loop-free path with so many relays, cheapest first.
    fn enumerate(&self, from: NodeId, to: NodeId, relays: usize) -> Vec<RankedPath> {
        let mut partial = vec![Vec::new()];
        for _ in 0..relays {
            partial = partial
                .into_iter()
                .flat_map(|path: Vec<NodeId>| {
                    let free = |n: &&NodeId| **n != from && **n != to && !path.contains(n);
                    let next: Vec<NodeId> = self.nodes.iter().filter(free).copied().collect();
                    next.into_iter().map(move |n| [&path[..], &[n]].concat())
                })
                .collect();
        }
        let graph = self.graph();
        let mut found: Vec<RankedPath> = partial
            .into_iter()
            .filter(|path| path.iter().all(|relay| self.price(*relay).is_some()))
            .filter_map(|relays| {
                graph.cost(from, &relays, to).map(|cost| RankedPath { cost, relays })
            })
            .collect();
        found.sort();
        found
    }
}

fn losses() -> impl Strategy<Value = u32> {
    prop_oneof![4 => Just(0_u32), 1 => 0_u32..200_000]
}

prop_compose! {
    fn truths()(n in 2_usize..8)(
        cells in prop::collection::vec(
            prop::option::weighted(0.85, (1_000_000_i64..300_000_000, losses())),
            n * n,
        ),
        prices in prop::collection::vec(prop::option::weighted(0.9, 0_u64..20_000_000), n),
        n in Just(n),
    ) -> Truth {
        let nodes = (1..).take(n).map(node).collect();
        Truth { nodes, cells, prices }
    }
}

/// Shifts every cell as clocks with these offsets would.
fn skewed(truth: &Truth, offsets: &[i64]) -> Truth {
    let n = truth.nodes.len();
    let shift = |at: usize| offsets[at % n] - offsets[at / n];
    let cells = truth
        .cells
        .iter()
        .enumerate()
        .map(|(at, cell)| cell.map(|(raw, loss)| (raw + shift(at), loss)));
    Truth { cells: cells.collect(), ..truth.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_best_paths_are_those_of_full_enumeration(truth in truths(), most in 1_usize..6) {
        let graph = truth.graph();
        for from in &truth.nodes {
            for to in truth.nodes.iter().filter(|to| *to != from) {
                for relays in 0..=3 {
                    let mut expected = truth.enumerate(*from, *to, relays);
                    expected.truncate(most);
                    prop_assert_eq!(graph.best((*from, *to), relays, most), expected);
                }
            }
        }
    }

    #[test]
    fn all_pairs_agree_with_single_pairs(truth in truths()) {
        let graph = truth.graph();
        let n = truth.nodes.len();
        let all = graph.all_pairs_one_relay();
        for (at, found) in all.iter().enumerate().filter(|(at, _)| at / n != at % n) {
            let best = graph.best((truth.nodes[at / n], truth.nodes[at % n]), 1, 1);
            let found = found.map(|(cost, relay)| (cost, vec![truth.nodes[relay]]));
            prop_assert_eq!(found, best.into_iter().next().map(|path| (path.cost, path.relays)));
        }
    }

    #[test]
    fn all_pairs_over_two_relays_agree_with_single_pairs(truth in truths()) {
        let graph = truth.graph();
        let n = truth.nodes.len();
        let all = graph.all_pairs_two_relays();
        for (at, found) in all.iter().enumerate().filter(|(at, _)| at / n != at % n) {
            let best = graph.best((truth.nodes[at / n], truth.nodes[at % n]), 2, 1);
            prop_assert_eq!(found.map(|(cost, _)| cost), best.first().map(|path| path.cost));
            if let Some((cost, relays)) = found {
                let relays = relays.map(|relay| truth.nodes[relay]);
                let ends = (truth.nodes[at / n], truth.nodes[at % n]);
                prop_assert!(!relays.contains(&ends.0) && !relays.contains(&ends.1));
                prop_assert!(relays[0] != relays[1]);
                prop_assert_eq!(graph.cost(ends.0, &relays, ends.1), Some(*cost));
            }
        }
    }

    /// Clocks that are up to 10 s apart change no ranking (mission, section 2, point 2).
    #[test]
    fn skewed_clocks_change_no_path(
        truth in truths(),
        offsets in prop::collection::vec(-10_000_000_000_i64..10_000_000_000, 8),
    ) {
        let other = skewed(&truth, &offsets);
        let (graph, skewed) = (truth.graph(), other.graph());
        for from in &truth.nodes {
            for to in truth.nodes.iter().filter(|to| *to != from) {
                for relays in 0..=3 {
                    let paths = |graph: &Graph| -> Vec<Vec<NodeId>> {
                        graph.best((*from, *to), relays, 5).into_iter().map(|p| p.relays).collect()
                    };
                    prop_assert_eq!(paths(&graph), paths(&skewed));
                }
            }
        }
    }
}

#[test]
fn a_relay_with_infinite_price_is_never_taken() {
    let truth = Truth {
        nodes: (1..=3).map(node).collect(),
        cells: vec![Some((10, 0)); 9],
        prices: vec![Some(0), None, Some(0)],
    };
    assert_eq!(truth.graph().best((node(1), node(3)), 1, 4), []);
    assert_eq!(truth.graph().cost(node(1), &[node(2)], node(3)), None);
}

#[test]
fn loss_outweighs_a_shorter_delay() {
    let truth = Truth {
        nodes: (1..=4).map(node).collect(),
        cells: (0..16)
            .map(|at| Some(if at == 1 { (10_000_000, 50_000) } else { (30_000_000, 0) }))
            .collect(),
        prices: vec![Some(0); 4],
    };
    let best = truth.graph().best((node(1), node(4)), 1, 1);
    assert_eq!(best[0].relays, [node(3)], "5 % of loss cost more than 20 ms");
}
