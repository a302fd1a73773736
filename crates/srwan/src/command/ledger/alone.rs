//! A ledger for one machine, without any configuration: one validator, and a wallet that has all coins.
//!
//! What is made at the first start is kept: key, genesis and configuration are files like any other, for people to
//! read, copy and change.

use crate::command::wallet::new_key;
use crate::output::Output;
use anyhow::Context;
use srwan_api::http::ApiError;
use srwan_wire::sign::AccountSecret;
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::problem::code;

/// All coins of such a ledger: enough for every router that one machine can run.
const SUPPLY_COINS: u64 = 1_000_000;

/// Where it answers: here only, because whoever reaches it may use up its space.
const LISTEN: &str = "127.0.0.1:7090";

/// The files in its directory.
const TREASURY: &str = "treasury.key";
const GENESIS: &str = "genesis.toml";
const CONFIG: &str = "validator.toml";

/// The directory of this user's own ledger: `$XDG_STATE_HOME` or `~/.local/state`, as the XDG base directory
/// specification has it.
///
/// # Errors
/// The environment names neither.
pub fn state_dir() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local").join("state")));
    let base = base.ok_or_else(|| {
        ApiError::new(400, code::USAGE, "there is no place for a ledger of one")
            .why("neither XDG_STATE_HOME nor HOME names a directory")
            .fix("name one: srwan ledger run --state-dir DIR; or: --config FILE")
    })?;
    Ok(base.join("srwan-ledger"))
}

/// Makes what is not there yet; says what runs where; returns the configuration file.
///
/// # Errors
/// A file cannot be written or read.
pub fn prepare(directory: &Path, output: Output) -> anyhow::Result<PathBuf> {
    let shown = directory.display();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("making {shown}"))?;
    let [treasury, genesis, config] = [TREASURY, GENESIS, CONFIG].map(|name| directory.join(name));
    let account = treasury_account(&treasury)?;
    write_once(&genesis, &genesis_text(&account))?;
    write_once(&config, &config_text())?;
    let at = listen(&config);
    output.progress(&format!("no config: one validator in {shown}, listening on {at}"));
    output.progress(&format!(
        "all {SUPPLY_COINS} coins are with the account of {}",
        treasury.display()
    ));
    Ok(config)
}

/// The account that gets all coins; its key is made at the first start.
fn treasury_account(path: &Path) -> anyhow::Result<String> {
    if path.exists() {
        let seed = srwan_router::keys::load(path)?;
        return Ok(AccountSecret::from_seed(&seed).public().to_string());
    }
    new_key(path)
}

fn genesis_text(account: &str) -> String {
    format!(
        "# Made by `srwan ledger run` without a configuration.\n\
         # It can never change: its hash is the chain's id.\n\
         chain = \"local\"\nsupply_coins = {SUPPLY_COINS}\n\n\
         [[account]] # {TREASURY}\nkey = \"{account}\"\ncoins = \"{SUPPLY_COINS}\"\n"
    )
}

fn config_text() -> String {
    format!(
        "# Made by `srwan ledger run` without a configuration; edit it as you like.\n\
         listen = \"{LISTEN}\"\nstate_dir = \"state\"\ngenesis = \"{GENESIS}\"\n"
    )
}

/// Where the configuration says that the validator listens; people may have edited it.
fn listen(config: &Path) -> String {
    let text = std::fs::read_to_string(config).unwrap_or_default();
    let table: Option<toml::Table> = text.parse().ok();
    let listen = table.and_then(|table| table.get("listen")?.as_str().map(str::to_owned));
    listen.unwrap_or_else(|| LISTEN.to_owned())
}

/// Writes a file, whole or not at all, unless there is one.
fn write_once(path: &Path, text: &str) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let part = path.with_extension("part");
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}
