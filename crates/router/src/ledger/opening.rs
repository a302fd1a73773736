//! Opening lanes: handed in at once, or kept for a moment while the ledger or the escrow is not there yet.

use srwan_api::http::ApiError;
use srwan_api::ledger::Status;
use srwan_ledger::amount::Amount;
use srwan_ledger::tx::{Action, SignedTx};
use srwan_node::LedgerFact;
use srwan_node::pay::LaneRequest;
use srwan_wire::id::{Height, LaneLabel};
use tokio::time::Instant;

use super::convert::{self, OpenLimits};
use super::funding::Funding;
use super::wallet::WalletView;
use super::{Done, Ledger, Session, TICKET_OCTETS};

/// Lives of a lane, in blocks, less than the most allowed, so that a block between asking and opening does no harm.
const EXPIRY_MARGIN_BLOCKS: u64 = 10;

/// Tickets whose fees a lane sets aside.
const TICKETS_RESERVED: u64 = 16;

/// Lanes that may wait to be opened: twice the endpoints that a node watches.
const OPENING_MAX: usize = 32;

impl Ledger {
    /// Hands in the opening of a lane, or keeps it for later while the ledger is only away for a moment.
    pub(super) async fn open_lane(
        &mut self,
        session: &Option<Session>,
        request: LaneRequest,
        until: Instant,
    ) {
        let label = request.label;
        match self.try_open(session, &request).await {
            Ok(Some(tx)) => self.await_open(label, tx),
            Ok(None) if self.may_wait(until) => self.opening.push((until, request)),
            Err(error) if error.is_transient() && self.may_wait(until) => {
                self.opening.push((until, request));
            }
            Ok(None) => self.tell(LedgerFact::OpenFailed { label }).await,
            Err(error) => self.open_failed(label, &error).await,
        }
    }

    /// `None` if there is no ledger yet, or the escrow is still on its way.
    async fn try_open(
        &self,
        session: &Option<Session>,
        request: &LaneRequest,
    ) -> Result<Option<SignedTx>, ApiError> {
        let Some(session) = session.as_ref().filter(|_| self.funding == Funding::Done) else {
            return Ok(None);
        };
        let limits = open_limits(&self.client.status().await?, &session.fees);
        let action = Action::LaneOpen(convert::lane_open(request, limits));
        self.submit(session, action).await.map(Some)
    }

    fn may_wait(&self, until: Instant) -> bool {
        Instant::now() < until && self.opening.len() < OPENING_MAX
    }

    /// Tries again what could not be opened yet.
    pub(super) async fn open_postponed(&mut self, session: &Option<Session>) {
        for (until, request) in std::mem::take(&mut self.opening) {
            self.open_lane(session, request, until).await;
        }
    }

    async fn open_failed(&mut self, label: LaneLabel, error: &ApiError) {
        tracing::warn!(code = crate::fault::LEDGER_REFUSED, label = label.0, %error, "no lane");
        self.view.send_modify(|view| view.lane_refused(error));
        self.tell(LedgerFact::OpenFailed { label }).await;
    }

    /// Waits beside the task until the lane is final.
    fn await_open(&self, label: LaneLabel, tx: SignedTx) {
        let (waiter, done) = (self.waiter(), self.done.0.clone());
        tokio::spawn(async move {
            let result = waiter.opened(&tx, label).await;
            // The receiver is gone only when the router ends.
            let _ended = done.send(Done::Opened { label, result }).await;
        });
    }

    pub(super) async fn finish_open(
        &mut self,
        label: LaneLabel,
        result: Result<LedgerFact, Option<ApiError>>,
    ) {
        match result {
            Ok(fact) => {
                self.view.send_modify(WalletView::lane_opened);
                self.tell(fact).await;
            }
            Err(Some(problem)) => self.open_failed(label, &problem).await,
            Err(None) => self.tell(LedgerFact::OpenFailed { label }).await,
        }
    }
}

pub(super) fn is_over(until: &Instant) -> bool {
    *until <= Instant::now()
}

fn open_limits(status: &Status, fees: &srwan_ledger::fee::FeeSchedule) -> OpenLimits {
    let life = status.params.lane_blocks_max.saturating_sub(EXPIRY_MARGIN_BLOCKS).max(1);
    let reserve = fees.required(TICKET_OCTETS).base().saturating_mul(TICKETS_RESERVED);
    OpenLimits {
        expiry: Height(status.height.saturating_add(life)),
        fee_reserve: Amount::from_base(reserve),
    }
}
