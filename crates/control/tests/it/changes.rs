//! Changes of a segment: what is told, when, and what is not.

use srwan_control::{Quantity, SegmentChange, SegmentWatch};
use srwan_wire::time::Owd;

const MS: i64 = 1_000_000;

/// All changes that a series shows, each with the step at which it was told; `None` is a loss.
fn watch(series: impl IntoIterator<Item = Option<i64>>) -> Vec<(usize, SegmentChange)> {
    let mut watch = SegmentWatch::default();
    let mut found = Vec::new();
    for (step, sample) in series.into_iter().enumerate() {
        let changes = match sample {
            Some(delay) => watch.arrived(Owd::from_nanos(delay)),
            None => [None, watch.lost(), None],
        };
        found.extend(changes.into_iter().flatten().map(|change| (step, change)));
    }
    found
}

/// A delay with a little noise around it.
fn noisy(level_ms: i64, step: usize) -> Option<i64> {
    let noise = i64::try_from(step * 7_919 % 1_000).unwrap() * 1_000;
    Some(level_ms * MS + noise)
}

#[test]
fn a_lasting_change_is_told_once_with_the_sample_at_which_it_began() {
    let series = (0..200).map(|step| noisy(if step < 100 { 40 } else { 60 }, step));
    let found = watch(series);
    assert_eq!(found.len(), 1, "{found:?}");
    let (step, change) = found[0];
    assert_eq!(change.quantity, Quantity::Delay);
    assert_eq!(step - usize::try_from(change.pulses_ago).unwrap(), 100);
    assert!((19 * MS..21 * MS).contains(&(change.after - change.before)), "{change:?}");
}

#[test]
fn a_clock_a_century_off_hides_no_change() {
    let offset = 3_000_000_000_000_000_000;
    let level = |step| noisy(if step < 100 { 40 } else { 60 }, step).map(|ns| ns - offset);
    // Three permille of such an offset are weeks, so the floor must not be a share of it.
    let found = watch((0..200).map(level));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn single_spikes_and_a_short_queue_are_no_change() {
    let spike = |step: usize| if step.is_multiple_of(9) { Some(400 * MS) } else { noisy(40, step) };
    assert_eq!(watch((0..300).map(spike)), []);
    let queue = |step: usize| noisy(if (100..104).contains(&step) { 80 } else { 40 }, step);
    assert_eq!(watch((0..300).map(queue)), []);
}

#[test]
fn a_change_too_small_to_matter_is_not_told() {
    let level = |step: usize| Some(if step < 100 { 40 * MS } else { 41 * MS + MS / 2 });
    assert_eq!(watch((0..200).map(level)), []);
}

#[test]
fn loss_is_told_when_it_begins_and_when_it_ends() {
    let is_lost = |step: usize| (100..160).contains(&step) && step.is_multiple_of(3);
    let series = (0..300).map(|step| if is_lost(step) { None } else { noisy(40, step) });
    let found = watch(series);
    let losses: Vec<i64> = found.iter().map(|(_, change)| change.after).collect();
    assert!(found.iter().all(|(_, change)| change.quantity == Quantity::Loss), "{found:?}");
    assert_eq!((losses.len(), losses[0] > 0, losses[1]), (2, true, 0));
}

#[test]
fn growing_jitter_is_told() {
    let swing = |step: usize| if step < 200 { 0 } else { i64::try_from(step % 2).unwrap() * 40 };
    let found = watch((0..400).map(|step| noisy(40 + swing(step), step)));
    assert!(found.iter().any(|(_, change)| change.quantity == Quantity::Jitter), "{found:?}");
}

#[test]
fn what_is_expected_starts_anew_with_a_change() {
    let mut watch = SegmentWatch::default();
    assert_eq!(watch.estimate(), None);
    for _ in 0..100 {
        watch.arrived(Owd::from_nanos(40 * MS));
    }
    assert_eq!(watch.estimate().unwrap().expected, Owd::from_nanos(40 * MS));
    for _ in 0..8 {
        watch.arrived(Owd::from_nanos(90 * MS));
    }
    assert_eq!(watch.estimate().unwrap().expected, Owd::from_nanos(90 * MS));
}
