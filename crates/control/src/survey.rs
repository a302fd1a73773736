//! Which paths to an endpoint come into question, from the matrix: the proposals that probes then
//! confirm or refuse.

use srwan_wire::id::NodeId;
use srwan_wire::pulse::Loss;
use srwan_wire::time::Owd;

use crate::choice::margin;
use crate::decision::{CANDIDATES_MAX, Candidate, Rule};
use crate::graph::{Graph, RankedPath};
use crate::matrix::Cell;
use crate::meter::Conditions;

/// Paths kept for each number of relays: the best, and enough others to stand in if relays fail.
const PER_RELAY_COUNT: usize = 4;

/// Why a member is never a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrying {
    /// It carries, for this price in base units per 10^6 octets.
    For(u64),
    /// Its price is infinity.
    Never,
    /// It is quarantined.
    Quarantined,
}

/// What a survey looks at.
pub(crate) struct Ground<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) cell: &'a dyn Fn(NodeId, NodeId) -> Option<Cell>,
    pub(crate) carrying: &'a dyn Fn(NodeId) -> Carrying,
    pub(crate) ends: (NodeId, NodeId),
    pub(crate) relays_max: u8,
    /// Least gain and percent of the one-way delay that each extra hop must bring.
    pub(crate) gain_min: Owd,
    pub(crate) gain_min_percent: u8,
}

impl Ground<'_> {
    /// All candidates, the default path first, then by cost; each with the rule that the matrix
    /// alone gives: [`Rule::Outranked`] if it is in order.
    pub(crate) fn survey(&self) -> Vec<Candidate> {
        let mut found = vec![self.candidate(Vec::new(), Rule::Default)];
        let mut fewer: Option<i64> = None;
        for relays in 1..=usize::from(self.relays_max) {
            let ranked = self.graph.best(self.ends, relays, PER_RELAY_COUNT);
            let best = ranked.first().map(|path| path.cost);
            let rule = |path: &RankedPath| self.hop_gain_rule(fewer, path.cost);
            found.extend(ranked.into_iter().map(|path| {
                let rule = rule(&path);
                self.candidate(path.relays, rule)
            }));
            fewer = [fewer, best].into_iter().flatten().min();
        }
        found[1..].sort_by(|a, b| (a.cost, &a.relays).cmp(&(b.cost, &b.relays)));
        found.extend(self.excluded());
        found.truncate(CANDIDATES_MAX);
        found
    }

    /// A candidate with its figures from the matrix.
    pub(crate) fn candidate(&self, relays: Vec<NodeId>, rule: Rule) -> Candidate {
        let cells: Option<Vec<Cell>> =
            segments(self.ends, &relays).map(|(from, to)| (self.cell)(from, to)).collect();
        let expected = cells.as_ref().map(|c| c.iter().fold(Owd::ZERO, |sum, cell| sum + cell.raw));
        let loss = cells.iter().flatten().fold(Loss::NONE, |loss, cell| loss.then(cell.loss));
        let price = relays.iter().try_fold(0_u64, |sum, relay| match (self.carrying)(*relay) {
            Carrying::For(price) => Some(sum.saturating_add(price)),
            Carrying::Never | Carrying::Quarantined => None,
        });
        let cost = self.graph.cost(self.ends.0, &relays, self.ends.1).map(Owd::from_nanos);
        Candidate {
            rule: self.missing_segment(&relays).unwrap_or(rule),
            relays,
            expected,
            cost,
            loss,
            price,
            measured: None,
            conditions: Conditions::default(),
            inner_mtu: None,
        }
    }

    /// A gain that matters, given the direct round trip: max(5 ms, 10 % of the one-way delay).
    ///
    /// Half of the round trip stands for the one-way delay: clock offsets cancel in it, so the rule
    /// is the same whatever the clocks say.
    pub(crate) fn gain_needed(&self) -> Owd {
        let (from, to) = self.ends;
        let round_trip = match ((self.cell)(from, to), (self.cell)(to, from)) {
            (Some(forward), Some(reverse)) => forward.raw + reverse.raw,
            _ => Owd::ZERO,
        };
        let least = self.gain_min.as_nanos();
        Owd::from_nanos(margin(least, self.gain_min_percent, round_trip.as_nanos()))
    }

    /// Each extra hop must gain; the first relay need not, since it may be wanted for when the
    /// default path dies.
    fn hop_gain_rule(&self, fewer: Option<i64>, cost: i64) -> Rule {
        let needed = self.gain_needed();
        match fewer.map(|fewer| Owd::from_nanos(fewer.saturating_sub(cost))) {
            Some(gain) if gain <= needed => Rule::HopGainTooSmall { gain, needed },
            _ => Rule::Outranked,
        }
    }

    /// One-relay paths over members that never carry, so that a person sees why they are not used.
    fn excluded(&self) -> Vec<Candidate> {
        let nodes = self.graph.nodes().iter().filter(|n| **n != self.ends.0 && **n != self.ends.1);
        let rules = nodes.filter_map(|relay| match (self.carrying)(*relay) {
            Carrying::For(_) => None,
            Carrying::Never => Some((*relay, Rule::NeverCarries { relay: *relay })),
            Carrying::Quarantined => Some((*relay, Rule::Quarantined { relay: *relay })),
        });
        let mut found: Vec<Candidate> =
            rules.map(|(relay, rule)| self.candidate(vec![relay], rule)).collect();
        found.sort_by_key(|candidate| (candidate.expected.is_none(), candidate.expected));
        found.truncate(PER_RELAY_COUNT);
        found
    }

    fn missing_segment(&self, relays: &[NodeId]) -> Option<Rule> {
        segments(self.ends, relays)
            .find(|(from, to)| (self.cell)(*from, *to).is_none())
            .map(|(from, to)| Rule::Unknown { from, to })
    }
}

/// The segments of the path `ends.0 -> relays.. -> ends.1`.
pub(crate) fn segments(
    ends: (NodeId, NodeId),
    relays: &[NodeId],
) -> impl Iterator<Item = (NodeId, NodeId)> {
    let starts = core::iter::once(ends.0).chain(relays.iter().copied());
    let stops = relays.iter().copied().chain(core::iter::once(ends.1));
    starts.zip(stops)
}
