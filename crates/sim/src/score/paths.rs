//! How good the paths are that production would choose: a replay of delay matrices, slice by slice.
//!
//! At each slice the segments' watches take what was measured, [`Graph`] ranks paths over one relay
//! by what is expected of their segments, and [`Preference::choose`] moves traffic or leaves it.
//! What that brings is read off a later slice, of which nothing was known at the decision.

use std::collections::BTreeSet;

use srwan_control::{Estimate, Graph, Offer, Preference, SegmentWatch, margin};
use srwan_wire::id::NodeId;
use srwan_wire::pulse::Loss;
use srwan_wire::time::Owd;

use crate::score::detection::{count, median};
use crate::score::input::Slices;

/// Most members of a group (W18).
pub const GROUP_MAX: usize = 100;

/// Paths over one relay that are looked at beside the default path and the present one; production
/// keeps as many.
const CANDIDATES: usize = 4;

/// Moments in which a path is compared with the default one: as many as a segment has values.
const COMPARED_MAX: usize = 32;

/// Least gain and percent of the margin: the defaults of `[policy]`.
const GAIN_MIN_NS: i64 = 5_000_000;
const GAIN_MIN_PERCENT: u8 = 10;

/// When a replay decides and when it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Slices that are known before the first decision.
    pub known_min: usize,
    /// Slices between a decision and the slice that it is judged by.
    pub ahead: usize,
    /// Slices from one decision to the next.
    pub every: usize,
    /// A source's row counts as measured only in slices in which it differs from the one before.
    pub repeats: bool,
}

impl Protocol {
    /// PlanetLab: slices far apart; three are known at first.
    pub const PLANETLAB: Self = Self { known_min: 3, ahead: 1, every: 1, repeats: false };

    /// Seattle: rows are repeated about five times, so a decision is judged six slices later.
    pub const SEATTLE: Self = Self { known_min: 24, ahead: 6, every: 6, repeats: true };
}

/// What decides in a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Production, with this preference.
    Srwan(Preference),
    /// The path with the least sum of medians of all that was measured.
    PastMedian,
    /// The path with the least sum of last values.
    LastValue,
    /// The path with the least sum of exponentially weighted means, weight 0.3.
    Ewma,
    /// Always the default path.
    Direct,
}

/// One decision with what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Slice of the decision.
    pub at: usize,
    /// Source and target, as indices of the group.
    pub pair: (usize, usize),
    /// The relay, if not the default path.
    pub relay: Option<usize>,
    /// Delay of the chosen path in the later slice. **Units:** nanoseconds of half a round trip.
    pub chosen: i64,
    /// Delay of the default path in the later slice.
    pub direct: i64,
    /// Least delay of the default path and all paths over one relay in the later slice.
    pub least: i64,
    /// Whether traffic moved with this decision.
    pub moved: bool,
}

/// The groups of a file: node `i` goes to group `i mod groups`, and who is left over to none.
#[must_use]
pub fn groups(nodes: usize) -> Vec<Vec<usize>> {
    let groups = (nodes / GROUP_MAX).max(1);
    let used = nodes.min(groups * GROUP_MAX);
    (0..groups).map(|group| (group..used).step_by(groups).collect()).collect()
}

/// Everything a replay remembers of a group.
pub struct Replay<'a> {
    slices: &'a Slices,
    protocol: Protocol,
    nodes: Vec<NodeId>,
    past: Vec<Past>,
    at: usize,
    estimates: Vec<Option<Estimate>>,
    present: Vec<Option<usize>>,
}

/// What was measured of one segment.
#[derive(Clone, Debug, Default)]
struct Past {
    watch: SegmentWatch,
    values: Vec<i64>,
    ewma: i64,
}

/// Source: the smoothing that issue trackers and textbooks call plain; tenths.
const EWMA_TENTHS: i64 = 3;

impl Past {
    fn add(&mut self, value: i64) {
        self.watch.arrived(Owd::from_nanos(value));
        let from = if self.values.is_empty() { value } else { self.ewma };
        self.ewma = from + (value - from) * EWMA_TENTHS / 10;
        self.values.push(value);
    }

    fn estimate(&self, rule: Rule) -> Option<Estimate> {
        let plain = match rule {
            Rule::Srwan(_) => return self.watch.estimate(),
            Rule::PastMedian => median(self.values.clone()),
            Rule::LastValue => *self.values.last()?,
            Rule::Ewma => self.ewma,
            Rule::Direct => return None,
        };
        let (expected, spread) = (Owd::from_nanos(plain), core::time::Duration::ZERO);
        Some(Estimate { expected, spread, values: 1 })
    }
}

impl<'a> Replay<'a> {
    /// A replay that knows nothing yet. At most as many nodes as node numbers: see [`Slices`].
    #[must_use]
    pub fn new(slices: &'a Slices, protocol: Protocol) -> Self {
        let n = slices.nodes;
        let numbers = (1..).take(n).filter_map(NodeId::new);
        Self {
            slices,
            protocol,
            nodes: numbers.collect(),
            past: vec![Past::default(); n * n],
            at: 0,
            estimates: Vec::new(),
            present: vec![None; n * n],
        }
    }

    /// Replays everything; what came of each decision in order.
    pub fn run(mut self, rule: Rule, mut judge: impl FnMut(Outcome)) {
        let slices = self.slices;
        for (at, row) in slices.rows.iter().enumerate() {
            self.at = at;
            self.measure(at, row);
            let later = slices.rows.get(at + self.protocol.ahead);
            let is_due = at + 1 >= self.protocol.known_min && at % self.protocol.every == 0;
            if let Some(later) = later.filter(|_| is_due) {
                self.decide(rule, later, &mut judge);
            }
        }
    }

    fn measure(&mut self, at: usize, row: &[i64]) {
        let n = self.slices.nodes;
        for source in 0..n {
            let cells = source * n..(source + 1) * n;
            let before = at.checked_sub(1).map(|before| &self.slices.rows[before][cells.clone()]);
            if self.protocol.repeats && before == Some(&row[cells.clone()]) {
                continue;
            }
            for cell in cells.filter(|cell| *cell != source * n + source) {
                self.past[cell].add(row[cell] / 2);
            }
        }
    }

    fn decide(&mut self, rule: Rule, later: &[i64], judge: &mut impl FnMut(Outcome)) {
        let n = self.slices.nodes;
        self.estimates = self.past.iter().map(|past| past.estimate(rule)).collect();
        let cell = |from, to| Some(self.estimate((from, to))?.cell(Loss::NONE));
        let graph = Graph::new(self.nodes.clone(), cell, |_| Some(0));
        let least = least_over_one_relay(later, n);
        for pair in (0..n * n).filter(|pair| pair / n != pair % n) {
            let ends = (pair / n, pair % n);
            let before = self.present[pair];
            let relay = self.choose(rule, &graph, ends);
            self.present[pair] = relay;
            judge(Outcome {
                at: self.at,
                pair: ends,
                relay,
                chosen: delay(later, n, ends, relay),
                direct: delay(later, n, ends, None),
                least: least[pair],
                moved: relay != before,
            });
        }
    }

    fn choose(&self, rule: Rule, graph: &Graph, ends: (usize, usize)) -> Option<usize> {
        let named = (self.nodes[ends.0], self.nodes[ends.1]);
        let ranked = graph.best(named, 1, CANDIDATES);
        let best = ranked.iter().map(|path| (path.cost, path.relays.first().copied()));
        let mut paths: Vec<(i64, Option<NodeId>)> =
            graph.cost(named.0, &[], named.1).map(|cost| (cost, None)).into_iter().collect();
        let present = self.present[ends.0 * self.nodes.len() + ends.1].map(|at| self.nodes[at]);
        let kept = present.filter(|_| matches!(rule, Rule::Srwan(_)));
        let kept = kept.and_then(|relay| Some((graph.cost(named.0, &[relay], named.1)?, relay)));
        paths.extend(kept.map(|(cost, relay)| (cost, Some(relay))));
        let seen: BTreeSet<Option<NodeId>> = paths.iter().map(|path| path.1).collect();
        paths.extend(best.filter(|path| !seen.contains(&path.1)));
        let chosen = match rule {
            Rule::Direct => return None,
            Rule::Srwan(preference) => self.prefer(preference, &paths, ends, kept.is_some()),
            Rule::PastMedian | Rule::LastValue | Rule::Ewma => {
                paths.iter().enumerate().min_by_key(|(at, path)| (path.0, *at)).map(|(at, _)| at)
            }
        };
        let relay = chosen.and_then(|at| paths[at].1)?;
        self.nodes.binary_search(&relay).ok()
    }

    /// The default path stands first, the present one second if it is another.
    fn prefer(
        &self,
        preference: Preference,
        paths: &[(i64, Option<NodeId>)],
        ends: (usize, usize),
        is_relayed: bool,
    ) -> Option<usize> {
        let named = (self.nodes[ends.0], self.nodes[ends.1]);
        let expected = |ends| self.estimate(ends).map_or(0, |e| e.expected.as_nanos());
        let round_trip = expected(named) + expected((named.1, named.0));
        let margin = margin(GAIN_MIN_NS, GAIN_MIN_PERCENT, round_trip);
        let offer = |path: &(i64, Option<NodeId>)| Offer {
            cost: path.0,
            doubt: self.doubt(named, path.1),
            price: u64::from(path.1.is_some()),
            is_default: path.1.is_none(),
            wins_percent: self.wins_percent(ends, path.1),
        };
        let offers: Vec<Offer> = paths.iter().map(offer).collect();
        Some(preference.choose(&offers, usize::from(is_relayed), margin))
    }
}

impl Replay<'_> {
    fn estimate(&self, ends: (NodeId, NodeId)) -> Option<Estimate> {
        let index = |node: NodeId| self.nodes.binary_search(&node).expect("a node of the group");
        self.estimates[index(ends.0) * self.nodes.len() + index(ends.1)]
    }

    /// How often the path was faster than the default one, of the last moments up to this slice at
    /// which all was measured anew: what probes over this very path would have shown.
    fn wins_percent(&self, ends: (usize, usize), relay: Option<NodeId>) -> u8 {
        let relay = relay.and_then(|relay| self.nodes.binary_search(&relay).ok());
        let n = self.slices.nodes;
        let past = (0..=self.at).rev().step_by(self.protocol.every).take(COMPARED_MAX);
        let is_faster = |at: usize| {
            let slice = &self.slices.rows[at];
            delay(slice, n, ends, relay) < delay(slice, n, ends, None)
        };
        let (mut wins, mut all) = (0, 0);
        for at in past {
            all += 1;
            wins += usize::from(is_faster(at));
        }
        // Laplace's rule of succession: three of three are no certainty.
        u8::try_from((wins + 1) * 100 / (all + 2)).expect("a share")
    }

    /// How far the cost of a path may be off: the spreads of its segments.
    fn doubt(&self, ends: (NodeId, NodeId), relay: Option<NodeId>) -> i64 {
        let spread = |ends| self.estimate(ends).map_or(Owd::ZERO, |e| Owd::from_duration(e.spread));
        let whole = match relay {
            None => spread(ends),
            Some(relay) => spread((ends.0, relay)) + spread((relay, ends.1)),
        };
        whole.as_nanos()
    }
}

/// Half of the round trip over a path in a slice.
fn delay(slice: &[i64], n: usize, ends: (usize, usize), relay: Option<usize>) -> i64 {
    match relay {
        None => slice[ends.0 * n + ends.1] / 2,
        Some(relay) => (slice[ends.0 * n + relay] + slice[relay * n + ends.1]) / 2,
    }
}

/// For each pair, the least delay of the default path and all paths over one relay.
fn least_over_one_relay(slice: &[i64], n: usize) -> Vec<i64> {
    let mut least: Vec<i64> = slice.to_vec();
    for from in 0..n {
        let row = &mut least[from * n..(from + 1) * n];
        for relay in (0..n).filter(|relay| *relay != from) {
            let head = slice[from * n + relay];
            let tails = slice[relay * n..(relay + 1) * n].iter().enumerate();
            for (to, tail) in tails.filter(|(to, _)| *to != relay) {
                row[to] = row[to].min(head + tail);
            }
        }
    }
    least.iter().map(|round_trip| round_trip / 2).collect()
}

/// What decisions added up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gain {
    /// Sum of what chosen paths were faster than the default ones.
    pub gained: i128,
    /// Sum of what the best paths would have been.
    pub possible: i128,
    /// Decisions.
    pub decisions: i128,
    /// Decisions with which traffic moved.
    pub moves: i128,
}

/// Replays one group and adds up.
#[must_use]
pub fn gain(slices: &Slices, protocol: Protocol, rule: Rule) -> Gain {
    let mut sum = Gain::default();
    Replay::new(slices, protocol).run(rule, |outcome| {
        sum.gained += i128::from(outcome.direct - outcome.chosen);
        sum.possible += i128::from(outcome.direct - outcome.least);
        sum.decisions += 1;
        sum.moves += count(usize::from(outcome.moved));
    });
    sum
}
