//! `srwan ledger ...`

mod alone;
mod proof;
mod validator;

use super::ticket;
use crate::exit::Exit;
use crate::output::Output;
use crate::text::outline;
use clap::{Args, Subcommand};
use srwan_api::ledger::Supply;
use std::path::{Path, PathBuf};

pub use validator::chain_of;

/// Where a validator answers.
#[derive(Args)]
pub struct At {
    /// Address of a validator.
    #[arg(long, env = "SRWAN_LEDGER", value_name = "URL", default_value = "http://127.0.0.1:7090")]
    url: String,
}

/// `srwan ledger ...`
#[derive(Subcommand)]
pub enum LedgerVerb {
    /// Make a validator's state from a genesis file.
    Init {
        /// The genesis file (docs/ledger.md).
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
        /// Where the state goes.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
    },
    /// Run a validator until SIGTERM; without any configuration, a ledger of one for this machine.
    Run {
        /// Configuration file; /etc/srwan/validator.toml if there is one.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Where a ledger of one keeps its files; ~/.local/state/srwan-ledger unless given.
        #[arg(long, value_name = "DIR", conflicts_with = "config")]
        state_dir: Option<PathBuf>,
    },
    /// Make a key for a validator or an account (mode 0600) and print its public half.
    Keygen {
        /// Where to write the key; an existing file is never overwritten.
        #[arg(long, value_name = "FILE", required_unless_present = "state_dir")]
        key_file: Option<PathBuf>,
        /// A validator's state directory: makes validator.key there, or reads the one that is there.
        #[arg(long, value_name = "DIR", conflicts_with = "key_file")]
        state_dir: Option<PathBuf>,
    },
    /// Height, supply by kind of account, and whether the sum is what the genesis says.
    Status(At),
    /// Show one block.
    Block {
        /// Its height.
        height: u64,
        #[command(flatten)]
        at: At,
    },
    /// Show one transaction.
    Tx {
        /// Its hash.
        hash: String,
        #[command(flatten)]
        at: At,
    },
    /// Show one account.
    Account {
        /// Its key, hexadecimal.
        key: String,
        #[command(flatten)]
        at: At,
    },
    /// The validators: who finalizes, joining and leaving.
    #[command(subcommand)]
    Validator(validator::ValidatorVerb),
    /// Prove what the ledger says of an account or a lane, up to the signatures of its validators.
    #[command(subcommand)]
    Proof(proof::ProofVerb),
    /// Write what the ledger has into a file that can be checked without it.
    Export {
        /// The signed evidence of every ticket, for `srwan ticket verify`.
        #[arg(long, required = true)]
        tickets: bool,
        #[command(flatten)]
        at: At,
        /// Where to write it; standard output unless given.
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

impl LedgerVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Init { genesis, state_dir } => init(&genesis, &state_dir, output)?,
            Self::Run { config, state_dir } => run_validator(config, state_dir, output)?,
            Self::Keygen { key_file, state_dir } => {
                let key = keygen(key_file, state_dir)?;
                output.value("srwan.ledger-keygen/1", "key", &key)?;
            }
            Self::Status(at) => return status(&at, output),
            Self::Block { height, at } => show(&at, &format!("/v1/block/{height}"), output)?,
            Self::Tx { hash, at } => {
                show(&at, &format!("/v1/tx/{}", srwan_api::http::escape(&hash)), output)?;
            }
            Self::Account { key, at } => {
                show(&at, &format!("/v1/account/{}", srwan_api::http::escape(&key)), output)?;
            }
            Self::Validator(verb) => return verb.run(output),
            Self::Proof(verb) => return verb.run(output),
            Self::Export { tickets: _, at, out } => {
                ticket::export(&at.url, ticket::Wanted::All, out.as_deref(), output)?;
            }
        }
        Ok(Exit::Ok)
    }
}

/// Where a validator's configuration is unless told.
const CONFIG: &str = "/etc/srwan/validator.toml";

fn run_validator(
    config: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    output: Output,
) -> anyhow::Result<()> {
    let usual = || Some(PathBuf::from(CONFIG)).filter(|path| path.exists());
    let config = match (config, state_dir) {
        (Some(config), _) => config,
        (None, Some(state_dir)) => alone::prepare(&state_dir, output)?,
        (None, None) => match usual() {
            Some(config) => config,
            None => alone::prepare(&alone::state_dir()?, output)?,
        },
    };
    srwan_validator::run(&config)
}

fn keygen(key_file: Option<PathBuf>, state_dir: Option<PathBuf>) -> anyhow::Result<String> {
    match (key_file, state_dir) {
        (Some(path), _) => super::wallet::new_key(&path),
        (None, Some(state_dir)) => Ok(srwan_validator::keygen(&state_dir)?.to_string()),
        (None, None) => unreachable!("clap asks for one of the two"),
    }
}

fn init(genesis: &Path, state_dir: &Path, output: Output) -> anyhow::Result<()> {
    let begun = srwan_validator::init(genesis, state_dir)?;
    let answer = serde_json::json!({
        "schema": "srwan.ledger-init/1",
        "chain": begun.chain,
        "chain_id": begun.chain_id.to_string(),
        "validator": begun.validator.to_string(),
    });
    output.answer(&answer, outline)
}

fn show(at: &At, path: &str, output: Output) -> anyhow::Result<()> {
    let answer: serde_json::Value = super::daemon_at(&at.url)?.get(path)?;
    output.answer(&answer, outline)
}

/// Status and supply in one answer; exit code 7 if the sum of all coins is not the supply.
fn status(at: &At, output: Output) -> anyhow::Result<Exit> {
    let client = super::daemon_at(&at.url)?;
    let status: serde_json::Value = client.get("/v1/status")?;
    let supply: Supply = client.get("/v1/supply")?;
    let both = serde_json::json!({
        "schema": "srwan.ledger/1",
        "status": status,
        "supply": supply,
    });
    output.answer(&both, |both| format!("{}\n\n{}", sum_text(&supply), outline(both)))?;
    Ok(if supply.conserved { Exit::Ok } else { Exit::Findings })
}

fn sum_text(supply: &Supply) -> String {
    let word = if supply.conserved { "conserved" } else { "NOT CONSERVED" };
    let (total, made) = (&supply.total_coins, &supply.supply_coins);
    format!("sum {word}: {total} coins of {made} at height {}", supply.height)
}
