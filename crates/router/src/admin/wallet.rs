//! `/v1/wallet` and `/v1/tickets`: coins, lanes, and what was handed in.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use srwan_api::rfc3339;
use srwan_api::router as shape;
use srwan_ledger::amount::Amount;
use srwan_node::pay::payee::ServedView;
use srwan_node::pay::payer::PaidView;
use srwan_node::view::NodeView;
use srwan_wire::id::{LaneId, NodeId};
use srwan_wire::time::Timestamp;

use super::{Answer, App, view};
use crate::ledger::{TicketPhase, TicketState};
use crate::names::{self, Names};

/// Balance, escrow and lanes.
pub async fn wallet(State(shared): App) -> Answer<shape::Wallet> {
    let view = view(&shared).await?;
    let names = Names::new(&view.members);
    let paid = view.paid.iter().map(|lane| paid_shape(lane, &view, &names));
    let lanes = paid.chain(view.served.iter().map(|lane| served_shape(lane, &names))).collect();
    let wallet = shared.wallet.borrow();
    let account = wallet.account.as_ref();
    let zero = || "0".to_owned();
    Ok(Json(shape::Wallet {
        schema: "srwan.wallet/1".into(),
        time: rfc3339::format(shared.wall()),
        account: wallet.key.to_string(),
        balance_coins: account.map(|account| account.balance_coins.clone()),
        escrow_coins: account.map(|account| account.escrow_free_coins.clone()),
        lanes_coins: account.map(|account| account.lanes_coins.clone()),
        earned_coins: account.map_or_else(zero, |account| account.earned_coins.clone()),
        applied_coins: account.map_or_else(zero, |account| account.applied_coins.clone()),
        height: wallet.height,
        lanes,
    }))
}

/// Tickets that this router handed in.
pub async fn tickets(State(shared): App) -> Answer<shape::Tickets> {
    let view = view(&shared).await?;
    let names = Names::new(&view.members);
    let paths: BTreeMap<LaneId, Vec<NodeId>> =
        view.served.iter().map(|lane| (lane.lane, lane.path.clone())).collect();
    let wallet = shared.wallet.borrow();
    let one = |ticket: &TicketState| {
        let path = paths.get(&ticket.lane).map_or_else(Vec::new, |path| names.each(path));
        ticket_shape(ticket, path)
    };
    let tickets = wallet.tickets.iter().map(one).collect();
    Ok(Json(shape::Tickets { schema: "srwan.tickets/1".into(), tickets }))
}

fn ticket_shape(ticket: &TicketState, path: Vec<String>) -> shape::Ticket {
    let state = match ticket.phase {
        TicketPhase::Submitted => "submitted",
        TicketPhase::Final => "final",
        TicketPhase::Rejected => "rejected",
    };
    shape::Ticket {
        id: ticket.hash.to_string(),
        lane: ticket.lane.to_string(),
        path,
        bytes: ticket.octets.0,
        state: state.into(),
        reason: ticket.reason.clone(),
        earned_coins: ticket.earned.clone(),
        time: rfc3339::format(Timestamp::from_nanos(ticket.at_ns)),
        height: ticket.height,
    }
}

fn paid_shape(lane: &PaidView, view: &NodeView, names: &Names) -> shape::Lane {
    let mut path = vec![names.of(view.node)];
    path.extend(names.each(&lane.path.relays));
    path.push(names.of(lane.path.endpoint));
    shape::Lane {
        lane: lane.lane.map_or_else(String::new, |lane| lane.to_string()),
        role: "payer".into(),
        state: names::phase(lane.phase).into(),
        path,
        bytes: lane.receipt.0,
        receipt_bytes: lane.receipt.0,
        delivery_bytes: lane.delivered.0,
        settled_bytes: 0,
        cap_coins: Amount::from_base(lane.terms.cap).to_string(),
    }
}

fn served_shape(lane: &ServedView, names: &Names) -> shape::Lane {
    let role = if lane.is_endpoint { "endpoint" } else { "relay" };
    shape::Lane {
        lane: lane.lane.to_string(),
        role: role.into(),
        state: if lane.serving { "ready" } else { "ending" }.into(),
        path: names.each(&lane.path),
        bytes: lane.octets.0,
        receipt_bytes: lane.receipt.0,
        delivery_bytes: lane.delivered.0,
        settled_bytes: lane.settled.0,
        cap_coins: Amount::from_base(lane.terms.cap).to_string(),
    }
}
