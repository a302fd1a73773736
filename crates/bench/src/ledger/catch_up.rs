//! How long a validator that lost its disk takes to catch up with a long chain.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::Plan;
use super::cluster::Running;

/// What catching up took.
#[derive(Clone, Debug, Serialize)]
pub struct CaughtUp {
    pub blocks: u64,
    /// From the start of the process without a disk to the tip of the chain.
    pub seconds: f64,
    pub blocks_per_second: f64,
    /// How long four validators took to make the chain.
    pub made_in_seconds: f64,
}

impl CaughtUp {
    /// A line.
    pub fn text(&self) -> String {
        format!(
            "a wiped validator had {} blocks again after {:.1} s ({:.0} a second); \
             making them took {:.0} s",
            self.blocks, self.seconds, self.blocks_per_second, self.made_in_seconds
        )
    }
}

/// Lets four validators make a chain of `blocks`, wipes one, and waits until it is at the tip again.
pub fn measure(plan: &Plan, blocks: u64, folder: &Path) -> Result<CaughtUp> {
    // As many blocks as the machine makes: what counts here is how many there are.
    let plan = Plan { block_ms: 1, idle_block_ms: 1, ..*plan };
    let begun = Instant::now();
    let mut running = Running::start(&plan, 4, folder)?;
    let made = wait(&mut running, blocks, |running| running.cluster.height())?;
    let made_in_seconds = begun.elapsed().as_secs_f64();
    let last = running.cluster.members.len() - 1;
    running.cluster.members[last].kill()?;
    running.cluster.members[last].wipe()?;
    let begun = Instant::now();
    running.cluster.members[last].start()?;
    let caught = wait(&mut running, made, |running| {
        running.cluster.members[last].tip().map_or(0, |tip| tip.height)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let blocks_per_second = caught as f64 / seconds;
    Ok(CaughtUp { blocks: caught, seconds, blocks_per_second, made_in_seconds })
}

/// Waits until a height is reached; an error if it does not move for long.
fn wait(running: &mut Running, goal: u64, height: impl Fn(&Running) -> u64) -> Result<u64> {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let now = height(running);
        if now >= goal {
            return Ok(now);
        }
        if now > last {
            (last, moved) = (now, Instant::now());
        }
        running.cluster.members.iter_mut().try_for_each(|member| member.check_alive())?;
        anyhow::ensure!(moved.elapsed() < STILL_MAX, "it stays at {now} of {goal} blocks");
        std::thread::sleep(POLL);
    }
}

/// Far longer than any pause that a healthy validator makes.
const STILL_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);
