//! Who finalizes, and who could.

use axum::Json;
use axum::extract::State;
use srwan_api::ledger as api;
use srwan_ledger::validator::Validator;
use srwan_wire::id::ValidatorKey;

use super::handlers::App;
use crate::committee;

pub async fn validators(State(served): App) -> Json<api::Validators> {
    let standing = served.ledger.standing();
    let view = served.ledger.view();
    let state = &view.state;
    let next = committee::members(state, standing.epoch + 1).unwrap_or_default();
    let recent = served.ledger.recent();
    let info = |(key, row): (&ValidatorKey, &Validator)| api::ValidatorInfo {
        key: key.to_string(),
        account: row.account.to_string(),
        address: row.address.to_string(),
        power: row.power,
        bond_coins: row.bond.to_string(),
        in_committee: standing.committee.contains(&key.0),
        in_next_committee: next.iter().any(|member| member.key == *key),
        last_signed_height: recent.signed_by(key).map(|height| height.0),
        connected: *key == served.validator || standing.peers.contains(&key.0),
    };
    let mut validators: Vec<api::ValidatorInfo> = state.validators().map(info).collect();
    validators.sort_by(|left, right| left.key.cmp(&right.key));
    Json(api::Validators {
        schema: "srwan.ledger.validators/1".to_owned(),
        height: state.height().0,
        epoch: standing.epoch,
        epoch_blocks: state.params().committee_blocks,
        validators,
    })
}
