//! Validators of one ledger as processes on loopback: their keys, files, ports, and ends by SIGKILL.
//!
//! Keys follow from a seed: a ledger that lives for a test has no secrets.

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
use toml::{Table, Value};

use crate::fabric::random::Random;
use crate::http;
use crate::process::{Order, Running};
use crate::settings::{table, text, write_secret, write_toml};

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
    pub rules: Rules,
}

/// What a ledger is told beside who is in it.
#[derive(Clone, Debug)]
pub struct Rules {
    pub block_ms: u32,
    pub idle_block_ms: u32,
    pub snapshot_blocks: u32,
    /// Of each account at genesis.
    pub account_coins: u32,
    /// The genesis file's `params`.
    pub params: Table,
}

/// All validators.
pub struct Cluster {
    pub members: Vec<Member>,
}

/// One validator.
pub struct Member {
    pub name: String,
    pub rpc: SocketAddr,
    folder: PathBuf,
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
        write_toml(&genesis_file(blueprint.folder), &genesis(blueprint, validators))?;
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
        write_secret(&folder.join(STATE).join(KEY), &hex::encode(secret))?;
        let rules = &blueprint.rules;
        let mut config = table([
            ("listen", text(&rpc.to_string())),
            ("state_dir", text(STATE)),
            ("genesis", text("../genesis.toml")),
            ("block_ms", Value::Integer(rules.block_ms.into())),
            ("idle_block_ms", Value::Integer(rules.idle_block_ms.into())),
            ("snapshot_blocks", Value::Integer(rules.snapshot_blocks.into())),
        ]);
        if blueprint.validators > 1 {
            config.insert("p2p_listen".into(), text(&p2p.to_string()));
        }
        write_toml(&folder.join(CONFIG), &config)?;
        Ok(Self::at(&folder, rpc, &name, (blueprint.program, blueprint.lab)))
    }

    /// A validator whose folder holds its configuration already.
    pub fn at(folder: &Path, rpc: SocketAddr, name: &str, (program, lab): (&Path, &Path)) -> Self {
        let config = folder.join(CONFIG);
        let program = program.to_string_lossy().into_owned();
        let words = ["ledger", "run", "--config", &config.to_string_lossy()].map(str::to_owned);
        let order = Order {
            name: name.to_owned(),
            lab: lab.to_owned(),
            netns: None,
            command: std::iter::once(program).chain(words).collect(),
            log: folder.join("log"),
            kept: false,
        };
        let folder = folder.to_owned();
        Self { name: name.to_owned(), rpc, folder, order, running: None }
    }

    /// The process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(|running| u32::try_from(running.id().pid).ok())
    }

    /// Where it keeps everything.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.join(STATE)
    }

    /// Loses everything that it kept but its key; it must not run.
    pub fn wipe(&self) -> Result<()> {
        for entry in fs::read_dir(self.state_dir())? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else if !path.ends_with(KEY) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
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

fn genesis(blueprint: &Blueprint, validators: Vec<Value>) -> Table {
    let coins = blueprint.rules.account_coins.to_string();
    let account = |key: &AccountKey| {
        Value::Table(table([("key", text(&key.to_string())), ("coins", text(&coins))]))
    };
    table([
        ("chain", text("soak")),
        ("supply_coins", text("10000000")),
        ("subsidy_coins", text("1000000")),
        ("account", Value::Array(blueprint.accounts.iter().map(account).collect())),
        ("validator", Value::Array(validators)),
        ("params", Value::Table(blueprint.rules.params.clone())),
    ])
}

/// 32 bytes that a seed and a number decide.
pub fn secret(seed: u64, stream: u64) -> [u8; 32] {
    let mut random = Random::new(seed, SECRET_STREAM + stream);
    let mut secret = [0; 32];
    for part in secret.chunks_mut(8) {
        part.copy_from_slice(&random.next_u64().to_le_bytes());
    }
    secret
}

/// Ports that are free at this moment; nobody else is told, and validators take them again after each kill.
pub fn free_ports(count: usize) -> Result<Vec<SocketAddr>> {
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
const SECRET_STREAM: u64 = 1 << 33;
/// Names in a validator's folder.
const CONFIG: &str = "validator.toml";
const STATE: &str = "state";
const KEY: &str = "validator.key";
const POLL: Duration = Duration::from_millis(50);
/// Processes start from a big binary on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// The kernel ends a killed process at its next instruction.
const GONE_MAX: Duration = Duration::from_secs(10);
