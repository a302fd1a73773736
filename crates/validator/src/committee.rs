//! Who votes in which epoch, as the engine asks it.

use srwan_engine::seam::Peer;
use srwan_ledger::state::State;
use srwan_ledger::validator::{Member, Validator, ValidatorPhase};
use srwan_wire::id::Height;

/// The epoch that the block of `height` is in.
#[must_use]
pub fn epoch_of(state: &State, height: Height) -> u64 {
    height.0.saturating_sub(1) / state.params().committee_blocks
}

/// The committee of an epoch, ascending by key; `None` if it is not fixed yet or forgotten.
#[must_use]
pub fn members(state: &State, epoch: u64) -> Option<&[Member]> {
    state.committee(epoch)
}

/// The committee of an epoch as the engine wants it.
#[must_use]
pub fn peers(state: &State, epoch: u64) -> Option<Vec<Peer>> {
    let members = members(state, epoch)?;
    Some(members.iter().map(|m| Peer { key: m.key.0, address: m.address }).collect())
}

/// All validators that wait for a seat, or have one, ascending by key: they may follow the chain.
#[must_use]
pub fn candidates(state: &State) -> Vec<Peer> {
    let is_active = |row: &Validator| matches!(row.phase, ValidatorPhase::Active);
    let active = state.validators().filter(|(_, row)| is_active(row));
    let mut peers: Vec<Peer> =
        active.map(|(key, row)| Peer { key: key.0, address: row.address }).collect();
    peers.sort();
    peers
}
