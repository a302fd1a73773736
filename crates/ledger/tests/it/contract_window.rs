//! Hours of a week by the wall clock of a place, through its changes of clock.

use srwan_ledger::contract::window::{Interval, OffsetChange, Span, UtcSeconds, Weekly, Window};

const HOUR: u64 = 3_600;
const WORKDAYS: u8 = 0b001_1111;

fn utc(seconds: u64) -> UtcSeconds {
    UtcSeconds(seconds)
}

fn interval(start: u64, end: u64) -> Interval {
    Interval { start: utc(start), end: utc(end) }
}

fn offset(at: u64, hours: i16) -> OffsetChange {
    OffsetChange { at: utc(at), offset_minutes: hours * 60 }
}

fn span(start_hour: u16, end_hour: u16) -> Span {
    Span { start_minute: start_hour * 60, end_minute: end_hour * 60 }
}

/// Midnight UTC of 2026-03-08, a Sunday: at 02:00 local time, 08:00 UTC, Chicago goes from UTC-6
/// to UTC-5.
const MARCH_8: u64 = 1_772_928_000;
/// Midnight UTC of 2026-11-01, a Sunday: at 02:00 local time, 07:00 UTC, Chicago goes back.
const NOVEMBER_1: u64 = 1_793_491_200;
/// Midnight UTC of 2026-10-04, a Sunday: Sydney went from UTC+10 to UTC+11 at 16:00 UTC the day
/// before.
const OCTOBER_4: u64 = 1_791_072_000;
/// Midnight UTC of 2026-04-05, a Sunday: Sydney went back at 16:00 UTC the day before.
const APRIL_5: u64 = 1_775_347_200;
const DAY: u64 = 24 * HOUR;

fn chicago(days: u8, spans: Vec<Span>) -> Weekly {
    let offsets =
        vec![offset(0, -6), offset(MARCH_8 + 8 * HOUR, -5), offset(NOVEMBER_1 + 7 * HOUR, -6)];
    Weekly { days, spans, offsets }
}

fn sydney(days: u8, spans: Vec<Span>) -> Weekly {
    let offsets =
        vec![offset(0, 11), offset(APRIL_5 - 8 * HOUR, 10), offset(OCTOBER_4 - 8 * HOUR, 11)];
    Weekly { days, spans, offsets }
}

#[test]
fn six_idle_hours_before_and_after_the_workday_of_chicago_and_new_york() {
    // W90: the workday of both cities is 08:00 New York (07:00 Chicago) to 18:00 Chicago.
    let idle = chicago(WORKDAYS, vec![span(1, 7), span(18, 24)]);
    // In winter Chicago is UTC-6, from 8 March on UTC-5: the same hours on the wall.
    let friday_before = MARCH_8 - 2 * DAY;
    let winter = idle.expand(&interval(friday_before, friday_before + 2 * DAY));
    let (six, day) = (6 * HOUR, friday_before);
    let expected = [
        // Thursday evening, 18:00 to midnight, is 00:00 to 06:00 UTC of Friday.
        interval(day, day + six),
        interval(day + 7 * HOUR, day + 13 * HOUR),
        interval(day + DAY, day + DAY + six),
    ];
    assert_eq!(winter, expected);

    let monday_after = MARCH_8 + DAY;
    let summer = idle.expand(&interval(monday_after, monday_after + DAY));
    let day = monday_after;
    let expected =
        [interval(day + 6 * HOUR, day + 12 * HOUR), interval(day + 23 * HOUR, day + DAY)];
    assert_eq!(summer, expected);
}

#[test]
fn an_hour_that_the_clocks_skip_does_not_exist() {
    let night = chicago(0b100_0000, vec![span(1, 4)]);
    let found = night.expand(&interval(MARCH_8, MARCH_8 + DAY));
    // 01:00 CST is 07:00 UTC; 04:00 CDT is 09:00 UTC: two hours, not three.
    assert_eq!(found, [interval(MARCH_8 + 7 * HOUR, MARCH_8 + 9 * HOUR)]);

    let skipped = chicago(0b100_0000, vec![span(2, 3)]);
    assert_eq!(skipped.expand(&interval(MARCH_8, MARCH_8 + DAY)), []);

    // Sydney, the other hemisphere, skips an hour in October.
    let night = sydney(0b100_0000, vec![span(1, 4)]);
    let found = night.expand(&interval(OCTOBER_4 - DAY, OCTOBER_4 + DAY));
    assert_eq!(found, [interval(OCTOBER_4 - 9 * HOUR, OCTOBER_4 - 7 * HOUR)]);
}

#[test]
fn an_hour_that_the_clocks_repeat_counts_twice() {
    let night = chicago(0b100_0000, vec![span(1, 3)]);
    let found = night.expand(&interval(NOVEMBER_1, NOVEMBER_1 + DAY));
    // 01:00 CDT is 06:00 UTC; 03:00 CST is 09:00 UTC: three hours for two on the wall.
    assert_eq!(found, [interval(NOVEMBER_1 + 6 * HOUR, NOVEMBER_1 + 9 * HOUR)]);

    let night = sydney(0b100_0000, vec![span(1, 4)]);
    let found = night.expand(&interval(APRIL_5 - DAY, APRIL_5 + DAY));
    // 01:00 at UTC+11 is 14:00 UTC of the day before; 04:00 at UTC+10 is 18:00 UTC.
    assert_eq!(found, [interval(APRIL_5 - 10 * HOUR, APRIL_5 - 6 * HOUR)]);
}

#[test]
fn a_night_that_ends_on_the_next_day_belongs_to_the_day_on_which_it_began() {
    let friday_night = chicago(0b001_0000, vec![span(22, 30)]);
    let found = friday_night.expand(&interval(MARCH_8 - 3 * DAY, MARCH_8 + DAY));
    // Friday 6 March 22:00 CST is Saturday 04:00 UTC.
    assert_eq!(found, [interval(MARCH_8 - DAY + 4 * HOUR, MARCH_8 - DAY + 12 * HOUR)]);
}

#[test]
fn an_interval_has_to_be_wholly_inside() {
    let window = Window::Weekly(chicago(WORKDAYS, vec![span(1, 7)]));
    let monday = MARCH_8 + DAY;
    let (open, close) = (monday + 6 * HOUR, monday + 12 * HOUR);
    assert!(window.covers(&interval(open, close)));
    assert!(window.covers(&interval(open + 1, close - 1)));
    assert!(!window.covers(&interval(open - 1, close)));
    assert!(!window.covers(&interval(open, close + 1)));
    // Both ends are inside, but the day between them is not.
    assert!(!window.covers(&interval(open, close + DAY)));
}

#[test]
fn a_place_whose_clock_is_unknown_has_no_hours() {
    let rule = Weekly { offsets: vec![offset(MARCH_8, 0)], ..chicago(127, vec![span(0, 24)]) };
    assert_eq!(rule.expand(&interval(MARCH_8 - DAY, MARCH_8)), []);
    let whole = interval(MARCH_8, MARCH_8 + 2 * DAY);
    assert_eq!(rule.expand(&interval(MARCH_8 - DAY, MARCH_8 + 2 * DAY)), [whole]);
}

proptest::proptest! {
    #[test]
    fn a_rule_contains_exactly_the_seconds_at_which_the_wall_clock_shows_it(
        days in 1_u8..128,
        start in 0_u16..1_440,
        length in 1_u16..1_440,
        change in 0_u64..6 * DAY,
        before in -720_i16..=840,
        after in -720_i16..=840,
        probe in 0_u64..7 * DAY,
    ) {
        let span = Span { start_minute: start, end_minute: (start + length).min(2_880) };
        let offsets = vec![
            OffsetChange { at: utc(0), offset_minutes: before },
            OffsetChange { at: utc(MARCH_8 + change), offset_minutes: after },
        ];
        let rule = Weekly { days, spans: vec![span], offsets };
        let found = rule.expand(&interval(MARCH_8, MARCH_8 + 7 * DAY));
        let at = MARCH_8 + probe;
        let is_inside = found.iter().any(|i| i.start.0 <= at && at < i.end.0);

        let minutes = if probe < change { before } else { after };
        let local = i64::try_from(at).unwrap() + i64::from(minutes) * 60;
        let shows = |day: i64| {
            let since = local - day * 86_400;
            let (from, to) = (i64::from(span.start_minute), i64::from(span.end_minute));
            (days >> (day + 3).rem_euclid(7)) & 1 == 1 && from * 60 <= since && since < to * 60
        };
        let today = local.div_euclid(86_400);
        proptest::prop_assert_eq!(is_inside, shows(today) || shows(today - 1));
    }
}
