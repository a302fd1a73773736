//! The typed client of a validator's RPC.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{
    Account, Block, Certificate, Header, Lane, Lanes, Proof, Status, Submit, SubmitMany, Submitted,
    SubmittedMany, Supply, Tickets, Tx, Validators,
};
use crate::http::{ApiError, Call, HttpClient};
use srwan_ledger::hash::TxHash;
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::{AccountKey, Height, LaneId};

/// The longest that a validator waits for a transaction in one call: below usual proxy timeouts.
pub const TX_WAIT_MS_MAX: u64 = 30_000;

/// What a waiting call gets beyond the time that the validator waits.
const WAIT_MARGIN: Duration = Duration::from_secs(5);

/// What a question for a proof gets: the validator waits up to 30 s for the next header.
const PROOF_WAIT: Duration = Duration::from_secs(35);

/// Speaks to one validator.
#[derive(Clone, Debug)]
pub struct LedgerClient {
    http: HttpClient,
}

impl LedgerClient {
    /// A client over `http`.
    #[must_use]
    pub const fn new(http: HttpClient) -> Self {
        Self { http }
    }

    /// What the validator runs, and at which height it is.
    ///
    /// **Errors:** the call failed.
    pub async fn status(&self) -> Result<Status, ApiError> {
        self.http.get("/v1/status").await
    }

    /// Hands in a transaction; handing in the same one again does no harm.
    ///
    /// **Errors:** it was not taken, with the reason of the ledger.
    pub async fn submit(&self, tx: &SignedTx) -> Result<Submitted, ApiError> {
        let bytes = borsh_bytes(tx);
        self.http.post("/v1/tx", &Submit { tx: STANDARD.encode(bytes) }).await
    }

    /// Hands in several transactions, at most [`SUBMIT_MANY_MAX`](super::SUBMIT_MANY_MAX); each has an answer
    /// of its own.
    ///
    /// **Errors:** the call failed as a whole.
    pub async fn submit_many(&self, txs: &[SignedTx]) -> Result<SubmittedMany, ApiError> {
        let txs = txs.iter().map(|tx| STANDARD.encode(borsh_bytes(tx))).collect();
        self.http.post("/v1/txs", &SubmitMany { txs }).await
    }

    /// What became of a transaction; waits up to `wait` for it to be final.
    ///
    /// **Errors:** the call failed, or the validator knows no such transaction (404).
    pub async fn tx(&self, hash: TxHash, wait: Duration) -> Result<Tx, ApiError> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(TX_WAIT_MS_MAX);
        let path = format!("/v1/tx/{hash}?wait_ms={wait_ms}");
        let timeout = Duration::from_millis(wait_ms) + WAIT_MARGIN;
        self.http.call(Call::get(path).timeout(timeout)).await?.json()
    }

    /// One account.
    ///
    /// **Errors:** the call failed.
    pub async fn account(&self, key: &AccountKey) -> Result<Account, ApiError> {
        self.http.get(&format!("/v1/account/{key}")).await
    }

    /// One lane.
    ///
    /// **Errors:** the call failed, or there is no such final lane (404).
    pub async fn lane(&self, id: &LaneId) -> Result<Lane, ApiError> {
        self.http.get(&format!("/v1/lane/{id}")).await
    }

    /// Lanes that `payer` pays.
    ///
    /// **Errors:** the call failed.
    pub async fn lanes_paid_by(&self, payer: &AccountKey) -> Result<Lanes, ApiError> {
        self.http.get(&format!("/v1/lanes?payer={payer}")).await
    }

    /// Lanes that pay `payee`.
    ///
    /// **Errors:** the call failed.
    pub async fn lanes_paying(&self, payee: &AccountKey) -> Result<Lanes, ApiError> {
        self.http.get(&format!("/v1/lanes?payee={payee}")).await
    }

    /// Settlements in which `account` paid or got something, newest first.
    ///
    /// **Errors:** the call failed.
    pub async fn tickets_of(&self, account: &AccountKey) -> Result<Tickets, ApiError> {
        self.http.get(&format!("/v1/tickets?account={account}")).await
    }

    /// One block.
    ///
    /// **Errors:** the call failed, or there is no such block (404).
    pub async fn block(&self, height: Height) -> Result<Block, ApiError> {
        self.http.get(&format!("/v1/block/{height}")).await
    }

    /// One header.
    ///
    /// **Errors:** the call failed, or there is no such block (404).
    pub async fn header(&self, height: Height) -> Result<Header, ApiError> {
        self.http.get(&format!("/v1/header/{height}")).await
    }

    /// The proof that the block of `height` is final.
    ///
    /// **Errors:** the call failed, or there is no such block (404).
    pub async fn certificate(&self, height: Height) -> Result<Certificate, ApiError> {
        self.http.get(&format!("/v1/certificate/{height}")).await
    }

    /// An account with the proof of it; waits for a header that names the state it is in.
    ///
    /// **Errors:** the call failed, or no such header came in time (503).
    pub async fn prove_account(&self, key: &AccountKey) -> Result<Proof, ApiError> {
        self.proof(format!("/v1/proof/account/{key}")).await
    }

    /// A lane with the proof of it; waits for a header that names the state it is in.
    ///
    /// **Errors:** the call failed, or no such header came in time (503).
    pub async fn prove_lane(&self, id: &LaneId) -> Result<Proof, ApiError> {
        self.proof(format!("/v1/proof/lane/{id}")).await
    }

    async fn proof(&self, path: String) -> Result<Proof, ApiError> {
        self.http.call(Call::get(path).timeout(PROOF_WAIT)).await?.json()
    }

    /// Who finalizes, and who could.
    ///
    /// **Errors:** the call failed.
    pub async fn validators(&self) -> Result<Validators, ApiError> {
        self.http.get("/v1/validators").await
    }

    /// Where all coins are.
    ///
    /// **Errors:** the call failed.
    pub async fn supply(&self) -> Result<Supply, ApiError> {
        self.http.get("/v1/supply").await
    }
}

fn borsh_bytes(tx: &SignedTx) -> Vec<u8> {
    borsh::to_vec(tx).expect("writing to a Vec does not fail")
}
