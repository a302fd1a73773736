//! What a score looks like: a small table that people read in docs/routing.md and programs as JSON.

/// One table of figures.
///
/// - **Shape:** each row has as many cells as there are columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Stable name.
    pub name: String,
    /// What is measured, on what, with which split.
    pub note: String,
    /// Heads.
    pub columns: Vec<String>,
    /// Figures as they are shown.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(name: &str, note: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|head| (*head).to_owned()).collect();
        Self { name: name.to_owned(), note: note.to_owned(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }

    /// As Markdown, the form in which the documents hold it.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<String> = self.columns.iter().map(|_| "---".to_owned()).collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}:\n\n{}{}{rows}", self.note, line(&self.columns), line(&rule))
    }
}

/// `part / whole` with three decimals, rounded half up; "-" of nothing.
#[must_use]
pub fn ratio(part: i128, whole: i128) -> String {
    if whole <= 0 {
        return "-".to_owned();
    }
    let scaled = (part * 2_000 + whole).div_euclid(whole * 2);
    let sign = if scaled < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", scaled.abs() / 1_000, scaled.abs() % 1_000)
}

/// Nanoseconds as milliseconds with two decimals, rounded half up.
#[must_use]
pub fn millis(nanos: i128) -> String {
    let scaled = (nanos + 5_000).div_euclid(10_000);
    let sign = if scaled < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", scaled.abs() / 100, scaled.abs() % 100)
}
