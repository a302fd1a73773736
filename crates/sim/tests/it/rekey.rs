//! Replacing keys under load, over a path that is paid for.

use srwan_node::KeyLife;
use srwan_sim::net::Link;
use srwan_sim::world::{World, WorldConfig};
use std::time::Duration;

/// Completed handshakes of one router with another.
fn handshakes(world: &World, router: usize, peer: usize) -> u64 {
    let (view, peer) = (world.view(router), world.view(peer).node);
    view.peers.iter().find(|p| p.node == peer).unwrap().meter.handshakes
}

#[test]
fn ten_rekeys_under_load_over_a_relay_lose_no_packet_on_a_clean_link() {
    let key_life = KeyLife::new(Duration::from_secs(2)).unwrap();
    let mut world = World::new(&WorldConfig { key_life, ..WorldConfig::new(3) }, 1);
    world.link(0, 1, Link::with_owd_ms(20));
    world.link(1, 2, Link::with_owd_ms(20));
    world.link(0, 2, Link::with_owd_ms(80));
    world.run(Duration::from_secs(25));
    let pairs = [(0, 1), (1, 2), (0, 2)];
    let before = pairs.map(|(a, b)| handshakes(&world, a, b));
    let arrived_before = world.delivered.len();
    let drops_before = [0, 1, 2].map(|router| world.view(router).drops);
    let mut sent = 0;
    while pairs.iter().zip(before).any(|((a, b), count)| handshakes(&world, *a, *b) < count + 10) {
        assert!(world.host_sends(0, 2, &[7; 1_000]), "the path over the relay is engaged");
        sent += 1;
        assert!(sent < 40_000, "keys are not replaced");
        world.run(Duration::from_millis(1));
    }
    world.run(Duration::from_secs(1));
    assert_eq!(world.delivered.len() - arrived_before, sent);
    assert_eq!([0, 1, 2].map(|router| world.view(router).drops), drops_before);
}
