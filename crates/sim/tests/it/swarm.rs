//! The swarm itself: it repeats, it differs, it runs clean; six hundred seeds are the gate's (`tests/swarm`).

use srwan_sim::swarm::{self, Character};

#[test]
fn the_same_seed_gives_the_same_audit_hash_and_another_seed_another() {
    let (first, again) = (swarm::run(1), swarm::run(1));
    assert_eq!(first, again);
    assert_ne!(first.audit, swarm::run(2).audit);
}

#[test]
fn a_seed_of_each_character_breaks_no_promise() {
    for (seed, character) in (100..).zip(Character::ALL) {
        let report = swarm::run_as(seed, *character);
        let told: Vec<_> = report.violations.iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "seed {seed} {character:?}: {told:#?}");
    }
}
