//! Who cheats gains nothing, and nobody honest is put out for it; `srwan sim adversaries` plays them all.

use srwan_sim::adversary::{Strategy, play};

#[test]
fn a_relay_that_drops_all_data_and_passes_probes_loses_the_traffic() {
    let played = play(Strategy::DropAll, 1);
    assert!(played.is_harmless() && played.profit < 0, "{played:?}");
    assert!(played.left_after.is_some_and(|after| after.as_secs() < 10), "{played:?}");
}

#[test]
fn tickets_for_more_than_was_delivered_cost_their_fees_and_bring_nothing() {
    let played = play(Strategy::Inflate, 1);
    assert!(played.is_harmless() && played.profit < 0, "{played:?}");
    assert_ne!(played.note, "0 tickets refused");
}

#[test]
fn a_relay_that_delays_data_is_quarantined_and_nobody_else() {
    let played = play(Strategy::Delay, 1);
    assert!(played.is_harmless() && played.quarantined_after.is_some(), "{played:?}");
}
