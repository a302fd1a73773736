//! The data plane allocates nothing per packet.

use crate::inner::udp;
use crate::world::{Datagram, World, receiver};
use srwan_dataplane::{Frame, HEADROOM, Spread, TAILROOM, Verdict};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting the calls of each thread.
struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed to `System` unchanged; the counter is a plain cell that allocates
// nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` allocates.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = CALLS.with(Cell::get);
    work();
    CALLS.with(Cell::get) - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(Vec::<u8>::with_capacity(10))), 1);
}

#[test]
fn headend_relay_endpoint_and_drops_allocate_nothing_per_packet() {
    let mut world = World::connected(3);
    world.steer(1, &[2], 3, 77);
    let packet = udp("10.0.1.5:1", "10.0.3.9:2", &[7; 1_000]);
    // The first packet of a path makes its counter and its windows.
    world.host_sends(1, &packet);
    world.run_millis(100);
    world.sent.clear();

    let mut buffer = vec![0; HEADROOM + packet.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + packet.len();
    buffer[range.clone()].copy_from_slice(&packet);
    let now = world.now;
    let plane = world.plane(1);
    let mut frame = Frame::new(&mut buffer, range).unwrap();
    assert_eq!(allocations(|| is_forward(&plane.headend(&mut frame, now))), 0);

    let mut datagram = next(&mut world, &packet);
    assert_eq!(receiver(&datagram), 2);
    let at_relay = |world: &mut World, datagram: &mut Datagram| {
        let plane = world.plane(2);
        allocations(|| {
            plane.receive(datagram.from, &mut datagram.bytes, 0, now);
        })
    };
    let mut replay = datagram.clone();
    assert_eq!(at_relay(&mut world, &mut datagram), 0);
    assert_eq!(at_relay(&mut world, &mut replay), 0);
    let mut junk = Datagram { bytes: vec![0x81; 100], ..replay };
    assert_eq!(at_relay(&mut world, &mut junk), 0);

    let from = world.address(2);
    let plane = world.plane(3);
    let mut is_delivered = false;
    let bytes = &mut datagram.bytes;
    let count = allocations(|| {
        is_delivered = matches!(plane.receive(from, bytes, 0, now), Verdict::Deliver { .. });
    });
    assert_eq!((count, is_delivered), (0, true));
}

#[test]
fn several_paths_cost_no_allocation_but_for_what_waits_or_is_copied() {
    for spread in [Spread::Flows, Spread::Packets] {
        let mut world = World::connected(4);
        world.spread(1, spread, &[(2, 1), (3, 1)], 4);
        let packet = udp("10.0.1.5:1", "10.0.4.9:2", &[7; 1_000]);
        // The first packets of a path make its counters and windows.
        for _ in 0..4 {
            world.host_sends(1, &packet);
        }
        world.run_millis(100);
        let mut buffer = vec![0; HEADROOM + packet.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + packet.len();
        buffer[range.clone()].copy_from_slice(&packet);
        let now = world.now;
        let mut frame = Frame::new(&mut buffer, range).unwrap();
        let plane = world.plane(1);
        assert_eq!(allocations(|| is_forward(&plane.headend(&mut frame, now))), 0, "{spread:?}");
    }
}

fn next(world: &mut World, packet: &[u8]) -> Datagram {
    world.host_sends(1, packet);
    world.sent.pop().unwrap()
}

fn is_forward(verdict: &Verdict) {
    assert!(matches!(verdict, Verdict::Forward(_)));
}
