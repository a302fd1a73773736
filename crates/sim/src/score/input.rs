//! Measurements as they are shipped: text to checked tables. The formats stand in
//! `crates/sim/data/README.md`; other files of the same formats are read as well.
//!
//! All delays are round trips. Where a one-way delay is needed, half of the round trip stands for
//! it: an assumption, and named so in every score that rests on it.

use srwan_wire::time::Owd;

/// Slices of a file: a month of five-minute slices.
const SLICES_MAX: usize = 10_000;

/// Nodes of a delay file: ten times the largest known.
const NODES_MAX: usize = 5_000;

/// Samples of all traces of a file.
const SAMPLES_MAX: usize = 10_000_000;

/// Round trips between nodes, slice by slice.
///
/// - **Shape:** `rows[slice][source * nodes + target]`, the diagonal without meaning.
/// - **Units:** nanoseconds of a round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slices {
    /// How many nodes.
    pub nodes: usize,
    /// The slices in order of time.
    pub rows: Vec<Vec<i64>>,
}

/// One labelled series of round trips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Which.
    pub name: String,
    /// Unix seconds and round trip of each step; no round trip: no answer.
    pub samples: Vec<(u64, Option<Owd>)>,
    /// Steps at which a person saw a change.
    pub labels: Vec<usize>,
}

/// A server with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its number in the delay file.
    pub node: u32,
    /// Where it is. **Units:** 10^-6 degree.
    pub place: (i32, i32),
    /// Two letters or a name.
    pub country: String,
}

/// Mean round trip from one server to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Who pinged.
    pub source: u32,
    /// Whom.
    pub target: u32,
    /// Mean. **Units:** nanoseconds.
    pub mean_ns: i64,
}

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl core::fmt::Display for InputError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl core::error::Error for InputError {}

impl Slices {
    /// Reads `slice,src,d0,d1,...` in milliseconds.
    ///
    /// # Errors
    /// A row is missing, too much or unreadable.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let nodes = text.lines().next().map_or(0, |head| head.split(',').count().saturating_sub(2));
        if nodes == 0 || nodes > NODES_MAX {
            return Err(InputError { line: 1, what: "no nodes, or too many" });
        }
        let mut rows: Vec<Vec<i64>> = Vec::new();
        for (at, line) in text.lines().enumerate().skip(1) {
            let fail = |what| InputError { line: at + 1, what };
            if (at - 1) % nodes == 0 {
                rows.push(Vec::with_capacity(nodes * nodes));
            }
            let slice = rows.last_mut().ok_or_else(|| fail("no slice"))?;
            let before = slice.len();
            for field in line.split(',').skip(2) {
                slice.push(decimal(field, 6).ok_or_else(|| fail("not a delay"))?);
            }
            if slice.len() - before != nodes {
                return Err(fail("not as many delays as nodes"));
            }
        }
        let is_whole = rows.iter().all(|row| row.len() == nodes * nodes);
        if rows.is_empty() || rows.len() > SLICES_MAX || !is_whole {
            return Err(InputError { line: 1, what: "no slices, too many, or one is cut off" });
        }
        Ok(Self { nodes, rows })
    }

    /// The slices between these nodes alone, in this order.
    #[must_use]
    pub fn of(&self, nodes: &[usize]) -> Self {
        let pick = |row: &Vec<i64>| {
            let pairs = nodes.iter().flat_map(|a| nodes.iter().map(move |z| (*a, *z)));
            pairs.map(|(a, z)| row[a * self.nodes + z]).collect()
        };
        Self { nodes: nodes.len(), rows: self.rows.iter().map(pick).collect() }
    }
}

impl Trace {
    /// Reads `trace,epoch_s,rtt_ms,change`.
    ///
    /// # Errors
    /// A line is unreadable, or there are too many.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, InputError> {
        let mut traces: Vec<Self> = Vec::new();
        for (at, line) in text.lines().enumerate().skip(1) {
            let fail = |what| InputError { line: at + 1, what };
            if at > SAMPLES_MAX {
                return Err(fail("too many samples"));
            }
            let fields: Vec<&str> = line.split(',').collect();
            let [name, epoch, rtt, change] = fields[..] else { return Err(fail("not 4 fields")) };
            if traces.last().is_none_or(|trace| trace.name != name) {
                let (samples, labels) = (Vec::new(), Vec::new());
                traces.push(Self { name: name.to_owned(), samples, labels });
            }
            let trace = traces.last_mut().ok_or_else(|| fail("no trace"))?;
            if change == "1" {
                trace.labels.push(trace.samples.len());
            }
            let epoch = epoch.parse().map_err(|_| fail("not a time"))?;
            let rtt = match rtt {
                "" => None,
                text => Some(decimal(text, 6).ok_or_else(|| fail("not a delay"))?),
            };
            trace.samples.push((epoch, rtt.map(Owd::from_nanos)));
        }
        Ok(traces)
    }
}

impl Server {
    /// Reads `node,name,city,country,lat,lon,...`; a server whose place is not known is left out.
    ///
    /// # Errors
    /// A line is unreadable.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, InputError> {
        let parse = |(at, line): (usize, &str)| {
            let fail = |what| InputError { line: at + 1, what };
            let fields: Vec<&str> = line.split(',').collect();
            let [node, _, _, country, lat, lon, ..] = fields[..] else {
                return Err(fail("fewer than 6 fields"));
            };
            if lat.is_empty() {
                return Ok(None);
            }
            let micro = |text| decimal(text, 6).and_then(|value| i32::try_from(value).ok());
            let place = micro(lat).zip(micro(lon)).ok_or_else(|| fail("not a place"))?;
            let node = node.parse().map_err(|_| fail("not a number"))?;
            Ok(Some(Self { node, place, country: country.to_owned() }))
        };
        text.lines().enumerate().skip(1).filter_map(|line| parse(line).transpose()).collect()
    }
}

impl Ping {
    /// Reads `src,dst,min_us,avg_us,max_us,sd_us`.
    ///
    /// # Errors
    /// A line is unreadable.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, InputError> {
        let parse = |(at, line): (usize, &str)| {
            let fail = |what| InputError { line: at + 1, what };
            let fields: Vec<&str> = line.split(',').collect();
            let [source, target, _, mean, ..] = fields[..] else {
                return Err(fail("fewer than 4 fields"));
            };
            let node = |text: &str| text.parse().map_err(|_| fail("not a number"));
            let mean_ns = decimal(mean, 3).ok_or_else(|| fail("not a delay"))?;
            Ok(Self { source: node(source)?, target: node(target)?, mean_ns })
        };
        text.lines().enumerate().skip(1).map(parse).collect()
    }
}

/// A decimal number times ten to the power of `places`; further places are cut off.
fn decimal(text: &str, places: usize) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|c| c.is_ascii_digit()) {
        return None;
    }
    let scale = 10_i64.checked_pow(u32::try_from(places).ok()?)?;
    let fraction: String = fraction.chars().chain("000000".chars()).take(places).collect();
    let fraction: i64 = if places == 0 { 0 } else { fraction.parse().ok()? };
    whole.parse::<i64>().ok()?.checked_mul(scale)?.checked_add(fraction)?.checked_mul(sign)
}
