//! Paths that die and paths that live: a small part of what `srwan sim failover` does.

use srwan_sim::failover::calm::{self, Trouble};
use srwan_sim::failover::deaths::{self, Death};
use srwan_sim::failover::pulses;
use std::time::Duration;

fn deaths_of(death: Death, jitter: bool, count: u32) -> deaths::Times {
    deaths::run(deaths::Order { death, jitter, count, seed: 3 }).unwrap()
}

#[test]
fn every_blackout_is_answered_within_the_promise() {
    for jitter in [false, true] {
        let times = deaths_of(Death::Blackout, jitter, 40);
        assert_eq!((times.answered.len(), times.unanswered), (40, 0), "jitter {jitter}");
        let (p50, most) = (times.quantile(500), times.quantile(1_000));
        assert!(p50 <= Duration::from_millis(500), "jitter {jitter}: p50 {p50:?}");
        assert!(most <= Duration::from_secs(2), "jitter {jitter}: max {most:?}");
    }
}

#[test]
fn a_path_that_loses_three_of_ten_packets_is_left() {
    let times = deaths_of(Death::Part, false, 8);
    assert_eq!(times.unanswered, 0, "{times:?}");
}

#[test]
fn the_same_seed_gives_the_same_times() {
    let times = deaths_of(Death::Blackout, true, 5);
    assert_eq!(deaths_of(Death::Blackout, true, 5), times);
}

#[test]
fn paths_whose_delay_varies_are_kept() {
    let length = Duration::from_secs(600);
    let moves = calm::run(calm::Order { trouble: Trouble::Jitter, length, seed: 3 }).unwrap();
    assert!((moves.way_hours - 2.0).abs() < 1e-9, "{moves:?}");
    assert!(moves.failovers <= 2 && moves.switches <= 4, "{moves:?}");
}

#[test]
fn where_all_paths_lose_alike_none_is_left_for_another() {
    let length = Duration::from_secs(600);
    let moves = calm::run(calm::Order { trouble: Trouble::Loss, length, seed: 3 }).unwrap();
    assert!(moves.failovers <= 4 && moves.switches <= 8, "{moves:?}");
}

#[test]
fn pulses_of_a_small_group_cost_little() {
    let rates = pulses::run(20, Duration::from_secs(60), 3);
    assert!(rates.mean > 100.0 && rates.most < 32_000.0, "{rates:?}");
    assert!(rates.mean <= rates.most, "{rates:?}");
}

#[test]
fn quantiles_of_nothing_and_of_little() {
    let none = deaths::Times::default();
    assert_eq!(none.quantile(500), Duration::ZERO);
    let answered = (1..=10).map(Duration::from_secs).collect();
    let ten = deaths::Times { answered, unanswered: 0 };
    assert_eq!((ten.quantile(500).as_secs(), ten.quantile(990).as_secs()), (5, 10));
}
