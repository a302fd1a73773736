//! `srwan ping DEST [--via A,B]`

use crate::exit::Exit;
use crate::output::{Output, ms, or_dash, via};
use clap::Args;
use srwan_api::router::{PingReport, PingRequest, PingSide};
use std::fmt::Write;
use std::path::Path;

/// Arguments of `ping`.
#[derive(Args)]
pub struct Ping {
    /// Router name, router number or an address behind one.
    dest: String,
    /// Relays in order: names or numbers, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    via: Vec<String>,
    /// How many probes.
    #[arg(short = 'c', long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    count: u32,
    /// Milliseconds between them.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    interval_ms: u64,
    /// Exit with 7 if the share of lost probes is above this many percent.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100))]
    loss_max: u32,
}

impl Ping {
    /// Asks and prints.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        let request = PingRequest {
            dest: self.dest,
            via: self.via,
            count: self.count,
            interval_ms: self.interval_ms,
        };
        let report: PingReport = super::router(socket)?.post("/v1/ping", &request)?;
        output.answer(&report, text)?;
        let side = report.path.as_ref().unwrap_or(&report.direct);
        let lost = side.sent.saturating_sub(side.answered) * 100;
        Ok(if lost > self.loss_max * side.sent { Exit::Findings } else { Exit::Ok })
    }
}

fn text(report: &PingReport) -> String {
    let mut out = String::new();
    for side in [Some(&report.direct), report.path.as_ref()].into_iter().flatten() {
        writeln!(out, "{} {}", report.endpoint, side_text(side)).expect("writing to memory cannot fail");
    }
    out
}

fn side_text(side: &PingSide) -> String {
    let median = |values: [i64; 3]| format!("{} (least {}, most {})", ms(values[1]), ms(values[0]), ms(values[2]));
    let bound = or_dash(side.error_us, |us| ms(i64::try_from(us).unwrap_or(i64::MAX)));
    format!(
        "{}: {} of {} answered; forward {}, reverse {}, +-{bound}; round trip {}",
        via(&side.relays),
        side.answered,
        side.sent,
        or_dash(side.forward_us, median),
        or_dash(side.reverse_us, median),
        or_dash(side.rtt_us, median),
    )
}
