//! Waiting for a transaction to be final, through validators that come and go.

use std::time::Duration;

use srwan_api::http::ApiError;
use srwan_api::ledger::{Effect, Tx, TxStatus};
use srwan_ledger::tx::SignedTx;
use srwan_node::LedgerFact;
use srwan_wire::id::{LaneId, LaneLabel};

use super::{NOT_FOUND, Pace, Validators, convert};

/// How often a wait is repeated until a transaction counts as lost: a ledger stopped for 10 minutes is looked at anew.
const FINAL_WAITS_MAX: u32 = 60;

/// Waits beside the ledger task.
pub struct Waiter {
    /// Who is asked.
    pub client: Validators,
    /// How often.
    pub pace: Pace,
}

impl Waiter {
    /// The transaction once it is final; `None` if the ledger did not say within [`FINAL_WAITS_MAX`] waits, or will
    /// never take it.
    ///
    /// A validator that does not know it has lost what waited, or never got it: the same bytes are handed in again,
    /// which can settle nothing twice, because a nonce is used once.
    pub async fn until_final(&self, tx: &SignedTx) -> Option<Tx> {
        let hash = tx.body.hash();
        for _ in 0..FINAL_WAITS_MAX {
            match self.client.tx(hash, self.pace.wait).await {
                Ok(tx) if tx.status != TxStatus::Pending => return Some(tx),
                Ok(_) => {}
                Err(error) if error.status == NOT_FOUND => self.again(tx).await?,
                Err(error) if error.is_transient() => self.pause().await,
                Err(_) => return None,
            }
        }
        None
    }

    /// Hands in the same bytes; `None` if the ledger will not have them any more.
    async fn again(&self, tx: &SignedTx) -> Option<()> {
        match self.client.submit(tx).await {
            Ok(_) => Some(()),
            Err(error) if error.is_transient() => {
                self.pause().await;
                Some(())
            }
            Err(error) => {
                tracing::debug!(tx = %tx.body.hash(), %error, "not taken again");
                None
            }
        }
    }

    async fn pause(&self) {
        tokio::time::sleep(self.pace.refresh.min(Duration::from_secs(2))).await;
    }

    /// The lane once it is final; an error is what the ledger has against it, as far as it says so.
    pub async fn opened(
        &self,
        tx: &SignedTx,
        label: LaneLabel,
    ) -> Result<LedgerFact, Option<ApiError>> {
        let tx = self.until_final(tx).await.ok_or(None)?;
        let Some(Effect::LaneOpened { lane, .. }) = tx.effect else { return Err(tx.problem) };
        let lane = LaneId::from_hex(&lane).ok_or(None)?;
        let fact = convert::lane_fact(&self.client.lane(lane).await?).ok_or(None)?;
        Ok(LedgerFact::Opened { label, lane, fact })
    }
}
