//! A soak: validators are killed again and again under load, and nothing final may be lost.
//!
//! A seed decides who is killed when. After each kill the victims must be back at the tip, the chain must have
//! grown, and outcomes that clients were told must be told again by the victims. A program outside this one may
//! audit the validators over their RPC all the while (scripts/ledger_audit.py). No root is needed.

mod audit;
mod load;
mod payer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use toml::Value;

use crate::cli::SoakArgs;
use crate::cluster::{self, Blueprint, Cluster, Member, Rules, Tip};
use crate::fabric::random::Random;
use crate::interrupt::stop_on_signals;

use audit::Audit;
use load::Load;

/// Runs a soak and says what came of it; the exit code is 0 only if nothing was wrong.
pub fn run(args: &SoakArgs, program: &Path) -> Result<i32> {
    let folder = args.dir.clone().unwrap_or_else(own_folder);
    cluster::make_folder(&folder)?;
    let folder = folder.canonicalize()?;
    let stop = stop_on_signals()?;
    println!("soak in {}, seed {}", folder.display(), args.seed);
    let ended = soak(args, program, &folder, &stop);
    match &ended {
        Ok(()) if args.dir.is_none() => fs::remove_dir_all(&folder)?,
        Ok(()) => {}
        Err(_) => println!("keys, states and logs are in {}", folder.display()),
    }
    ended.map(|()| 0)
}

fn soak(args: &SoakArgs, program: &Path, folder: &Path, stop: &Arc<AtomicBool>) -> Result<()> {
    let lab = std::env::current_exe().context("this program has no file")?;
    let accounts = load::accounts(args.payers, args.seed);
    let (validators, seed) = (args.validators, args.seed);
    let lab = lab.as_path();
    let rules = rules();
    let blueprint = Blueprint { folder, program, lab, validators, seed, accounts, rules };
    let mut cluster = Cluster::lay_out(&blueprint)?;
    cluster.start()?;
    let urls = cluster.urls();
    let mut audit =
        args.audit.as_ref().map(|program| Audit::start(program, &urls, folder)).transpose()?;
    let mut soak = Soak {
        cluster,
        load: Load::start(&urls, args.payers, args.seed)?,
        random: Random::new(args.seed, KILL_STREAM),
        recoveries: Vec::new(),
        kills: 0,
    };
    for cycle in 1..=args.cycles {
        let line = soak.cycle().with_context(|| format!("cycle {cycle}, seed {}", args.seed))?;
        println!("cycle {cycle} of {}: {line}", args.cycles);
        if let Some(audit) = &mut audit {
            audit.check_alive()?;
        }
        anyhow::ensure!(!stop.load(Ordering::Relaxed), "interrupted");
    }
    // The audit looks a last time, so validators live until it has ended.
    let cluster = soak.end()?;
    match audit {
        Some(audit) => println!("audit: {}", audit.finish()?),
        None => println!("no audit: name its program with --audit"),
    }
    drop(cluster);
    println!("nothing final was lost");
    Ok(())
}

struct Soak {
    cluster: Cluster,
    load: Load,
    random: Random,
    /// How long victims took to be at the tip again.
    recoveries: Vec<Duration>,
    kills: u32,
}

impl Soak {
    /// Kills some, starts them again, and waits until all is as it was.
    fn cycle(&mut self) -> Result<String> {
        self.pause(LIFE_MAX);
        let victims = self.victims();
        self.kill(&victims)?;
        self.pause(DEATH_MAX);
        self.start(&victims)?;
        // A process that is killed while it recovers has the least settled disk of all.
        let again = self.random.below(5) == 0;
        if again {
            self.pause(RECOVERY_MAX);
            self.kill(&victims)?;
            self.start(&victims)?;
        }
        let began = Instant::now();
        let height = self.wait_back(&victims)?;
        let took = began.elapsed();
        self.recoveries.push(took);
        self.check_acks(&victims)?;
        self.check_load()?;
        let names: Vec<&str> =
            victims.iter().map(|at| self.cluster.members[*at].name.as_str()).collect();
        let (twice, names) = (if again { " twice" } else { "" }, names.join(", "));
        let seconds = took.as_secs_f64();
        Ok(format!("killed{twice} {names}; back at height {height} after {seconds:.2}s"))
    }

    /// Mostly one, sometimes two, now and then all.
    fn victims(&mut self) -> Vec<usize> {
        let count = self.cluster.members.len();
        let wanted = match self.random.below(20) {
            0 => count,
            1..=3 => count.min(2),
            _ => 1,
        };
        let mut left: Vec<usize> = (0..count).collect();
        let mut victims = Vec::new();
        for _ in 0..wanted {
            let at = self.random.below(u64::try_from(left.len()).unwrap_or(1));
            victims.push(left.swap_remove(usize::try_from(at).unwrap_or(0)));
        }
        victims
    }

    fn pause(&mut self, most: Duration) {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        thread::sleep(Duration::from_millis(self.random.below(most)));
    }

    fn kill(&mut self, victims: &[usize]) -> Result<()> {
        for at in victims {
            self.cluster.members[*at].kill()?;
            self.kills += 1;
        }
        Ok(())
    }

    fn start(&mut self, victims: &[usize]) -> Result<()> {
        victims.iter().try_for_each(|at| self.cluster.members[*at].start())
    }

    /// Waits until the victims are where the chain was when they were started, and the chain has grown.
    fn wait_back(&mut self, victims: &[usize]) -> Result<u64> {
        let deadline = Instant::now() + BACK_MAX;
        let target = self.cluster.height() + 1;
        loop {
            self.cluster.members.iter_mut().try_for_each(Member::check_alive)?;
            let tip = |at: &usize| self.cluster.members[*at].tip();
            let tips: Vec<Result<Tip>> = victims.iter().map(tip).collect();
            let torn = tips.iter().flatten().find(|tip| !tip.conserved);
            anyhow::ensure!(torn.is_none(), "coins do not add up: {torn:?}");
            let lowest = tips.iter().map(|tip| tip.as_ref().map_or(0, |tip| tip.height)).min();
            match lowest {
                Some(height) if height >= target => return Ok(height),
                Some(_) | None => {}
            }
            anyhow::ensure!(Instant::now() < deadline, "not at height {target}: {tips:?}");
            thread::sleep(POLL);
        }
    }

    /// What clients were told before, the victims tell as well.
    fn check_acks(&mut self, victims: &[usize]) -> Result<()> {
        let urls = self.cluster.urls();
        for at in victims {
            let reached = self.cluster.members[*at].tip()?.height;
            let acks = self.load.acks(&mut self.random);
            for ack in acks.iter().filter(|ack| ack.height <= reached) {
                load::check_ack(&urls[*at], ack).context("an acknowledged outcome is gone")?;
            }
        }
        Ok(())
    }

    fn check_load(&self) -> Result<()> {
        let faults = self.load.tally().faults;
        anyhow::ensure!(faults.is_empty(), "the load: {}", faults.join("; "));
        Ok(())
    }

    /// Ends the load, and checks that all validators end in one state; they go on.
    fn end(mut self) -> Result<Cluster> {
        let tally = self.load.stop()?;
        anyhow::ensure!(tally.faults.is_empty(), "the load: {}", tally.faults.join("; "));
        let height = agree(&self.cluster)?;
        self.recoveries.sort();
        let at = |share: usize| self.recoveries.get(self.recoveries.len() * share / 100);
        let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
        println!(
            "{} kills; back at the tip after p50 {:.2}s, p99 {:.2}s, max {:.2}s; height {height}",
            self.kills,
            seconds(at(50)),
            seconds(at(99)),
            seconds(self.recoveries.last())
        );
        let (applied, tickets, repeated) = (tally.applied, tally.tickets, tally.repeated);
        println!("{applied} transactions applied, {tickets} of them tickets");
        println!("{repeated} tickets were handed in twice and settled nothing the second time");
        anyhow::ensure!(applied > 0 && tickets > 0, "there was no load");
        Ok(self.cluster)
    }
}

/// The height at which all validators have one state.
fn agree(cluster: &Cluster) -> Result<u64> {
    let deadline = Instant::now() + BACK_MAX;
    loop {
        let tips: Vec<Result<Tip>> = cluster.members.iter().map(Member::tip).collect();
        let known: Vec<&Tip> = tips.iter().flatten().collect();
        if let (Some(first), true) = (known.first(), known.len() == tips.len())
            && known.iter().all(|tip| tip.height == first.height)
        {
            let same =
                known.iter().all(|tip| tip.state_root == first.state_root && tip.tip == first.tip);
            anyhow::ensure!(same, "validators differ: {known:?}");
            return Ok(first.height);
        }
        anyhow::ensure!(Instant::now() < deadline, "validators are not at one height: {tips:?}");
        thread::sleep(POLL);
    }
}

/// Small windows, so that lanes come and go within a soak.
fn rules() -> Rules {
    let params =
        [("claim_window_blocks", 20), ("min_settle_bytes", 1_000_000), ("epoch_blocks", 100)];
    let params = params.map(|(name, value)| (name.to_owned(), Value::Integer(value)));
    Rules {
        block_ms: BLOCK_MS,
        idle_block_ms: IDLE_BLOCK_MS,
        snapshot_blocks: SNAPSHOT_BLOCKS,
        account_coins: ACCOUNT_COINS,
        params: params.into_iter().collect(),
    }
}

fn own_folder() -> PathBuf {
    std::env::temp_dir().join(format!("srwan-soak-{}", std::process::id()))
}

/// Streams of draws: payers have the lowest numbers.
const KILL_STREAM: u64 = 1 << 32;
/// Blocks often enough that a kill hits each stage of one.
const BLOCK_MS: u32 = 100;
const IDLE_BLOCK_MS: u32 = 1_000;
/// Snapshots often enough that a kill hits one now and then.
const SNAPSHOT_BLOCKS: u32 = 50;
/// For fees and lanes of the longest soak.
const ACCOUNT_COINS: u32 = 10_000;
/// Time between two kills: several blocks.
const LIFE_MAX: Duration = Duration::from_millis(1_500);
/// Time that a victim stays away: long enough for the others to go on without it.
const DEATH_MAX: Duration = Duration::from_millis(1_000);
/// A start takes about this long until the first block.
const RECOVERY_MAX: Duration = Duration::from_millis(800);
/// A busy machine may take long; a chain that has stopped takes for ever.
const BACK_MAX: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);
