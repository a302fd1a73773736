//! `srwan matrix`

use crate::exit::Exit;
use crate::output::Output;
use crate::text::{COLUMNS, ms, noted_table, or_dash, unsigned_ms};
use clap::{Args, ValueEnum};
use srwan_api::router::{Matrix as Shape, MatrixCell};
use std::path::Path;

/// What each cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// One-way delay, clock offset removed as far as known.
    Owd,
    /// Loss in percent.
    Loss,
    /// Jitter.
    Jitter,
    /// What the best relayed path gains over the direct one; `*` = worth switching.
    Gain,
}

/// Arguments of `matrix`.
#[derive(Args)]
pub struct Matrix {
    /// What each cell shows.
    #[arg(long, value_enum, default_value = "owd")]
    mode: Mode,
    /// One line per directed pair, for spreadsheets.
    #[arg(long)]
    csv: bool,
}

impl Matrix {
    /// Asks and prints.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        let matrix: Shape = super::router(socket)?.get("/v1/matrix")?;
        output.answer(&matrix, |m| if self.csv { csv(m) } else { grid(m, self.mode) })?;
        Ok(Exit::Ok)
    }
}

/// One table, or several below each other with some of the columns each, so that none is too wide.
fn grid(matrix: &Shape, mode: Mode) -> String {
    let count = matrix.members.len();
    let name = |index: usize| matrix.members[index].name.clone();
    let cell = |row: usize, column: usize| {
        let cell = matrix.cells.get(row * count + column).and_then(Option::as_ref);
        or_dash(cell, |cell| cell_text(cell, mode))
    };
    let table = |columns: &[usize]| {
        let head: Vec<String> =
            std::iter::once(HEAD.to_owned()).chain(columns.iter().map(|c| name(*c))).collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let row = |row| {
            let cells = columns.iter().map(|column| cell(row, *column));
            (std::iter::once(name(row)).chain(cells).collect(), String::new())
        };
        noted_table(&head, &(0..count).map(row).collect::<Vec<_>>())
    };
    let widest = matrix.members.iter().map(|m| m.name.len()).max().unwrap_or(0).max(HEAD.len());
    let per_table = COLUMNS.saturating_sub(widest) / (widest.max(CELL_COLUMNS) + 2);
    let columns: Vec<usize> = (0..count).collect();
    columns.chunks(per_table.max(1)).map(table).collect::<Vec<_>>().join("\n\n")
}

/// The corner of the table.
const HEAD: &str = "FROM / TO";

/// The widest that a cell is: a gain of hours.
const CELL_COLUMNS: usize = 12;

fn cell_text(cell: &MatrixCell, mode: Mode) -> String {
    match mode {
        Mode::Owd => ms(cell.owd_us),
        Mode::Loss => format!("{:.1}%", cell.loss * 100.0),
        Mode::Jitter => unsigned_ms(cell.jitter_us),
        Mode::Gain => {
            let mark = if cell.improved { "*" } else { "" };
            or_dash(cell.gain_us, |us| format!("{}{mark}", ms(us)))
        }
    }
}

fn csv(matrix: &Shape) -> String {
    let count = matrix.members.len();
    let pairs = matrix.cells.iter().enumerate().filter_map(|(i, cell)| {
        let cell = cell.as_ref()?;
        let (from, to) = (&matrix.members[i / count].name, &matrix.members[i % count].name);
        let gain = or_dash(cell.gain_us, |us| us.to_string());
        Some(format!(
            "{from},{to},{},{},{},{},{},{gain}",
            cell.owd_us, cell.owd_error_us, cell.jitter_us, cell.loss, cell.age_ms
        ))
    });
    let head = "from,to,owd_us,owd_error_us,jitter_us,loss,age_ms,gain_us".to_owned();
    std::iter::once(head).chain(pairs).collect::<Vec<_>>().join("\n")
}
