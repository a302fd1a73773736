//! `srwan config check FILE`

use crate::exit::Exit;
use crate::output::Output;
use crate::problem::code;
use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use srwan_api::http::ApiError;
use srwan_wire::id::AccountKey;
use std::path::{Path, PathBuf};

/// What a configuration file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// router.toml
    Router,
    /// controller.toml
    Controller,
    /// validator.toml
    Validator,
    /// genesis.toml
    Genesis,
}

impl Role {
    /// The roles with keys that only they have, the most telling role first.
    const TELLING: [(Self, &'static [&'static str]); 4] = [
        (Self::Router, &["endpoints", "controller", "site", "egress", "tun", "portal"]),
        (Self::Genesis, &["supply_coins", "chain", "account"]),
        (Self::Validator, &["genesis", "validator_key", "block_ms", "idle_block_ms"]),
        (
            Self::Controller,
            &["join_tokens_file", "group_max", "pulse_interval_ms", "join", "store"],
        ),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Controller => "controller",
            Self::Validator => "validator",
            Self::Genesis => "genesis",
        }
    }
}

/// `srwan config ...`
#[derive(Subcommand)]
pub enum ConfigVerb {
    /// Check a configuration file of a router, controller or validator, or a genesis file.
    Check {
        /// The file.
        file: PathBuf,
        /// What it is for; unless given, its name or its keys tell.
        #[arg(long, value_enum)]
        role: Option<Role>,
    },
}

impl ConfigVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let Self::Check { file, role } = self;
        let role = match role.or_else(|| named(&file)) {
            Some(role) => role,
            None => told(&file)?,
        };
        check(&file, role)?;
        let answer = serde_json::json!({
            "schema": "srwan.config-check/1",
            "file": file.display().to_string(),
            "role": role.name(),
            "state": "ok",
        });
        output.answer(&answer, |_| {
            format!("ok: {} is a {} configuration without mistakes", file.display(), role.name())
        })?;
        Ok(Exit::Ok)
    }
}

fn check(file: &Path, role: Role) -> anyhow::Result<()> {
    match role {
        Role::Router => drop(srwan_router::config::Config::load(file)?),
        Role::Controller => drop(srwan_controller::Config::load(file)?),
        Role::Validator => drop(srwan_validator::config::Config::load(file)?),
        // Which validator begins the ledger changes nothing about whether the file is right.
        Role::Genesis => drop(srwan_validator::genesis_file::load(file, AccountKey([0; 32]))?),
    }
    Ok(())
}

/// The role that the file's name begins with.
fn named(file: &Path) -> Option<Role> {
    let name = file.file_name()?.to_str()?;
    Role::value_variants().iter().copied().find(|role| name.starts_with(role.name()))
}

/// The role whose own keys stand in the file.
fn told(file: &Path) -> anyhow::Result<Role> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let table: toml::Table = toml::from_str(&text).unwrap_or_default();
    let has = |keys: &[&str]| keys.iter().any(|key| table.contains_key(*key));
    let telling = Role::TELLING.iter().find(|(_, keys)| has(keys));
    Ok(telling.map(|(role, _)| *role).ok_or_else(|| unclear(file))?)
}

fn unclear(file: &Path) -> ApiError {
    ApiError::new(0, code::ROLE, format!("{}: cannot tell what it configures", file.display()))
        .why(
            "neither its name nor its keys are those of a router, controller, validator or genesis",
        )
        .fix("say it: --role router")
}
