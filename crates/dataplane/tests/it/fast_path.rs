//! What an executor beside the data plane is told, and what becomes of what it does to shared lanes.

use crate::inner::udp;
use crate::world::{Datagram, World, node};
use srwan_dataplane::{
    Dataplane, DropReason, FastPathMemory, FibAdjacency, FibChange, FibLane, FibLink, LANE_WORDS,
    LaneEntry, LaneSlot, PeerMeter, REFUSED_WORDS, Reach,
};
use srwan_wire::id::{LaneLabel, LinkIndex, NodeId, Octets};
use srwan_wire::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const LABEL: LaneLabel = LaneLabel(77);

/// Lanes for which there is room.
const LANES: usize = 2;

/// Words of a lane that others write, and its owner (the drawing in `shared_lane`).
const OCTETS: usize = 1;
const PACKETS_SHORT: usize = 2;
const PACKETS_LONG: usize = 3;
const OWNER: usize = 4;

fn packet() -> Vec<u8> {
    udp("10.0.1.5:1", "10.0.3.9:2", &[7; 72])
}

fn zeroes(count: usize) -> &'static [AtomicU64] {
    Box::leak((0..count).map(|_| AtomicU64::new(0)).collect())
}

/// What an executor shares with a data plane, and its copy of the FIB.
struct Executor {
    lanes: &'static [AtomicU64],
    refused: &'static [AtomicU64],
    copy: Copy,
}

/// A copy of the FIB.
#[derive(Debug, Default, PartialEq)]
struct Copy {
    links: BTreeMap<LinkIndex, FibLink>,
    adjacencies: BTreeMap<NodeId, FibAdjacency>,
    lanes: BTreeMap<LaneLabel, FibLane>,
}

impl Executor {
    fn beside(plane: &mut Dataplane) -> Self {
        let (lanes, refused) = (zeroes(LANES * LANE_WORDS), zeroes(REFUSED_WORDS));
        plane.enable_fast_path(FastPathMemory::new(lanes, refused).unwrap());
        Self { lanes, refused, copy: Copy::default() }
    }

    fn word(&self, slot: LaneSlot, word: usize) -> &AtomicU64 {
        &self.lanes[usize::try_from(slot.0).unwrap() * LANE_WORDS + word]
    }

    /// Bills a packet with a header of 24 octets, as the program does after it took its counter.
    fn carry(&self, slot: LaneSlot, octets: u64) {
        self.word(slot, OCTETS).fetch_add(octets, Ordering::Relaxed);
        self.word(slot, PACKETS_SHORT).fetch_add(1, Ordering::Relaxed);
    }
}

impl Copy {
    fn follow(&mut self, plane: &mut Dataplane) {
        while let Some(change) = plane.poll_fib_change() {
            match change {
                FibChange::Link(key, value) => put(&mut self.links, key, value),
                FibChange::Adjacency(key, value) => put(&mut self.adjacencies, key, value),
                FibChange::Lane(key, value) => put(&mut self.lanes, key, value),
            }
        }
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

/// Three routers, a lane from 1 over 2 to 3, and an executor beside 2.
fn world() -> (World, Executor, LaneSlot) {
    let mut world = World::connected(3);
    let mut executor = Executor::beside(world.plane(2));
    world.steer(1, &[2], 3, LABEL.0);
    executor.copy.follow(world.plane(2));
    let slot = executor.copy.lanes[&LABEL].slot;
    (world, executor, slot)
}

fn meter(world: &mut World, of: u32) -> PeerMeter {
    world.plane(2).meters().find(|(peer, _)| *peer == node(of)).unwrap().1
}

fn fold(world: &mut World) {
    let now = world.now;
    world.plane(2).fold_fast_path(now);
}

/// The copy is that of a newcomer who is told everything.
fn check_copy(world: &mut World, executor: &mut Executor) {
    let plane = world.plane(2);
    executor.copy.follow(plane);
    let mut fresh = Copy::default();
    plane.export_fib();
    fresh.follow(plane);
    assert_eq!(executor.copy, fresh);
}

#[test]
fn a_copy_that_follows_is_what_a_newcomer_would_be_told() {
    let mut world = World::new(4);
    let mut executor = Executor::beside(world.plane(2));
    world.connect_all(4);
    world.steer(1, &[2], 3, LABEL.0);
    world.faults.seed = 7;
    (world.faults.loss, world.faults.duplication, world.faults.jitter_ms) = (20, 10, 50);
    check_copy(&mut world, &mut executor);
    assert_eq!(executor.copy.adjacencies.len(), 3);
    let (mut links, mut adjacencies) = (0, 0);
    for second in 0..400 {
        world.run_millis(1_000);
        world.host_sends(1, &packet());
        disturb(&mut world, second);
        let before = (executor.copy.links.clone(), executor.copy.adjacencies.clone());
        check_copy(&mut world, &mut executor);
        links += usize::from(before.0 != executor.copy.links);
        adjacencies += usize::from(before.1 != executor.copy.adjacencies);
    }
    assert!(links > 8 && adjacencies > 8, "it was a quiet world: {links}, {adjacencies}");
}

/// Something happens to router 2's neighbours.
fn disturb(world: &mut World, second: u64) {
    match second {
        50 => roam(world),
        100 => {
            world.boot(1, 1, 0, Timestamp::default());
            world.introduce(1, 4);
            world.connect(1, 2, Reach::Direct);
        }
        150 => world.plane(2).remove_peer(node(4)),
        170 => world.introduce(2, 4),
        200 => drop(world.plane(2).remove_lane(LABEL)),
        250 => world.cut.extend([(2, 3), (3, 2)]),
        _ => {}
    }
}

/// Router 3 shows up at another port.
fn roam(world: &mut World) {
    let (now, mut bytes) = (world.now, Vec::new());
    let to = world.plane(3).seal_oam(node(2), &[], b"here", &mut bytes, now).unwrap();
    let mut from = world.router(3).address;
    from.set_port(999);
    world.inject(2, &Datagram { from, to, tos: 0, bytes });
    assert_eq!(world.plane(2).address(node(3)), Some(from));
}

#[test]
fn a_session_is_no_link_before_it_is_confirmed() {
    let mut world = World::new(2);
    let mut executor = Executor::beside(world.plane(2));
    world.connect(1, 2, Reach::Direct);
    // A call and its cookie take 20 ms, the next call and the response 20 ms, what proves that it came 10 ms.
    for (millis, links) in [(35, 0), (10, 0), (10, 1)] {
        world.run_millis(millis);
        executor.copy.follow(world.plane(2));
        assert_eq!(executor.copy.links.len(), links);
    }
    let link = executor.copy.links.values().next().unwrap();
    assert_eq!(link.previous, node(1));
    assert!(link.until > world.now + Duration::from_secs(170));
}

#[test]
fn only_lanes_that_are_sent_on_are_shared_and_only_while_there_is_room() {
    let mut world = World::connected(3);
    let mut executors: Vec<_> = (1..=3).map(|at| Executor::beside(world.plane(at))).collect();
    world.steer(1, &[2], 3, LABEL.0);
    for (executor, at) in executors.iter_mut().zip(1..) {
        executor.copy.follow(world.plane(at));
    }
    let counts: Vec<_> = executors.iter().map(|executor| executor.copy.lanes.len()).collect();
    assert_eq!(counts, [0, 1, 0]);
    for label in 1..=3 {
        let (previous, next) = (node(1), Some(node(3)));
        let (octets, allowed) = (Octets(0), Octets(9));
        let entry = LaneEntry { label: LaneLabel(label), previous, next, octets, allowed };
        world.plane(2).install_lane(entry).unwrap();
    }
    executors[1].copy.follow(world.plane(2));
    assert_eq!(executors[1].copy.lanes.len(), LANES);
}

#[test]
fn what_others_carried_is_metered_as_if_it_had_come_through_here() {
    let (mut world, executor, slot) = world();
    world.host_sends(1, &packet());
    world.run_millis(100);
    let (before_1, before_3) = (meter(&mut world, 1), meter(&mut world, 3));
    let totals = world.plane(2).totals();
    (0..3).for_each(|_| executor.carry(slot, 100));
    executor.word(slot, OCTETS).fetch_add(50, Ordering::Relaxed);
    executor.word(slot, PACKETS_LONG).fetch_add(1, Ordering::Relaxed);
    executor.refused[0].store(5, Ordering::Relaxed);
    assert_eq!(world.plane(2).lane_octets(LABEL), Some(Octets(450)), "known at once");
    for _ in 0..2 {
        fold(&mut world);
        let (after_1, after_3) = (meter(&mut world, 1), meter(&mut world, 3));
        assert_eq!(after_1.relayed.octets - before_1.relayed.octets, 350);
        assert_eq!(after_1.link_in.packets - before_1.link_in.packets, 4);
        assert_eq!(after_1.link_in.octets - before_1.link_in.octets, 350 + 3 * 48 + 56);
        assert_eq!(after_3.link_out.octets - before_3.link_out.octets, 350 + 3 * 48 + 56);
        let now = world.plane(2).totals();
        assert_eq!(now.link_in.packets - totals.link_in.packets, 4);
        assert_eq!(now.link_out.octets - totals.link_out.octets, 550);
        assert_eq!(world.plane(2).drops().count(DropReason::Replayed), 5);
        let carried = world.plane(2).fast_path().unwrap();
        assert_eq!((carried.packets, carried.octets, carried.dropped), (4, 350, 5));
    }
    let (_, lane) = world.plane(2).lanes().next().unwrap();
    assert_eq!((lane.packets, lane.octets), (5, Octets(450)));
}

#[test]
fn a_neighbour_whose_packets_others_carry_is_alive() {
    let (mut world, executor, slot) = world();
    world.run_millis(1_000);
    world.sent.clear();
    for _ in 0..60 {
        executor.carry(slot, 100);
        fold(&mut world);
        world.run_millis(1_000);
    }
    let to = world.address(1);
    let is_call = |datagram: &&Datagram| datagram.to == to && datagram.bytes[0] >> 4 == 0xa;
    assert_eq!(world.sent.iter().find(is_call), None, "nobody is called because of silence");
}

#[test]
fn credit_that_others_spent_is_spent() {
    let (mut world, executor, slot) = world();
    world.plane(2).remove_lane(LABEL);
    let (previous, next) = (node(1), Some(node(3)));
    let entry = LaneEntry { label: LABEL, previous, next, octets: Octets(0), allowed: Octets(250) };
    world.plane(2).install_lane(entry).unwrap();
    let slot = LaneSlot(1 - slot.0);
    executor.carry(slot, 100);
    for delivered in [1, 1] {
        world.host_sends(1, &packet());
        world.run_millis(100);
        assert_eq!(world.router(3).delivered.len(), delivered);
    }
    assert_eq!(world.drops, [(2, DropReason::LaneCredit)]);
    world.plane(2).raise_lane(LABEL, Octets(300));
    assert_eq!(executor.word(slot, 0).load(Ordering::Relaxed), 300);
    world.host_sends(1, &packet());
    world.run_millis(100);
    assert_eq!(world.router(3).delivered.len(), 2);
}

#[test]
fn a_packet_is_billed_once_by_whomever() {
    let (mut world, _, _) = world();
    world.host_sends(1, &packet());
    world.run_millis(100);
    let sent = core::mem::take(&mut world.sent);
    world.inject(2, &sent[0]);
    assert_eq!(world.drops, [(2, DropReason::Replayed)]);
    assert_eq!(world.plane(2).lane_octets(LABEL), Some(Octets(100)));
}

#[test]
fn a_lane_that_is_removed_is_closed_to_others_at_once_and_counted_to_the_end() {
    let (mut world, mut executor, slot) = world();
    assert_eq!(executor.word(slot, OWNER).load(Ordering::Relaxed), u64::from(LABEL.0));
    executor.carry(slot, 100);
    let meter_of_lane = world.plane(2).remove_lane(LABEL).unwrap();
    assert_eq!((meter_of_lane.packets, meter_of_lane.octets), (1, Octets(100)));
    assert_eq!(executor.word(slot, OWNER).load(Ordering::Relaxed), 0);
    fold(&mut world);
    assert_eq!(meter(&mut world, 1).relayed.octets, 100);
    executor.copy.follow(world.plane(2));
    assert!(executor.copy.lanes.is_empty());
}
