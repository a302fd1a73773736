//! validator.toml: what was written, and what was meant.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use srwan_api::http::ApiError;

use crate::fault::{self, code};

/// A checked configuration. Paths are relative to the file that names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the RPC listens.
    pub listen: SocketAddr,
    /// Where key, blocks and snapshots are.
    pub state_dir: PathBuf,
    /// The genesis file; needed if the state directory was not initialised yet.
    pub genesis: Option<PathBuf>,
    /// The key file.
    pub validator_key: PathBuf,
    /// Where other validators connect to, if the committee has others.
    pub p2p_listen: SocketAddr,
    /// When blocks are made.
    pub pacing: Pacing,
    /// Blocks between two snapshots.
    pub snapshot_blocks: u64,
    /// How many may ask at once.
    pub rpc: RpcLimits,
}

/// How many may ask at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpcLimits {
    /// Connections in all.
    pub connections_max: u32,
    /// Connections from one address.
    pub connections_per_ip_max: u32,
}

/// When blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// Least time between two blocks, if transactions wait.
    pub block: Duration,
    /// Time between two blocks, if none wait.
    pub idle_block: Duration,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// **Errors:** the file cannot be read, has an unknown key, or a value out of range; nothing
    /// was started.
    pub fn load(path: &Path) -> Result<Self, ApiError> {
        let raw: RawConfig = read_toml(path, code::BAD_CONFIG)?;
        raw.check()
            .map_err(|wrong| wrong.at(path, code::BAD_CONFIG))
            .map(|config| config.beside(path))
    }

    /// Takes relative paths as relative to the directory of `file`.
    fn beside(self, file: &Path) -> Self {
        let base = file.parent().unwrap_or(Path::new("."));
        Self {
            state_dir: base.join(&self.state_dir),
            genesis: self.genesis.map(|path| base.join(path)),
            validator_key: base.join(&self.validator_key),
            ..self
        }
    }
}

/// What was written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default = "listen_default")]
    listen: SocketAddr,
    state_dir: PathBuf,
    genesis: Option<PathBuf>,
    validator_key: Option<PathBuf>,
    #[serde(default = "p2p_listen_default")]
    p2p_listen: SocketAddr,
    #[serde(default = "block_ms_default")]
    block_ms: u64,
    #[serde(default = "idle_block_ms_default")]
    idle_block_ms: u64,
    #[serde(default = "snapshot_blocks_default")]
    snapshot_blocks: u64,
    #[serde(default = "connections_max_default")]
    connections_max: u32,
    #[serde(default = "connections_per_ip_max_default")]
    connections_per_ip_max: u32,
}

/// The ledger's port, on all addresses: routers ask from elsewhere.
fn listen_default() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 7090))
}

/// The port beside it, on all addresses: validators connect from elsewhere.
fn p2p_listen_default() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 7091))
}

/// A connection costs some 20 kB and a descriptor: 1,024 fit every usual limit of descriptors.
const fn connections_max_default() -> u32 {
    1_024
}

/// A quarter: four addresses can fill the table, one cannot. A host of many routers has room.
const fn connections_per_ip_max_default() -> u32 {
    256
}

/// 200 ms: finality feels immediate, and a busy chain makes at most 432,000 blocks a day.
const fn block_ms_default() -> u64 {
    200
}

/// 2 s: the block time that the subsidy's three years are counted in.
const fn idle_block_ms_default() -> u64 {
    2_000
}

/// Replaying 1,000 full blocks takes seconds.
const fn snapshot_blocks_default() -> u64 {
    1_000
}

impl RawConfig {
    fn check(self) -> Result<Config, Wrong> {
        let connections_max = u64::from(self.connections_max);
        let per_ip = u64::from(self.connections_per_ip_max);
        in_range("block_ms", self.block_ms, 1, 60_000)?;
        in_range("idle_block_ms", self.idle_block_ms, self.block_ms, 3_600_000)?;
        in_range("snapshot_blocks", self.snapshot_blocks, 1, 1_000_000)?;
        in_range("connections_max", connections_max, 1, 65_536)?;
        in_range("connections_per_ip_max", per_ip, 1, connections_max)?;
        let key = self.validator_key.unwrap_or_else(|| self.state_dir.join(KEY_FILE));
        Ok(Config {
            listen: self.listen,
            state_dir: self.state_dir,
            genesis: self.genesis,
            validator_key: key,
            pacing: Pacing {
                block: Duration::from_millis(self.block_ms),
                idle_block: Duration::from_millis(self.idle_block_ms),
            },
            snapshot_blocks: self.snapshot_blocks,
            p2p_listen: self.p2p_listen,
            rpc: RpcLimits {
                connections_max: self.connections_max,
                connections_per_ip_max: self.connections_per_ip_max,
            },
        })
    }
}

/// File name of the validator's key inside the state directory.
pub const KEY_FILE: &str = "validator.key";

/// A key with a value that cannot be.
#[derive(Debug)]
pub struct Wrong {
    /// The key as it may be written in the file.
    pub keys: Vec<String>,
    /// What is wrong with its value.
    pub why: String,
}

impl Wrong {
    /// The fault, with the line of the file that has the key; its first line if none has.
    pub fn at(&self, path: &Path, code: &str) -> ApiError {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let has_key = |line: &str| {
            let key = line.split('=').next().unwrap_or_default().trim();
            self.keys.iter().any(|wrong| wrong == key)
        };
        let line = text.lines().position(has_key).map_or(1, |index| index + 1);
        ApiError::new(0, code, format!("{}:{line}: out of range", path.display()))
            .why(self.why.clone())
            .fix("docs/ledger.md lists what may be written")
    }
}

fn in_range(name: &str, value: u64, lowest: u64, highest: u64) -> Result<(), Wrong> {
    if value < lowest || value > highest {
        let why = format!("{name} is {value}, must be {lowest} to {highest}");
        return Err(Wrong { keys: vec![name.to_owned()], why });
    }
    Ok(())
}

/// Reads a TOML file; an unknown key is refused with its line and the key that was probably meant.
///
/// **Errors:** [`code::UNREADABLE`], or `bad` with the place in the file.
pub fn read_toml<T: for<'de> Deserialize<'de>>(path: &Path, bad: &str) -> Result<T, ApiError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| fault::at(path, code::UNREADABLE, "cannot read").why(error.to_string()))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let what = format!("{}:{line}: {}", path.display(), error.message());
        let fix = nearest_key(error.message()).map(|key| format!("did you mean `{key}`?"));
        ApiError::new(0, bad, what).fix(fix.unwrap_or_default())
    })
}

/// The expected key that is closest to the unknown one, out of serde's error text.
fn nearest_key(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.starts_with("unknown field"))?;
    quoted.map(str::to_owned).min_by_key(|known| edit_distance(unknown, known))
}

/// Levenshtein's distance, one row at a time.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
