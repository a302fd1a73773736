//! Coins as the ledger tells them over its RPC, added up by the lab itself.
//!
//! The ledger is all its validators: a question goes to the first that answers, and at the end each is asked for
//! its height and state.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use srwan_wire::sign::AccountSecret;

use crate::http;
use crate::place::Place;
use crate::plan::Plan;
use crate::scenario::{NodeName, Role};
use crate::settings::LEDGER_PORT;

use super::judge::coins_from;
use super::record::{AccountCoins, LaneSettled, LedgerTip, SettledStep, Sums};

/// A way to ask the ledger.
pub struct LedgerView {
    doors: Vec<LedgerDoor>,
    /// Account keys by router.
    accounts: BTreeMap<String, String>,
}

/// A way to ask one validator.
pub struct LedgerDoor {
    /// Its node.
    pub name: NodeName,
    namespace: PathBuf,
    server: SocketAddr,
}

impl LedgerDoor {
    /// The validators of a lab, in the order of its file.
    pub fn all(place: &Place, plan: &Plan) -> Result<Vec<Self>> {
        let door = |name: &NodeName| -> Result<Self> {
            let address = plan.address(name).context("every node has an address")?;
            Ok(Self {
                name: name.clone(),
                namespace: place.netns(name),
                server: SocketAddr::new(address, LEDGER_PORT),
            })
        };
        plan.scenario.with_role(Role::Ledger).map(|node| door(&node.name)).collect()
    }

    /// Where it is.
    ///
    /// **Errors:** it does not answer.
    pub fn tip(&self) -> Result<LedgerTip> {
        let status: Status = self.get("/v1/status")?;
        Ok(LedgerTip { height: status.height, state_root: status.state_root })
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = http::get_inside(&self.namespace, self.server, path)?;
        serde_json::from_value(answer).with_context(|| format!("{path} at {}", self.name))
    }
}

impl LedgerView {
    /// Finds the ledger and the accounts of a lab.
    pub fn of(place: &Place, plan: &Plan) -> Result<Self> {
        let doors = LedgerDoor::all(place, plan)?;
        anyhow::ensure!(!doors.is_empty(), "no ledger in this scenario");
        let account = |name: &NodeName| -> Result<(String, String)> {
            let text = fs::read_to_string(place.state(name).join("account.key"))?;
            let mut seed = [0; 32];
            hex::decode_to_slice(text.trim(), &mut seed).context("an account key is damaged")?;
            Ok((name.to_string(), hex::encode(AccountSecret::from_seed(&seed).public().0)))
        };
        let routers = plan.scenario.with_role(Role::Router).map(|node| account(&node.name));
        Ok(Self { doors, accounts: routers.collect::<Result<_>>()? })
    }

    /// The sum of all coins, added up here.
    pub fn sums(&self) -> Result<Sums> {
        let supply: Supply = self.get("/v1/supply")?;
        Ok(Sums {
            supply: coins(&supply.supply_coins)?,
            total: supply.total().context("coins are decimal numbers")?,
            height: supply.height,
        })
    }

    /// Every router's account.
    pub fn accounts(&self) -> Result<BTreeMap<String, AccountCoins>> {
        let read = |(name, key): (&String, &String)| -> Result<(String, AccountCoins)> {
            let account: Account = self.get(&format!("/v1/account/{key}"))?;
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

    /// Where every validator is, as soon as all are at one place; after a while, as they are.
    pub fn tips(&self) -> BTreeMap<String, Option<LedgerTip>> {
        let deadline = Instant::now() + AGREE_MAX;
        loop {
            let tip = |door: &LedgerDoor| (door.name.to_string(), door.tip().ok());
            let tips: BTreeMap<String, Option<LedgerTip>> = self.doors.iter().map(tip).collect();
            let mut heights = tips.values().map(|tip| tip.as_ref().map(|tip| tip.height));
            let first = heights.next().flatten();
            let together = first.is_some() && heights.all(|height| height == first);
            if together || Instant::now() > deadline {
                return tips;
            }
            thread::sleep(POLL);
        }
    }

    /// What tickets settled of each lane; `held` = octets that payees had evidence for, by lane.
    pub fn lanes(&self, held: &BTreeMap<String, u64>) -> Result<BTreeMap<String, LaneSettled>> {
        let mut tickets: BTreeMap<String, Ticket> = BTreeMap::new();
        for key in self.accounts.values() {
            let answer: Tickets = self.get(&format!("/v1/tickets?account={key}"))?;
            let named = answer.tickets.into_iter().map(|ticket| (ticket.hash.clone(), ticket));
            tickets.extend(named);
        }
        let mut tickets: Vec<Ticket> = tickets.into_values().collect();
        tickets.sort_by_key(|ticket| (ticket.height, ticket.settlement.settled_before_bytes));
        let mut lanes: BTreeMap<String, LaneSettled> = BTreeMap::new();
        for ticket in &tickets {
            let lane = lanes.entry(ticket.settlement.lane.clone()).or_default();
            lane.steps.push(ticket.step()?);
        }
        for (id, lane) in &mut lanes {
            let shown: Lane = self.get(&format!("/v1/lane/{id}"))?;
            (lane.settled, lane.paid) = (shown.settled_bytes, coins(&shown.paid_coins)?);
            lane.held = held.get(id).map_or(0, |octets| (*octets).min(shown.cap_bytes));
        }
        Ok(lanes)
    }

    /// The answer of the first validator that gives one.
    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let mut last = anyhow::anyhow!("no validator");
        for door in &self.doors {
            match door.get(path) {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

#[derive(Deserialize)]
struct Status {
    height: u64,
    state_root: String,
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

#[derive(Deserialize)]
struct Lane {
    settled_bytes: u64,
    cap_bytes: u64,
    paid_coins: String,
}

#[derive(Deserialize)]
struct Tickets {
    tickets: Vec<Ticket>,
}

#[derive(Deserialize)]
struct Ticket {
    hash: String,
    height: u64,
    settlement: Settlement,
}

#[derive(Deserialize)]
struct Settlement {
    lane: String,
    settled_before_bytes: u64,
    settled_bytes: u64,
    infra_coins: String,
    shares: Vec<Share>,
}

#[derive(Deserialize)]
struct Share {
    coins: String,
}

impl Ticket {
    fn step(&self) -> Result<SettledStep> {
        let settlement = &self.settlement;
        let shares = settlement.shares.iter().map(|share| coins(&share.coins));
        let shares: u128 = shares.sum::<Result<u128>>()?;
        Ok(SettledStep {
            hash: self.hash.clone(),
            before: settlement.settled_before_bytes,
            after: settlement.settled_bytes,
            moved: shares + coins(&settlement.infra_coins)?,
        })
    }
}

fn coins(text: &str) -> Result<u128> {
    coins_from(text).context("coins are decimal numbers")
}

const POLL: Duration = Duration::from_millis(250);
/// Ten blocks of 200 ms without a change: nothing is on its way any more.
const SETTLED_QUIET: Duration = Duration::from_secs(2);
const SETTLED_MAX: Duration = Duration::from_secs(10);
/// A validator that was started a moment ago catches up; one that never does is shown as it is.
const AGREE_MAX: Duration = Duration::from_secs(20);
