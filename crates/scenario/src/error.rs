//! What is wrong with a scenario file, said so that its author can mend it.

use std::fmt;

/// One mistake in a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// Line of the file, from 1, where it is known.
    pub line: Option<usize>,
    pub what: String,
    /// What to write, where there is a best guess.
    pub fix: Option<String>,
}

impl ScenarioError {
    pub(super) fn new(line: Option<usize>, what: impl Into<String>) -> Self {
        Self { line, what: what.into(), fix: None }
    }

    pub(super) fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// From the TOML reader, with a guess at what an unknown key was meant to be.
    pub(super) fn from_toml(text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map(|span| line_of(text, span.start));
        let what = error.message().to_owned();
        let fix = nearest_key(&what).map(|key| format!("write `{key}`"));
        Self { line, what, fix }
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.what)?;
        self.fix.as_ref().map_or(Ok(()), |fix| write!(f, "; {fix}"))
    }
}

impl std::error::Error for ScenarioError {}

/// Line number, from 1, of a byte offset.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The candidate closest to a word, if close enough to be a slip of the pen.
pub(super) fn nearest<'a>(word: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_ascii_lowercase();
    let best = among.map(|key| (distance(&folded, &key.to_ascii_lowercase()), key)).min()?;
    (best.0 <= 1 + word.chars().count() / 3).then_some(best.1)
}

/// Edits, or 1 for a key that was only not finished (`owd` for `owd_ms`).
fn distance(word: &str, key: &str) -> usize {
    if word.len() > 1 && key.starts_with(word) { 1 } else { edits(word, key) }
}

/// serde writes: unknown field `wrong`, expected one of `right`, `other`.
fn nearest_key(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next().filter(|_| message.starts_with("unknown "))?;
    nearest(wrong, quoted)
}

/// Levenshtein distance; the words are keys of a few letters, so the plain table is enough.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replace = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
