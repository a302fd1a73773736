//! Validators of one ledger as processes on loopback: their keys, files, ports, and ends by SIGKILL.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde::Deserialize;
use srwan_wire::id::AccountKey;
use srwan_wire::sign::AccountSecret;
use toml::Value;

use crate::http;
use crate::process::{Order, Running};
use crate::settings::{table, text, write_secret, write_toml};

use super::secret;

/// What a cluster is made from.
pub struct Blueprint<'a> {
    /// Where everything is; made if it is not there.
    pub folder: &'a Path,
    /// Program with the daemons' verbs.
    pub program: &'a Path,
    /// Program with `lab enter`.
    pub lab: &'a Path,
    pub validators: u8,
    pub seed: u64,
    /// Each gets the same share of coins at genesis.
    pub accounts: Vec<AccountKey>,
}

/// All validators.
pub struct Cluster {
    pub members: Vec<Member>,
}

/// One validator.
pub struct Member {
    pub name: String,
    pub rpc: SocketAddr,
    order: Order,
    running: Option<Running>,
}

/// Where a validator says it is.
#[derive(Clone, Debug, Deserialize)]
pub struct Tip {
    pub height: u64,
    pub tip: String,
    pub state_root: String,
    pub conserved: bool,
}

impl Cluster {
    /// Writes keys, genesis and configurations; starts nothing.
    pub fn lay_out(blueprint: &Blueprint) -> Result<Self> {
        let count = usize::from(blueprint.validators);
        let mut ports = free_ports(2 * count)?.into_iter();
        let mut addresses = || ports.next().context("as many ports as were asked for");
        let mut members = Vec::new();
        let mut validators = Vec::new();
        for number in 0..count {
            let secret = secret(blueprint.seed, VALIDATOR_STREAM + u64::try_from(number)?);
            let key = AccountSecret::from_seed(&secret).public();
            let (rpc, p2p) = (addresses()?, addresses()?);
            let mut validator =
                table([("key", text(&key.to_string())), ("power", Value::Integer(1))]);
            if count > 1 {
                validator.insert("address".into(), text(&p2p.to_string()));
            }
            validators.push(Value::Table(validator));
            members.push(Member::new(blueprint, number, (rpc, p2p), &secret)?);
        }
        write_toml(&genesis_file(blueprint.folder), &genesis(&blueprint.accounts, validators))?;
        Ok(Self { members })
    }

    /// Starts all, and waits until each answers.
    pub fn start(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(Member::start)?;
        let deadline = Instant::now() + START_MAX;
        for member in &mut self.members {
            while member.tip().is_err() {
                member.check_alive()?;
                anyhow::ensure!(Instant::now() < deadline, "{} does not answer", member.name);
                thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// URLs of all RPCs.
    pub fn urls(&self) -> Vec<String> {
        self.members.iter().map(|member| format!("http://{}", member.rpc)).collect()
    }

    /// The highest height that any validator tells.
    pub fn height(&self) -> u64 {
        let heights = self.members.iter().filter_map(|member| member.tip().ok());
        heights.map(|tip| tip.height).max().unwrap_or(0)
    }
}

impl Member {
    fn new(
        blueprint: &Blueprint,
        number: usize,
        (rpc, p2p): (SocketAddr, SocketAddr),
        secret: &[u8; 32],
    ) -> Result<Self> {
        let name = format!("validator-{}", number + 1);
        let folder = blueprint.folder.join(&name);
        let state = folder.join("state");
        write_secret(&state.join("validator.key"), &hex::encode(secret))?;
        let mut config = table([
            ("listen", text(&rpc.to_string())),
            ("state_dir", text("state")),
            ("genesis", text("../genesis.toml")),
            ("block_ms", Value::Integer(BLOCK_MS)),
            ("idle_block_ms", Value::Integer(IDLE_BLOCK_MS)),
            ("snapshot_blocks", Value::Integer(SNAPSHOT_BLOCKS)),
        ]);
        if blueprint.validators > 1 {
            config.insert("p2p_listen".into(), text(&p2p.to_string()));
        }
        let file = folder.join("validator.toml");
        write_toml(&file, &config)?;
        let program = blueprint.program.to_string_lossy().into_owned();
        let words = ["ledger", "run", "--config", &file.to_string_lossy()].map(str::to_owned);
        let order = Order {
            name: name.clone(),
            lab: blueprint.lab.to_owned(),
            netns: None,
            command: std::iter::once(program).chain(words).collect(),
            log: folder.join("log"),
            kept: false,
        };
        Ok(Self { name, rpc, order, running: None })
    }

    pub fn start(&mut self) -> Result<()> {
        self.running = Some(self.order.start()?);
        Ok(())
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        running.signal(Signal::SIGKILL);
        let gone = running.wait_gone(Instant::now() + GONE_MAX);
        anyhow::ensure!(gone, "{} survived SIGKILL", self.name);
        Ok(())
    }

    /// Where it is; an error if it does not answer.
    pub fn tip(&self) -> Result<Tip> {
        Ok(serde_json::from_value(http::get_tcp(self.rpc, "/v1/status")?)?)
    }

    /// **Errors:** it ended although nobody killed it.
    pub fn check_alive(&mut self) -> Result<()> {
        let status = self.running.as_mut().and_then(Running::ended);
        let log = self.order.log.display();
        anyhow::ensure!(
            status.is_none(),
            "{} ended by itself with {status:?}; read {log}",
            self.name
        );
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.kill().is_err() {
            eprintln!("{} is still running", self.name);
        }
    }
}

fn genesis_file(folder: &Path) -> PathBuf {
    folder.join("genesis.toml")
}

/// Small windows, so that lanes come and go within a soak.
fn genesis(accounts: &[AccountKey], validators: Vec<Value>) -> toml::Table {
    let account = |key: &AccountKey| {
        Value::Table(table([("key", text(&key.to_string())), ("coins", text(ACCOUNT_COINS))]))
    };
    let params = table([
        ("claim_window_blocks", Value::Integer(20)),
        ("min_settle_bytes", Value::Integer(1_000_000)),
        ("epoch_blocks", Value::Integer(100)),
    ]);
    table([
        ("chain", text("soak")),
        ("supply_coins", text("10000000")),
        ("subsidy_coins", text("1000000")),
        ("account", Value::Array(accounts.iter().map(account).collect())),
        ("validator", Value::Array(validators)),
        ("params", Value::Table(params)),
    ])
}

/// Ports that are free at this moment; nobody else is told, and validators take them again after each kill.
fn free_ports(count: usize) -> Result<Vec<SocketAddr>> {
    let listen = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port");
    let listeners = (0..count).map(listen).collect::<Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?)).collect()
}

/// Makes a folder that must not hold anything.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut entries = fs::read_dir(folder)?;
    anyhow::ensure!(entries.next().is_none(), "{} is not empty", folder.display());
    Ok(())
}

/// Streams of secrets: validators here, payers from 0.
const VALIDATOR_STREAM: u64 = 1_000;
/// Blocks often enough that a kill hits each stage of one.
const BLOCK_MS: i64 = 100;
const IDLE_BLOCK_MS: i64 = 1_000;
/// Snapshots often enough that a kill hits one now and then.
const SNAPSHOT_BLOCKS: i64 = 50;
/// For fees and lanes of the longest soak.
const ACCOUNT_COINS: &str = "10000";
const POLL: Duration = Duration::from_millis(50);
/// Processes start from a big binary on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// The kernel ends a killed process at its next instruction.
const GONE_MAX: Duration = Duration::from_secs(10);
