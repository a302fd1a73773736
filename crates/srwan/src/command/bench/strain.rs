//! `srwan bench flood`, `load` and `scale`: routers under strain, and full tables.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use srwan_bench::figures::Spread;
use srwan_bench::{flood, garbage, load, scale};

use crate::exit::Exit;
use crate::output::Output;
use crate::text::table;

/// Arguments of `bench flood`.
#[derive(Args)]
pub struct Flood {
    /// How long garbage is sent.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Five seconds, to see that everything works.
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// Leave the daemons' logs.
    #[arg(long)]
    keep_logs: bool,
}

/// Arguments of `bench load`.
#[derive(Args)]
pub struct Load {
    /// How long the matrix is looked at, idle and loaded.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Five seconds, to see that everything works.
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// Leave the daemons' logs.
    #[arg(long)]
    keep_logs: bool,
}

/// Arguments of `bench scale`.
#[derive(Args)]
pub struct Scale {
    /// Peers that shake hands with one router.
    #[arg(long, default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=60_000))]
    peers: u32,
    /// Ranges in the table of destinations.
    #[arg(long, default_value_t = 1_000_000)]
    destinations: usize,
    /// File of real ranges (first,last,asn), halved until there are enough; without any, ranges are drawn.
    #[arg(long, value_name = "FILE")]
    asn: Vec<PathBuf>,
}

/// Arguments of `bench garbage`.
#[derive(Args)]
pub struct Garbage {
    #[arg(long)]
    seconds: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(required = true)]
    targets: Vec<SocketAddrV4>,
}

const QUICK_SECONDS: u64 = 5;

impl Flood {
    /// Measures.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let seconds = if self.quick { QUICK_SECONDS } else { self.seconds };
        let report = flood::run(seconds, self.keep_logs, &|line| output.progress(line))?;
        output.answer(&report, flood_text)?;
        Ok(if report.holds() { Exit::Ok } else { Exit::Failed })
    }
}

impl Load {
    /// Measures.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let seconds = if self.quick { QUICK_SECONDS } else { self.seconds };
        let report = load::run(seconds, self.keep_logs, &|line| output.progress(line))?;
        output.answer(&report, load_text)?;
        Ok(if report.holds() { Exit::Ok } else { Exit::Failed })
    }
}

impl Scale {
    /// Measures.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let Self { peers, destinations, asn } = self;
        let options = scale::Options { peers, destinations, asn_csv: asn };
        let report = scale::run(&options, &|line| output.progress(line))?;
        output.answer(&report, scale_text)?;
        Ok(if report.holds() { Exit::Ok } else { Exit::Failed })
    }
}

impl Garbage {
    /// Sends and says what.
    pub fn run(self) -> anyhow::Result<Exit> {
        let time = Duration::from_secs(self.seconds);
        let sent = garbage::send(&self.targets, time, self.seed)?;
        println!("{}", serde_json::to_string(&sent)?);
        Ok(Exit::Ok)
    }
}

fn flood_text(report: &flood::Report) -> String {
    let likenesses = report.garbage.by_likeness.iter();
    let likenesses: Vec<String> =
        likenesses.map(|(likeness, count)| format!("{likeness} {count}")).collect();
    let head = format!(
        "{} datagrams of garbage in {} s ({:.2} M/s), {} of them one by one ({:.2} M/s): {}",
        report.garbage.datagrams,
        report.seconds,
        report.garbage_pps / 1e6,
        report.garbage.singly,
        report.garbage.singly as f64 / (report.seconds as f64 / 2.0) / 1e6,
        likenesses.join(", ")
    );
    let quiet = format!(
        "the flow without garbage: {:.3} % of {} lost",
        report.quiet.lost_percent, report.quiet.sent
    );
    let rejected = report.routers.iter().map(|(name, router)| {
        let reasons = router.rejected.iter();
        let reasons: Vec<String> =
            reasons.map(|(reason, count)| format!("{reason} {count}")).collect();
        format!("refused at {name}: {}; not read: {}", reasons.join(", "), router.unread)
    });
    let rejected = rejected.collect::<Vec<_>>().join("\n");
    let rows = report.aims.iter().map(|aim| {
        let state = if aim.is_reached { "held" } else { "FAILED" };
        [aim.what.to_owned(), aim.figures.clone(), state.to_owned()]
    });
    [head, quiet, rejected, table(["MUST HOLD", "FIGURES", "STATE"], rows)].join("\n")
}

fn load_text(report: &load::Report) -> String {
    let head = format!("{:.2} Gbit/s over the relay for {} s", report.gbps, report.seconds);
    let spread =
        |spread: &Spread| format!("{:.0} ({:.0} to {:.0})", spread.median, spread.min, spread.max);
    let rows = report.cells.iter().map(|cell| {
        let state = if cell.moved_us < load::MOVED_US_MAX { "held" } else { "FAILED" };
        [
            format!("{} to {}", cell.from, cell.to),
            spread(&cell.idle_us),
            spread(&cell.loaded_us),
            format!("{:.0}", cell.moved_us),
            state.to_owned(),
        ]
    });
    let table = table(["CELL", "IDLE us", "LOADED us", "MOVED us", "STATE"], rows);
    [head, table].join("\n")
}

fn scale_text(report: &scale::Report) -> String {
    let (peers, table) = (&report.peers, &report.destinations);
    format!(
        "{} idle peers: {:.2} KiB each (at most {:.0}); {:.0} handshakes/s, both ends on a core\n\
         {} destinations ({} IPv4, {} IPv6; {} ranges are real): {:.2} M lookups/s on one core \
         (at least {:.0}), {:.1} % right; {:.0} MiB, loaded in {:.2} s",
        peers.count,
        peers.kib_each,
        scale::KIB_EACH_MAX,
        peers.handshakes_per_s,
        table.count,
        table.v4,
        table.v6,
        table.real,
        table.lookups_per_s.median / 1e6,
        scale::LOOKUPS_MIN / 1e6,
        table.right * 100.0,
        table.mib,
        table.load_s
    )
}
