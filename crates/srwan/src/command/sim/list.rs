//! `srwan sim list`

use crate::exit::Exit;
use crate::output::Output;
use serde::Serialize;
use srwan_scenario::{Scenario, shipped};
use srwan_sim::story::refusal;

/// All scenarios.
#[derive(Serialize)]
struct List {
    schema: &'static str,
    scenarios: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    title: String,
    duration_s: f64,
    /// Why only the lab runs it.
    refused: Option<String>,
}

/// Lists them.
pub fn run(output: Output) -> anyhow::Result<Exit> {
    let entry = |(name, text): &(&'static str, &str)| -> anyhow::Result<Entry> {
        let scenario = Scenario::parse(text)?;
        let refused = refusal::check(&scenario).err().map(|refusal| refusal.to_string());
        let duration_s = scenario.duration.as_secs_f64();
        Ok(Entry { name, title: scenario.title, duration_s, refused })
    };
    let scenarios = shipped().iter().map(entry).collect::<anyhow::Result<_>>()?;
    output.answer(&List { schema: "srwan.sim.list/1", scenarios }, text)?;
    Ok(Exit::Ok)
}

fn text(list: &List) -> String {
    let line = |entry: &Entry| {
        let head = format!("{:16} {:>4.0} s  {}", entry.name, entry.duration_s, entry.title);
        let refused = entry.refused.as_ref().map(|why| format!("\n{:25}lab only: {why}", ""));
        format!("{head}{}", refused.unwrap_or_default())
    };
    list.scenarios.iter().map(line).collect::<Vec<_>>().join("\n")
}
