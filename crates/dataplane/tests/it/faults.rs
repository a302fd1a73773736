//! A bad network: what must hold whatever it loses, repeats, delays and changes.

use crate::inner::udp;
use crate::world::{Faults, World};
use proptest::prelude::*;
use srwan_wire::id::LaneLabel;
use std::collections::BTreeSet;
use std::time::Duration;

const PACKETS: u32 = 400;

/// The inner octets that each router of the path counted.
fn billed(world: &mut World) -> [u64; 4] {
    [1, 2, 3, 4].map(|raw| world.plane(raw).lane_octets(LaneLabel(77)).unwrap().0)
}

/// Sends numbered packets over two relays while the network misbehaves.
fn run(faults: Faults) -> World {
    let mut world = World::connected(4);
    world.steer(1, &[2, 3], 4, 77);
    world.faults = faults;
    for number in 0..PACKETS {
        world.host_sends(1, &udp("10.0.1.5:1", "10.0.4.9:2", &number.to_be_bytes()));
        world.run(Duration::from_millis(500));
    }
    world.faults = Faults::default();
    world.run(Duration::from_secs(20));
    world
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn each_packet_is_delivered_and_billed_at_most_once_and_all_is_well_afterwards(
        seed: u64, loss in 0_u64..30, duplication in 0_u64..50, corruption in 0_u64..10,
        jitter_ms in 0_u64..150,
    ) {
        let mut world = run(Faults { seed, loss, duplication, corruption, jitter_ms });
        let delivered = core::mem::take(&mut world.router(4).delivered);
        let numbers: BTreeSet<&[u8]> = delivered.iter().map(|(_, packet)| &packet[28..]).collect();
        prop_assert_eq!(numbers.len(), delivered.len(), "delivered twice");
        prop_assert!(!delivered.is_empty());

        let octets = billed(&mut world);
        let all: usize = delivered.iter().map(|(_, packet)| packet.len()).sum();
        prop_assert_eq!(octets[3], u64::try_from(all).unwrap());
        prop_assert!(octets.is_sorted_by(|before, after| before >= after), "{:?}", octets);
        prop_assert_eq!(octets[0], u64::from(PACKETS) * 32);

        for from in 1..=4 {
            for to in (1..=4).filter(|to| *to != from) {
                world.send_oam(from, &[], to, b"still here");
            }
        }
        world.run_millis(100);
        for raw in 1..=4 {
            let heard = world.router(raw).punted.len();
            prop_assert_eq!(heard, 3, "router {} has no session any more", raw);
        }
    }
}

#[test]
fn a_flood_does_not_touch_established_flows() {
    let mut world = World::connected(3);
    world.steer(1, &[2], 3, 77);
    let before = world.plane(2).drops().total();
    for round in 0..200_u32 {
        world.host_sends(1, &udp("10.0.1.5:1", "10.0.3.9:2", b"flow"));
        for first in [0x81, 0x89, 0x99, 0xa1] {
            let mut bytes = vec![u8::try_from(round % 256).unwrap(); 148];
            bytes[..4].copy_from_slice(&[first, 0x01, 0, 0]);
            let from = std::net::SocketAddr::from(([203, 0, 113, 1], 1));
            let junk = crate::world::Datagram { from, to: world.address(2), tos: 0, bytes };
            (0..10).for_each(|_| world.send(junk.clone()));
        }
        world.run_millis(10);
    }
    world.run_millis(100);
    assert_eq!(world.router(3).delivered.len(), 200);
    assert_eq!(world.plane(2).drops().total() - before, 200 * 40);
    let attacker = std::net::IpAddr::from([203, 0, 113, 1]);
    assert!(world.sent.iter().all(|sent| sent.to.ip() != attacker));
}
