//! Loss, delay and partitions.

use std::time::Duration;

use commonware_runtime::{Runner as _, deterministic};
use commonware_utils::probability;

use crate::world::{Lasting, World, fixed, link};

#[test]
fn four_validators_agree_over_links_that_lose_a_tenth() {
    run(4, 1, async |world| {
        world.reach(&[0, 1, 2, 3], 60).await;
    });
}

#[test]
fn seven_validators_agree_over_links_that_lose_a_tenth() {
    run(7, 2, async |world| {
        world.reach(&[0, 1, 2, 3, 4, 5, 6], 30).await;
    });
}

#[test]
fn no_side_of_an_even_partition_goes_on_and_both_do_once_it_heals() {
    run(4, 3, async |world| {
        world.reach(&[0, 1, 2, 3], 10).await;
        let lossless = link(20, 10, probability!(1.0));
        world.relink(lossless.clone(), |from, to| (from < 2) == (to < 2)).await;
        world.sleep(2_000).await;
        let (before, _) = world.lasting.judge.chain();
        world.sleep(20_000).await;
        assert_eq!(world.lasting.judge.chain().0, before);
        world.relink(lossless, |_, _| true).await;
    });
}

#[test]
fn the_larger_side_of_a_partition_goes_on_and_the_lost_one_catches_up() {
    run(4, 4, async |world| {
        let lossless = link(20, 10, probability!(1.0));
        world.relink(lossless.clone(), |from, to| from != 3 && to != 3).await;
        world.reach(&[0, 1, 2], 45).await;
        assert!(world.height(3) < 10);
        world.relink(lossless, |_, _| true).await;
        world.reach(&[3], 45).await;
    });
}

#[test]
fn the_same_seed_runs_the_same_way_twice() {
    let twice: Vec<_> = (0..2).map(|_| audited(4, 9)).collect();
    assert_eq!(twice[0], twice[1]);
    assert_ne!(audited(4, 10).0, twice[0].0);
}

fn audited(validators: u8, seed: u64) -> (String, [u8; 32]) {
    let lasting = Lasting::new(validators, 10, &fixed(validators));
    let judge = lasting.judge.clone();
    let state = runner(seed).start(|context| async move {
        let lossy = link(30, 20, probability!(9, 10));
        let mut world = World::new(context, lasting, lossy).await;
        world.start_all().await;
        world.reach(&[0], 15).await;
        world.crash(1).await;
        world.start(1).await;
        world.reach(&[1], 25).await;
        world.context.auditor().state()
    });
    (state, judge.chain().1)
}

/// Runs validators over bad links, then mends the links and asks for liveness.
fn run(validators: u8, seed: u64, scenario: impl AsyncFnOnce(&mut World)) {
    let lasting = Lasting::new(validators, 20, &fixed(validators));
    runner(seed).start(|context| async move {
        let lossy = link(30, 20, probability!(9, 10));
        let mut world = World::new(context, lasting, lossy).await;
        world.start_all().await;
        scenario(&mut world).await;
        world.relink(link(10, 5, probability!(1.0)), |_, _| true).await;
        let all: Vec<usize> = (0..usize::from(validators)).collect();
        world.assert_live(&all).await;
    });
}

/// A runtime of a seed.
pub fn runner(seed: u64) -> deterministic::Runner {
    deterministic::Runner::new(limited(deterministic::Config::new().with_seed(seed)))
}

/// Gives up after ten simulated minutes.
pub fn limited(config: deterministic::Config) -> deterministic::Config {
    config.with_timeout(Some(Duration::from_secs(600)))
}
