//! What routers of the benchmark say of themselves while they are under strain, read as an operator would.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;
use srwan_lab::netns;
use srwan_lab::settings::ROUTER_PORT;

use crate::contender::{Standing, ask};
use crate::testbed::TestBed;
use crate::topology::End;

/// A router's counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Dropped packets by reason.
    pub drops: BTreeMap<String, u64>,
    pub delivered_octets: u64,
    pub sent_octets: u64,
    pub known_cells: u64,
    /// Seconds since the oldest of the other routers' last pulses.
    pub pulse_age_s: f64,
}

impl Counters {
    /// Asks the router at `end`.
    pub fn of(bed: &TestBed, standing: &Standing, end: End) -> Result<Self> {
        let node = standing.topology.node(end)?;
        let status: Value = serde_json::from_str(&ask(bed, &node, &["status", "--json"])?)?;
        let matrix: Value = serde_json::from_str(&ask(bed, &node, &["matrix", "--json"])?)?;
        let drops = status["drops"].as_array().into_iter().flatten();
        let drop =
            |drop: &Value| Some((drop["reason"].as_str()?.to_owned(), drop["packets"].as_u64()?));
        let number = |name: &str| status[name].as_u64().unwrap_or(0);
        Ok(Self {
            drops: drops.filter_map(drop).collect(),
            delivered_octets: number("delivered_bytes"),
            sent_octets: number("sent_bytes"),
            known_cells: number("matrix_known"),
            pulse_age_s: own_column(&matrix, node.as_str())
                .into_values()
                .map(|cell| cell.age_ms as f64 / 1e3)
                .fold(0.0, f64::max),
        })
    }
}

/// A cell of the matrix that the router itself measures, as receiver.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub raw_us: i64,
    pub age_ms: u64,
}

/// The column of the router called `own`, by sender.
pub fn own_column(matrix: &Value, own: &str) -> BTreeMap<String, Cell> {
    let members: Vec<&str> = matrix["members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|member| member["name"].as_str())
        .collect();
    let Some(column) = members.iter().position(|name| *name == own) else {
        return BTreeMap::new();
    };
    let cell = |(row, name): (usize, &&str)| {
        let cell = &matrix["cells"][row * members.len() + column];
        let (raw_us, age_ms) = (cell["owd_raw_us"].as_i64()?, cell["age_ms"].as_u64()?);
        Some(((*name).to_owned(), Cell { raw_us, age_ms }))
    };
    members.iter().enumerate().filter_map(cell).collect()
}

/// Resident memory of a process, KiB.
pub fn resident_kib(process: i32) -> Result<u64> {
    let file = format!("/proc/{process}/status");
    let status = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.with_context(|| format!("{file} has no VmRSS"))
}

/// Datagrams that the kernel had no room for at the router's sockets at `end`.
pub fn unread(bed: &TestBed, standing: &Standing, end: End) -> Result<u64> {
    let place = bed.place().netns(&standing.topology.node(end)?);
    netns::within(&place, || {
        let port = format!(":{ROUTER_PORT:04X}");
        let tables = ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"];
        let texts = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
        let lines: Vec<String> =
            texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let ours = lines.iter().filter(|line| {
            line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port))
        });
        ours.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
    })
}
