//! Coins of a story, from the ledger's state machine and from what payees hold.

use super::cast::Cast;
use crate::bank::{Bank, SUPPLY};
use crate::world::World;
use srwan_ledger::hash::TxHash;
use srwan_ledger::ticket::Settlement;
use srwan_scenario::record::{AccountCoins, Coins, LaneSettled, SettledStep, Sums};
use srwan_wire::id::LaneId;
use std::collections::BTreeMap;

/// Octets that payees have evidence of, by lane.
pub type Held = BTreeMap<LaneId, u64>;

/// The sum of all coins, counted anew.
#[must_use]
pub fn sums(bank: &Bank) -> Sums {
    Sums {
        supply: u128::from(SUPPLY),
        total: bank.state().recount(),
        height: bank.state().height().0,
    }
}

/// What payees could settle: the lesser of receipt and delivery.
#[must_use]
pub fn held(world: &World, cast: &Cast) -> Held {
    let mut held = Held::new();
    for place in (0..cast.len()).filter(|place| world.is_running(*place)) {
        for lane in world.view(place).served {
            let octets = lane.receipt.0.min(lane.delivered.0);
            let most = held.entry(lane.lane).or_default();
            *most = octets.max(*most);
        }
    }
    held
}

/// All coins at the end.
#[must_use]
pub fn coins(before: Sums, world: &World, cast: &Cast) -> Coins {
    let account = |place: usize| {
        let key = world.account(place);
        let shares =
            world.bank.settlements.iter().map(|(_, settled)| settled.share_of(&key).base());
        let earned = shares.map(u128::from).sum();
        let paid_by = |settled: &&Settlement| {
            world.bank.settled_lanes.get(&settled.lane).is_some_and(|lane| lane.payer == key)
        };
        let settlements = world.bank.settlements.iter().map(|(_, settled)| settled);
        let applied = settlements.filter(paid_by).map(|settled| u128::from(settled.paid().base()));
        (cast.name(place).to_string(), AccountCoins { earned, applied: applied.sum() })
    };
    let accounts = (0..cast.len()).map(account).collect();
    Coins { before, after: sums(&world.bank), accounts }
}

/// What tickets settled of each lane.
#[must_use]
pub fn lanes(bank: &Bank, held: &Held) -> BTreeMap<String, LaneSettled> {
    let mut lanes: BTreeMap<LaneId, LaneSettled> = BTreeMap::new();
    for (hash, settlement) in &bank.settlements {
        lanes.entry(settlement.lane).or_default().steps.push(step(hash, settlement));
    }
    for (id, lane) in &mut lanes {
        let Some(shown) = bank.settled_lanes.get(id) else { continue };
        (lane.settled, lane.paid) = (shown.settled.0, u128::from(shown.paid.base()));
        lane.held = held.get(id).map_or(0, |octets| (*octets).min(shown.octets_max().0));
    }
    lanes.into_iter().map(|(id, lane)| (id.to_string(), lane)).collect()
}

fn step(hash: &TxHash, settlement: &Settlement) -> SettledStep {
    SettledStep {
        hash: hash.to_string(),
        before: settlement.settled_before.0,
        after: settlement.settled.0,
        moved: u128::from(settlement.paid().base()),
    }
}
