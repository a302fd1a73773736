//! Medians, percentiles, and which of two figures is better.

use srwan_bench::figures::{Figures, Metric, Spread, percentile, spreads};

#[test]
fn a_median_is_between_its_neighbours() {
    assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap(), Spread { median: 2.0, min: 1.0, max: 3.0 });
    assert_eq!(Spread::of([4.0, 1.0]).unwrap().median, 2.5);
    assert_eq!(Spread::of([]), None);
}

#[test]
fn percentiles_reach_from_the_least_to_the_most() {
    let sorted: Vec<f64> = (0..=100).map(f64::from).collect();
    for percent in [0, 1, 50, 99, 100] {
        assert_eq!(percentile(&sorted, percent), f64::from(percent));
    }
    assert_eq!(percentile(&[7.0], 99), 7.0);
    assert_eq!(percentile(&[], 50), 0.0);
}

#[test]
fn more_of_a_rate_and_less_of_a_cost_is_better() {
    assert_eq!(Metric::Tcp1.times(10.0, 2.0), Some(5.0));
    assert_eq!(Metric::CpuDaemons.times(0.1, 1.0), Some(10.0));
    assert_eq!(Metric::AddedP50.times(30.0, -1.0), None);
    assert_eq!(Metric::Tcp1.times(1.0, 0.0), None);
}

#[test]
fn a_metric_that_some_turns_lack_is_the_spread_of_the_others() {
    let turns = [
        Figures::from([(Metric::Tcp1, 1.0), (Metric::Memory, 5.0)]),
        Figures::from([(Metric::Tcp1, 3.0)]),
    ];
    let spreads = spreads(&turns);
    assert_eq!(spreads[&Metric::Tcp1].median, 2.0);
    assert_eq!(spreads[&Metric::Memory].median, 5.0);
    assert_eq!(spreads.len(), 2);
}

#[test]
fn every_metric_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Metric::ALL.map(Metric::name).into();
    assert_eq!(names.len(), Metric::ALL.len());
}
