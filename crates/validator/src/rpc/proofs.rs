//! Headers, certificates and proofs: what a light client checks without trusting this validator.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use srwan_api::http::ApiError;
use srwan_api::ledger as api;
use srwan_engine::seam::FinalBlock;
use srwan_ledger::block::Header;
use srwan_ledger::proof::Kind;
use srwan_wire::id::{AccountKey, Height, LaneId};
use tokio::time::{Instant, timeout_at};

use super::Served;
use super::answer::{Problem, not_found};
use super::handlers::{Answer, App, not_hex, read_height};
use crate::body::encode;
use crate::recent::FinalHeader;

/// How long a proof waits for the header that names its state: several idle blocks, and below usual
/// proxy timeouts.
const PROOF_WAIT: Duration = Duration::from_secs(30);

/// The final block of `height`.
pub async fn final_block(served: &Served, height: u64) -> Result<FinalBlock, Problem> {
    let is_final = height > 0 && height <= served.ledger.view().state.height().0;
    let engine = served.ledger.engine().filter(|_| is_final);
    let found = match engine {
        Some(engine) => engine.block(height).await,
        None => None,
    };
    found.ok_or_else(|| not_found(format!("no block of height {height}"), "see GET /v1/status"))
}

pub async fn header(State(served): App, Path(height): Path<String>) -> Answer<api::Header> {
    let block = final_block(&served, read_height(&height)?).await?;
    let header: Header = borsh::from_slice(&block.payload.header)
        .map_err(|error| ApiError::new(500, "SRW-L903", error.to_string()))?;
    Ok(Json(api::Header {
        schema: "srwan.ledger.header/1".to_owned(),
        height: header.height.0,
        hash: header.hash().to_string(),
        digest: hex::encode(block.digest),
        parent: header.parent.to_string(),
        state_height: header.state_height.0,
        state_root: header.state_root.to_string(),
        tx_root: hex::encode(header.tx_root),
        time_ns: header.time.as_nanos(),
        proposer: header.proposer.to_string(),
        voters: header.voters.iter().map(ToString::to_string).collect(),
        header: STANDARD.encode(&block.payload.header),
        context: STANDARD.encode(&block.context),
    }))
}

pub async fn certificate(
    State(served): App,
    Path(height): Path<String>,
) -> Answer<api::Certificate> {
    let height = read_height(&height)?;
    final_block(&served, height).await?;
    let found = match served.ledger.engine() {
        Some(engine) => engine.certificate(height).await,
        None => None,
    };
    let missing = || not_found(format!("no certificate for height {height}"), "ask again later");
    let found = found.ok_or_else(missing)?;
    let block = final_block(&served, found.height).await?;
    let (header, context) = (block.payload.header, block.context);
    Ok(Json(certificate_json(&found, &header, &context)))
}

fn certificate_json(
    certificate: &srwan_engine::seam::Certificate,
    header: &[u8],
    context: &[u8],
) -> api::Certificate {
    api::Certificate {
        schema: "srwan.ledger.certificate/1".to_owned(),
        height: certificate.height,
        digest: hex::encode(certificate.digest),
        signers: certificate.signers.iter().map(hex::encode).collect(),
        header: STANDARD.encode(header),
        context: STANDARD.encode(context),
        certificate: STANDARD.encode(&certificate.bytes),
    }
}

/// What a proof is of.
enum Row {
    Account(AccountKey),
    Lane(LaneId),
}

pub async fn account(State(served): App, Path(key): Path<String>) -> Answer<api::Proof> {
    let key = AccountKey::from_hex(&key).ok_or_else(|| not_hex("key"))?;
    prove(&served, &Row::Account(key)).await.map(Json)
}

pub async fn lane(State(served): App, Path(id): Path<String>) -> Answer<api::Proof> {
    let id = LaneId::from_hex(&id).ok_or_else(|| not_hex("lane"))?;
    prove(&served, &Row::Lane(id)).await.map(Json)
}

/// A proof of a row in the state as it is, once a final header names that state.
///
/// The header comes with the next block or the one after it. If none names exactly this state,
/// because blocks come faster than finality, the row is proved again in the state that is then.
async fn prove(served: &Arc<Served>, row: &Row) -> Result<api::Proof, Problem> {
    let deadline = Instant::now() + PROOF_WAIT;
    loop {
        let (height, proof) = row_proof(served, row);
        let named = timeout_at(deadline, naming(served, height)).await;
        match named.map_err(|_| no_proof())? {
            Some(certificate) => return Ok(api::Proof { certificate, ..proof }),
            None => tokio::task::yield_now().await,
        }
    }
}

/// The row or its absence, with the proof; the certificate is to be filled in.
fn row_proof(served: &Served, row: &Row) -> (Height, api::Proof) {
    let (kind, name, key, text) = match row {
        Row::Account(key) => (Kind::Account, "account", key.0, key.to_string()),
        Row::Lane(id) => (Kind::Lane, "lane", id.0, id.to_string()),
    };
    let view = served.ledger.view();
    let proven = view.state.prove(kind, &key);
    let height = view.state.height();
    let proof = api::Proof {
        schema: "srwan.ledger.proof/1".to_owned(),
        kind: name.to_owned(),
        key: text,
        row: proven.row.map(|row| STANDARD.encode(row)),
        proof: STANDARD.encode(encode(&proven.proof)),
        state_height: height.0,
        state_root: view.state.root().to_string(),
        certificate: api::Certificate::default(),
    };
    (height, proof)
}

/// Waits for a certified header that names the state of `height`; `None` once headers name a later
/// one and none of them this one.
async fn naming(served: &Served, height: Height) -> Option<api::Certificate> {
    let mut heights = served.ledger.watch_heights();
    loop {
        let found: Vec<FinalHeader> = served.ledger.recent().naming(height).cloned().collect();
        for kept in &found {
            if kept.header.state_height == height
                && let Some(certificate) = own_certificate(served, kept).await
            {
                return Some(certificate_json(&certificate, &kept.bytes, &kept.context));
            }
        }
        if found.iter().any(|kept| kept.header.state_height > height) {
            return None;
        }
        heights.changed().await.ok()?;
    }
}

/// The certificate of exactly this header; its block may have been made final by a later one alone.
async fn own_certificate(
    served: &Served,
    kept: &FinalHeader,
) -> Option<srwan_engine::seam::Certificate> {
    let certificate = served.ledger.engine()?.certificate(kept.header.height.0).await?;
    (certificate.digest == kept.digest).then_some(certificate)
}

fn no_proof() -> Problem {
    Problem(
        ApiError::new(503, "SRW-L908", "no final header names the state in time")
            .why("the ledger makes no blocks, or too many at once")
            .fix("ask again"),
    )
}
