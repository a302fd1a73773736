//! The engine's own ceiling: the same number of validators, blocks of the same size, nothing in them to check.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde::Serialize;
use srwan_lab::cluster::free_ports;

use super::empty::{Order, Told};
use super::{Plan, machine, milliseconds};

/// What engines came to.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    pub block_octets: usize,
    pub pause_ms: u64,
    pub blocks_per_second: f64,
    /// Tickets that would fit into those blocks, a second.
    pub tickets_per_second: f64,
    /// From proposing to finality.
    pub finality_ms_p50: f64,
    pub finality_ms_p99: f64,
    /// Of the largest.
    pub resident_mb: u64,
}

/// Processes that end when they are dropped.
struct Engines(Vec<Child>);

impl Drop for Engines {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// Paced as the product is, and as fast as it goes; with full blocks both times.
pub fn measure(plan: &Plan, validators: u8, folder: &Path) -> Result<Vec<Ceiling>> {
    let pauses = [u64::from(plan.block_ms), 0];
    let each = |pause_ms: u64| {
        let folder = folder.join(format!("pause-{pause_ms}"));
        engines(plan, (validators, pause_ms), &folder)
    };
    pauses.into_iter().map(each).collect()
}

fn engines(plan: &Plan, (validators, pause_ms): (u8, u64), folder: &Path) -> Result<Ceiling> {
    let block_octets = BLOCK_OCTETS;
    let committee = free_ports(validators.into())?;
    let mut engines = Engines(Vec::new());
    for own in 0..usize::from(validators) {
        let folder = folder.join(own.to_string());
        fs::create_dir_all(&folder)?;
        let (committee, seconds) = (committee.clone(), plan.seconds);
        let order = Order { own, committee, folder, block_octets, pause_ms, seconds };
        engines.0.push(start(&order)?);
    }
    let told: Vec<Told> = engines.0.iter_mut().map(answer).collect::<Result<_>>()?;
    let mut finality: Vec<f64> = told.iter().flat_map(|told| told.finality_ms.clone()).collect();
    let mut rates: Vec<f64> = told.iter().map(|told| told.blocks_per_second).collect();
    let blocks_per_second = machine::median(&mut rates);
    Ok(Ceiling {
        block_octets,
        pause_ms,
        blocks_per_second,
        tickets_per_second: blocks_per_second * (block_octets / plan.ticket_octets()) as f64,
        finality_ms_p50: milliseconds(machine::quantile(&mut finality, 0.5)),
        finality_ms_p99: milliseconds(machine::quantile(&mut finality, 0.99)),
        resident_mb: told.iter().map(|told| told.resident_mb).max().unwrap_or(0),
    })
}

fn start(order: &Order) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "engine-node"]).arg(serde_json::to_string(order)?);
    command.env("SRWAN_LOG", "error").stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().context("cannot start an engine")
}

fn answer(child: &mut Child) -> Result<Told> {
    let output = child.stdout.take().context("its output is piped")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    serde_json::from_str(&line).with_context(|| format!("an engine said {line:?}"))
}

impl Ceiling {
    /// A row of the table.
    pub fn text(&self) -> String {
        format!(
            "{:>24} {:>11.1} {:>29.0} {:>14.1} {:>8.1}",
            self.pause_ms,
            self.blocks_per_second,
            self.tickets_per_second,
            self.finality_ms_p50,
            self.finality_ms_p99
        )
    }
}

/// A full block of the product, less what a body has beside transactions.
const BLOCK_OCTETS: usize = 1_000_000;
