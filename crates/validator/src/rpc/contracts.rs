//! What stands in contracts: each kind as a list, at most [`ROWS_MAX`] of it.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use srwan_api::ledger as api;
use srwan_ledger::amount::Amount;
use srwan_ledger::contract::listing::{Lease, Listing, Rate};
use srwan_ledger::contract::quarantine::{Quarantine, QuarantinePhase};
use srwan_ledger::contract::rating::{PayerRecord, Rating};
use srwan_ledger::contract::sla::{Bound, Sla};
use srwan_ledger::contract::store::Contracts;
use srwan_ledger::contract::window::{Weekly, Window};
use srwan_ledger::hash::{LeaseId, ListingId, SlaId};
use srwan_wire::id::AccountKey;

use super::handlers::{Answer, App, optional_key, read_query};

/// Rows in one answer.
const ROWS_MAX: usize = 1_000;

/// What a list can be narrowed by.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Narrowed {
    /// Rows of this account alone, in any role.
    account: Option<String>,
}

pub type Narrow = Result<Query<Narrowed>, QueryRejection>;

/// Whose rows are wanted; `None` = everyone's.
fn wanted(query: Narrow) -> Result<Option<AccountKey>, super::answer::Problem> {
    optional_key(read_query(query)?.account.as_deref(), "account")
}

/// The first rows of some, and whether there are more.
fn first<T>(rows: impl Iterator<Item = T>) -> (Vec<T>, bool) {
    let mut rows: Vec<T> = rows.take(ROWS_MAX + 1).collect();
    let truncated = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    (rows, truncated)
}

pub async fn listings(State(served): App, query: Narrow) -> Answer<api::Listings> {
    let whose = wanted(query)?;
    let view = served.ledger.view();
    let contracts = view.state.contracts();
    let rows = contracts.listings().filter(|(_, row)| whose.is_none_or(|key| key == row.seller));
    let (listings, truncated) = first(rows.map(|(id, row)| listing(contracts, id, row)));
    Ok(Json(api::Listings { schema: "srwan.ledger.listings/1".to_owned(), listings, truncated }))
}

fn listing(contracts: &Contracts, id: &ListingId, row: &Listing) -> api::Listing {
    let offer = &row.offer;
    let rate = match offer.rate {
        Rate::INFINITE => "inf".to_owned(),
        Rate(base) => Amount::from_base(base).to_string(),
    };
    api::Listing {
        id: id.to_string(),
        seller: row.seller.to_string(),
        from: offer.from.0.clone(),
        to: offer.to.0.clone(),
        rate_coins: rate,
        capacity_mbps: offer.mbps,
        least_mbps: offer.mbps_min,
        leases: u32::try_from(contracts.leases_of(id).count()).unwrap_or(u32::MAX),
        weight: offer.weight,
        delay_us_max: offer.delay_ns_max / 1_000,
        hours: hours(&offer.window),
        sells: row.is_open && !contracts.is_confined(&row.seller),
    }
}

fn hours(window: &Window) -> Option<api::Hours> {
    let Window::Weekly(Weekly { days, spans, offsets }) = window else { return None };
    Some(api::Hours {
        days: *days,
        spans: spans.iter().map(|span| [span.start_minute, span.end_minute]).collect(),
        offsets: offsets.iter().map(|change| (change.at.0, change.offset_minutes)).collect(),
    })
}

pub async fn leases(State(served): App, query: Narrow) -> Answer<api::Leases> {
    let whose = wanted(query)?;
    let view = served.ledger.view();
    let is_wanted = |row: &Lease| whose.is_none_or(|key| key == row.seller || key == row.buyer);
    let rows = view.state.contracts().leases().filter(|(_, row)| is_wanted(row));
    let (leases, truncated) = first(rows.map(|(id, row)| lease(id, row)));
    Ok(Json(api::Leases { schema: "srwan.ledger.leases/1".to_owned(), leases, truncated }))
}

fn lease(id: &LeaseId, row: &Lease) -> api::Lease {
    api::Lease {
        id: id.to_string(),
        listing: row.listing.to_string(),
        seller: row.seller.to_string(),
        buyer: row.buyer.to_string(),
        mbps: row.terms.mbps,
        from_s: row.terms.interval.start.0,
        until_s: row.terms.interval.end.0,
        settle_height: row.terms.settle.0,
        price_coins: row.price.to_string(),
    }
}

pub async fn agreements(State(served): App, query: Narrow) -> Answer<api::Agreements> {
    let whose = wanted(query)?;
    let view = served.ledger.view();
    let is_wanted =
        |row: &Sla| whose.is_none_or(|key| key == row.provider || key == row.terms.customer);
    let rows = view.state.contracts().slas().filter(|(_, row)| is_wanted(row));
    let (agreements, truncated) = first(rows.map(|(id, row)| agreement(id, row)));
    let schema = "srwan.ledger.agreements/1".to_owned();
    Ok(Json(api::Agreements { schema, agreements, truncated }))
}

fn agreement(id: &SlaId, row: &Sla) -> api::Agreement {
    let terms = &row.terms;
    let (bound, bound_max) = match terms.bound {
        Bound::Delay(max) => ("delay_ns", max),
        Bound::Loss(max) => ("loss_ppm", max),
    };
    api::Agreement {
        id: id.to_string(),
        provider: row.provider.to_string(),
        customer: terms.customer.to_string(),
        subject: hex::encode(terms.subject),
        bound: bound.to_owned(),
        bound_max,
        observers: terms.observers.iter().map(ToString::to_string).collect(),
        quorum: terms.quorum,
        period_blocks: terms.period_blocks,
        payout_coins: terms.payout.to_string(),
        left_coins: row.left.to_string(),
        until: terms.until.0,
    }
}

pub async fn quarantines(State(served): App, query: Narrow) -> Answer<api::Quarantines> {
    let whose = wanted(query)?;
    let view = served.ledger.view();
    let rows = view.state.contracts().quarantines();
    let rows = rows.filter(|(account, _)| whose.is_none_or(|key| key == **account));
    let (routers, truncated) = first(rows.map(|(account, row)| quarantine(account, row)));
    let schema = "srwan.ledger.quarantines/1".to_owned();
    Ok(Json(api::Quarantines { schema, routers, truncated }))
}

fn quarantine(account: &AccountKey, row: &Quarantine) -> api::Quarantine {
    let phase = match row.phase {
        QuarantinePhase::Confined { .. } => "confined",
        QuarantinePhase::Parole { .. } => "parole",
        QuarantinePhase::Free => "free",
    };
    api::Quarantine {
        account: account.to_string(),
        phase: phase.to_owned(),
        until: row.due().map(|height| height.0),
        strikes: row.strikes,
        since: row.since.0,
    }
}

pub async fn ratings(State(served): App, query: Narrow) -> Answer<api::Ratings> {
    let whose = wanted(query)?;
    let view = served.ledger.view();
    let rows = view.state.contracts().ratings();
    let rows = rows.filter(|(account, _)| whose.is_none_or(|key| key == **account));
    let (ratings, truncated) = first(rows.map(|(account, row)| rating(account, row)));
    Ok(Json(api::Ratings { schema: "srwan.ledger.ratings/1".to_owned(), ratings, truncated }))
}

fn rating(account: &AccountKey, row: &Rating) -> api::Rating {
    let record = |(payer, record): (&AccountKey, &PayerRecord)| api::PayerRecord {
        payer: payer.to_string(),
        fees_coins: record.fees.to_string(),
        consistent: record.consistent,
        contradicting: record.contradicting,
        evidence: record.evidence.to_string(),
    };
    let payers = row.payers.iter().map(record).collect();
    api::Rating { account: account.to_string(), score: row.score(), payers }
}
