//! Links that carry less than usual: packets find their size, and nothing is lost for long.

use srwan_sim::net::Link;
use srwan_sim::world::{World, WorldConfig};
use srwan_wire::time::Instant;
use std::collections::BTreeSet;
use std::time::Duration;

/// Octets of the headers of a host's UDP packet over IPv4.
const HEADERS: usize = 28;

/// The sender waits this long for one packet before it sends it again.
const RETRY: Duration = Duration::from_millis(300);

/// Sites at routers 0 and 3; the direct path takes 200 ms, over router 1 it takes 60 ms, over 2 70 ms.
fn world(inner_mtu: u16) -> World {
    let mut world = World::new(&WorldConfig { inner_mtu, ..WorldConfig::new(4) }, 7);
    for (a, b, ms) in [(0, 3, 200), (0, 1, 30), (1, 3, 30), (0, 2, 35), (2, 3, 35), (1, 2, 20)] {
        world.link(a, b, Link::with_owd_ms(ms));
    }
    world
}

/// A host that sends one packet after the other, each until it has arrived, and as large as it was told that packets
/// may be.
struct Transfer {
    size: usize,
    next: u32,
    sent_at: Option<Instant>,
    seen: usize,
    arrived: BTreeSet<u32>,
    /// Times at which packets arrived.
    times: Vec<Instant>,
}

impl Transfer {
    fn new(size: usize) -> Self {
        let (arrived, times) = (BTreeSet::new(), Vec::new());
        Self { size, next: 0, sent_at: None, seen: 0, arrived, times }
    }

    fn run(&mut self, world: &mut World, length: Duration) {
        let end = world.now() + length;
        while world.now() < end {
            self.send(world);
            world.run(Duration::from_millis(5));
            self.look(world);
        }
    }

    fn send(&mut self, world: &mut World) {
        let is_due = self.sent_at.is_none_or(|at| world.now().since(at) >= RETRY);
        if is_due {
            let mut payload = vec![0; self.size - HEADERS];
            payload[..4].copy_from_slice(&self.next.to_be_bytes());
            assert!(world.host_sends(0, 3, &payload), "the path is engaged");
            self.sent_at = Some(world.now());
        }
    }

    fn look(&mut self, world: &World) {
        for delivered in &world.delivered[self.seen..] {
            let packet = &delivered.packet;
            match (delivered.router, packet[9]) {
                // "Fragmentation needed", with the MTU of the path.
                (0, 1) => {
                    self.size = usize::from(u16::from_be_bytes([packet[26], packet[27]]));
                    self.sent_at = None;
                }
                (3, _) => {
                    let number = u32::from_be_bytes(packet[28..32].try_into().unwrap());
                    self.arrived.insert(number);
                    self.times.push(delivered.at);
                }
                _ => {}
            }
        }
        self.seen = world.delivered.len();
        while self.arrived.contains(&self.next) {
            self.next += 1;
            self.sent_at = None;
        }
    }

    /// The longest time without an arrival since `from`.
    fn longest_silence(&self, from: Instant, until: Instant) -> Duration {
        let mut last = from;
        let mut longest = Duration::ZERO;
        for at in self.times.iter().copied().filter(|at| *at >= from).chain([until]) {
            longest = longest.max(at.since(last));
            last = at;
        }
        longest
    }
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn a_transfer_goes_on_when_a_link_in_the_middle_shrinks() {
    let mut world = world(1_380);
    world.run(secs(20));
    let mut transfer = Transfer::new(1_380);
    transfer.run(&mut world, secs(5));
    assert_eq!(transfer.size, 1_380, "nothing was too large");
    let onset = world.now();
    world.link(1, 3, Link { mtu: 1_280, ..Link::with_owd_ms(30) });
    transfer.run(&mut world, secs(20));
    let silence = transfer.longest_silence(onset, world.now());
    println!("longest silence {silence:?}, packets of {} octets", transfer.size);
    assert!(silence <= Duration::from_millis(3_200), "{silence:?}");
    let best = 1_280 - 28 - 48;
    assert!((1_160..=best).contains(&transfer.size), "{} of {best}", transfer.size);
    let numbers: Vec<u32> = (0..transfer.next).collect();
    assert!(numbers.iter().all(|number| transfer.arrived.contains(number)));
}

#[test]
fn jumbo_links_carry_jumbo_packets_where_every_segment_does() {
    let mut world = world(8_900);
    for (a, b, ms) in [(0, 1, 30), (1, 3, 30)] {
        world.link(a, b, Link { mtu: 9_000, ..Link::with_owd_ms(ms) });
    }
    world.run(secs(40));
    let mut transfer = Transfer::new(8_900);
    transfer.run(&mut world, secs(5));
    assert_eq!(transfer.size, 8_900);
    world.link(1, 3, Link::with_owd_ms(30));
    let onset = world.now();
    transfer.run(&mut world, secs(30));
    let silence = transfer.longest_silence(onset, world.now());
    assert!(silence <= Duration::from_millis(3_200), "{silence:?}");
    assert!((1_160..=1_424).contains(&transfer.size), "{}", transfer.size);
}
