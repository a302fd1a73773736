//! `srwan ledger ...`

use crate::exit::Exit;
use crate::output::Output;
use clap::{Args, Subcommand};
use srwan_api::http::{BlockingClient, HttpClient};
use std::path::{Path, PathBuf};

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
    /// Run a validator until SIGTERM.
    Run {
        /// Configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/srwan/validator.toml")]
        config: PathBuf,
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
}

impl LedgerVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Init { genesis, state_dir } => init(&genesis, &state_dir, output)?,
            Self::Run { config } => srwan_validator::run(&config)?,
            Self::Status(at) => return status(&at, output),
            Self::Block { height, at } => show(&at, &format!("/v1/block/{height}"), output)?,
            Self::Tx { hash, at } => show(&at, &format!("/v1/tx/{hash}"), output)?,
            Self::Account { key, at } => show(&at, &format!("/v1/account/{key}"), output)?,
        }
        Ok(Exit::Ok)
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
    output.answer(&answer, |answer| plain(answer, 0))
}

fn client(at: &At) -> anyhow::Result<BlockingClient> {
    Ok(BlockingClient::new(HttpClient::new(&at.url)?)?)
}

fn show(at: &At, path: &str, output: Output) -> anyhow::Result<()> {
    let answer: serde_json::Value = client(at)?.get(path)?;
    output.answer(&answer, |answer| plain(answer, 0))
}

/// Status and supply in one answer; exit code 7 if the sum of all coins is not the supply.
fn status(at: &At, output: Output) -> anyhow::Result<Exit> {
    let client = client(at)?;
    let status: serde_json::Value = client.get("/v1/status")?;
    let supply: srwan_api::ledger::Supply = client.get("/v1/supply")?;
    let conserved = supply.conserved;
    let both = serde_json::json!({ "schema": "srwan.ledger/1", "status": status, "supply": supply });
    output.answer(&both, |both| plain(both, 0))?;
    Ok(if conserved { Exit::Ok } else { Exit::Findings })
}

/// Nested values as indented `name  value` lines.
fn plain(value: &serde_json::Value, depth: usize) -> String {
    let pad = "  ".repeat(depth);
    match value {
        serde_json::Value::Object(fields) => {
            let line = |(name, value): (&String, &serde_json::Value)| match value {
                serde_json::Value::Object(_) => format!("{pad}{name}\n{}", plain(value, depth + 1)),
                serde_json::Value::Array(_) | serde_json::Value::Null => format!("{pad}{name:<18}{value}"),
                other => format!("{pad}{name:<18}{}", plain(other, 0)),
            };
            fields.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
