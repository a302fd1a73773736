//! What a person or a program reads: answers on stdout, everything else on stderr.

use comfy_table::{Table, presets};
use serde::Serialize;
use srwan_api::http::ApiError;

/// How answers are written.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
}

impl Output {
    /// Writes an answer: as JSON if asked for, else as `text` makes it.
    pub fn answer<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let written = if self.json { serde_json::to_string_pretty(value)? } else { text(value) };
        println!("{}", written.trim_end());
        Ok(())
    }

    /// Writes an error to stderr: code, what, why, fix.
    pub fn error(self, error: &anyhow::Error) {
        match error.downcast_ref::<ApiError>() {
            Some(api) if self.json => eprintln!("{}", serde_json::json!(api)),
            Some(api) => eprintln!("{api}"),
            None => eprintln!("error: {error:#}"),
        }
    }
}

/// A plain table of at most 100 columns: head line, then rows.
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    let lines = table.to_string();
    lines.lines().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// Microseconds as milliseconds with one decimal: `41.2ms`.
pub fn ms(us: i64) -> String {
    let tenths = (us.abs() + 50) / 100;
    let sign = if us < 0 && tenths > 0 { "-" } else { "" };
    format!("{sign}{}.{}ms", tenths / 10, tenths % 10)
}

/// A delay with what the clocks leave open: `41.2ms +-0.4`.
pub fn ms_with_error(us: i64, error_us: u64) -> String {
    let error = ms(i64::try_from(error_us).unwrap_or(i64::MAX));
    format!("{} +-{}", ms(us), error.trim_end_matches("ms"))
}

/// A value or a dash.
pub fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

/// Octets with a decimal unit (1 GB = 10^9 octets): `1.23 GB`.
pub fn octets(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (size, unit) in UNITS {
        if count >= size {
            let hundredths = count / (size / 100);
            return format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100);
        }
    }
    format!("{count} B")
}

/// A path as people read it: `via Frankfurt, Mumbai` or `direct`.
pub fn via(relays: &[String]) -> String {
    if relays.is_empty() { "direct".to_owned() } else { format!("via {}", relays.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_keep_their_sign_and_one_decimal() {
        assert_eq!(ms(41_249), "41.2ms");
        assert_eq!(ms(-1_260), "-1.3ms");
        assert_eq!(ms(-10), "0.0ms");
        assert_eq!(ms_with_error(41_200, 400), "41.2ms +-0.4");
    }

    #[test]
    fn a_gigabyte_has_a_thousand_million_octets() {
        assert_eq!(octets(1_234_567_890), "1.23 GB");
        assert_eq!(octets(16_777_216), "16.77 MB");
        assert_eq!(octets(999), "999 B");
    }
}
