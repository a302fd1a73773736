//! The swarm, as a user runs it: six hundred seeds of whole WANs. The simulator's other tests run with all tests.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Outcome;
use super::process::run as run_command;
use super::program::Profile;

/// All seeds; they run in virtual time, and are to take less than half of this on two cores.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// The lab's stories run in real time beside this: they come first whenever they have something to do.
const NICE: [&str; 3] = ["-n", "19", "--"];

/// The program fails by itself if something that was to be seen was not: green with nothing done is red.
const SWARM: [&str; 5] = ["sim", "run", "swarm", "--seeds", "600"];

/// Runs the seeds.
///
/// **Errors:** a promise that a seed breaks; the command that runs it again stands above.
pub fn run(profile: Profile) -> Result<Outcome> {
    let mut command = Command::new("nice");
    run_command(command.args(NICE).arg(profile.program()?).args(SWARM), LIMIT)?;
    Ok(Outcome::Passed)
}
