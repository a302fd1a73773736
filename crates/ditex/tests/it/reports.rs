//! Matrices become segments, whoever reports them.

use core::time::Duration;

use proptest::prelude::*;
use srwan_ditex::{
    Exchange, ExchangeConfig, Health, Intake, ReportError, SegmentQuery, Snapshot, Source,
};
use srwan_wire::id::GroupId;
use srwan_wire::report::ReportBytesError;
use srwan_wire::time::Owd;

use crate::network::{SEED, at, exchange, join, node, report, row, sign_report, stored};

fn of(routers: u32) -> Exchange {
    let mut exchange = exchange(ExchangeConfig::default());
    (1..=routers).for_each(|index| drop(join(&mut exchange, index)));
    exchange
}

/// The delay from 1 to 2 in milliseconds and its error, when 1 -> 2 and 2 -> 1 were measured so.
fn check_owd(raw: (i64, Option<i64>), synchronised: bool, expected: Option<(i64, u64)>) {
    let mut exchange = of(2);
    let back: Vec<(u32, i64)> = raw.1.map(|ms| (2, ms)).into_iter().collect();
    let rows = [row(1, 1, &back, synchronised), row(2, 1, &[(1, raw.0)], synchronised)];
    exchange.handle_report(&sign_report(&report(1, 1, &rows)), at(10)).unwrap();
    let query = SegmentQuery { from: "1".parse().unwrap(), ..SegmentQuery::default() };
    let segments = exchange.segments(&query, at(10));
    let figures = segments[0].figures;
    let ms = figures.owd.map(|owd| (owd.as_micros() / 1_000, figures.owd_error.as_millis()));
    assert_eq!(ms, expected.map(|(owd, error)| (owd, u128::from(error))), "{raw:?}");
}

#[test]
fn one_way_delays_are_what_two_synchronised_clocks_say_and_else_half_the_round_trip() {
    check_owd((80, Some(20)), true, Some((80, 1)));
    check_owd((80, None), true, Some((80, 1)));
    // Clocks that claim to be right and cannot be.
    check_owd((10_080, Some(-9_980)), true, Some((50, 50)));
    check_owd((-5, None), true, None);
    // Clocks that claim nothing.
    check_owd((80, Some(20)), false, Some((50, 50)));
    check_owd((80, None), false, None);
}

#[test]
fn a_segment_row_has_both_sides_and_its_source() {
    let mut exchange = of(3);
    let rows = [row(2, 1, &[(1, 7)], true), row(1, 1, &[(2, 9)], true)];
    let intake = exchange.handle_report(&sign_report(&report(3, 1, &rows)), at(10)).unwrap();
    assert_eq!((intake.rows_new, intake.rows_refused), (2, 0));
    let query = SegmentQuery { to: "AS64502".parse().unwrap(), ..SegmentQuery::default() };
    let segments = exchange.segments(&query, at(12));
    assert_eq!(segments.len(), 1);
    let segment = &segments[0];
    assert_eq!((segment.a.node, segment.z.node), (node(1), node(2)));
    assert_eq!(segment.a.endpoint, Some("198.18.0.1:4766".parse().unwrap()));
    assert_eq!(segment.figures.owd, Some(Owd::from_nanos(7_000_000)));
    assert_eq!(segment.figures.age, Duration::from_secs(2));
    assert_eq!((segment.updated, segment.price), (at(10), Some(10_000_000)));
    let source = Source { group: GroupId(1), reporter: node(3), round: segment.source.round };
    assert_eq!(segment.source, source);
    let recent = SegmentQuery { age_max: Some(Duration::from_secs(1)), ..query };
    assert_eq!(exchange.segments(&recent, at(12)), Vec::new());
}

#[test]
fn a_second_reporter_adds_what_the_first_left_out_and_repeats_nothing() {
    let mut exchange = of(3);
    let rows = [row(1, 1, &[(2, 1)], true), row(2, 1, &[(1, 2)], true), row(3, 1, &[], true)];
    let mut take = |reporter, issued, rows: &[_], now| {
        exchange.handle_report(&sign_report(&report(reporter, issued, rows)), at(now)).unwrap()
    };
    let first = take(1, 1, &rows[..2], 10);
    assert_eq!((first.first_of_round, first.rows_new, first.rows_known), (true, 2, 0));
    let second = take(2, 1, &rows, 11);
    assert_eq!((second.first_of_round, second.rows_new, second.rows_known), (false, 1, 2));
    let third = take(3, 1, &rows, 12);
    let expected = Intake { round: first.round, rows_known: 3, ..Intake::default() };
    assert_eq!(third, expected);
    assert!(take(2, 2, &rows, 20).first_of_round, "the next round after ten seconds");
}

#[test]
fn a_report_that_is_not_a_members_is_refused() {
    let mut exchange = of(2);
    let good = report(1, 5, &[]);
    let mut refuse = |report: srwan_wire::report::SignedReport, expected: ReportError| {
        assert_eq!(exchange.handle_report(&report, at(10)), Err(expected));
    };
    let forged = good.sign(&crate::network::account(2));
    refuse(forged, ReportError::Bytes(ReportBytesError::BadSignature));
    let stranger = report(9, 1, &[]);
    refuse(sign_report(&stranger), ReportError::NotMember(node(9), GroupId(1)));
    let mut cut = sign_report(&good);
    cut.bytes.pop();
    refuse(cut, ReportError::Bytes(ReportBytesError::Malformed));
    exchange.handle_report(&sign_report(&good), at(10)).unwrap();
    let again = exchange.handle_report(&sign_report(&good), at(11));
    assert_eq!(again, Err(ReportError::Stale { last: at(5) }));
}

#[test]
fn a_reporter_whose_clock_went_back_is_heard_as_long_as_its_own_row_is_new() {
    let mut exchange = of(2);
    let mut take = |issued, rows: &[_]| {
        exchange.handle_report(&sign_report(&report(1, issued, rows)), at(10)).map(|i| i.rows_new)
    };
    assert_eq!(take(5, &[row(1, 7, &[], true)]), Ok(1));
    assert_eq!(take(4, &[row(1, 8, &[], true)]), Ok(1));
    let replayed = take(4, &[row(1, 8, &[], true), row(2, 9, &[], true)]);
    assert_eq!(replayed, Err(ReportError::Stale { last: at(4) }));
    let mut forged = row(1, 9, &[], true);
    forged.signature = row(2, 9, &[], true).signature;
    assert_eq!(take(3, &[forged]), Err(ReportError::Stale { last: at(4) }));
}

#[test]
fn one_bad_row_spoils_no_other() {
    let mut exchange = of(3);
    let mut forged = row(2, 1, &[(1, 1)], true);
    forged.signature = row(3, 1, &[], true).signature;
    let rows = [forged, row(3, 1, &[(1, 4)], true), row(9, 1, &[], true)];
    let intake = exchange.handle_report(&sign_report(&report(1, 1, &rows)), at(10)).unwrap();
    assert_eq!((intake.rows_new, intake.rows_refused), (1, 2));
}

#[test]
fn an_older_row_never_replaces_a_newer_one() {
    let mut exchange = of(2);
    let mut owd_after = |issued, seq, ms| {
        let rows = [row(1, seq, &[], true), row(2, seq, &[(1, ms)], true)];
        exchange.handle_report(&sign_report(&report(1, issued, &rows)), at(10)).unwrap();
        exchange.segments(&SegmentQuery::default(), at(10))[0].figures.owd.unwrap().as_micros()
    };
    assert_eq!(
        [owd_after(1, 5, 30), owd_after(2, 4, 90), owd_after(3, 6, 31)],
        [30_000, 30_000, 31_000]
    );
}

#[test]
fn members_are_up_while_somebody_hears_them() {
    let mut exchange = of(3);
    let rows = [row(1, 1, &[(2, 5)], true)];
    exchange.handle_report(&sign_report(&report(1, 1, &rows)), at(10)).unwrap();
    let health = |now| exchange.routers(at(now)).map(|view| view.health).collect::<Vec<_>>();
    assert_eq!(health(10), [Health::Up, Health::Up, Health::Unknown]);
    assert_eq!(health(41), [Health::Silent, Health::Silent, Health::Unknown]);
    let group = exchange.groups(at(10)).next().unwrap();
    assert_eq!((group.members, group.up, group.reported), (3, 2, Some((node(1), at(10)))));
}

#[test]
fn segments_come_back_after_a_restart() {
    let mut before = of(2);
    let rows = [row(1, 1, &[(2, 3)], true), row(2, 1, &[(1, 4)], true)];
    before.handle_report(&sign_report(&report(1, 1, &rows)), at(10)).unwrap();
    let snapshot = stored(&mut before, Snapshot::default());
    let after = Exchange::restore(ExchangeConfig::default(), &SEED, snapshot).unwrap();
    let query = SegmentQuery::default();
    assert_eq!(after.segments(&query, at(11)), before.segments(&query, at(11)));
    assert_eq!(after.segments(&query, at(11)).len(), 2);
}

proptest! {
    #[test]
    fn the_order_of_reports_never_changes_the_segments(
        order in Just((0..6_u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let run = |order: &[u32]| {
            let mut exchange = of(4);
            for (issued, which) in (1_u64..).zip(order) {
                let (measurer, seq) = (which % 3 + 2, which / 3 + 1);
                let rows = [row(measurer, seq, &[(1, i64::from(measurer + seq))], true)];
                let signed = sign_report(&report(1, issued, &rows));
                exchange.handle_report(&signed, at(10)).unwrap();
            }
            exchange.segments(&SegmentQuery::default(), at(10))
        };
        prop_assert_eq!(run(&order), run(&[0, 1, 2, 3, 4, 5]));
    }
}
