//! Who should change places with whom, so that groups are worth more to their members (W84).
//!
//! A group is worth what its members gain by one another: over all pairs, how much faster the best
//! path over one member is than the direct one, times the share of its members that are alone in
//! their place and autonomous system there (a group in one building fails as one). Delays between
//! routers of one group are measured; between others nothing is, so there the distance of the two
//! places stands in, at the median pace of everything that is measured.
//!
//! A swap is proposed only if both groups together are worth more by a margin, and a round proposes
//! a bounded number: whoever moves starts with an empty matrix. A function of its arguments alone.

use std::collections::{BTreeMap, BTreeSet};

use srwan_wire::id::{GroupId, NodeId};

use crate::grouping::Direction;

/// What grouping knows of a router.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Which.
    pub node: NodeId,
    /// Its present group.
    pub group: GroupId,
    /// Where it is.
    pub place: Direction,
    /// Its autonomous system.
    pub asn: u32,
}

/// Two routers change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap {
    /// One, with the group that it leaves.
    pub left: (NodeId, GroupId),
    /// The other, likewise.
    pub right: (NodeId, GroupId),
}

/// Bounds of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegroupLimits {
    /// Swaps of a round: with one round an hour, the churn per hour is twice as many routers.
    pub swaps_max: usize,
    /// Swaps that are looked at: each costs two groups' worth, 1 ms at 100 members.
    pub tries_max: usize,
    /// Worth that the two groups must gain together, in percent.
    pub margin_percent: i64,
}

impl Default for RegroupLimits {
    fn default() -> Self {
        Self { swaps_max: 2, tries_max: 400, margin_percent: 10 }
    }
}

/// Routers nearer than this are in one place: a large city with its suburbs. **Units:** km.
const SAME_PLACE_KM: f64 = 50.0;

/// Pace of packets between places if nothing at all is measured: light in glass, one way.
/// **Units:** nanoseconds per km; Source: 2/3 of the speed of light in vacuum.
const PACE_NS_PER_KM: i64 = 5_000;

/// Everything that a round looks at.
struct Ground<'a> {
    routers: &'a [Standing],
    measured: &'a dyn Fn(NodeId, NodeId) -> Option<i64>,
    pace_ns_per_km: i64,
}

/// Proposes swaps for one round; `measured` gives a delay in nanoseconds without clock offsets.
#[must_use]
pub fn regroup(
    routers: &[Standing],
    measured: &dyn Fn(NodeId, NodeId) -> Option<i64>,
    limits: RegroupLimits,
    round: u64,
) -> Vec<Swap> {
    let ground = Ground { routers, measured, pace_ns_per_km: pace(routers, measured) };
    let mut groups: BTreeMap<GroupId, Vec<usize>> = BTreeMap::new();
    for (at, router) in routers.iter().enumerate() {
        groups.entry(router.group).or_default().push(at);
    }
    let mut worths: BTreeMap<GroupId, i64> =
        groups.iter().map(|(id, members)| (*id, ground.worth(members))).collect();
    let mut moved: BTreeSet<usize> = BTreeSet::new();
    let mut swaps = Vec::new();
    let mut draw = Draw(round);
    for _ in 0..limits.tries_max {
        if swaps.len() >= limits.swaps_max || routers.len() < 2 {
            break;
        }
        let (left, right) = (draw.below(routers.len()), draw.below(routers.len()));
        let ids = (routers[left].group, routers[right].group);
        if ids.0 == ids.1 || moved.contains(&left) || moved.contains(&right) {
            continue;
        }
        let changed =
            (exchange(&groups[&ids.0], left, right), exchange(&groups[&ids.1], right, left));
        let after = (ground.worth(&changed.0), ground.worth(&changed.1));
        let before = worths[&ids.0].saturating_add(worths[&ids.1]);
        let needed = before / 100 * limits.margin_percent;
        if after.0.saturating_add(after.1).saturating_sub(before) <= needed {
            continue;
        }
        groups.extend([(ids.0, changed.0), (ids.1, changed.1)]);
        worths.extend([(ids.0, after.0), (ids.1, after.1)]);
        moved.extend([left, right]);
        let named = |at: usize| (routers[at].node, routers[at].group);
        swaps.push(Swap { left: named(left), right: named(right) });
    }
    swaps
}

fn exchange(members: &[usize], leaves: usize, comes: usize) -> Vec<usize> {
    members.iter().map(|at| if *at == leaves { comes } else { *at }).collect()
}

impl Ground<'_> {
    /// Mean gain of the group's pairs, less what alike members take from it.
    fn worth(&self, members: &[usize]) -> i64 {
        let n = members.len();
        let pairs = members.iter().flat_map(|a| members.iter().map(move |z| (*a, *z)));
        let delays: Vec<i64> = pairs.map(|(a, z)| self.delay(a, z)).collect();
        let mut gain = 0_i64;
        for a in 0..n {
            for z in (0..n).filter(|z| *z != a) {
                let direct = delays[a * n + z];
                let over = (0..n).filter(|r| *r != a && *r != z);
                let best = over.map(|r| delays[a * n + r].saturating_add(delays[r * n + z])).min();
                gain = gain.saturating_add(direct.saturating_sub(best.unwrap_or(direct)).max(0));
            }
        }
        let count = |items: usize| i64::try_from(items).unwrap_or(i64::MAX);
        let mean = gain / count((n * n.saturating_sub(1)).max(1));
        mean / count(n.max(1)) * count(self.distinct(members))
    }

    /// Members that share neither place nor autonomous system with one before them.
    fn distinct(&self, members: &[usize]) -> usize {
        let alike = |a: &Standing, b: &Standing| {
            a.asn == b.asn && a.place.distance_km(b.place) < SAME_PLACE_KM
        };
        let is_first = |at: usize| {
            let own = &self.routers[members[at]];
            !members[..at].iter().any(|other| alike(own, &self.routers[*other]))
        };
        (0..members.len()).filter(|at| is_first(*at)).count()
    }

    fn delay(&self, a: usize, z: usize) -> i64 {
        if a == z {
            return 0;
        }
        let (from, to) = (&self.routers[a], &self.routers[z]);
        (self.measured)(from.node, to.node)
            .unwrap_or_else(|| kilometres(from, to).saturating_mul(self.pace_ns_per_km))
    }
}

/// The median pace of all measured pairs that are apart.
fn pace(routers: &[Standing], measured: &dyn Fn(NodeId, NodeId) -> Option<i64>) -> i64 {
    let pairs = routers.iter().flat_map(|a| routers.iter().map(move |z| (a, z)));
    let apart = pairs.filter(|(a, z)| a.node != z.node && kilometres(a, z) > 0);
    let mut paces: Vec<i64> =
        apart.filter_map(|(a, z)| Some(measured(a.node, z.node)? / kilometres(a, z))).collect();
    paces.sort_unstable();
    paces.get(paces.len() / 2).copied().unwrap_or(PACE_NS_PER_KM)
}

/// Whole kilometres between two routers.
fn kilometres(a: &Standing, z: &Standing) -> i64 {
    a.place.whole_km(z.place)
}

/// Pseudo-random choices that are the same everywhere. Source: SplitMix64 (Steele et al., 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from((mixed ^ (mixed >> 31)) % bound).unwrap_or(0)
    }
}
