//! `srwan ledger ...`

use crate::exit::Exit;
use crate::output::Output;
use crate::text::outline;
use clap::{Args, Subcommand};
use srwan_api::ledger::Supply;
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
            Self::Tx { hash, at } => {
                show(&at, &format!("/v1/tx/{}", srwan_api::http::escape(&hash)), output)?;
            }
            Self::Account { key, at } => {
                show(&at, &format!("/v1/account/{}", srwan_api::http::escape(&key)), output)?;
            }
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
