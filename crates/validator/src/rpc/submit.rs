//! Taking transactions: one, or several in one call, each with an answer of its own.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use srwan_api::http::ApiError;
use srwan_api::ledger as api;
use srwan_ledger::tx::SignedTx;

use super::Served;
use super::answer::{Problem, bad_request};
use super::handlers::{Answer, App};
use crate::ledger::Origin;

/// Largest body with one transaction: the largest transaction in base64, and its JSON around it.
pub const BODY_OCTETS_MAX: usize = 16 * 1024;
/// Largest body with several: as many as one call takes, each of the size of a ticket with all its statements.
pub const BODY_OF_MANY_OCTETS_MAX: usize = 512 * 1024;
/// Time for a request's body over the slowest link that a wallet has.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

pub async fn submit(
    State(served): App,
    body: Body,
) -> Result<(StatusCode, Json<api::Submitted>), Problem> {
    let submit: api::Submit = read(body, BODY_OCTETS_MAX, "{\"tx\": \"<base64>\"}").await?;
    let tx = decode_tx(&submit.tx)?;
    check_taking(&served)?;
    let taken = served.ledger.submit(vec![tx], Origin::Here).pop();
    let hash = taken.expect("each transaction has an answer")?.to_string();
    let submitted = api::Submitted { schema: "srwan.ledger.submitted/1".to_owned(), hash };
    Ok((StatusCode::ACCEPTED, Json(submitted)))
}

pub async fn submit_many(State(served): App, body: Body) -> Answer<api::SubmittedMany> {
    let shape = "{\"txs\": [\"<base64>\", ..]}";
    let submit: api::SubmitMany = read(body, BODY_OF_MANY_OCTETS_MAX, shape).await?;
    if submit.txs.len() > api::SUBMIT_MANY_MAX {
        let why = format!("{} transactions, at most {}", submit.txs.len(), api::SUBMIT_MANY_MAX);
        return Err(bad_request("too many transactions", why, "send them in several calls"));
    }
    let txs = submit.txs.iter().map(|tx| decode_tx(tx)).collect::<Result<Vec<_>, _>>()?;
    check_taking(&served)?;
    // Checking a call's signatures takes milliseconds: not on a thread that others wait for.
    let ledger = std::sync::Arc::clone(&served.ledger);
    let taken = tokio::task::spawn_blocking(move || ledger.submit(txs, Origin::Here)).await;
    let taken = taken.map_err(|error| ApiError::new(500, "SRW-L903", error.to_string()))?;
    let answer = |taken: Result<_, _>| match taken {
        Ok(hash) => api::Taken { hash: Some(ToString::to_string(&hash)), problem: None },
        Err(problem) => api::Taken { hash: None, problem: Some(problem) },
    };
    let txs = taken.into_iter().map(answer).collect();
    Ok(Json(api::SubmittedMany { schema: "srwan.ledger.submitted-many/1".to_owned(), txs }))
}

/// The body as JSON of that `shape`.
async fn read<T: DeserializeOwned>(body: Body, most: usize, shape: &str) -> Result<T, Problem> {
    let read = tokio::time::timeout(BODY_PATIENCE, to_bytes(body, most));
    let body = read.await.map_err(|_| too_slow())?.map_err(|error| too_large(&error, most))?;
    serde_json::from_slice(&body).map_err(|error| not_a_transaction(error.to_string(), shape))
}

fn decode_tx(text: &str) -> Result<SignedTx, Problem> {
    let bad = |why: String| not_a_transaction(why, "base64 of the borsh of a signed transaction");
    let bytes = STANDARD.decode(text).map_err(|error| bad(error.to_string()))?;
    borsh::from_slice(&bytes).map_err(|error| bad(error.to_string()))
}

fn not_a_transaction(why: String, shape: &str) -> Problem {
    bad_request("the body is no transaction", why, &format!("send {shape}"))
}

fn check_taking(served: &Served) -> Result<(), Problem> {
    let refused = ApiError::new(503, "SRW-L802", "the ledger takes no transactions");
    let fix = "ask again later, or ask another validator";
    if !served.ledger.is_accepting() {
        return Err(Problem(refused.why("its disk failed, or it is stopping").fix(fix)));
    }
    let standing = served.ledger.standing();
    if standing.syncing {
        let why = format!("it is catching up, {} blocks behind what it knows", standing.behind);
        let refused = ApiError { code: "SRW-L805".to_owned(), ..refused };
        return Err(Problem(refused.why(why).fix(fix)));
    }
    Ok(())
}

fn too_large(error: &axum::Error, most: usize) -> Problem {
    let is_long = std::error::Error::source(error).is_some_and(|e| e.is::<LengthLimitError>());
    Problem(
        ApiError::new(if is_long { 413 } else { 400 }, "SRW-L902", "the body cannot be read")
            .why(format!("{error}; at most {most} octets are taken"))
            .fix("send fewer transactions at a time"),
    )
}

fn too_slow() -> Problem {
    let why = format!("it was not there after {} s", BODY_PATIENCE.as_secs());
    Problem(ApiError::new(408, "SRW-L902", "the body cannot be read").why(why).fix("send it again"))
}
