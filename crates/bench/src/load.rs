//! How far the matrix moves when a relay is under full load: the delays that routers measure must be the network's,
//! not their own queues'.
//!
//! Cells are read once a second at the router that measures them, first idle, then beside TCP streams over R that
//! take all that the machine has.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use crate::contender::{SCENARIO, Standing, ask, stand_relay};
use crate::figures::Spread;
use crate::measure;
use crate::programs::{IPERF3, Programs};
use crate::strain::own_column;
use crate::testbed::TestBed;
use crate::topology::End;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub seconds: u64,
    /// What the streams carried meanwhile.
    pub gbps: f64,
    pub cells: Vec<Moved>,
}

/// One cell of the matrix. **Units:** microseconds, as measured.
#[derive(Clone, Debug, Serialize)]
pub struct Moved {
    pub from: String,
    pub to: String,
    pub idle_us: Spread,
    pub loaded_us: Spread,
    /// Between both medians.
    pub moved_us: f64,
}

impl Report {
    /// Whether every cell stayed where it was.
    pub fn holds(&self) -> bool {
        !self.cells.is_empty() && self.cells.iter().all(|cell| cell.moved_us < MOVED_US_MAX)
    }
}

type Samples = BTreeMap<(String, String), Vec<f64>>;

/// Sets everything up, measures, and removes it.
///
/// **Errors:** it could not be set up, or was interrupted.
pub fn run(seconds: u64, keep_logs: bool, tell: &dyn Fn(&str)) -> Result<Report> {
    let programs = Programs::new(None);
    programs.need(IPERF3)?;
    let mut bed = TestBed::claim(SCENARIO, programs, keep_logs)?;
    tell("starting controller, ledger and three routers");
    let standing = stand_relay(&mut bed)?;
    measure::start_server(&mut bed, &standing.topology)?;
    measure::prepare(&bed, &standing)?;
    tell(&format!("idle for {seconds} s"));
    let idle = idle(&bed, &standing, seconds)?;
    tell(&format!("loaded for {seconds} s"));
    let (loaded, gbps) = loaded(&bed, &standing, seconds)?;
    let cells = idle.into_iter().filter_map(|(cell, idle)| moved(&cell, idle, &loaded)).collect();
    Ok(Report { schema: "srwan.bench-load/1", seconds, gbps, cells })
}

fn idle(bed: &TestBed, standing: &Standing, seconds: u64) -> Result<Samples> {
    // The first pulses met routers that were starting.
    thread::sleep(SETTLE);
    let mut samples = Samples::new();
    for _ in 0..seconds {
        anyhow::ensure!(!bed.is_interrupted(), "interrupted");
        look(bed, standing, &mut samples)?;
        thread::sleep(LOOK);
    }
    Ok(samples)
}

fn loaded(bed: &TestBed, standing: &Standing, seconds: u64) -> Result<(Samples, f64)> {
    let (mut samples, begun) = (Samples::new(), Instant::now());
    let mut looked = 0;
    let mut failed = None;
    let time = u32::try_from(seconds + SETTLE.as_secs()).unwrap_or(u32::MAX);
    let flow = measure::streams(bed, standing, (time, STREAMS), || {
        let due = begun.elapsed().saturating_sub(SETTLE).as_secs();
        if due > looked {
            looked = due;
            failed = look(bed, standing, &mut samples).err().or(failed.take());
        }
    })?;
    match failed {
        Some(error) => Err(error).context("a router under load did not answer"),
        None => Ok((samples, flow.gbps())),
    }
}

/// Reads at every router the cells that it measures.
fn look(bed: &TestBed, standing: &Standing, samples: &mut Samples) -> Result<()> {
    for end in End::ALL {
        let node = standing.topology.node(end)?;
        let matrix: Value = serde_json::from_str(&ask(bed, &node, &["matrix", "--json"])?)?;
        for (from, cell) in own_column(&matrix, node.as_str()) {
            let delay = Duration::from_micros(cell.raw_us.unsigned_abs()).as_secs_f64() * 1e6;
            let signed = if cell.raw_us < 0 { -delay } else { delay };
            samples.entry((from, node.to_string())).or_default().push(signed);
        }
    }
    Ok(())
}

fn moved((from, to): &(String, String), idle: Vec<f64>, loaded: &Samples) -> Option<Moved> {
    let loaded_us = Spread::of(loaded.get(&(from.clone(), to.clone()))?.iter().copied())?;
    let idle_us = Spread::of(idle)?;
    let moved_us = (loaded_us.median - idle_us.median).abs();
    Some(Moved { from: from.clone(), to: to.clone(), idle_us, loaded_us, moved_us })
}

/// As many as the measures have.
const STREAMS: u32 = 4;
const LOOK: Duration = Duration::from_secs(1);
/// A cell is the median of three pulses, which come every second: after that, all are of the new state.
const SETTLE: Duration = Duration::from_secs(4);
/// The issue's.
pub const MOVED_US_MAX: f64 = 500.0;
