//! The table of tuples: real ranges are halved until there are enough, written as an operator's files, loaded by the
//! router's own code, and looked up at random.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::BufRead;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use srwan_router::config::Geo as GeoConfig;
use srwan_router::geo::Geo;

use crate::figures::Spread;
use crate::strain::resident_kib;

/// What the table costs and how fast it is.
#[derive(Clone, Debug, Serialize)]
pub struct Destinations {
    /// Ranges, each with ASN and place.
    pub count: usize,
    pub v4: usize,
    pub v6: usize,
    /// Of them as they stood in the files; zero if they were drawn.
    pub real: usize,
    pub load_s: f64,
    pub mib: f64,
    /// Both ASN and place, on one core.
    pub lookups_per_s: Spread,
    /// The same of all addresses looked up, share of those found in the range that they were drawn from.
    pub right: f64,
}

/// One range and what is said of it.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: IpAddr,
    last: IpAddr,
    asn: u32,
}

/// Fills a table of at least `count` ranges and measures it.
///
/// **Errors:** a file cannot be read or has no ranges.
pub fn measure(files: &[PathBuf], count: usize) -> Result<Destinations> {
    let real = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?.concat();
    anyhow::ensure!(files.is_empty() || !real.is_empty(), "the files have no ranges");
    let ranges = halved(if real.is_empty() { drawn() } else { real.clone() }, count);
    let folder = std::env::temp_dir().join(format!("srwan-scale-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let measured = measure_in(&folder, &ranges, real.len());
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure_in(folder: &Path, ranges: &[Range], real: usize) -> Result<Destinations> {
    let (asn, place) = (folder.join("asn.csv"), folder.join("location.csv"));
    let (mut asns, mut places) = (String::new(), String::new());
    for Range { first, last, asn } in ranges {
        writeln!(asns, "{first},{last},{asn}")?;
        writeln!(places, "{first},{last},ZZ,City {},{}.5,{}.25", asn % 4_096, asn % 90, asn % 180)?;
    }
    fs::write(&asn, asns)?;
    fs::write(&place, places)?;
    let probes = probes(ranges);
    let own = i32::try_from(std::process::id()).context("a process number fits")?;
    let (before, begun) = (resident_kib(own)?, Instant::now());
    let config = GeoConfig { asn_csv: vec![asn], location_csv: Some(place) };
    let geo = Geo::load(&config).map_err(|fault| anyhow::anyhow!("{fault:?}"))?;
    let load_s = begun.elapsed().as_secs_f64();
    let kib = resident_kib(own)?.saturating_sub(before);
    let rates: Vec<f64> = (0..ROUNDS).map(|_| rate(&geo, &probes)).collect();
    let is_right = |(address, asn): &&(IpAddr, u32)| geo.find(*address).asn == Some(*asn);
    let right = probes.iter().filter(is_right).count() as f64 / probes.len().max(1) as f64;
    let v4 = ranges.iter().filter(|range| range.first.is_ipv4()).count();
    Ok(Destinations {
        count: ranges.len(),
        v4,
        v6: ranges.len() - v4,
        real,
        load_s,
        mib: kib as f64 / 1_024.0,
        lookups_per_s: Spread::of(rates).context("there is at least one round")?,
        right,
    })
}

fn rate(geo: &Geo, probes: &[(IpAddr, u32)]) -> f64 {
    let begun = Instant::now();
    for (address, _) in probes {
        black_box(geo.find(black_box(*address)));
    }
    probes.len() as f64 / begun.elapsed().as_secs_f64()
}

/// Addresses of ranges in no order at all, with the number that must be found: what defeats every cache.
fn probes(ranges: &[Range]) -> Vec<(IpAddr, u32)> {
    let mut place = 0;
    let step = |_| {
        // A prime larger than any table, so that every range is met before one is met again.
        place = (place + STEP) % ranges.len().max(1);
        let range = &ranges[place];
        (range.last, range.asn)
    };
    (0..LOOKUPS).map(step).collect()
}

/// Halves the ranges, first the first, until there are so many; single addresses stay.
fn halved(ranges: Vec<Range>, count: usize) -> Vec<Range> {
    let mut waiting = VecDeque::from(ranges);
    let mut whole = Vec::new();
    while waiting.len() + whole.len() < count {
        let Some(range) = waiting.pop_front() else { break };
        match halves(range) {
            Some(halves) => waiting.extend(halves),
            None => whole.push(range),
        }
    }
    whole.extend(waiting);
    whole
}

/// Both halves, which belong to different networks.
fn halves(range: Range) -> Option<[Range; 2]> {
    let (end, begin) = match (range.first, range.last) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first < last => {
            let middle = first.to_bits() + (last.to_bits() - first.to_bits()) / 2;
            (Ipv4Addr::from_bits(middle).into(), Ipv4Addr::from_bits(middle + 1).into())
        }
        (IpAddr::V6(first), IpAddr::V6(last)) if first < last => {
            let middle = first.to_bits() + (last.to_bits() - first.to_bits()) / 2;
            (Ipv6Addr::from_bits(middle).into(), Ipv6Addr::from_bits(middle + 1).into())
        }
        _ => return None,
    };
    let other = range.asn ^ OTHER_NETWORK;
    Some([Range { last: end, ..range }, Range { first: begin, asn: other, ..range }])
}

/// 2^16 neighbouring networks of either family.
fn drawn() -> Vec<Range> {
    let v4 = |n: u32| Range {
        first: Ipv4Addr::from_bits(n << 16).into(),
        last: Ipv4Addr::from_bits(n << 16 | 0xffff).into(),
        asn: n + 1,
    };
    let v6 = |n: u32| {
        let first = (0x2001_u128 << 112) | u128::from(n) << 80;
        Range {
            first: Ipv6Addr::from_bits(first).into(),
            last: Ipv6Addr::from_bits(first | ((1 << 80) - 1)).into(),
            asn: n + 1,
        }
    };
    (0..1 << 16).flat_map(|n| [v4(n), v6(n)]).collect()
}

fn read(file: &Path) -> Result<Vec<Range>> {
    let opened = fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut ranges = Vec::new();
    for line in std::io::BufReader::new(opened).lines() {
        ranges.extend(range(&line?));
    }
    Ok(ranges)
}

/// A heading is no range.
fn range(line: &str) -> Option<Range> {
    let mut fields = line.split(',');
    let (first, last) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let asn = fields.next()?.trim().trim_start_matches("AS").parse().ok()?;
    Some(Range { first, last, asn })
}

/// Long enough to be read to a percent.
const LOOKUPS: usize = 2_000_000;
const ROUNDS: usize = 5;
/// A prime.
const STEP: usize = 7_368_787;
/// A bit that no AS number has so far.
const OTHER_NETWORK: u32 = 1 << 30;
