//! What a validator weighs that has a million accounts: the process as a whole, as the kernel counts it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use srwan_lab::cluster::{Member, free_ports};
use srwan_validator::store::Store;

use super::{core, machine};

/// What it weighs.
#[derive(Clone, Debug, Serialize)]
pub struct Weight {
    pub accounts: u32,
    pub resident_mb: u64,
    /// From the start of the process to its first answer: genesis is read, the tree is built.
    pub start_seconds: f64,
}

impl Weight {
    /// A line.
    pub fn text(&self) -> String {
        format!(
            "a validator with {} accounts: {} MB resident, answers {:.1} s after its start",
            self.accounts, self.resident_mb, self.start_seconds
        )
    }
}

/// Starts a validator on a state directory that has so many accounts.
pub fn measure(accounts: u32, folder: &Path) -> Result<Weight> {
    let state = folder.join("state");
    fs::create_dir_all(&state)?;
    let mut genesis = core::genesis(accounts);
    let key = srwan_validator::keygen(&state)?;
    genesis.validators = core::sole_validator(key);
    Store::init(&state, &genesis).map_err(|error| anyhow::anyhow!("{error}"))?;
    drop(genesis);
    let rpc = free_ports(1)?[0];
    let config = format!("listen = \"{rpc}\"\nstate_dir = \"state\"\n");
    fs::write(folder.join("validator.toml"), config)?;
    let program = std::env::current_exe()?;
    let mut member = Member::at(folder, rpc, "weight", (&program, &program));
    let begun = Instant::now();
    member.start()?;
    while member.tip().is_err() {
        member.check_alive()?;
        anyhow::ensure!(begun.elapsed() < START_MAX, "it does not answer");
        std::thread::sleep(POLL);
    }
    let start_seconds = begun.elapsed().as_secs_f64();
    std::thread::sleep(SETTLE);
    let resident_mb = member.pid().map_or(0, machine::resident_mb);
    Ok(Weight { accounts, resident_mb, start_seconds })
}

const START_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);
/// Some idle blocks, so that what a start leaves behind is given back.
const SETTLE: Duration = Duration::from_secs(5);
