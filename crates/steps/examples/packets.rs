//! `packets STEP COUNT`: does so many packets up to a step, for tools that count instructions
//! (`cargo xtask callgrind`).

use anyhow::{Context, bail};
use srwan_steps::{Step, repeat};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [step, count] = words.as_slice() else {
        bail!("wanted: parse|seal|forward|open COUNT, not {} words", words.len());
    };
    let step = Step::named(step)
        .with_context(|| format!("`{step}` is no step: parse, seal, forward or open"))?;
    let count = count.parse().with_context(|| format!("`{count}` is no number of packets"))?;
    repeat(step, count)
}
