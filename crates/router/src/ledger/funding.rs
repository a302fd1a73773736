//! The escrow of the start: what the operator wrote down, locked once, as far as the account has it.

use srwan_api::http::ApiError;
use srwan_ledger::amount::Amount;
use srwan_ledger::tx::{Action, SignedTx};

use super::{Done, Ledger, Session, TICKET_OCTETS, will_pass};

/// Where the escrow of the start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Funding {
    /// Not handed in: nobody takes transactions yet.
    Wanted,
    /// Handed in.
    InFlight,
    /// Locked, as far as the account had it.
    Done,
}

impl Ledger {
    /// Locks what the escrow lacks for new lanes at the start; again and again until the ledger takes it.
    pub(super) async fn fund(&mut self, session: &Session) {
        if self.funding != Funding::Wanted {
            return;
        }
        self.funding = match self.fill_escrow(session).await {
            Ok(None) => Funding::Done,
            Ok(Some(tx)) => {
                self.await_funds(tx);
                Funding::InFlight
            }
            Err(error) if error.is_transient() || will_pass(Some(&error)) => {
                tracing::debug!(%error, "escrow waits");
                Funding::Wanted
            }
            Err(error) => {
                tracing::warn!(code = crate::fault::LEDGER_REFUSED, %error, "escrow");
                Funding::Done
            }
        };
    }

    /// Hands in what the escrow lacks, as far as the account has it; `None` if it lacks nothing.
    async fn fill_escrow(&self, session: &Session) -> Result<Option<SignedTx>, ApiError> {
        let account = self.client.account(self.secret.public()).await?;
        let amounts = [&account.escrow_free_coins, &account.balance_coins];
        let [free, balance] = amounts.map(|text| Amount::parse_coins(text).unwrap_or(Amount::ZERO));
        // What lanes of an earlier run still hold comes back to the escrow, but not yet.
        let missing = self.escrow.saturating_sub(free);
        let spare = balance.saturating_sub(session.fees.required(TICKET_OCTETS));
        let amount = missing.min(spare);
        if amount.is_zero() {
            return Ok(None);
        }
        let tx = self.submit(session, Action::EscrowAdd { amount }).await?;
        tracing::info!(coins = %amount, tx = %tx.body.hash(), "escrow");
        Ok(Some(tx))
    }

    /// Waits beside the task until the escrow is final.
    fn await_funds(&self, tx: SignedTx) {
        let (waiter, done) = (self.waiter(), self.done.0.clone());
        tokio::spawn(async move {
            let is_final = waiter.until_final(&tx).await.is_some();
            let _ended = done.send(Done::Funded { is_final }).await;
        });
    }
}
