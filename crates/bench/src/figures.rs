//! Figures: what a turn measured, medians over rounds, and how one contender's compare with another's.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// A figure that a turn may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// One TCP stream, Gbit/s received.
    Tcp1,
    /// Four TCP streams together.
    Tcp4,
    /// 64 TCP streams together, their packets interleaved.
    Flows64,
    /// UDP packets of 100 octets of payload delivered, 1000/s.
    Small,
    /// CPU time of the product's processes per Gbit of the one stream, s.
    CpuDaemons,
    /// CPU time of the process that relays per Gbit of the one stream, s.
    CpuRelay,
    /// CPU time of the whole machine, iperf3 included, per Gbit of the one stream, s.
    CpuMachine,
    /// One-way delay over that of plain forwarding, idle, us: half of the difference of the round trips' medians.
    AddedP50,
    /// The same of the 99th percentiles.
    AddedP99,
    /// Round trip beside the four streams, us, median.
    LoadedP50,
    /// The same, 99th percentile.
    LoadedP99,
    /// Peak resident memory of all processes of the product, MiB.
    Memory,
    /// One TCP stream with all offloads of all veth devices off.
    Tcp1Bare,
}

/// What one turn of one way measured.
pub type Figures = BTreeMap<Metric, f64>;

/// A metric over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Metric {
    /// All, in the order of tables.
    pub const ALL: [Self; 13] = [
        Self::Tcp1,
        Self::Tcp4,
        Self::Flows64,
        Self::Small,
        Self::CpuDaemons,
        Self::CpuRelay,
        Self::CpuMachine,
        Self::AddedP50,
        Self::AddedP99,
        Self::LoadedP50,
        Self::LoadedP99,
        Self::Memory,
        Self::Tcp1Bare,
    ];

    /// Name in JSON, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp1 => "tcp_1_gbps",
            Self::Tcp4 => "tcp_4_gbps",
            Self::Flows64 => "flows_64_gbps",
            Self::Small => "udp_100_kpps",
            Self::CpuDaemons => "cpu_daemons_s_per_gbit",
            Self::CpuRelay => "cpu_relay_s_per_gbit",
            Self::CpuMachine => "cpu_machine_s_per_gbit",
            Self::AddedP50 => "added_p50_us",
            Self::AddedP99 => "added_p99_us",
            Self::LoadedP50 => "loaded_round_trip_p50_us",
            Self::LoadedP99 => "loaded_round_trip_p99_us",
            Self::Memory => "memory_mib",
            Self::Tcp1Bare => "tcp_1_no_offload_gbps",
        }
    }

    /// Whether more is better.
    pub fn is_rate(self) -> bool {
        match self {
            Self::Tcp1 | Self::Tcp4 | Self::Flows64 | Self::Small | Self::Tcp1Bare => true,
            Self::CpuDaemons
            | Self::CpuRelay
            | Self::CpuMachine
            | Self::AddedP50
            | Self::AddedP99
            | Self::LoadedP50
            | Self::LoadedP99
            | Self::Memory => false,
        }
    }

    /// How many times better `ours` is than `theirs`; above 1 is better. `None` where one of them is nothing.
    pub fn times(self, ours: f64, theirs: f64) -> Option<f64> {
        let (more, less) = if self.is_rate() { (ours, theirs) } else { (theirs, ours) };
        (more > 0.0 && less > 0.0).then(|| more / less)
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Spread {
    /// Of the rounds' figures; `None` if there are none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Self { median: percentile(&sorted, 50), min, max })
    }
}

/// Each metric over the turns that have it.
pub fn spreads(turns: &[Figures]) -> BTreeMap<Metric, Spread> {
    let of = |metric: Metric| {
        let figures = turns.iter().filter_map(|turn| turn.get(&metric).copied());
        Spread::of(figures).map(|spread| (metric, spread))
    };
    Metric::ALL.into_iter().filter_map(of).collect()
}

/// A percentile of sorted figures, between neighbours if it falls between them; zero if there are none.
pub fn percentile(sorted: &[f64], percent: u8) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = last as f64 * f64::from(percent) / 100.0;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}
