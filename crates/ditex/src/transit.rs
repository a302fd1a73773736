//! Ways between routers of different groups (W35), from what DITEX holds.
//!
//! Nobody measures between groups before there is traffic. But most places have a router in most
//! groups: the member of the own group that is nearest to the other end stands in for it. So a
//! relay of either end's group is ranked by one measured delay and one between it and the stand-in;
//! the best few are then probed over the very path, like every path (invariant 7), and the direct
//! path always is.

use srwan_wire::id::NodeId;

use crate::grouping::Direction;

/// Ways that are worth a probe each: as many as control keeps of each number of relays.
pub const TRANSITS_MAX: usize = 4;

/// A member of a group with its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// Which.
    pub node: NodeId,
    /// Where it is.
    pub place: Direction,
}

/// A way between groups that deserves a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transit {
    /// What it is expected to take. **Units:** nanoseconds without clock offsets.
    pub expected_ns: i64,
    /// Its relay.
    pub relay: NodeId,
}

/// Delays that DITEX holds: `None` where nobody measures.
pub type Measured<'a> = &'a dyn Fn(NodeId, NodeId) -> Option<i64>;

/// The best ways over one relay from `source`, a member of `near`, to `target`, a member of `far`;
/// at most [`TRANSITS_MAX`], the best first.
#[must_use]
pub fn transits(
    source: Placed,
    target: Placed,
    near: &[Placed],
    far: &[Placed],
    measured: Measured<'_>,
) -> Vec<Transit> {
    let mut found = Vec::new();
    if let Some(stand_in) = nearest(target, near, source.node) {
        let over = near.iter().map(|relay| relay.node);
        let way = |relay| Some((measured(source.node, relay)?, leg(relay, stand_in, measured)?));
        found.extend(over.filter(|relay| *relay != source.node).filter_map(|r| sum(r, way(r)?)));
    }
    if let Some(stand_in) = nearest(source, far, target.node) {
        let over = far.iter().map(|relay| relay.node);
        let way = |relay| Some((leg(stand_in, relay, measured)?, measured(relay, target.node)?));
        found.extend(over.filter(|relay| *relay != target.node).filter_map(|r| sum(r, way(r)?)));
    }
    found.sort_unstable();
    found.truncate(TRANSITS_MAX);
    found
}

/// The member that stands in for a router of another group; the lowest of equally near ones.
fn nearest(router: Placed, members: &[Placed], except: NodeId) -> Option<NodeId> {
    let others = members.iter().filter(|member| member.node != except);
    let distance = |member: &Placed| member.place.whole_km(router.place);
    others.min_by_key(|member| (distance(member), member.node)).map(|member| member.node)
}

/// A relay that is the stand-in itself is as near as can be.
fn leg(from: NodeId, to: NodeId, measured: Measured<'_>) -> Option<i64> {
    if from == to { Some(0) } else { measured(from, to) }
}

fn sum(relay: NodeId, (head, tail): (i64, i64)) -> Option<Transit> {
    Some(Transit { expected_ns: head.checked_add(tail)?, relay })
}
