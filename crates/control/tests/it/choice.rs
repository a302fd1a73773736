//! What the three preferences mean.

use srwan_control::{Offer, Preference, margin};

const MS: i64 = 1_000_000;

fn offer(cost_ms: i64, price: u64) -> Offer {
    let is_default = price == 0;
    Offer { cost: cost_ms * MS, doubt: 0, price, is_default, wins_percent: 100 }
}

/// The index chosen of these offers with 100 ms of margin base: margin 10 ms.
fn check(preference: Preference, offers: &[Offer], present: usize, expected: usize) {
    assert_eq!(preference.choose(offers, present, 10 * MS), expected, "{preference:?} {offers:?}");
}

#[test]
fn the_default_path_is_left_for_a_gain_above_the_margin_alone() {
    let offers = |relay_ms| [offer(100, 0), offer(relay_ms, 10)];
    check(Preference::DirectFirst, &offers(90), 0, 0);
    check(Preference::DirectFirst, &offers(89), 0, 1);
    check(Preference::Fastest, &offers(98), 0, 0);
    check(Preference::Fastest, &offers(97), 0, 1);
    check(Preference::Cheapest, &offers(80), 0, 0);
    check(Preference::Cheapest, &offers(79), 0, 1);
}

#[test]
fn traffic_returns_when_the_default_path_is_near_enough() {
    let offers = |default_ms| [offer(default_ms, 0), offer(80, 10)];
    check(Preference::DirectFirst, &offers(85), 1, 0);
    check(Preference::DirectFirst, &offers(86), 1, 1);
    check(Preference::Fastest, &offers(80), 1, 0);
    check(Preference::Fastest, &offers(81), 1, 1);
    check(Preference::Cheapest, &offers(90), 1, 0);
    check(Preference::Cheapest, &offers(91), 1, 1);
}

#[test]
fn the_cheapest_of_the_good_paths_is_taken_by_who_wants_that() {
    let offers = [offer(150, 0), offer(60, 40), offer(65, 10)];
    check(Preference::Cheapest, &offers, 0, 2);
    check(Preference::Fastest, &offers, 0, 1);
    check(Preference::DirectFirst, &offers, 0, 1);
}

#[test]
fn doubt_must_be_outweighed() {
    let doubtful = Offer { doubt: 20 * MS, ..offer(80, 10) };
    check(Preference::DirectFirst, &[offer(100, 0), doubtful], 0, 0);
    check(Preference::DirectFirst, &[offer(111, 0), doubtful], 0, 1);
}

#[test]
fn what_seldom_was_faster_is_not_taken_and_not_kept() {
    let lucky = Offer { wins_percent: 55, ..offer(50, 10) };
    check(Preference::Fastest, &[offer(100, 0), lucky], 0, 0);
    let unlucky = Offer { wins_percent: 49, ..offer(50, 10) };
    check(Preference::Fastest, &[offer(100, 0), unlucky], 1, 0);
}

#[test]
fn a_present_path_that_is_none_of_the_offers_stays() {
    check(Preference::Fastest, &[offer(100, 0)], 7, 7);
    check(Preference::Fastest, &[], 0, 0);
}

#[test]
fn the_margin_is_a_part_of_half_the_round_trip_but_not_less_than_its_least() {
    assert_eq!(margin(5 * MS, 10, 60 * MS), 5 * MS);
    assert_eq!(margin(5 * MS, 10, 400 * MS), 20 * MS);
}
