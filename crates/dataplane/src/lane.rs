//! Lanes: whose packets this router carries for money, from whom to whom, how much, and how much so
//! far.
//!
//! A lane's label names it in packets. A packet of a lane is carried only if it came from the
//! lane's previous hop, goes to its next hop, fits what receipts and credit allow, and its counter
//! was not billed before. What is counted is the inner packet, so every hop of a path counts the
//! same.

use crate::drop_reason::DropReason;
use crate::replay::ReplayWindow;
use crate::shared_lane::{Carried, FastPathMemory, LaneSlot, SharedLane, SharedLanes};
use srwan_wire::id::{LaneLabel, NodeId, Octets, PathId, SessionIndex};
use srwan_wire::segment::HeaderView;
use std::collections::{BTreeMap, BTreeSet};

/// Lanes at one router. A lane needs about 5 KiB with its windows, so all of them at most 20 MiB.
pub const LANES_MAX: usize = 4_096;

/// Streams whose counters a lane remembers.
///
/// A link key lives 180 s and the headend's session with the endpoint is replaced every 120 s, so a
/// datagram that was caught on the link can belong to one of three sessions; one more for a
/// restarted headend.
const STREAMS_KEPT: usize = 4;

/// A lane, as agreed at its set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneEntry {
    /// The label that its packets carry; not zero.
    pub label: LaneLabel,
    /// Who sends its packets here. This router itself where the path starts.
    pub previous: NodeId,
    /// To whom they go; `None` where the path ends.
    pub next: Option<NodeId>,
    /// Octets counted before it was installed here: zero, or what is on record after a restart.
    pub octets: Octets,
    /// Cumulative octets up to which it is served: receipts plus credit, at most the funded cap.
    pub allowed: Octets,
}

/// Why a lane was not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// Label zero is the unbilled class.
    #[error("label 0 stands for packets that nobody is billed for")]
    LabelZero,
    /// Another lane has this label here. The payer must choose another one.
    #[error("label {0} is taken by another lane")]
    LabelTaken(LaneLabel),
    /// There are [`LANES_MAX`] lanes.
    #[error("this router serves {LANES_MAX} lanes already")]
    Full,
}

/// What a lane has carried here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneMeter {
    /// Packets since it was installed.
    pub packets: u64,
    /// Cumulative octets of inner packets, with [`LaneEntry::octets`].
    pub octets: Octets,
}

/// Packets that share a counter: one path of one session between headend and endpoint.
type Stream = (SessionIndex, PathId);

/// A shared lane, and what others carried of it since it was folded before.
pub(crate) type Folded = (LaneEntry, Carried);

/// All lanes of a router.
#[derive(Debug, Default)]
pub(crate) struct LaneTable {
    lanes: BTreeMap<LaneLabel, Lane>,
    shared: Option<SharedLanes>,
    /// Shared lanes that came or went since the shell last asked.
    pub(crate) changed: BTreeSet<LaneLabel>,
    /// What others carried of lanes that were removed since the last fold.
    unfolded: Vec<Folded>,
}

/// One lane with its counters.
#[derive(Debug)]
pub(crate) struct Lane {
    entry: LaneEntry,
    /// What the data plane itself carried, with what was on record.
    meter: LaneMeter,
    windows: Vec<(Stream, Box<ReplayWindow>)>,
    /// Where credit and windows are if others carry packets of the lane, too.
    shared: Option<SharedLane>,
}

impl LaneTable {
    /// Installs a lane. Installing the same hops again keeps the count and the windows, and never
    /// lowers what is allowed.
    pub(crate) fn install(&mut self, entry: LaneEntry) -> Result<(), LaneError> {
        if entry.label == LaneLabel(0) {
            return Err(LaneError::LabelZero);
        }
        if let Some(lane) = self.lanes.get_mut(&entry.label) {
            return lane.install_again(entry);
        }
        if self.lanes.len() >= LANES_MAX {
            return Err(LaneError::Full);
        }
        self.lanes.insert(entry.label, Lane::new(entry));
        Ok(())
    }

    /// From here on lanes can be shared.
    pub(crate) fn share_in(&mut self, memory: FastPathMemory) {
        self.shared = Some(SharedLanes::new(memory));
    }

    /// Whether lanes can be shared.
    pub(crate) fn can_share(&self) -> bool {
        self.shared.is_some()
    }

    /// Lets others carry packets of a lane, too, if there is room for it in shared memory.
    pub(crate) fn share(&mut self, label: LaneLabel) {
        let Some(shared) = self.shared.as_mut() else { return };
        let Some(lane) = self.lanes.get_mut(&label).filter(|lane| lane.is_fresh()) else { return };
        lane.shared = shared.open(label, lane.meter.octets, lane.entry.allowed);
        if lane.shared.is_some() {
            self.changed.insert(label);
        }
    }

    /// The place of a shared lane.
    pub(crate) fn slot(&self, label: LaneLabel) -> Option<(LaneEntry, LaneSlot)> {
        let lane = self.lanes.get(&label)?;
        Some((lane.entry, lane.shared.as_ref()?.slot))
    }

    /// Has every shared lane told anew.
    pub(crate) fn change_all(&mut self) {
        let shared = self.lanes.iter().filter(|(_, lane)| lane.shared.is_some());
        self.changed.extend(shared.map(|(label, _)| *label));
    }

    /// What others carried of each shared lane since the last call, also of those removed since.
    pub(crate) fn fold(&mut self) -> impl Iterator<Item = Folded> + '_ {
        let removed = core::mem::take(&mut self.unfolded);
        self.lanes.values_mut().filter_map(Lane::fold).chain(removed)
    }

    /// What others refused since the last call.
    pub(crate) fn fold_refused(&mut self) -> [(DropReason, u64); 2] {
        self.shared.as_mut().map_or([(DropReason::Replayed, 0); 2], SharedLanes::fold_refused)
    }

    /// Raises what the lane may carry in all; never lowers it.
    pub(crate) fn raise(&mut self, label: LaneLabel, allowed: Octets) -> bool {
        let lane = self.lanes.get_mut(&label);
        lane.map(|lane| lane.raise(allowed)).is_some()
    }

    /// Removes the lane and says what it carried.
    pub(crate) fn remove(&mut self, label: LaneLabel) -> Option<LaneMeter> {
        let mut lane = self.lanes.remove(&label)?;
        if let Some((shared, place)) = self.shared.as_mut().zip(lane.shared.as_ref()) {
            shared.close(place);
            self.changed.insert(label);
            self.unfolded.extend(lane.fold());
        }
        Some(lane.meter())
    }

    pub(crate) fn meter(&self, label: LaneLabel) -> Option<LaneMeter> {
        self.lanes.get(&label).map(Lane::meter)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LaneEntry, LaneMeter)> + '_ {
        self.lanes.values().map(|lane| (lane.entry, lane.meter()))
    }

    /// The lane through which a packet of `octets` may go from `previous` to `next`.
    pub(crate) fn admit(
        &mut self,
        label: LaneLabel,
        hops: (NodeId, Option<NodeId>),
        octets: u64,
    ) -> Result<&mut Lane, DropReason> {
        let lane = self.lanes.get_mut(&label).ok_or(DropReason::UnknownLane)?;
        if (lane.entry.previous, lane.entry.next) != hops {
            return Err(DropReason::LaneHop);
        }
        if lane.octets().0.saturating_add(octets) > lane.entry.allowed.0 {
            return Err(DropReason::LaneCredit);
        }
        Ok(lane)
    }
}

impl Lane {
    fn new(entry: LaneEntry) -> Self {
        let meter = LaneMeter { packets: 0, octets: entry.octets };
        Self { entry, meter, windows: Vec::with_capacity(STREAMS_KEPT), shared: None }
    }

    /// Whether nothing was carried yet, so that no window of its own knows what a shared one would not.
    fn is_fresh(&self) -> bool {
        self.meter.packets == 0 && self.shared.is_none()
    }

    fn octets(&self) -> Octets {
        self.shared.as_ref().map_or(self.meter.octets, SharedLane::octets)
    }

    fn meter(&self) -> LaneMeter {
        let others = self.shared.as_ref().map_or(0, SharedLane::packets);
        LaneMeter { packets: self.meter.packets + others, octets: self.octets() }
    }

    fn raise(&mut self, allowed: Octets) {
        self.entry.allowed = self.entry.allowed.max(allowed);
        if let Some(shared) = &self.shared {
            shared.set_allowed(self.entry.allowed);
        }
    }

    fn fold(&mut self) -> Option<Folded> {
        let own = self.meter.octets;
        Some((self.entry, self.shared.as_mut()?.fold(own)))
    }

    fn install_again(&mut self, entry: LaneEntry) -> Result<(), LaneError> {
        if (self.entry.previous, self.entry.next) != (entry.previous, entry.next) {
            return Err(LaneError::LabelTaken(entry.label));
        }
        self.raise(entry.allowed);
        Ok(())
    }

    /// Bills a packet of `octets` that is relayed: each packet counter once.
    pub(crate) fn bill(&mut self, header: &HeaderView<'_>, octets: u64) -> Result<(), DropReason> {
        let (stream, counter) = ((header.session(), header.path()), header.counter());
        match &mut self.shared {
            Some(shared) => shared.bill(stream, counter, octets)?,
            None => {
                let taken = self.window(stream).accept(counter);
                taken.map(|_| ()).map_err(|_| DropReason::Replayed)?;
            }
        }
        self.count(octets);
        Ok(())
    }

    /// Counts a packet of `octets`.
    pub(crate) fn count(&mut self, octets: u64) {
        self.meter.packets += 1;
        self.meter.octets.0 = self.meter.octets.0.saturating_add(octets);
    }

    /// The window of a stream; the oldest one makes room for it.
    fn window(&mut self, stream: Stream) -> &mut ReplayWindow {
        if let Some(place) = self.windows.iter().position(|(other, _)| *other == stream) {
            return &mut self.windows[place].1;
        }
        let mut window = if self.windows.len() < STREAMS_KEPT {
            Box::default()
        } else {
            self.windows.remove(0).1
        };
        *window = ReplayWindow::new();
        &mut self.windows.push_mut((stream, window)).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(raw: u32) -> NodeId {
        NodeId::new(raw).unwrap()
    }

    fn entry(label: u32) -> LaneEntry {
        LaneEntry {
            label: LaneLabel(label),
            previous: node(1),
            next: Some(node(3)),
            octets: Octets(0),
            allowed: Octets(100),
        }
    }

    #[test]
    fn a_lane_serves_its_hops_up_to_its_credit() {
        let mut lanes = LaneTable::default();
        lanes.install(entry(7)).unwrap();
        let admit = |lanes: &mut LaneTable, label, hops, octets| {
            lanes.admit(LaneLabel(label), hops, octets).map(|lane| lane.count(octets))
        };
        let hops = (node(1), Some(node(3)));
        assert_eq!(admit(&mut lanes, 8, hops, 1), Err(DropReason::UnknownLane));
        assert_eq!(admit(&mut lanes, 7, (node(2), Some(node(3))), 1), Err(DropReason::LaneHop));
        assert_eq!(admit(&mut lanes, 7, (node(1), None), 1), Err(DropReason::LaneHop));
        assert_eq!(admit(&mut lanes, 7, hops, 60), Ok(()));
        assert_eq!(admit(&mut lanes, 7, hops, 41), Err(DropReason::LaneCredit));
        assert!(lanes.raise(LaneLabel(7), Octets(101)));
        assert_eq!(admit(&mut lanes, 7, hops, 41), Ok(()));
        assert_eq!(lanes.meter(LaneLabel(7)), Some(LaneMeter { packets: 2, octets: Octets(101) }));
    }

    #[test]
    fn what_is_allowed_is_never_lowered_and_the_count_survives_a_second_set_up() {
        let mut lanes = LaneTable::default();
        lanes.install(entry(7)).unwrap();
        lanes.admit(LaneLabel(7), (node(1), Some(node(3))), 60).unwrap().count(60);
        lanes.raise(LaneLabel(7), Octets(5));
        lanes.install(LaneEntry { allowed: Octets(1), ..entry(7) }).unwrap();
        let (kept, meter) = lanes.iter().next().unwrap();
        assert_eq!((kept.allowed, meter.octets), (Octets(100), Octets(60)));
    }

    #[test]
    fn a_label_belongs_to_one_lane_and_zero_to_none() {
        let mut lanes = LaneTable::default();
        lanes.install(entry(7)).unwrap();
        let other = LaneEntry { previous: node(9), ..entry(7) };
        assert_eq!(lanes.install(other), Err(LaneError::LabelTaken(LaneLabel(7))));
        assert_eq!(lanes.install(entry(0)), Err(LaneError::LabelZero));
    }

    #[test]
    fn there_are_at_most_so_many_lanes() {
        let mut lanes = LaneTable::default();
        let max = u32::try_from(LANES_MAX).unwrap();
        (1..=max).for_each(|label| lanes.install(entry(label)).unwrap());
        assert_eq!(lanes.install(entry(max + 1)), Err(LaneError::Full));
        assert!(lanes.remove(LaneLabel(1)).is_some());
        assert_eq!(lanes.install(entry(max + 1)), Ok(()));
    }
}
