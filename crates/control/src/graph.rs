//! Which paths are best: exhaustive over 0, 1, 2 and 3 relays, with pruning.
//!
//! A segment's weight is its raw delay plus what its loss and jitter cost; a relay adds its toll.
//! Raw delays contain the clock offsets of both ends, but along any path they telescope to `o_Z -
//! o_A`, the same for every path between the same two ends, so the ranking needs no synchronised
//! clocks (mission, section 2). For the arithmetic every node gets a *potential*, a rough offset
//! read off one measured delay, which is taken out of the weights and put back into the results:
//! weights are then of the size of a round trip, be the clocks a century apart.
//!
//! Two relays are searched by a full scan of n^2 pairs; three by branch and bound on the exact best
//! two-hop and three-hop tails, so the answer equals the brute-force one.

use core::time::Duration;

use srwan_wire::id::NodeId;
use srwan_wire::pulse::Loss;

use crate::matrix::Cell;

/// A weight that no sum of real ones reaches: the segment is not known, or the relay never carries.
///
/// An eighth of the range, so that a path's four segments and three tolls add up without overflow.
const UNKNOWN: i64 = i64::MAX / 8;

/// A weight from which on a sum contains an unknown part: real weights are below a 64th of it, nine
/// years.
const UNKNOWN_FROM: i64 = UNKNOWN / 2;
const WEIGHT_MAX: i64 = UNKNOWN_FROM / 64;

/// What losing everything would cost, were it linear: one percent costs 10 ms, about what a
/// retransmission after a round trip of 100 ms costs the mean packet, ten times over for the flow
/// that it stalls.
const LOSS_COST_NS: u64 = 1_000_000_000;

/// Loss beyond which a segment's cost grows no further: nine tenths is as bad as all.
const LOSS_PPM_MAX: u64 = 900_000;

/// Base units per 10^6 octets that weigh as much as one nanosecond: the reference price of 10^7
/// weighs 1 ms, so a price decides between paths that are otherwise equal, and no more.
const PRICE_PER_NS: u64 = 10;

/// Relays after which the dearest pair of a row is looked up anew: often enough to leave most
/// relays out, seldom enough to cost a tenth of a row.
const DEAREST_EVERY: usize = 8;

/// Cost of a segment or path: nanoseconds, with the clock offset of its ends.
pub(crate) type Cost = i64;

/// What losing the share `loss` costs: expected extra transmissions `p / (1 - p)`, which add up
/// along a path (ETX, De Couto et al., MobiCom 2003).
pub(crate) fn loss_cost(loss: Loss) -> Cost {
    let lost = u64::from(loss.ppm()).min(LOSS_PPM_MAX);
    i64::try_from(lost * LOSS_COST_NS / (1_000_000 - lost)).unwrap_or(i64::MAX)
}

/// Standard error of the difference of two [`loss_cost`]s, if both paths lose alike: that of two shares with a common
/// probability `p` (lost and all outcomes of each are given), times the slope `1 / (1 - p)^2` of the cost.
pub(crate) fn loss_cost_error(seen: [(u64, u64); 2]) -> Cost {
    let [(lost, of), (other_lost, other_of)] = seen.map(|(lost, of)| (lost, of.max(1)));
    let pooled = (lost + other_lost) * 1_000_000 / (of + other_of);
    let lost = pooled.min(LOSS_PPM_MAX);
    let arrived = 1_000_000 - lost;
    let error_ppm = (lost * arrived / of + lost * arrived / other_of).isqrt();
    i64::try_from(error_ppm * LOSS_COST_NS / arrived * 1_000_000 / arrived).unwrap_or(i64::MAX)
}

/// What a variation of the delay costs.
pub(crate) fn jitter_cost(jitter: Duration) -> Cost {
    i64::try_from(jitter.as_nanos()).unwrap_or(UNKNOWN)
}

/// What a relay's price costs.
pub(crate) fn price_cost(price: u64) -> Cost {
    i64::try_from(price / PRICE_PER_NS).unwrap_or(UNKNOWN).min(UNKNOWN)
}

/// What a segment costs beside its delay.
fn quality_cost(cell: &Cell) -> Cost {
    loss_cost(cell.loss).saturating_add(jitter_cost(cell.jitter))
}

/// A snapshot of the matrix as weights, for searching.
///
/// - **Shape:** `weights` is `n * n`, row = sender, less the difference of the potentials; `tolls`
///   and `potentials` are per node; all in the order of `nodes` (ascending).
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<NodeId>,
    weights: Vec<Cost>,
    tolls: Vec<Cost>,
    potentials: Vec<i64>,
}

/// A path with its cost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RankedPath {
    /// Nanoseconds, with the clock offset of the two ends; compares only with paths of the same
    /// ends.
    pub cost: i64,
    /// The relays, in order of travel.
    pub relays: Vec<NodeId>,
}

impl Graph {
    /// Makes a snapshot: `cell` gives what is known of a segment, `price` what a relay asks
    /// (`None`: it never carries).
    #[must_use]
    pub fn new(
        nodes: Vec<NodeId>,
        cell: impl Fn(NodeId, NodeId) -> Option<Cell>,
        price: impl Fn(NodeId) -> Option<u64>,
    ) -> Self {
        let pairs = nodes.iter().flat_map(|from| nodes.iter().map(move |to| (*from, *to)));
        let cells: Vec<Option<Cell>> =
            pairs.map(|(from, to)| if from == to { None } else { cell(from, to) }).collect();
        let potentials = potentials(nodes.len(), &cells);
        let weight = |(at, cell): (usize, &Option<Cell>)| {
            let Some(cell) = cell else { return UNKNOWN };
            let offset = offset_between(&potentials, at / nodes.len(), at % nodes.len());
            // Wrapping: the offsets may be large, their difference from the raw delay is not.
            let delay = cell.raw.as_nanos().wrapping_sub(offset);
            delay.saturating_add(quality_cost(cell)).clamp(-WEIGHT_MAX, WEIGHT_MAX)
        };
        let weights = cells.iter().enumerate().map(weight).collect();
        let tolls = nodes.iter().map(|node| price(*node).map_or(UNKNOWN, price_cost)).collect();
        Self { nodes, weights, tolls, potentials }
    }

    /// The cost of one given path; `None` if a segment is unknown or a relay never carries.
    #[must_use]
    pub fn cost(&self, from: NodeId, relays: &[NodeId], to: NodeId) -> Option<i64> {
        let start = self.index(from)?;
        let mut at = start;
        let mut cost: Cost = 0;
        for relay in relays {
            let next = self.index(*relay)?;
            cost = known(cost + known(self.weight(at, next))? + known(self.tolls[next])?)?;
            at = next;
        }
        let end = self.index(to)?;
        let cost = known(cost + known(self.weight(at, end))?)?;
        Some(self.with_offset(cost, start, end))
    }

    /// The `most` cheapest paths with exactly `relays` relays, cheapest first; ties by the relays'
    /// numbers.
    ///
    /// Loop-free and distinct. More than three relays: none.
    #[must_use]
    pub fn best(&self, ends: (NodeId, NodeId), relays: usize, most: usize) -> Vec<RankedPath> {
        let (Some(from), Some(to)) = (self.index(ends.0), self.index(ends.1)) else {
            return Vec::new();
        };
        if from == to || most == 0 {
            return Vec::new();
        }
        let mut top = Top::new(most);
        match relays {
            0 => top.offer(self.weight(from, to), [None; 3]),
            1 => self.scan_one(from, to, &mut top),
            2 => self.scan_two(from, to, &mut top),
            3 => self.scan_three(from, to, &mut top),
            _ => {}
        }
        let ranked = top.found.into_iter().map(|(cost, path)| RankedPath {
            cost: self.with_offset(cost, from, to),
            relays: path.into_iter().flatten().map(|index| self.nodes[index]).collect(),
        });
        ranked.collect()
    }

    /// The best relay for every pair, where one relay is known at all.
    ///
    /// - **Shape:** `n * n`, row = sender; `Some((cost, index of the relay))`.
    #[must_use]
    pub fn all_pairs_one_relay(&self) -> Vec<Option<(i64, usize)>> {
        let n = self.nodes.len();
        let (mut costs, mut relays) = (vec![UNKNOWN; n * n], vec![0_u32; n * n]);
        let least_tails: Vec<Cost> = (0..n).map(|relay| self.least_tail(relay)).collect();
        for from in 0..n {
            let mut dearest = UNKNOWN;
            let row = &mut costs[from * n..(from + 1) * n];
            let via = &mut relays[from * n..(from + 1) * n];
            for (relay, number) in (0..n).zip(0_u32..).filter(|(relay, _)| *relay != from) {
                let head = self.weight(from, relay).saturating_add(self.tolls[relay]);
                if relay % DEAREST_EVERY == 0 {
                    dearest = row.iter().copied().max().unwrap_or(UNKNOWN);
                }
                // It betters no pair of this row, not even with its shortest tail.
                if head >= UNKNOWN_FROM || head.saturating_add(least_tails[relay]) >= dearest {
                    continue;
                }
                let tails = &self.weights[relay * n..(relay + 1) * n];
                for ((least, via), tail) in row.iter_mut().zip(via.iter_mut()).zip(tails) {
                    let cost = head + tail;
                    // A branch, since a better relay is rare: about five in a hundred.
                    if cost < *least {
                        (*least, *via) = (cost, number);
                    }
                }
            }
            row[from] = UNKNOWN;
        }
        let shown = |(at, (cost, relay)): (usize, (Cost, u32))| {
            let relay = usize::try_from(relay).expect("an index of this graph");
            (cost < UNKNOWN_FROM).then(|| (self.with_offset(cost, at / n, at % n), relay))
        };
        costs.into_iter().zip(relays).enumerate().map(shown).collect()
    }

    /// The best two relays for every pair, where two are known at all.
    ///
    /// For each relay and end the best two second relays are kept: one of them is not the start.
    ///
    /// - **Shape:** `n * n`, row = sender; `Some((cost, indices of the relays in order))`.
    #[must_use]
    pub fn all_pairs_two_relays(&self) -> Vec<Option<(i64, [usize; 2])>> {
        let n = self.nodes.len();
        let tails: Vec<[(Cost, usize); 2]> =
            (0..n * n).map(|at| self.best_two_tails(at / n, at % n)).collect();
        let mut best = vec![(UNKNOWN, [0, 0]); n * n];
        for from in 0..n {
            for first in (0..n).filter(|first| *first != from) {
                let head = self.weight(from, first).saturating_add(self.tolls[first]);
                if head >= UNKNOWN_FROM {
                    continue;
                }
                let ends = (0..n).filter(|to| *to != from && *to != first);
                for to in ends {
                    let [one, other] = tails[first * n + to];
                    let tail = if one.1 == from { other } else { one };
                    let slot = &mut best[from * n + to];
                    if head + tail.0 < slot.0 {
                        *slot = (head + tail.0, [first, tail.1]);
                    }
                }
            }
        }
        let shown = |(at, (cost, relays)): (usize, (Cost, [usize; 2]))| {
            (cost < UNKNOWN_FROM).then(|| (self.with_offset(cost, at / n, at % n), relays))
        };
        best.into_iter().enumerate().map(shown).collect()
    }

    fn least_tail(&self, relay: usize) -> Cost {
        let n = self.nodes.len();
        self.weights[relay * n..(relay + 1) * n].iter().copied().min().unwrap_or(UNKNOWN)
    }

    /// The two cheapest ways from one node to another over one relay, with that relay.
    fn best_two_tails(&self, from: usize, to: usize) -> [(Cost, usize); 2] {
        let mut best = [(UNKNOWN, usize::MAX); 2];
        for relay in self.relays(from, to) {
            let cost = self.weight(from, relay) + self.tolls[relay] + self.weight(relay, to);
            if cost < best[0].0 {
                best = [(cost, relay), best[0]];
            } else if cost < best[1].0 {
                best[1] = (cost, relay);
            }
        }
        best
    }

    /// The members, ascending: what an index means.
    #[must_use]
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    fn index(&self, node: NodeId) -> Option<usize> {
        self.nodes.binary_search(&node).ok()
    }

    fn weight(&self, from: usize, to: usize) -> Cost {
        self.weights[from * self.nodes.len() + to]
    }

    /// Relays other than the two ends that carry at all.
    fn relays(&self, from: usize, to: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len())
            .filter(move |r| *r != from && *r != to && self.tolls[*r] < UNKNOWN_FROM)
    }

    fn scan_one(&self, from: usize, to: usize, top: &mut Top) {
        for r in self.relays(from, to) {
            let cost = self.weight(from, r) + self.tolls[r] + self.weight(r, to);
            top.offer(cost, [Some(r), None, None]);
        }
    }

    fn scan_two(&self, from: usize, to: usize, top: &mut Top) {
        for first in self.relays(from, to) {
            let head = self.weight(from, first) + self.tolls[first];
            if head >= UNKNOWN_FROM {
                continue;
            }
            for second in self.relays(from, to).filter(|second| *second != first) {
                let tail = self.tolls[second] + self.weight(second, to);
                let cost = head + self.weight(first, second) + tail;
                top.offer(cost, [Some(first), Some(second), None]);
            }
        }
    }

    /// Branch and bound: `tail_one[x]` and `tail_two[x]` are the cheapest ways from `x` over one or
    /// two more relays.
    fn scan_three(&self, from: usize, to: usize, top: &mut Top) {
        let carriers: Vec<usize> = self.relays(from, to).collect();
        let tail_zero: Vec<Cost> = (0..self.nodes.len()).map(|x| self.weight(x, to)).collect();
        let tail_one = self.tails(&carriers, &tail_zero);
        let tail_two = self.tails(&carriers, &tail_one);
        let head = |r: usize| self.weight(from, r) + self.tolls[r];
        let mut firsts: Vec<(Cost, usize)> =
            carriers.iter().map(|r| (head(*r).saturating_add(tail_two[*r]), *r)).collect();
        firsts.sort_unstable();
        for (bound, first) in firsts {
            if top.rejects(bound) {
                break;
            }
            for second in carriers.iter().copied().filter(|second| *second != first) {
                let so_far = head(first) + self.weight(first, second) + self.tolls[second];
                if top.rejects(so_far.saturating_add(tail_one[second])) {
                    continue;
                }
                for third in carriers.iter().copied().filter(|r| *r != first && *r != second) {
                    let tail = self.weight(second, third) + self.tolls[third] + tail_zero[third];
                    top.offer(so_far + tail, [Some(first), Some(second), Some(third)]);
                }
            }
        }
    }

    fn tails(&self, carriers: &[usize], rest: &[Cost]) -> Vec<Cost> {
        let via = |x: usize, r: usize| self.weight(x, r) + self.tolls[r] + rest[r];
        let best = |x: usize| carriers.iter().filter(|r| **r != x).map(|r| via(x, *r)).min();
        (0..self.nodes.len()).map(|x| best(x).unwrap_or(UNKNOWN).min(UNKNOWN)).collect()
    }

    /// Puts the potentials of the two ends back.
    fn with_offset(&self, cost: Cost, from: usize, to: usize) -> i64 {
        cost.wrapping_add(offset_between(&self.potentials, from, to))
    }
}

/// A rough clock offset for each node: zero for the first of each connected part, then along one
/// measured delay each.
fn potentials(n: usize, cells: &[Option<Cell>]) -> Vec<i64> {
    let mut found: Vec<Option<i64>> = vec![None; n];
    for root in 0..n {
        if found[root].is_some() {
            continue;
        }
        found[root] = Some(0);
        let mut reached = vec![(root, 0_i64)];
        while let Some((at, potential)) = reached.pop() {
            for next in 0..n {
                let there = cells[at * n + next].map(|cell| cell.raw.as_nanos());
                let back = cells[next * n + at].map(|cell| cell.raw.as_nanos().wrapping_neg());
                if let (None, Some(step)) = (found[next], there.or(back)) {
                    let potential = potential.wrapping_add(step);
                    found[next] = Some(potential);
                    reached.push((next, potential));
                }
            }
        }
    }
    found.into_iter().map(|potential| potential.unwrap_or(0)).collect()
}

fn offset_between(potentials: &[i64], from: usize, to: usize) -> i64 {
    potentials[to].wrapping_sub(potentials[from])
}

fn known(cost: Cost) -> Option<Cost> {
    (cost < UNKNOWN_FROM).then_some(cost)
}

/// The cheapest few of what was offered.
struct Top {
    most: usize,
    found: Vec<(Cost, [Option<usize>; 3])>,
}

impl Top {
    fn new(most: usize) -> Self {
        Self { most, found: Vec::with_capacity(most + 1) }
    }

    /// Whether nothing at or above `bound` can still get in. A tie may, by its relays' numbers.
    fn rejects(&self, bound: Cost) -> bool {
        let worst = self.found.last().filter(|_| self.found.len() == self.most);
        bound >= UNKNOWN_FROM || worst.is_some_and(|(cost, _)| bound > *cost)
    }

    fn offer(&mut self, cost: Cost, path: [Option<usize>; 3]) {
        if self.rejects(cost) {
            return;
        }
        let at = self.found.partition_point(|found| *found < (cost, path));
        self.found.insert(at, (cost, path));
        self.found.truncate(self.most);
    }
}
