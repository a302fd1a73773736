//! A policy as the fast path uses it: its paths, and which of them takes a packet.

use crate::dscp::{DscpSet, point_of};
use crate::policy::{PolicyClass, PolicyEntry, PolicyError, PolicyPath, Spread};
use crate::session::OAM_PATH;
use crate::shares::{PATHS_MAX, Slots, Turns};
use srwan_wire::id::{LaneLabel, NodeId, PathId};
use srwan_wire::path_group::PathGroup;
use srwan_wire::sid::SegmentList;

/// One path of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) endpoint: NodeId,
    pub(crate) first_hop: NodeId,
    pub(crate) segments: SegmentList,
    pub(crate) lane: LaneLabel,
    pub(crate) path_id: PathId,
    weight: u8,
}

/// All paths of a policy.
#[derive(Clone, Debug)]
pub(crate) struct Steering {
    pub(crate) inner_mtu: u16,
    spread: Spread,
    ways: Vec<Way>,
    /// Whose flows are whose; `None` where there is one path.
    slots: Option<Slots>,
    turns: Turns,
    classes: Vec<ClassWay>,
}

/// The path of a forwarding class.
#[derive(Clone, Copy, Debug)]
struct ClassWay {
    dscp: DscpSet,
    inner_mtu: u16,
    way: Way,
}

/// What a policy says about one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    pub(crate) inner_mtu: u16,
    pub(crate) spread: Spread,
    /// The path to take.
    pub(crate) way: Way,
    /// Its place among the paths.
    pub(crate) place: usize,
    /// How many paths there are.
    pub(crate) count: usize,
}

impl Steering {
    pub(crate) fn new(entry: &PolicyEntry, me: NodeId) -> Result<Self, PolicyError> {
        if entry.paths.is_empty() || entry.paths.len() > PATHS_MAX {
            return Err(PolicyError::Paths);
        }
        let way = |path| Way::new(entry, path, me);
        let ways = entry.paths.iter().map(way).collect::<Result<Vec<Way>, PolicyError>>()?;
        let class = |class: &PolicyClass| {
            let way = Way::new(entry, &class.path, me)?;
            Ok(ClassWay { dscp: class.dscp, inner_mtu: class.inner_mtu, way })
        };
        let classes = entry.classes.iter().map(class).collect::<Result<_, PolicyError>>()?;
        if entry.spread != Spread::Flows && !are_of_one_group(&ways, entry.spread) {
            return Err(PolicyError::PathId);
        }
        let mut steering = Self {
            inner_mtu: entry.inner_mtu,
            spread: entry.spread,
            ways,
            slots: None,
            turns: Turns::default(),
            classes,
        };
        steering.deal(|_| None);
        Ok(steering)
    }

    /// Keeps flows on the paths that they had under `before`, as far as those are still here.
    pub(crate) fn follow(&mut self, before: &Self) {
        let known = |way: &Way| self.ways.iter().position(|now| now.is_same_path(way));
        let renumbered: Vec<Option<u8>> = before
            .ways
            .iter()
            .map(|way| known(way).and_then(|place| u8::try_from(place).ok()))
            .collect();
        let owner = |slot| {
            let place = before.slots.as_ref().map_or(0, |slots| slots.at(slot));
            renumbered.get(usize::from(place)).copied().flatten()
        };
        self.deal(owner);
    }

    /// The path for the next packet, which is of this flow and has this TOS or traffic class octet.
    pub(crate) fn pick(&mut self, flow: u16, tos: u8) -> Pick {
        let of_class = self.classes.iter().find(|class| class.dscp.contains(point_of(tos)));
        if let Some(ClassWay { inner_mtu, way, .. }) = of_class.copied() {
            return Pick { inner_mtu, spread: Spread::Flows, way, place: 0, count: 1 };
        }
        let place = match (self.spread, &self.slots) {
            (Spread::Flows, Some(slots)) => slots.of(flow),
            (Spread::Packets, _) => self.turns.next(self.ways.iter().map(|way| way.weight)),
            (Spread::Flows, None) | (Spread::Copies, _) => 0,
        };
        Pick {
            inner_mtu: self.inner_mtu,
            spread: self.spread,
            way: self.ways[place],
            place,
            count: self.ways.len(),
        }
    }

    /// The path at a place.
    pub(crate) fn way(&self, place: usize) -> Option<Way> {
        self.ways.get(place).copied()
    }

    fn deal(&mut self, before: impl Fn(usize) -> Option<u8>) {
        if self.spread == Spread::Flows && self.ways.len() > 1 {
            let weights: Vec<u8> = self.ways.iter().map(|way| way.weight).collect();
            self.slots = Some(Slots::deal(&weights, before));
        }
    }
}

impl Way {
    fn new(entry: &PolicyEntry, path: &PolicyPath, me: NodeId) -> Result<Self, PolicyError> {
        let segments = SegmentList::new(&path.relays, entry.endpoint)?;
        if entry.endpoint == me || path.relays.contains(&me) {
            return Err(PolicyError::Loop);
        }
        if path.path_id == OAM_PATH {
            return Err(PolicyError::PathId);
        }
        if path.weight == 0 {
            return Err(PolicyError::Paths);
        }
        Ok(Self {
            endpoint: entry.endpoint,
            first_hop: path.relays.first().copied().unwrap_or(entry.endpoint),
            segments,
            lane: path.lane.unwrap_or_default(),
            path_id: path.path_id,
            weight: path.weight,
        })
    }

    /// Over the same routers, whoever pays. The first relay is not in the (reduced) list.
    fn is_same_path(&self, other: &Self) -> bool {
        let routers = |way: &Self| (way.endpoint, way.first_hop, way.segments);
        routers(self) == routers(other)
    }
}

/// Whether all paths are different members of one group of the kind that `spread` needs.
fn are_of_one_group(ways: &[Way], spread: Spread) -> bool {
    let group = |way: &Way| PathGroup::of(way.path_id).map(|(group, _)| group);
    let Some(first) = ways.first().and_then(group) else { return false };
    let is_of_it = |way: &Way| group(way) == Some(first);
    let is_twice = |at: usize| ways[..at].iter().any(|way| way.path_id == ways[at].path_id);
    first.is_in_order() == (spread == Spread::Packets)
        && ways.iter().all(is_of_it)
        && !(0..ways.len()).any(is_twice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use srwan_wire::sid::SegmentListError;

    fn node(raw: u32) -> NodeId {
        NodeId::new(raw).unwrap()
    }

    fn path(relays: &[u32], path_id: u8, weight: u8) -> PolicyPath {
        let relays = relays.iter().map(|raw| node(*raw)).collect();
        PolicyPath { relays, lane: None, path_id: PathId(path_id), weight }
    }

    fn entry(spread: Spread, paths: Vec<PolicyPath>) -> PolicyEntry {
        PolicyEntry { spread, paths, ..PolicyEntry::new(node(9), vec![], None, PathId(0)) }
    }

    fn check(spread: Spread, paths: Vec<PolicyPath>, expected: Result<(), PolicyError>) {
        assert_eq!(Steering::new(&entry(spread, paths), node(1)).map(drop), expected);
    }

    #[test]
    fn paths_through_this_router_and_the_path_of_control_messages_are_refused() {
        let flows = |paths, expected| check(Spread::Flows, paths, expected);
        flows(vec![path(&[2, 3], 0, 1)], Ok(()));
        flows(vec![path(&[2, 1], 0, 1)], Err(PolicyError::Loop));
        flows(vec![path(&[2], 255, 1)], Err(PolicyError::PathId));
        let twice = PolicyError::Path(SegmentListError::Repeated(node(2)));
        flows(vec![path(&[2, 2], 0, 1)], Err(twice));
        let own = PolicyEntry::new(node(1), vec![node(2)], None, PathId(0));
        assert!(matches!(Steering::new(&own, node(1)), Err(PolicyError::Loop)));
    }

    #[test]
    fn a_policy_has_one_to_four_paths_with_a_share_each() {
        let flows = |paths, expected| check(Spread::Flows, paths, expected);
        flows(vec![], Err(PolicyError::Paths));
        flows((2..=5).map(|relay| path(&[relay], 1, 1)).collect(), Ok(()));
        flows((2..=6).map(|relay| path(&[relay], 1, 1)).collect(), Err(PolicyError::Paths));
        flows(vec![path(&[2], 1, 0)], Err(PolicyError::Paths));
    }

    #[test]
    fn turns_and_copies_need_paths_of_one_group_of_their_kind() {
        let two = |a, b| vec![path(&[2], a, 1), path(&[3], b, 1)];
        check(Spread::Copies, two(0x80, 0x81), Ok(()));
        check(Spread::Packets, two(0xc0, 0xc7), Ok(()));
        for (a, b) in [(0xc0, 0xc1), (0x80, 0x91), (0x80, 0x80), (1, 2), (0x80, 2)] {
            check(Spread::Copies, two(a, b), Err(PolicyError::PathId));
        }
        check(Spread::Packets, two(0x80, 0x81), Err(PolicyError::PathId));
    }

    #[test]
    fn flows_stay_when_a_lane_changes_or_another_path_goes() {
        let steering = |paths| Steering::new(&entry(Spread::Flows, paths), node(1)).unwrap();
        let relays = |steering: &mut Steering, flow| steering.pick(flow, 0).way.first_hop;
        let paths = vec![path(&[2], 1, 1), path(&[3], 2, 1), path(&[4], 3, 1)];
        let mut before = steering(paths.clone());
        let mut after = steering(vec![paths[2].clone(), paths[0].clone()]);
        after.follow(&before);
        for flow in (0..=u16::MAX).step_by(97) {
            let had = relays(&mut before, flow);
            assert!(had == node(3) || relays(&mut after, flow) == had, "flow {flow}");
        }
        let mut renewed = steering(paths.into_iter().rev().collect());
        renewed.follow(&before);
        for flow in (0..=u16::MAX).step_by(97) {
            assert_eq!(relays(&mut renewed, flow), relays(&mut before, flow));
        }
    }
}
