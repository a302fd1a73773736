//! `srwan ping DEST [--via A,B]`

use crate::exit::Exit;
use crate::output::Output;
use crate::text::{ms, or_dash, table, unsigned_ms, via};
use clap::Args;
use srwan_api::http::{CALL_TIMEOUT_DEFAULT, Call};
use srwan_api::router::{PingReport, PingRequest, PingSide};
use std::path::Path;
use std::time::Duration;

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
    /// Exit with 7 if more than this many percent of the probes are lost.
    #[arg(long, value_name = "PERCENT", default_value_t = 99, value_parser = clap::value_parser!(u32).range(0..=100))]
    loss_max: u32,
}

impl Ping {
    /// Asks and prints.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        let client = super::router(socket)?;
        let sending = Duration::from_millis(self.interval_ms).saturating_mul(self.count);
        let request = PingRequest {
            dest: self.dest,
            via: self.via,
            count: self.count,
            interval_ms: self.interval_ms,
        };
        let call = Call::post("/v1/ping", &request).timeout(sending + CALL_TIMEOUT_DEFAULT);
        let report: PingReport = client.call(call)?.json()?;
        output.answer(&report, text)?;
        let side = report.path.as_ref().unwrap_or(&report.direct);
        let lost = side.sent.saturating_sub(side.answered) * 100;
        Ok(if lost > self.loss_max * side.sent { Exit::Findings } else { Exit::Ok })
    }
}

fn text(report: &PingReport) -> String {
    let sides = [Some(&report.direct), report.path.as_ref()].into_iter().flatten();
    let grid = table(["PATH", "ANSWERED", "FORWARD", "REVERSE", "ROUND TRIP"], sides.map(row));
    let bound = report.path.as_ref().or(Some(&report.direct)).and_then(|side| side.error_us);
    let bound = bound.map_or_else(
        || "the offset of the clocks is not known: one-way delays hold it".to_owned(),
        |us| format!("one-way delays +-{}", unsigned_ms(us)),
    );
    format!("{}: medians (least .. most); {bound}\n{grid}", report.endpoint)
}

fn row(side: &PingSide) -> [String; 5] {
    let spread = |values: [i64; 3]| {
        let [least, median, most] = values.map(ms);
        format!("{median} ({} .. {})", least.trim_end_matches("ms"), most.trim_end_matches("ms"))
    };
    [
        via(&side.relays),
        format!("{} of {}", side.answered, side.sent),
        or_dash(side.forward_us, spread),
        or_dash(side.reverse_us, spread),
        or_dash(side.rtt_us, spread),
    ]
}
