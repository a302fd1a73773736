//! genesis.toml: how a ledger begins, as a person writes it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::Deserialize;
use srwan_api::http::ApiError;
use srwan_ledger::amount::Amount;
use srwan_ledger::fee::FeeSchedule;
use srwan_ledger::genesis::{Genesis, GenesisError, GenesisValidator, Params};
use srwan_wire::id::{AccountKey, Octets, ValidatorKey};

use crate::config::{Wrong, read_toml};
use crate::fault::{self, code};

/// Reads the genesis file at `path`.
///
/// A file that names no validator gets `sole_validator` with power 1: a ledger of one. Several
/// validators must say where their peers reach them, and all of them need the same file.
///
/// **Errors:** the file cannot be read, has an unknown key, or says something impossible.
pub fn load(path: &Path, sole_validator: AccountKey) -> Result<Genesis, ApiError> {
    let raw: RawGenesis = read_toml(path, code::BAD_GENESIS)?;
    let bad = |why: String| {
        fault::at(path, code::BAD_GENESIS, "no ledger can begin from this file").why(why)
    };
    let mut genesis = raw.resolve().map_err(bad)?;
    if genesis.validators.is_empty() {
        let (address, power, bond) = (ADDRESS_ALONE, 1, Amount::ZERO);
        let alone = GenesisValidator { account: sole_validator, address, power, bond };
        genesis.validators.insert(ValidatorKey(sole_validator.0), alone);
    }
    genesis.check().map_err(|error| match error {
        GenesisError::OutOfRange { name, .. } => {
            // In the file a parameter in coins says so, and octets are called bytes.
            let bytes = name.trim_end_matches("_octets");
            let keys = [name.to_owned(), format!("{name}_coins"), format!("{bytes}_bytes")];
            Wrong { keys: keys.to_vec(), why: error.to_string() }.at(path, code::BAD_GENESIS)
        }
        other => bad(other.to_string()),
    })?;
    Ok(genesis)
}

/// What stands for the address of a validator that has no peers.
const ADDRESS_ALONE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7_091);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGenesis {
    chain: String,
    supply_coins: Coins,
    #[serde(default)]
    subsidy_coins: Option<Coins>,
    #[serde(default)]
    account: Vec<RawAccount>,
    #[serde(default)]
    validator: Vec<RawValidator>,
    #[serde(default)]
    params: RawParams,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccount {
    key: String,
    coins: Coins,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawValidator {
    key: String,
    account: Option<String>,
    address: Option<SocketAddr>,
    #[serde(default = "one")]
    power: u64,
    bond_coins: Option<Coins>,
}

const fn one() -> u64 {
    1
}

/// The rules' parameters; what is not written has the value of the design.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawParams {
    min_fee_coins: Option<Coins>,
    base_fee_coins: Option<Coins>,
    byte_fee_coins: Option<Coins>,
    infra_bps: Option<u16>,
    validator_bps: Option<u16>,
    min_settle_bytes: Option<u64>,
    claim_window_blocks: Option<u64>,
    lane_blocks_max: Option<u64>,
    router_bond_coins: Option<Coins>,
    unbonding_blocks: Option<u64>,
    slash_bps: Option<u16>,
    epoch_blocks: Option<u64>,
    paid_groups: Option<u16>,
    commission_bps_max: Option<u16>,
    subsidy_blocks: Option<u64>,
    committee_blocks: Option<u64>,
    committee_max: Option<u16>,
    validator_bond_coins: Option<Coins>,
}

/// Coins as a whole number or, with decimals, as a string; never as a float.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "coins: a whole number, or a string such as \"0.25\"")]
enum Coins {
    Whole(u64),
    Text(String),
}

impl Coins {
    fn amount(&self, of: &str) -> Result<Amount, String> {
        match self {
            Self::Whole(coins) => {
                Amount::from_coins(*coins).ok_or_else(|| format!("{of}: too many coins"))
            }
            Self::Text(text) => {
                Amount::parse_coins(text).map_err(|error| format!("{of}: `{text}` is {error}"))
            }
        }
    }
}

impl RawGenesis {
    fn resolve(self) -> Result<Genesis, String> {
        let mut accounts = BTreeMap::new();
        for account in &self.account {
            let key = account_key(&account.key)?;
            let amount = account.coins.amount(&account.key)?;
            if accounts.insert(key, amount).is_some() {
                return Err(format!("account {key} is listed twice"));
            }
        }
        let mut validators = BTreeMap::new();
        for validator in &self.validator {
            let key = ValidatorKey(account_key(&validator.key)?.0);
            let first = validator.resolve(key, self.validator.len() > 1)?;
            if validators.insert(key, first).is_some() {
                return Err(format!("validator {key} is listed twice"));
            }
        }
        let subsidy = self.subsidy_coins.map(|coins| coins.amount("subsidy_coins"));
        Ok(Genesis {
            chain: self.chain,
            supply: self.supply_coins.amount("supply_coins")?,
            accounts,
            subsidy: subsidy.transpose()?.unwrap_or_default(),
            validators,
            params: self.params.resolve()?,
        })
    }
}

impl RawValidator {
    fn resolve(&self, key: ValidatorKey, has_peers: bool) -> Result<GenesisValidator, String> {
        let account = match &self.account {
            Some(account) => account_key(account)?,
            None => AccountKey(key.0),
        };
        let address = match self.address {
            Some(address) => address,
            None if has_peers => return Err(format!("validator {key} has no address")),
            None => ADDRESS_ALONE,
        };
        if has_peers && (address.port() == 0 || address.ip().is_unspecified()) {
            return Err(format!("validator {key}: peers cannot connect to {address}"));
        }
        let bond = self.bond_coins.as_ref().map(|coins| coins.amount("bond_coins")).transpose()?;
        let bond = bond.unwrap_or_default();
        Ok(GenesisValidator { account, address, power: self.power, bond })
    }
}

impl RawParams {
    fn resolve(self) -> Result<Params, String> {
        let default = Params::DEFAULT;
        let coins = |value: &Option<Coins>, name: &str, default: Amount| match value {
            Some(coins) => coins.amount(name),
            None => Ok(default),
        };
        let fees = FeeSchedule {
            min_fee: coins(&self.min_fee_coins, "min_fee_coins", default.fees.min_fee)?,
            base_fee: coins(&self.base_fee_coins, "base_fee_coins", default.fees.base_fee)?,
            byte_fee: coins(&self.byte_fee_coins, "byte_fee_coins", default.fees.byte_fee)?,
        };
        let claim_window_blocks = self.claim_window_blocks.unwrap_or(default.claim_window_blocks);
        Ok(Params {
            fees,
            infra_bps: self.infra_bps.unwrap_or(default.infra_bps),
            validator_bps: self.validator_bps.unwrap_or(default.validator_bps),
            min_settle: self.min_settle_bytes.map_or(default.min_settle, Octets),
            claim_window_blocks,
            lane_blocks_max: self.lane_blocks_max.unwrap_or(default.lane_blocks_max),
            router_bond: coins(&self.router_bond_coins, "router_bond_coins", default.router_bond)?,
            unbonding_blocks: self.unbonding_blocks.unwrap_or(default.unbonding_blocks),
            slash_bps: self.slash_bps.unwrap_or(default.slash_bps),
            epoch_blocks: self.epoch_blocks.unwrap_or(default.epoch_blocks),
            paid_groups: self.paid_groups.unwrap_or(default.paid_groups),
            commission_bps_max: self.commission_bps_max.unwrap_or(default.commission_bps_max),
            subsidy_blocks: self.subsidy_blocks.unwrap_or(default.subsidy_blocks),
            committee_blocks: self.committee_blocks.unwrap_or(default.committee_blocks),
            committee_max: self.committee_max.unwrap_or(default.committee_max),
            validator_bond: coins(
                &self.validator_bond_coins,
                "validator_bond_coins",
                default.validator_bond,
            )?,
        })
    }
}

fn account_key(text: &str) -> Result<AccountKey, String> {
    AccountKey::from_hex(text).ok_or_else(|| format!("`{text}` is not a key of 64 hex digits"))
}
