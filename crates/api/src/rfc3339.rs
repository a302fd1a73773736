//! Times as people and programs read them: RFC 3339, UTC, milliseconds.

use srwan_wire::time::Timestamp;

/// Nanoseconds of a day.
const DAY_NS: u64 = 86_400_000_000_000;

/// Writes a time as `2026-11-22T12:00:00.000Z`.
#[must_use]
pub fn format(time: Timestamp) -> String {
    let (days, ns) = (time.as_nanos() / DAY_NS, time.as_nanos() % DAY_NS);
    let (year, month, day) = civil(days);
    let ms = ns / 1_000_000;
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    let millis = ms % 1_000;
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

/// The date that lies `days` after 1970-01-01.
///
/// **Source:** H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: u64, expected: &str) {
        assert_eq!(format(Timestamp::from_nanos(seconds * 1_000_000_000)), expected);
    }

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399, "2000-02-28T23:59:59.000Z");
        check(951_782_400, "2000-02-29T00:00:00.000Z");
        check(1_709_251_199, "2024-02-29T23:59:59.000Z");
        check(4_107_542_400, "2100-03-01T00:00:00.000Z");
    }
}
