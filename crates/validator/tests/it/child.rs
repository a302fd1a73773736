//! The daemon as a process of its own: this test binary, started again with one test that runs it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use srwan_api::http::{ApiError, HttpClient};
use srwan_api::ledger::{Account, LedgerClient, Tx, TxStatus};
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::{AccountKey, ChainId};

use crate::people::genesis_toml;

/// Names the configuration to the process that is to be a daemon.
const CONFIG_VARIABLE: &str = "SRWAN_TEST_VALIDATOR_CONFIG";

/// Not a test by itself: the daemon, when this binary is started as one.
#[test]
fn serve() {
    let Some(config) = std::env::var_os(CONFIG_VARIABLE) else {
        return;
    };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    if let Err(error) = srwan_validator::run(Path::new(&config)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// A directory with a configuration and a genesis, and daemons on it.
pub struct Site {
    pub directory: tempfile::TempDir,
    /// Where the daemon is to die, if anywhere.
    pub crash_at: Option<&'static str>,
}

impl Site {
    pub fn new() -> Self {
        Self::with("block_ms = 5\nidle_block_ms = 20\nsnapshot_blocks = 7\n", &genesis_toml())
    }

    pub fn with(config: &str, genesis: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "listen = \"127.0.0.1:0\"\nstate_dir = \"state\"\ngenesis = \"genesis.toml\"\n{config}"
        );
        std::fs::write(directory.path().join("validator.toml"), config).unwrap();
        std::fs::write(directory.path().join("genesis.toml"), genesis).unwrap();
        Self { directory, crash_at: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn spawn(&self) -> Running {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["child::serve", "--exact", "--nocapture"])
            .env(CONFIG_VARIABLE, self.path("validator.toml"))
            .envs(self.crash_at.map(|point| ("SRWAN_CRASH_AT", point)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running(child)
    }

    /// Starts a daemon and waits until it says that it is ready.
    pub fn start(&self) -> Daemon {
        let mut child = self.spawn();
        let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
        let mut said = String::new();
        loop {
            let line = lines.next().unwrap_or_else(|| panic!("no ready line:\n{said}")).unwrap();
            if line.contains("ready ledger") {
                let listen = line.split("listen=").nth(1).unwrap();
                let listen = listen.split_whitespace().next().unwrap();
                let http = HttpClient::new(&format!("http://{listen}")).unwrap();
                let address = listen.parse().unwrap();
                let drain = drain(lines);
                return Daemon { child, http, address, drain: Some(drain) };
            }
            said.push_str(&line);
            said.push('\n');
        }
    }

    /// Starts a daemon that must not come up; returns what it said.
    pub fn fails_to_start(&self) -> String {
        let mut child = self.spawn();
        let mut said = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.0.wait().unwrap().code(), Some(1), "{said}");
        said
    }
}

/// Reads the rest, so that the daemon never waits for its reader.
fn drain(lines: std::io::Lines<BufReader<ChildStderr>>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"))
}

/// A process; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon that is ready.
pub struct Daemon {
    child: Running,
    pub http: HttpClient,
    pub address: SocketAddr,
    drain: Option<std::thread::JoinHandle<String>>,
}

impl Daemon {
    pub fn client(&self) -> LedgerClient {
        LedgerClient::new(self.http.clone())
    }

    pub fn kill_9(self) {
        drop(self.child);
    }

    /// Waits until it has died by itself.
    pub fn died(mut self) {
        self.child.0.wait().unwrap();
    }

    /// Asks it to stop; returns how it ended and what it said.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        let pid = Pid::from_raw(i32::try_from(self.child.0.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        let status = self.child.0.wait().unwrap();
        (status, self.drain.take().unwrap().join().unwrap())
    }

    pub async fn chain(&self) -> ChainId {
        ChainId::from_hex(&self.client().status().await.unwrap().chain_id).unwrap()
    }

    pub async fn account(&self, key: &AccountKey) -> Account {
        self.client().account(key).await.unwrap()
    }

    /// Hands in a transaction and waits until it is final.
    pub async fn run(&self, tx: &SignedTx) -> Result<Tx, ApiError> {
        let client = self.client();
        client.submit(tx).await?;
        loop {
            let found = client.tx(tx.body.hash(), Duration::from_secs(10)).await?;
            if found.status != TxStatus::Pending {
                return Ok(found);
            }
        }
    }
}
