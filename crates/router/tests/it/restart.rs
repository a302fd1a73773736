//! A router that is killed and comes back, with a clock that somebody set meanwhile.

use srwan_router::stamp::STAMP_FILE;

use crate::network::Network;

#[test]
fn a_clock_set_back_an_hour_across_a_kill_still_completes_handshakes() {
    let Some(mut network) = Network::new(2) else { return };
    (0..2).for_each(|index| network.start(index));
    (0..2).for_each(|index| drop(network.wait_status(index, "a peer", |s| s.peers_up == 1)));
    network.sites[0].router.take().unwrap().kill();
    assert!(network.dir.path().join("r1").join(STAMP_FILE).exists());
    network.start_with(0, "[clock]\nskew_ms = -3600000\n");
    network.wait_status(0, "the peer again", |status| status.peers_up == 1);
    let other = network.wait_status(1, "an answer", |_| true);
    assert!(!other.drops.iter().any(|drop| drop.reason.contains("stale")), "{:?}", other.drops);
}
