//! `srwan bench net`

use crate::exit::Exit;
use crate::output::Output;
use crate::text::{octets, table, wrap};
use clap::{Args, ValueEnum};
use srwan_bench::aims::{Aim, Bound};
use srwan_bench::contender::{SRWAN, Way};
use srwan_bench::figures::{Metric, Spread};
use srwan_bench::micro::{self, Micro};
use srwan_bench::net::{self, Options};
use srwan_bench::report::{Entry, Report, State, WayFigures};
use std::path::PathBuf;

/// Arguments of `bench net`.
#[derive(Args)]
pub struct Net {
    /// How often each contender has its turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Contenders, separated by commas; without it, all that are installed (docs/performance.md).
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    contender: Vec<String>,
    /// Ways to measure, separated by commas; without it, all.
    #[arg(long, value_delimiter = ',', value_name = "WAY", value_enum)]
    way: Vec<WayName>,
    /// One round of short measures, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Turn all offloads of all links off, for everything.
    #[arg(long)]
    no_offload: bool,
    /// Folder that is searched for contenders' programs before the search path.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Leave the daemons' logs.
    #[arg(long)]
    keep_logs: bool,
    /// Set up what is chosen and leave it so until Ctrl-C, for a look around or a profile.
    #[arg(long)]
    hold: bool,
    /// Only the packet's hot steps, without a network: nanoseconds per packet. Needs no root.
    #[arg(long, conflicts_with_all = ["contender", "way", "no_offload", "programs", "hold"])]
    micro: bool,
}

/// The ways that packets may go.
#[derive(Clone, Copy, ValueEnum)]
enum WayName {
    /// Forwarded by the kernel.
    Plain,
    /// With srwan running, no path engaged.
    PassThrough,
    /// A tunnel without a relay.
    Direct,
    /// Through one relay.
    Relay,
}

impl Net {
    /// Measures.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        if self.micro {
            output.answer(&micro::measure()?, micro_text)?;
            return Ok(Exit::Ok);
        }
        let options = Options {
            rounds: if self.quick { 1 } else { self.rounds },
            contenders: self.contender,
            ways: self.way.into_iter().map(Way::from).collect(),
            quick: self.quick,
            no_offload: self.no_offload,
            keep_logs: self.keep_logs,
            programs: self.programs,
        };
        if self.hold {
            net::hold(&options, &|line| output.progress(line))?;
            return Ok(Exit::Ok);
        }
        let report = net::run(&options, &|line| output.progress(line))?;
        output.answer(&report, net_text)?;
        Ok(if report.is_whole() { Exit::Ok } else { Exit::Failed })
    }
}

impl From<WayName> for Way {
    fn from(name: WayName) -> Self {
        match name {
            WayName::Plain => Self::Plain,
            WayName::PassThrough => Self::PassThrough,
            WayName::Direct => Self::Direct,
            WayName::Relay => Self::Relay,
        }
    }
}

fn net_text(report: &Report) -> String {
    let machine = &report.machine;
    let settings = &report.settings;
    let head = format!(
        "{} cores, {}, Linux {}, TCP {}; medians of {} rounds; links: {}",
        machine.cores,
        machine.cpu,
        machine.kernel,
        machine.congestion_control,
        settings.rounds,
        settings.underlay
    );
    let parts = [
        wrap(&head, crate::text::COLUMNS).join("\n"),
        rates_text(report),
        costs_text(report),
        times_text(report, Way::Relay),
        times_text(report, Way::Direct),
        paid_text(report),
        aims_text(&report.aims),
        absent_text(report),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// Every way of every contender that has figures.
fn all_ways(report: &Report) -> impl Iterator<Item = (&Entry, &WayFigures)> {
    report.contenders.iter().flat_map(|entry| entry.ways.iter().map(move |way| (entry, way)))
}

fn rates_text(report: &Report) -> String {
    let head =
        ["Gbit/s, kpps", "WAY", "TCP x1", "TCP x4", "64 FLOWS", "UDP 100 B", "x1, NO OFFLOAD"];
    let metrics = [Metric::Tcp1, Metric::Tcp4, Metric::Flows64, Metric::Small, Metric::Tcp1Bare];
    let rows = all_ways(report).map(|(entry, way)| {
        let [a, b, c, d, e] = metrics.map(|metric| cell(way, metric));
        [entry.name.to_owned(), way.way.word().to_owned(), a, b, c, d, e]
    });
    table(head, rows)
}

fn costs_text(report: &Report) -> String {
    let head = ["CPU s/Gbit", "WAY", "DAEMONS", "RELAY", "MACHINE", "ADDED us", "LOADED us", "MiB"];
    let rows = all_ways(report).map(|(entry, way)| {
        let pair = |low, high| format!("{} / {}", cell(way, low), cell(way, high));
        [
            entry.name.to_owned(),
            way.way.word().to_owned(),
            cell(way, Metric::CpuDaemons),
            cell(way, Metric::CpuRelay),
            cell(way, Metric::CpuMachine),
            pair(Metric::AddedP50, Metric::AddedP99),
            pair(Metric::LoadedP50, Metric::LoadedP99),
            cell(way, Metric::Memory),
        ]
    });
    let note = "ADDED: one way, idle, beyond plain forwarding, p50 / p99. \
                LOADED: round trip beside four streams.";
    format!("{}\n{note}", table(head, rows))
}

fn cell(way: &WayFigures, metric: Metric) -> String {
    way.figures.get(&metric).map_or_else(|| "-".to_owned(), |figure| short(figure.spread.median))
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 99.95 => format!("{value:.0}"),
        middle if middle >= 9.995 => format!("{value:.1}"),
        small if small >= 0.9995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// How many times better srwan is.
fn times_text(report: &Report, way: Way) -> String {
    let metrics = [
        Metric::Tcp1,
        Metric::Tcp4,
        Metric::Flows64,
        Metric::Small,
        Metric::CpuDaemons,
        Metric::AddedP50,
    ];
    let theirs = |entry: &&Entry| entry.name != SRWAN;
    let row = |entry: &Entry| {
        let of = |way| report.figure(entry.name, way, Metric::Tcp1).map(|_| way);
        // Plain forwarding has one way, which the relay is compared with.
        let plain = if way == Way::Relay { of(Way::Plain) } else { None };
        let theirs = of(way).or(plain)?;
        let times = metrics.map(|metric| {
            let figure = report.figure(entry.name, theirs, metric);
            let times = figure.and_then(|figure| figure.srwan_times_better);
            times.map_or_else(|| "-".to_owned(), |times| format!("{}x", short(times)))
        });
        let [a, b, c, d, e, f] = times;
        Some([entry.name.to_owned(), a, b, c, d, e, f])
    };
    let rows: Vec<_> = report.contenders.iter().filter(theirs).filter_map(row).collect();
    if rows.is_empty() || report.figure(SRWAN, way, Metric::Tcp1).is_none() {
        return String::new();
    }
    let name = if way == Way::Relay { "srwan's relay is" } else { "srwan's direct is" };
    table([name, "TCP x1", "TCP x4", "64 FLOWS", "UDP 100 B", "CPU/Gbit", "ADDED p50"], rows)
}

fn paid_text(report: &Report) -> String {
    report.relay.as_ref().map_or_else(String::new, |paid| {
        let carried = octets(paid.relayed_bytes);
        format!("srwan's relay carried {carried} and earned {} coins", paid.earned_coins)
    })
}

fn aims_text(aims: &[Aim]) -> String {
    let rows: Vec<_> = aims.iter().filter_map(aim_row).collect();
    if rows.is_empty() {
        String::new()
    } else {
        table(["AIM", "BOUND", "VALUE", "GOT", "STATE"], rows)
    }
}

fn aim_row(aim: &Aim) -> Option<[String; 5]> {
    let bound = match aim.bound {
        Bound::AtLeast => "at least",
        Bound::AtMost => "at most",
    };
    let reached = if aim.is_reached? { "reached" } else { "MISSED" };
    Some([
        aim.what.to_owned(),
        bound.to_owned(),
        format!("{}", aim.aim),
        short(aim.got?),
        reached.to_owned(),
    ])
}

/// Who was not measured, and what to do about it.
fn absent_text(report: &Report) -> String {
    let row = |entry: &Entry| {
        let (state, more) = match &entry.state {
            State::Measured => return None,
            State::NotInstalled { fix } => ("not installed", fix),
            State::NotAvailable { why } => ("not available", why),
            State::Failed { why } => ("FAILED", why),
        };
        Some([entry.name.to_owned(), state.to_owned(), more.clone()])
    };
    let rows: Vec<_> = report.contenders.iter().filter_map(row).collect();
    if rows.is_empty() {
        String::new()
    } else {
        table(["NOT MEASURED", "STATE", "FIX OR WHY"], rows)
    }
}

fn micro_text(micro: &Micro) -> String {
    let nanos = |spread: &Spread| format!("{:.0}", spread.median);
    let rows = micro.sizes.iter().map(|size| {
        let size_octets = size.octets.to_string();
        let [parse, seal, forward, open] =
            [&size.parse_ns, &size.seal_ns, &size.forward_ns, &size.open_ns].map(nanos);
        [size_octets, parse, seal, forward, open]
    });
    table(["OCTETS", "PARSE ns", "SEAL ns", "FORWARD ns", "OPEN ns"], rows)
}
