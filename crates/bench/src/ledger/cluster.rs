//! Validators of the product, as processes on loopback.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use srwan_api::ledger::Status;
use srwan_lab::cluster::{Blueprint, Cluster, Rules};
use srwan_wire::id::{AccountKey, ChainId, Height};
use toml::Value;

use super::load::{self, Pace, Seen};
use super::machine;
use super::tickets::{self, Market};
use super::{Plan, milliseconds};

/// What validators came to under one load.
#[derive(Clone, Debug, Serialize)]
pub struct Loaded {
    /// Tickets handed in a second; `null` = as many as become final.
    pub offered_per_second: Option<f64>,
    /// Tickets made final a second.
    pub settled_per_second: f64,
    pub tickets: u64,
    pub tickets_per_block: f64,
    /// From handing in to finality.
    pub finality_ms_p50: f64,
    pub finality_ms_p99: f64,
    /// Of one validator, the mean of all.
    pub cpu_us_per_ticket: f64,
    /// Of the largest validator, at the end.
    pub resident_mb: u64,
    /// Of one validator, the mean of all.
    pub disk_octets_per_ticket: f64,
}

/// Runs so many validators under every load of the plan.
pub fn measure(plan: &Plan, validators: u8, folder: &Path) -> Result<Vec<Loaded>> {
    let mut running = Running::start(plan, validators, folder)?;
    let mut seen = Vec::new();
    for pace in plan.paces() {
        seen.push(running.load(plan, pace)?);
    }
    running.check_settled()?;
    Ok(seen)
}

/// Validators that run, with a market whose lanes are open.
pub struct Running {
    pub cluster: Cluster,
    runtime: tokio::runtime::Runtime,
    market: Market,
}

impl Running {
    /// Starts validators with the product's own pacing, and opens a lane for each payer.
    pub fn start(plan: &Plan, validators: u8, folder: &Path) -> Result<Self> {
        let lab = std::env::current_exe()?;
        let accounts: Vec<AccountKey> = tickets::accounts(plan.payers);
        let (program, rules) = (lab.as_path(), rules(plan));
        let seed = 1;
        let blueprint = Blueprint { folder, program, lab: &lab, validators, seed, accounts, rules };
        let mut cluster = Cluster::lay_out(&blueprint)?;
        cluster.start()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let status = runtime.block_on(status(&cluster))?;
        let fees = status.params.fee_schedule().map_err(|error| anyhow::anyhow!("{error}"))?;
        let chain = ChainId::from_hex(&status.chain_id);
        let chain = chain.ok_or_else(|| anyhow::anyhow!("a chain has an id"))?;
        let mut market = Market::new(chain, fees, plan.payers, Height(status.height));
        let opening = market.open();
        let urls = cluster.urls();
        runtime.block_on(load::run(&urls, opening, Pace::InFlight(OPENING_MAX)))?;
        Ok(Self { cluster, runtime, market })
    }

    fn load(&mut self, plan: &Plan, pace: Pace) -> Result<Loaded> {
        let count = match pace {
            Pace::PerSecond(rate) => (rate * plan.seconds) as usize,
            Pace::InFlight(_) => plan.tickets_of_a_flood(),
        };
        let txs = self.market.tickets(count);
        let (cpu, disk) = (self.cpu_seconds()?, self.disk_octets());
        let seen = self.runtime.block_on(load::run(&self.cluster.urls(), txs, pace))?;
        anyhow::ensure!(seen.finalized == count as u64, "not every ticket came into a block");
        let each = 1.0 / (count as f64 * self.cluster.members.len() as f64);
        Ok(Loaded {
            cpu_us_per_ticket: 1e6 * (self.cpu_seconds()? - cpu) * each,
            disk_octets_per_ticket: (self.disk_octets() - disk) as f64 * each,
            resident_mb: self.resident_mb(),
            ..loaded(pace, seen)
        })
    }

    fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.cluster.members.iter().filter_map(|member| member.pid())
    }

    fn cpu_seconds(&self) -> Result<f64> {
        self.pids().map(machine::cpu_seconds).sum()
    }

    fn disk_octets(&self) -> u64 {
        let members = self.cluster.members.iter();
        members.map(|member| machine::disk_octets(&member.state_dir())).sum()
    }

    fn resident_mb(&self) -> u64 {
        self.pids().map(machine::resident_mb).max().unwrap_or(0)
    }

    /// Every lane settled exactly what its tickets say, at every validator.
    fn check_settled(&self) -> Result<()> {
        for url in self.cluster.urls() {
            let door = load::door(&url)?;
            for (lane, octets) in self.market.settled() {
                let told = self.runtime.block_on(door.lane(&lane));
                let told = told.map_err(|error| anyhow::anyhow!("{url}: {error}"))?;
                let settled = told.settled_bytes;
                anyhow::ensure!(
                    settled == octets.0,
                    "{url}: {lane} settled {settled}, not {octets:?}"
                );
            }
        }
        Ok(())
    }
}

/// Waits until a validator takes transactions, and says what it runs.
async fn status(cluster: &Cluster) -> Result<Status> {
    let door = load::door(&cluster.urls()[0])?;
    loop {
        match door.status().await {
            Ok(status) if status.accepting => return Ok(status),
            Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

fn rules(plan: &Plan) -> Rules {
    Rules {
        block_ms: plan.block_ms,
        idle_block_ms: plan.idle_block_ms,
        snapshot_blocks: SNAPSHOT_BLOCKS,
        account_coins: 1_000,
        params: [("epoch_blocks".to_owned(), Value::Integer(43_200))].into_iter().collect(),
    }
}

fn loaded(pace: Pace, mut seen: Seen) -> Loaded {
    Loaded {
        offered_per_second: match pace {
            Pace::PerSecond(rate) => Some(rate),
            Pace::InFlight(_) => None,
        },
        settled_per_second: seen.per_second,
        tickets: seen.finalized,
        tickets_per_block: seen.finalized as f64 / seen.blocks as f64,
        finality_ms_p50: milliseconds(machine::quantile(&mut seen.latencies_ms, 0.5)),
        finality_ms_p99: milliseconds(machine::quantile(&mut seen.latencies_ms, 0.99)),
        cpu_us_per_ticket: 0.0,
        resident_mb: 0,
        disk_octets_per_ticket: 0.0,
    }
}

impl Loaded {
    /// A row of the table.
    pub fn text(&self) -> String {
        let offered =
            self.offered_per_second.map_or("as final".into(), |rate| format!("{rate:.0}"));
        format!(
            "{offered:>19} {:>11.0} {:>10.0} {:>14.1} {:>8.1} {:>14.0} {:>3} {:>14.0}",
            self.settled_per_second,
            self.tickets_per_block,
            self.finality_ms_p50,
            self.finality_ms_p99,
            self.cpu_us_per_ticket,
            self.resident_mb,
            self.disk_octets_per_ticket
        )
    }
}

/// Lanes are opened a few at a time: nothing is measured yet.
const OPENING_MAX: u64 = 1_000;
/// The product's own.
const SNAPSHOT_BLOCKS: u32 = 1_000;
const POLL: Duration = Duration::from_millis(50);
