//! `srwan sim adversaries`

use crate::exit::Exit;
use crate::output::Output;
use clap::Args;
use serde_json::json;
use srwan_sim::adversary::{self, Played};

/// Arguments of `sim adversaries`.
#[derive(Args)]
pub struct Adversaries {
    /// Seed of every draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Adversaries {
    /// Plays every strategy, and prints the table.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let played: Vec<Played> = adversary::play_all(self.seed);
        let rows: Vec<_> = played.iter().map(row).collect();
        let answer =
            json!({ "schema": "srwan.sim.adversaries/1", "seed": self.seed, "rows": rows });
        output.answer(&answer, |_| text(&played))?;
        let is_harmless = played.iter().all(Played::is_harmless);
        Ok(if is_harmless { Exit::Ok } else { Exit::Failed })
    }
}

fn row(played: &Played) -> serde_json::Value {
    json!({
        "strategy": played.strategy.name(),
        "quarantined_after_s": played.quarantined_after.map(|after| after.as_secs_f64()),
        "left_after_s": played.left_after.map(|after| after.as_secs_f64()),
        "false_quarantines": played.false_quarantines,
        "profit_base": played.profit,
        "arrived_permille": played.arrived_permille,
        "note": played.note,
    })
}

fn text(played: &[Played]) -> String {
    let seconds = |after: Option<std::time::Duration>| {
        after.map_or("-".to_owned(), |after| format!("{:.1}", after.as_secs_f64()))
    };
    let mut text =
        "strategy             quarantined s   left s  false      profit  arrived  what was seen\n"
            .to_owned();
    for one in played {
        text += &format!(
            "{:<20} {:>13} {:>8} {:>6} {:>11} {:>6.1} %  {}\n",
            one.strategy.name(),
            seconds(one.quarantined_after),
            seconds(one.left_after),
            one.false_quarantines,
            one.profit,
            f64::from(one.arrived_permille) / 10.0,
            one.note,
        );
    }
    text + "profit in base units, of who plays it, against doing the same honestly"
}
