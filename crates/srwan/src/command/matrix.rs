//! `srwan matrix`

use crate::exit::Exit;
use crate::output::{Output, ms, or_dash};
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

fn grid(matrix: &Shape, mode: Mode) -> String {
    let names: Vec<_> = matrix.members.iter().map(|m| m.name.clone()).collect();
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([vec!["FROM \\ TO".to_owned()], names.clone()].concat());
    for (name, row) in names.iter().zip(matrix.cells.chunks(names.len().max(1))) {
        let cells = row.iter().map(|cell| or_dash(cell.as_ref(), |c| cell_text(c, mode)));
        table.add_row([vec![name.clone()], cells.collect()].concat());
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn cell_text(cell: &MatrixCell, mode: Mode) -> String {
    match mode {
        Mode::Owd => ms(cell.owd_us),
        Mode::Loss => format!("{:.1}%", cell.loss * 100.0),
        Mode::Jitter => ms(i64::try_from(cell.jitter_us).unwrap_or(i64::MAX)),
        Mode::Gain => {
            or_dash(cell.gain_us, |us| format!("{}{}", ms(us), if cell.improved { "*" } else { "" }))
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

