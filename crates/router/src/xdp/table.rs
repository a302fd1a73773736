//! The program's copy of the FIB, joined with what is below IP, and kept in step.
//!
//! A lane is in the program's hands only while everything about its way is known: the next hop's session, its MAC
//! address, and an interface that takes frames. Else its packets go through the router, which makes the kernel ask
//! for the MAC address. Nothing tells this room that a route or a neighbour changed, so it looks once in a while.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use aya::maps::MapError;
use nix::time::{ClockId, clock_gettime};
use srwan_dataplane::{FibAdjacency, FibChange, FibLane};
use srwan_wire::id::{LaneLabel, NodeId};
use srwan_wire::time::Instant;

use super::program::Program;
use super::value::{LinkValue, WayValue};
use crate::clock::Clock;
use crate::kernel::MARK_OWN;
use crate::kernel::link_layer::{LinkLayer, Resolver};
use crate::kernel::netdev::Drivers;

/// The program gives keys up so long before they end. Its clock is slewed by up to 500 ppm, which is 90 ms over the
/// longest life of a key, and is up to 10 ms late.
const MARGIN: Duration = Duration::from_secs(1);

/// Where the program runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// Indexes of the interfaces that it is attached to.
    pub interfaces: Vec<u32>,
    /// The address that the router listens on; unspecified = any.
    pub listen: IpAddr,
}

/// A neighbour, and what is below IP on the way to it.
struct Neighbour {
    fib: FibAdjacency,
    below: Option<LinkLayer>,
}

/// The copy.
pub struct Table {
    program: Program,
    place: Place,
    clock: Clock,
    resolver: Resolver,
    drivers: Option<Drivers>,
    /// Interfaces that take frames.
    targets: BTreeSet<u32>,
    neighbours: BTreeMap<NodeId, Neighbour>,
    lanes: BTreeMap<LaneLabel, FibLane>,
}

impl Table {
    /// An empty copy for a program that is attached.
    ///
    /// # Errors
    /// No netlink.
    pub fn new(program: Program, place: Place, clock: Clock) -> io::Result<Self> {
        let mut table = Self {
            program,
            place,
            clock,
            resolver: Resolver::open()?,
            // A kernel that cannot be asked what drivers can do is taken at its word that it attached the program.
            drivers: Drivers::open().ok(),
            targets: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            lanes: BTreeMap::new(),
        };
        table.targets = table.find_targets();
        Ok(table)
    }

    /// The program, for tests that run it.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Takes over a change of the data plane.
    ///
    /// # Errors
    /// What the kernel says to a write into a map; the next change of the same key tries again.
    pub fn apply(&mut self, change: FibChange) -> Result<(), MapError> {
        match change {
            FibChange::Link(index, link) => {
                let value = link.map(|link| LinkValue::new(&link, self.deadline(link.until)));
                self.program.set_link(index, value.unwrap_or_default())
            }
            FibChange::Adjacency(node, Some(fib)) => {
                let below = self.resolve(fib.to.ip());
                self.neighbours.insert(node, Neighbour { fib, below });
                self.write_lanes_to(node)
            }
            FibChange::Adjacency(node, None) => {
                self.neighbours.remove(&node);
                self.write_lanes_to(node)
            }
            FibChange::Lane(label, Some(lane)) => {
                self.lanes.insert(label, lane);
                self.write(label)
            }
            FibChange::Lane(label, None) => {
                self.lanes.remove(&label);
                self.write(label)
            }
        }
    }

    /// Looks again at interfaces, routes and neighbours.
    ///
    /// # Errors
    /// As [`Table::apply`].
    pub fn refresh(&mut self) -> Result<(), MapError> {
        self.targets = self.find_targets();
        let used: BTreeSet<NodeId> = self.lanes.values().map(|lane| lane.next).collect();
        for node in used {
            let Some(to) = self.neighbours.get(&node).map(|known| known.fib.to.ip()) else {
                continue;
            };
            let below = self.resolve(to);
            let Some(known) = self.neighbours.get_mut(&node) else { continue };
            if std::mem::replace(&mut known.below, below) != below {
                self.write_lanes_to(node)?;
            }
        }
        Ok(())
    }

    /// Interfaces that the program is attached to, but that take no frames from it.
    pub fn useless(&self) -> impl Iterator<Item = u32> + '_ {
        self.place.interfaces.iter().copied().filter(|index| !self.targets.contains(index))
    }

    fn find_targets(&mut self) -> BTreeSet<u32> {
        let interfaces = self.place.interfaces.clone();
        let takes_frames = |index: &u32| match self.drivers.as_mut() {
            Some(drivers) => drivers.features(*index).is_ok_and(|features| features.takes_frames()),
            None => true,
        };
        interfaces.into_iter().filter(takes_frames).collect()
    }

    /// The way below IP, if it leads over an interface of the program.
    fn resolve(&mut self, target: IpAddr) -> Option<LinkLayer> {
        let found = self.resolver.resolve(target, MARK_OWN)?;
        let source = Some(self.place.listen).filter(|listen| !listen.is_unspecified());
        let below = LinkLayer { source: source.unwrap_or(found.source), ..found };
        self.targets.contains(&below.interface).then_some(below)
    }

    fn write_lanes_to(&mut self, node: NodeId) -> Result<(), MapError> {
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.next == node);
        let labels: Vec<LaneLabel> = lanes.map(|(label, _)| *label).collect();
        labels.into_iter().try_for_each(|label| self.write(label))
    }

    fn write(&mut self, label: LaneLabel) -> Result<(), MapError> {
        match self.way(label) {
            Some(way) => self.program.set_way(label, way),
            None => self.program.clear_way(label),
        }
    }

    fn way(&self, label: LaneLabel) -> Option<WayValue> {
        let lane = self.lanes.get(&label)?;
        let Neighbour { fib, below } = self.neighbours.get(&lane.next)?;
        WayValue::new(lane, fib, below.as_ref()?, self.deadline(fib.until))
    }

    /// Until when the program may use keys that end at `until`, by the kernel's monotonic clock.
    fn deadline(&self, until: Instant) -> u64 {
        let left = until.since(self.clock.now());
        let now: Duration =
            clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has this clock").into();
        u64::try_from((now + left).saturating_sub(MARGIN).as_nanos()).unwrap_or(u64::MAX)
    }
}
