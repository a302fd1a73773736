//! The scoring rules on tables that a person can check.

use srwan_control::Preference;
use srwan_sim::score::detection::Hits;
use srwan_sim::score::input::{Ping, Server, Slices, Trace};
use srwan_sim::score::paths::{Gain, Protocol, Rule, gain, groups};
use srwan_sim::score::table::{Table, millis, ratio};
use srwan_sim::score::{choice, detection, grouping, learning};

const MS: i64 = 1_000_000;

#[test]
fn an_alarm_finds_one_label_within_three_steps_and_each_label_is_found_once() {
    let hits = |alarms: &[usize], labels: &[usize]| {
        let hits = Hits::of(alarms, labels);
        (hits.right, hits.alarms, hits.labels)
    };
    assert_eq!(hits(&[13], &[10]), (1, 1, 1));
    assert_eq!(hits(&[7], &[10]), (1, 1, 1));
    assert_eq!(hits(&[14], &[10]), (0, 1, 1));
    assert_eq!(hits(&[9, 10, 11], &[10]), (1, 3, 1));
    assert_eq!(hits(&[10], &[9, 11]), (1, 1, 2));
    assert_eq!(hits(&[8, 12], &[10, 11]), (2, 2, 2));
    assert_eq!(hits(&[], &[]), (0, 0, 0));
    assert_eq!(Hits::of(&[13, 50], &[10, 90]).f1(), "0.500");
}

#[test]
fn numbers_are_rounded_half_up_and_nothing_of_nothing_is_a_dash() {
    assert_eq!((ratio(1, 3), ratio(2, 3), ratio(-1, 3)), of("0.333", "0.667", "-0.333"));
    assert_eq!((ratio(0, 5), ratio(3, 0), ratio(5, 2)), of("0.000", "-", "2.500"));
    assert_eq!((millis(1_234_567), millis(-5_000_000), millis(0)), of("1.23", "-5.00", "0.00"));
}

fn of(a: &str, b: &str, c: &str) -> (String, String, String) {
    (a.to_owned(), b.to_owned(), c.to_owned())
}

#[test]
fn files_are_read_as_their_formats_say_and_broken_ones_refused_with_the_line() {
    let slices = Slices::parse("slice,src,d0,d1\n1,0,0,2.5\n1,1,3,0\n").unwrap();
    assert_eq!((slices.nodes, &slices.rows), (2, &vec![vec![0, 2_500_000, 3 * MS, 0]]));
    let broken = |text| Slices::parse(text).unwrap_err().line;
    assert_eq!(broken("slice,src,d0,d1\n1,0,0,x\n"), 2);
    assert_eq!(broken("slice,src,d0,d1\n1,0,0,1\n1,1,2\n"), 3);
    assert_eq!(broken("slice,src,d0,d1\n1,0,0,1\n"), 1);
    assert_eq!(broken(""), 1);
    let text = "trace,epoch_s,rtt_ms,change\na,240,1.5,0\na,480,,1\nb,240,2,0\n";
    let traces = Trace::parse_all(text).unwrap();
    assert_eq!((traces.len(), traces[0].samples.len(), &traces[0].labels), (2, 2, &vec![1]));
    assert_eq!(traces[0].samples[1], (480, None));
    assert_eq!(Trace::parse_all("h\na,b\n").unwrap_err().line, 2);
    let servers = Server::parse_all("h\n7,N,C,L,1.5,-2,\n8,,,,,,\n").unwrap();
    assert_eq!((servers.len(), servers[0].place), (1, (1_500_000, -2_000_000)));
    assert_eq!(Ping::parse_all("h\n1,2,5,7,9,1\n").unwrap()[0].mean_ns, 7_000);
    assert_eq!(Ping::parse_all("h\n1,2,5,-,9,1\n").unwrap_err().line, 2);
}

#[test]
fn a_change_made_by_hand_is_found_where_it_is() {
    let rtt = |step: u64| if step < 60 { "100.0" } else { "130.0" };
    let line = |step: u64| format!("t,{},{},{}\n", step * 240, rtt(step), u8::from(step == 60));
    let text: String = core::iter::once("head\n".to_owned()).chain((0..120).map(line)).collect();
    let traces = Trace::parse_all(&text).unwrap();
    let alarms = detection::alarms(&traces[0]);
    assert_eq!(alarms.iter().map(|alarm| alarm.began).collect::<Vec<_>>(), [60]);
    assert!(alarms[0].raised > 60);
}

/// Three nodes; the way 0 -> 2 is slow directly and fast over 1 until slice `turn`, from which on
/// it is the other way round.
fn turning(slices: usize, turn: usize) -> Slices {
    let row = |at: usize| {
        let (direct, leg) = if at < turn { (400, 20) } else { (40, 400) };
        [0, leg, direct, leg, 0, leg, direct, leg, 0].map(|ms| ms * MS).to_vec()
    };
    Slices { nodes: 3, rows: (0..slices).map(row).collect() }
}

#[test]
fn a_decision_is_judged_by_what_was_measured_after_it() {
    let fastest = Rule::Srwan(Preference::Fastest);
    let protocol = Protocol { known_min: 3, ahead: 1, every: 1, repeats: false };
    let steady = gain(&turning(6, 99), protocol, fastest);
    assert_eq!(steady.gained, steady.possible);
    assert_eq!(steady.decisions, 3 * 6, "slices 2, 3 and 4 of 6, six pairs each");
    // Decided in slice 4, when all was well; judged in slice 5, when it no longer was.
    let fooled = gain(&turning(6, 5), protocol, fastest);
    assert!(fooled.gained < 0, "{fooled:?}");
    assert_eq!(gain(&turning(6, 99), protocol, Rule::Direct).gained, 0);
}

#[test]
fn a_repeated_row_is_no_new_measurement() {
    let protocol = Protocol { known_min: 3, ahead: 2, every: 2, repeats: true };
    let Gain { decisions, .. } = gain(&turning(9, 99), protocol, Rule::PastMedian);
    assert_eq!(decisions, 3 * 6, "slices 2, 4 and 6");
}

#[test]
fn groups_are_disjoint_and_none_is_larger_than_a_hundred() {
    let all = groups(490);
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [100; 4]);
    let mut nodes: Vec<usize> = all.concat();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes.len(), 400);
    assert_eq!(groups(99).concat().len(), 99);
    assert_eq!(groups(0).concat().len(), 0);
}

#[test]
fn tables_of_nothing_are_tables() {
    let markdown = |table: Table| table.markdown();
    assert!(markdown(detection::score(&[])).contains("| whole | - | - | - | 0 | 0 |"));
    assert!(markdown(learning::score_forecasts(&[])).contains("last value"));
    assert!(markdown(choice::score_gain(&turning(2, 9))).contains("fastest | - | - |"));
    assert_eq!(grouping::score(&[], &[]), []);
}
