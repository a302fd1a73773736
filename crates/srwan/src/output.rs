//! What a person or a program reads: answers on stdout, everything else on stderr.

use crate::problem;
use crate::text::printable;
use serde::Serialize;
use srwan_api::http::ApiError;
use std::io::{self, Write};

/// How answers are written.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
}

impl Output {
    /// Writes an answer that carries its schema: as JSON if asked for, else as `text` makes it.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn answer<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        let written = match self.json {
            true => serde_json::to_string_pretty(value)?,
            false => printable(&text(value)),
        };
        Ok(writeln!(io::stdout(), "{}", written.trim_end())?)
    }

    /// Writes an answer that is one line of text; as JSON it becomes `{"schema": .., name: value}`.
    ///
    /// # Errors
    /// As [`Output::answer`].
    pub fn value(self, schema: &str, name: &str, value: &str) -> anyhow::Result<()> {
        let answer = serde_json::json!({ "schema": schema, name: value });
        self.answer(&answer, |_| value.to_owned())
    }

    /// Tells on stderr how far something is: one line.
    pub fn progress(self, text: &str) {
        // A closed stderr leaves nobody to tell.
        let _ = writeln!(io::stderr(), "{}", printable(text));
    }

    /// Writes an error to stderr: code, what, why, fix.
    pub fn error(self, error: &ApiError) {
        let text = if self.json { problem::json(error) } else { problem::text(error) };
        // A closed stderr leaves nobody to tell.
        let _ = writeln!(io::stderr(), "{text}");
    }
}
