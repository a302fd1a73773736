//! How answers look on a terminal: plain tables and lines of at most [`COLUMNS`] columns, words, no colour.

use serde_json::Value;

/// Widest line of an answer. Source: docs/design/product.md, house rules.
pub const COLUMNS: usize = 100;

/// Spaces between two columns of a table.
const GAP: usize = 2;

/// Narrowest that a column of a table is squeezed to: a number with its unit.
const SQUEEZED: usize = 8;

/// What a note below a row is indented by.
const NOTE_INDENT: usize = 4;

/// A row of a table, and a note that stands on lines of its own below it; empty = none.
pub type Noted = (Vec<String>, String);

/// A plain table: head line, then rows. Cells that are too wide go on in the next line.
pub fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows = rows.into_iter().map(|row| (row.to_vec(), String::new()));
    noted_table(&head, &rows.collect::<Vec<_>>())
}

/// A plain table whose rows may have notes.
pub fn noted_table(head: &[&str], rows: &[Noted]) -> String {
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let mut widths: Vec<usize> = head.iter().map(|cell| width(cell)).collect();
    for (row, _) in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = width(cell).max(*widest);
        }
    }
    squeeze(&mut widths);
    let mut lines = row_lines(&head, &widths);
    for (row, note) in rows {
        lines.extend(row_lines(row, &widths));
        lines.extend(indented(note, NOTE_INDENT));
    }
    lines.join("\n")
}

/// Takes from the widest column until a row fits.
fn squeeze(widths: &mut [usize]) {
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > COLUMNS {
        match widths.iter_mut().max() {
            Some(widest) if *widest > SQUEEZED => *widest -= 1,
            Some(_) | None => return,
        }
    }
}

fn row_lines(row: &[String], widths: &[usize]) -> Vec<String> {
    let cells: Vec<Vec<String>> =
        row.iter().zip(widths).map(|(cell, width)| wrap(cell, *width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    (0..height).map(|line| row_line(&cells, widths, line)).collect()
}

fn row_line(cells: &[Vec<String>], widths: &[usize], line: usize) -> String {
    let mut out = String::new();
    for (cell, widest) in cells.iter().zip(widths) {
        let text = cell.get(line).map_or("", String::as_str);
        out.push_str(text);
        out.push_str(&" ".repeat(widest + GAP - width(text).min(*widest)));
    }
    out.trim_end().to_owned()
}

/// `text` as lines that all begin `indent` columns to the right; none if it is empty.
pub fn indented(text: &str, indent: usize) -> Vec<String> {
    let pad = " ".repeat(indent);
    let lines = wrap(text, COLUMNS - indent).into_iter().filter(|line| !line.is_empty());
    lines.map(|line| format!("{pad}{line}")).collect()
}

/// `name` in the first columns, `text` beside it, wrapped below itself.
pub fn labelled(name: &str, text: &str, indent: usize) -> String {
    let mut lines = indented(text, indent);
    let head = format!("{name:<indent$}");
    match lines.first_mut() {
        Some(first) => *first = format!("{head}{}", first.trim_start()),
        None => lines.push(head.trim_end().to_owned()),
    }
    lines.join("\n")
}

/// Breaks text at spaces into lines of at most `columns`; a word that is longer is cut. At least one line.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut left: Vec<char> = word.chars().collect();
        while !left.is_empty() {
            let line = lines.last_mut().expect("there is always a line");
            let space = usize::from(!line.is_empty());
            if width(line) + space + left.len() <= columns {
                line.push_str(&" ".repeat(space));
                line.extend(left.drain(..));
            } else if line.is_empty() {
                line.extend(left.drain(..columns.max(1)));
            } else {
                lines.push(String::new());
            }
        }
    }
    lines
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Nested values as indented `name  value` lines, for answers that have no form of their own.
pub fn outline(value: &Value) -> String {
    let mut lines = Vec::new();
    outline_into(value, 0, &mut lines);
    lines.join("\n")
}

/// Columns that a name and the spaces after it take.
const NAME_COLUMNS: usize = 20;

fn outline_into(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let pad = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                outline_field(&format!("{pad}{name}"), value, depth, lines);
            }
        }
        Value::Array(items) => {
            for item in items {
                outline_into(item, depth, lines);
                lines.push(format!("{pad}--"));
            }
            lines.pop();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            lines.extend(indented(&scalar(value), 2 * depth));
        }
    }
}

fn outline_field(name: &str, value: &Value, depth: usize, lines: &mut Vec<String>) {
    let is_flat = |items: &[Value]| !items.iter().any(|item| item.is_object() || item.is_array());
    match value {
        Value::Array(items) if is_flat(items) => {
            let words: Vec<String> = items.iter().map(scalar).collect();
            let text = if words.is_empty() { "-".to_owned() } else { words.join(" ") };
            lines.push(labelled(name, &text, name.len().max(NAME_COLUMNS) + 1));
        }
        Value::Object(_) | Value::Array(_) => {
            lines.push(name.to_owned());
            outline_into(value, depth + 1, lines);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            lines.push(labelled(name, &scalar(value), name.len().max(NAME_COLUMNS) + 1));
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Text that cannot steer a terminal: names and reasons come from other machines.
pub fn printable(text: &str) -> String {
    let shown = |c: char| c == '\n' || c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
    text.chars().map(|c| if shown(c) { c } else { '?' }).collect()
}

/// Microseconds as milliseconds with one decimal: `41.2ms`.
pub fn ms(us: i64) -> String {
    let tenths = us.unsigned_abs().saturating_add(50) / 100;
    let sign = if us < 0 && tenths > 0 { "-" } else { "" };
    format!("{sign}{}.{}ms", tenths / 10, tenths % 10)
}

/// A delay with what the clocks leave open: `41.2ms +-0.4`.
pub fn ms_with_error(us: i64, error_us: u64) -> String {
    format!("{} +-{}", ms(us), unsigned_ms(error_us).trim_end_matches("ms"))
}

/// The same as [`ms`] for what is never negative.
pub fn unsigned_ms(us: u64) -> String {
    ms(i64::try_from(us).unwrap_or(i64::MAX))
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

    fn longest(text: &str) -> usize {
        text.lines().map(width).max().unwrap_or(0)
    }

    #[test]
    fn delays_keep_their_sign_and_one_decimal() {
        assert_eq!(ms(41_249), "41.2ms");
        assert_eq!(ms(-1_260), "-1.3ms");
        assert_eq!(ms(-10), "0.0ms");
        assert!(ms(i64::MIN).starts_with('-'));
        assert_eq!(ms_with_error(41_200, 400), "41.2ms +-0.4");
    }

    #[test]
    fn a_gigabyte_has_a_thousand_million_octets() {
        assert_eq!(octets(1_234_567_890), "1.23 GB");
        assert_eq!(octets(16_777_216), "16.77 MB");
        assert_eq!(octets(999), "999 B");
    }

    #[test]
    fn a_table_lines_up_its_columns() {
        let rows = [["a", "long cell"], ["bbb", "c"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["ONE", "TWO"], rows), "ONE  TWO\na    long cell\nbbb  c");
    }

    #[test]
    fn a_table_fits_its_columns_whatever_is_in_it() {
        let long = "word ".repeat(40) + &"x".repeat(150);
        let rows = vec![(vec![long.clone(), "1".into(), long.clone()], long)];
        let shown = noted_table(&["A", "B", "C"], &rows);
        assert!(longest(&shown) <= COLUMNS, "{shown}");
        assert_eq!(shown.matches('x').count(), 450);
    }

    #[test]
    fn a_note_stands_below_its_row() {
        let rows = vec![(vec!["a".into()], "because".into()), (vec!["b".into()], String::new())];
        assert_eq!(noted_table(&["P"], &rows), "P\na\n    because\nb");
    }

    #[test]
    fn an_outline_shows_every_value_within_the_columns() {
        let value = serde_json::json!({
            "a": { "b": [1, 2], "c": [], "d": null, "e": "x".repeat(120) },
            "list": [{ "f": true }, { "f": false }],
        });
        let shown = outline(&value);
        assert!(longest(&shown) <= COLUMNS, "{shown}");
        assert!(shown.contains("1 2") && shown.contains("true") && shown.contains("--"), "{shown}");
    }

    #[test]
    fn what_steers_a_terminal_is_not_printed() {
        assert_eq!(printable("S\u{e3}o\u{1b}[2J\nx"), "S\u{e3}o?[2J\nx");
    }
}
