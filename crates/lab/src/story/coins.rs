//! Coins as the ledger tells them over its RPC, added up by the lab itself.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;
use srwan_wire::sign::AccountSecret;

use crate::http;
use crate::lab::Lab;
use crate::scenario::Role;
use crate::settings::LEDGER_PORT;

use super::judge::coins_from;
use super::record::{AccountCoins, Sums};

/// A way to ask the ledger.
pub struct LedgerView {
    namespace: PathBuf,
    server: SocketAddr,
    /// Account keys by router.
    accounts: BTreeMap<String, String>,
}

impl LedgerView {
    /// Finds the ledger and the accounts of a lab.
    pub fn of(lab: &Lab) -> Result<Self> {
        let scenario = &lab.plan().scenario;
        let ledger =
            scenario.with_role(Role::Ledger).next().context("no ledger in this scenario")?;
        let address = lab.plan().address(&ledger.name).context("every node has an address")?;
        let account = |name: &crate::scenario::NodeName| -> Result<(String, String)> {
            let text = fs::read_to_string(lab.place().state(name).join("account.key"))?;
            let mut seed = [0; 32];
            hex::decode_to_slice(text.trim(), &mut seed).context("an account key is damaged")?;
            Ok((name.to_string(), hex::encode(AccountSecret::from_seed(&seed).public().0)))
        };
        let routers = scenario.with_role(Role::Router).map(|node| account(&node.name));
        Ok(Self {
            namespace: lab.place().netns(&ledger.name),
            server: SocketAddr::new(address, LEDGER_PORT),
            accounts: routers.collect::<Result<_>>()?,
        })
    }

    /// The sum of all coins, added up here.
    pub fn sums(&self) -> Result<Sums> {
        let supply: Supply = serde_json::from_value(self.get("/v1/supply")?)?;
        Ok(Sums {
            supply: coins_from(&supply.supply_coins).context("coins are decimal numbers")?,
            total: supply.total().context("coins are decimal numbers")?,
            height: supply.height,
        })
    }

    /// Every router's account.
    pub fn accounts(&self) -> Result<BTreeMap<String, AccountCoins>> {
        let read = |(name, key): (&String, &String)| -> Result<(String, AccountCoins)> {
            let account: Account =
                serde_json::from_value(self.get(&format!("/v1/account/{key}"))?)?;
            let coins = |text: &str| coins_from(text).context("coins are decimal numbers");
            let (earned, applied) = (coins(&account.earned_coins)?, coins(&account.applied_coins)?);
            Ok((name.clone(), AccountCoins { earned, applied }))
        };
        self.accounts.iter().map(read).collect()
    }

    /// Reads the accounts until they have not changed for a while.
    pub fn settled_accounts(&self) -> Result<BTreeMap<String, AccountCoins>> {
        let deadline = Instant::now() + SETTLED_MAX;
        let mut last = self.accounts()?;
        let mut since = Instant::now();
        while since.elapsed() < SETTLED_QUIET && Instant::now() < deadline {
            thread::sleep(POLL);
            let fresh = self.accounts()?;
            if fresh != last {
                (last, since) = (fresh, Instant::now());
            }
        }
        Ok(last)
    }

    fn get(&self, path: &str) -> Result<serde_json::Value> {
        http::get_inside(&self.namespace, self.server, path)
    }
}

/// Where all coins are; the shape of the ledger's `/v1/supply`.
#[derive(Deserialize)]
struct Supply {
    height: u64,
    supply_coins: String,
    accounts_coins: String,
    escrows_coins: String,
    lanes_coins: String,
    bonds_coins: String,
    groups_coins: String,
    infra_coins: String,
    validators_coins: String,
    dividends_coins: String,
    subsidy_coins: String,
    treasury_coins: String,
    burned_coins: String,
}

impl Supply {
    /// The lab's own sum, beside the one that the ledger gives.
    fn total(&self) -> Option<u128> {
        let parts = [
            &self.accounts_coins,
            &self.escrows_coins,
            &self.lanes_coins,
            &self.bonds_coins,
            &self.groups_coins,
            &self.infra_coins,
            &self.validators_coins,
            &self.dividends_coins,
            &self.subsidy_coins,
            &self.treasury_coins,
            &self.burned_coins,
        ];
        parts.into_iter().map(|part| coins_from(part)).sum()
    }
}

#[derive(Deserialize)]
struct Account {
    earned_coins: String,
    applied_coins: String,
}

const POLL: Duration = Duration::from_millis(250);
/// Ten blocks of 200 ms without a change: nothing is on its way any more.
const SETTLED_QUIET: Duration = Duration::from_secs(2);
const SETTLED_MAX: Duration = Duration::from_secs(10);
