//! The router's business with the ledger: escrow at the start, lanes, look-ups and tickets, through outages.
//!
//! One task signs, because nonces are in order; what became of a transaction is awaited beside it, so that a slow block
//! delays nothing else. A ledger that does not answer costs nothing but time: a lane that cannot be opened is reported
//! as such (the traffic keeps the default path), tickets wait here and in the journal until they are final.
//! This room decides no prices and no amounts but the escrow that the operator wrote down.

mod convert;
mod wallet;

use std::collections::BTreeMap;
use std::time::Duration;

use srwan_api::http::ApiError;
use srwan_api::ledger::{Effect, LanePhase, LedgerClient, Status, Tx, TxStatus};
use srwan_ledger::amount::Amount;
use srwan_ledger::hash::TxHash;
use srwan_ledger::tx::{Action, Author};
use srwan_node::LedgerFact;
use srwan_node::pay::{Evidence, LaneRequest};
use srwan_wire::id::{ChainId, Height, LaneId, LaneLabel, Octets};
use srwan_wire::sign::AccountSecret;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use convert::OpenLimits;
pub use wallet::{TicketPhase, TicketState, WalletView};

/// What the node asks of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Open a lane.
    Open(LaneRequest),
    /// Close a lane.
    Close(LaneId),
    /// Look a lane up.
    LookUp(LaneId),
    /// Submit evidence as a ticket.
    Settle(Box<Evidence>),
}

/// Jobs that may wait: every lane that a router can serve or pay, twice.
pub const JOBS_MAX: usize = 4_096;

/// How often the ledger is asked how the account stands, and waiting jobs are tried again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// How long a ticket that is too small to settle waits until its lane is looked at again.
const HOLD_INTERVAL: Duration = Duration::from_secs(10);

/// How long one wait for a transaction's block may last; it is repeated.
const FINAL_WAIT: Duration = Duration::from_secs(10);

/// How often a wait is repeated until a transaction counts as lost: a ledger stopped for 10 minutes is looked at anew.
const FINAL_WAITS_MAX: u32 = 60;

/// Lives of a lane, in blocks, less than the most allowed, so that a block between asking and opening does no harm.
const EXPIRY_MARGIN_BLOCKS: u64 = 10;

/// Tickets whose fees a lane sets aside.
const TICKETS_RESERVED: u64 = 16;

/// Octets of a ticket with all statements. Source: `srwan_ledger::tx::TX_OCTETS_MAX` says "about 4 kB".
const TICKET_OCTETS: u64 = 4_096;

/// HTTP status of a lane that the ledger does not know.
const NOT_FOUND: u16 = 404;

/// A transaction that uses a nonce that another one has just used.
const CODE_WRONG_NONCE: &str = "SRW-L104";

/// Times that a transaction is signed anew for its nonce: other programs may use the account too, but not that fast.
const NONCE_TRIES: u32 = 3;

/// Where facts go; the receiving end hands them to the node.
pub type Facts = mpsc::Sender<LedgerFact>;

/// The ledger task.
pub struct Ledger {
    client: LedgerClient,
    secret: AccountSecret,
    escrow: Amount,
    facts: Facts,
    view: watch::Sender<WalletView>,
    /// What waits for the ledger to come back, by lane: closing and settling are repeated until they are done.
    waiting: BTreeMap<LaneId, Waiting>,
    done: (mpsc::Sender<Done>, mpsc::Receiver<Done>),
}

/// What is still to be done about a lane.
#[derive(Default)]
struct Waiting {
    ticket: Option<Evidence>,
    close: bool,
    in_flight: bool,
    /// Not to be tried before: the ledger would refuse it and keep the fee.
    not_before: Option<Instant>,
}

/// What is to be done with a ticket, as its lane stands on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// It would settle.
    Submit,
    /// Too little yet, and the lane is open: later.
    Hold,
    /// So much is settled already.
    Settled(Octets),
    /// The lane was refunded, or never was.
    Gone,
}

/// What became of something that was awaited beside the task.
enum Done {
    Ticket { lane: LaneId, hash: TxHash, tx: Option<Box<Tx>> },
    Closed { lane: LaneId, is_final: bool },
    Opened { label: LaneLabel, result: Result<LedgerFact, Option<ApiError>> },
}

/// What is needed to sign: who, for which chain, at which prices.
struct Session {
    author: Author,
    status: Status,
    fees: srwan_ledger::fee::FeeSchedule,
}

impl Ledger {
    /// A task for the account of `secret`, which locks `escrow` at the start as far as the account has it.
    pub fn new(
        client: LedgerClient,
        secret: AccountSecret,
        escrow: Amount,
        facts: Facts,
    ) -> (Self, watch::Receiver<WalletView>) {
        let (view, seen) = watch::channel(WalletView::new(secret.public()));
        let (waiting, done) = (BTreeMap::new(), mpsc::channel(JOBS_MAX));
        (Self { client, secret, escrow, facts, view, waiting, done }, seen)
    }

    /// Works until `jobs` is closed.
    pub async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut session = None;
        let mut refresh = tokio::time::interval(REFRESH_INTERVAL);
        loop {
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => self.take(&mut session, job).await,
                    None => return,
                },
                Some(done) = self.done.1.recv() => self.finish(done).await,
                _ = refresh.tick() => self.refresh(&mut session).await,
            }
        }
    }

    async fn take(&mut self, session: &mut Option<Session>, job: Job) {
        match job {
            Job::Open(request) => self.open_lane(session, request).await,
            Job::Close(lane) => self.waiting.entry(lane).or_default().close = true,
            Job::Settle(evidence) => {
                let lane = evidence.lane;
                self.waiting.entry(lane).or_default().ticket = Some(*evidence);
            }
            Job::LookUp(lane) => self.look_up(lane),
        }
        if let Some(session) = session {
            self.work_off(session).await;
        }
    }

    /// Connects if need be, looks at the account, and tries again what waits.
    async fn refresh(&mut self, session: &mut Option<Session>) {
        if session.is_none() {
            *session = self.connect().await;
        }
        let Some(session) = session else { return };
        if let Ok(status) = self.client.status().await {
            session.status = status;
        }
        let account = self.client.account(&self.secret.public()).await;
        let tickets = self.client.tickets_of(&self.secret.public()).await;
        let height = session.status.height;
        self.view.send_modify(|view| view.update(account, tickets, height));
        self.work_off(session).await;
    }

    async fn connect(&mut self) -> Option<Session> {
        let status = match self.client.status().await {
            Ok(status) => status,
            Err(error) => {
                self.view.send_modify(|view| view.is_down(&error));
                return None;
            }
        };
        let chain = ChainId::from_hex(&status.chain_id)?;
        let fees = status.params.fee_schedule().ok()?;
        let author = Author::new(chain, fees, self.secret.clone());
        let session = Session { author, status, fees };
        self.tell(LedgerFact::Chain(chain)).await;
        self.close_forgotten().await;
        if let Err(error) = self.fill_escrow(&session).await {
            tracing::warn!(code = crate::fault::LEDGER_REFUSED, %error, "escrow");
        }
        tracing::info!(chain = session.status.chain, %chain, "ledger");
        Some(session)
    }

    /// Closes lanes that an earlier run of this router opened: their coins come back, and payees settle what they hold.
    async fn close_forgotten(&mut self) {
        let Ok(lanes) = self.client.lanes_paid_by(&self.secret.public()).await else { return };
        let open = lanes.lanes.iter().filter(|lane| lane.phase == LanePhase::Open);
        for lane in open.filter_map(|lane| LaneId::from_hex(&lane.lane)) {
            tracing::info!(%lane, "closing a lane of an earlier run");
            self.waiting.entry(lane).or_default().close = true;
        }
    }

    /// Locks what the escrow lacks for new lanes, as far as the account has it.
    async fn fill_escrow(&self, session: &Session) -> Result<(), ApiError> {
        let account = self.client.account(&self.secret.public()).await?;
        let amounts = [&account.escrow_free_coins, &account.balance_coins];
        let [free, balance] = amounts.map(|text| Amount::parse_coins(text).unwrap_or(Amount::ZERO));
        // What lanes of an earlier run still hold comes back to the escrow, but not yet.
        let missing = self.escrow.saturating_sub(free);
        let spare = balance.saturating_sub(session.fees.required(TICKET_OCTETS));
        let amount = missing.min(spare);
        if amount.is_zero() {
            return Ok(());
        }
        let hash = self.submit(session, Action::EscrowAdd { amount }).await?;
        tracing::info!(coins = %amount, tx = %hash, "escrow");
        Ok(())
    }

    async fn open_lane(&mut self, session: &mut Option<Session>, request: LaneRequest) {
        let label = request.label;
        let Some(ready) = session else {
            return self.tell(LedgerFact::OpenFailed { label }).await;
        };
        let limits = match self.client.status().await {
            Ok(status) => open_limits(&status, &ready.fees),
            Err(error) => return self.open_failed(label, &error).await,
        };
        let action = Action::LaneOpen(convert::lane_open(&request, limits));
        match self.submit(ready, action).await {
            Ok(hash) => self.await_open(label, hash),
            Err(error) => self.open_failed(label, &error).await,
        }
    }

    async fn open_failed(&mut self, label: LaneLabel, error: &ApiError) {
        tracing::warn!(code = crate::fault::LEDGER_REFUSED, label = label.0, %error, "no lane");
        self.view.send_modify(|view| view.lane_refused(error));
        self.tell(LedgerFact::OpenFailed { label }).await;
    }

    /// Waits beside the task until the lane is final.
    fn await_open(&self, label: LaneLabel, hash: TxHash) {
        let (client, done) = (self.client.clone(), self.done.0.clone());
        tokio::spawn(async move {
            let result = opened(&client, hash, label).await;
            // The receiver is gone only when the router ends.
            let _ended = done.send(Done::Opened { label, result }).await;
        });
    }

    async fn finish_open(
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

    fn look_up(&self, lane: LaneId) {
        let (client, facts) = (self.client.clone(), self.facts.clone());
        tokio::spawn(async move {
            let fact = client.lane(&lane).await.ok().as_ref().and_then(convert::lane_fact);
            let _ended = facts.send(LedgerFact::Lane { lane, fact }).await;
        });
    }

    /// Submits every ticket and closing that waits, is due, and is not on its way already.
    async fn work_off(&mut self, session: &Session) {
        let now = Instant::now();
        let due = |waiting: &Waiting| {
            !waiting.in_flight && waiting.not_before.is_none_or(|not_before| not_before <= now)
        };
        let lanes = self.waiting.iter().filter(|(_, waiting)| due(waiting));
        let lanes: Vec<LaneId> = lanes.map(|(lane, _)| *lane).collect();
        for lane in lanes {
            if let Err(error) = self.work_off_one(session, lane).await {
                tracing::debug!(%lane, %error, "the ledger does not answer");
                return;
            }
        }
    }

    /// An error means that the ledger does not answer, so that trying the next one is pointless.
    async fn work_off_one(&mut self, session: &Session, lane: LaneId) -> Result<(), ApiError> {
        let Some(waiting) = self.waiting.get(&lane) else { return Ok(()) };
        let (close, ticket) = (waiting.close, waiting.ticket.as_ref().and_then(convert::ticket));
        let Some(ticket) = ticket else {
            if close {
                return self.hand_in(session, lane, Action::LaneClose { lane }).await;
            }
            self.waiting.remove(&lane);
            return Ok(());
        };
        let claimed = Octets(ticket.receipt.body.octets.0.min(ticket.delivery.body.octets.0));
        match self.due(session, lane, claimed).await? {
            Due::Submit => return self.hand_in(session, lane, Action::Ticket(ticket)).await,
            Due::Hold if close => {
                return self.hand_in(session, lane, Action::LaneClose { lane }).await;
            }
            Due::Hold => {
                let waiting = self.waiting.entry(lane).or_default();
                waiting.not_before = Some(Instant::now() + HOLD_INTERVAL);
            }
            Due::Settled(octets) => {
                self.waiting.entry(lane).or_default().ticket = None;
                self.tell(LedgerFact::Settled { lane, octets }).await;
            }
            Due::Gone => {
                self.waiting.remove(&lane);
                self.tell(LedgerFact::Lane { lane, fact: None }).await;
            }
        }
        Ok(())
    }

    /// Looks at the lane first: a ticket that settles nothing costs a fee, and all payees may hold the same evidence.
    async fn due(&self, session: &Session, lane: LaneId, claimed: Octets) -> Result<Due, ApiError> {
        let shown = match self.client.lane(&lane).await {
            Ok(shown) => shown,
            Err(error) if error.status == NOT_FOUND => return Ok(Due::Gone),
            Err(error) => return Err(error),
        };
        let claimed = claimed.0.min(shown.cap_bytes);
        let unsettled = claimed.saturating_sub(shown.settled_bytes);
        let is_last = claimed == shown.cap_bytes || shown.phase == LanePhase::Closing;
        Ok(match (unsettled, shown.phase) {
            (0, _) => Due::Settled(Octets(shown.settled_bytes)),
            (_, LanePhase::Closed) => Due::Gone,
            _ if is_last || unsettled >= session.status.params.min_settle_bytes => Due::Submit,
            _ => Due::Hold,
        })
    }

    async fn hand_in(
        &mut self,
        session: &Session,
        lane: LaneId,
        action: Action,
    ) -> Result<(), ApiError> {
        let is_ticket = matches!(action, Action::Ticket(_));
        match self.submit(session, action).await {
            Ok(hash) => self.await_done(lane, hash, is_ticket),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => self.refused(lane, is_ticket, &error),
        }
        Ok(())
    }

    fn await_done(&mut self, lane: LaneId, hash: TxHash, is_ticket: bool) {
        let waiting = self.waiting.entry(lane).or_default();
        waiting.in_flight = true;
        if let Some(evidence) = waiting.ticket.as_ref().filter(|_| is_ticket) {
            self.view.send_modify(|view| view.submitted(hash, evidence));
        }
        let (client, done) = (self.client.clone(), self.done.0.clone());
        tokio::spawn(async move {
            let tx = wait_final(&client, hash).await;
            let is_final = tx.is_some();
            let news = if is_ticket {
                Done::Ticket { lane, hash, tx: tx.map(Box::new) }
            } else {
                Done::Closed { lane, is_final }
            };
            let _ended = done.send(news).await;
        });
    }

    async fn finish(&mut self, done: Done) {
        match done {
            Done::Ticket { lane, hash, tx } => self.finish_ticket(lane, hash, tx).await,
            Done::Opened { label, result } => self.finish_open(label, result).await,
            Done::Closed { lane, is_final } => {
                let waiting = self.waiting.entry(lane).or_default();
                waiting.in_flight = false;
                waiting.close &= !is_final;
            }
        }
    }

    async fn finish_ticket(&mut self, lane: LaneId, hash: TxHash, tx: Option<Box<Tx>>) {
        let Some(waiting) = self.waiting.get_mut(&lane) else { return };
        waiting.in_flight = false;
        let Some(tx) = tx else { return };
        let settled = settled_octets(&tx);
        let submitted = waiting.ticket.as_ref().map_or(Octets(0), Evidence::octets);
        if settled.is_none() || settled >= Some(submitted) {
            waiting.ticket = None;
        }
        self.view.send_modify(|view| view.finished(hash, &tx));
        match settled {
            Some(octets) => self.tell(LedgerFact::Settled { lane, octets }).await,
            // Somebody else's ticket may have been first: what the lane says counts.
            None => self.look_up(lane),
        }
    }

    /// The ledger will not have it: that is final, and the lane as it stands is looked up for the node.
    fn refused(&mut self, lane: LaneId, is_ticket: bool, error: &ApiError) {
        tracing::debug!(%lane, is_ticket, %error, "refused");
        if let Some(waiting) = self.waiting.get_mut(&lane) {
            waiting.ticket.take_if(|_| is_ticket);
            waiting.close &= is_ticket;
        }
        self.look_up(lane);
    }

    /// Signs with the next nonce and hands in.
    async fn submit(&self, session: &Session, action: Action) -> Result<TxHash, ApiError> {
        let mut result = Err(ApiError::new(0, CODE_WRONG_NONCE, "the nonce was used"));
        for _ in 0..NONCE_TRIES {
            let nonce = self.client.account(&self.secret.public()).await?.next_nonce;
            let tx = session.author.sign(nonce, action.clone());
            result = self.client.submit(&tx).await.map(|_| tx.body.hash());
            if !result.as_ref().is_err_and(|error| error.code == CODE_WRONG_NONCE) {
                return result;
            }
        }
        result
    }

    async fn tell(&self, fact: LedgerFact) {
        // The receiver is gone only when the router ends.
        let _ended = self.facts.send(fact).await;
    }
}

fn open_limits(status: &Status, fees: &srwan_ledger::fee::FeeSchedule) -> OpenLimits {
    let life = status.params.lane_blocks_max.saturating_sub(EXPIRY_MARGIN_BLOCKS).max(1);
    let reserve = fees.required(TICKET_OCTETS).base().saturating_mul(TICKETS_RESERVED);
    OpenLimits {
        expiry: Height(status.height.saturating_add(life)),
        fee_reserve: Amount::from_base(reserve),
    }
}

/// The transaction once it is final; `None` if the ledger did not say within [`FINAL_WAITS_MAX`] waits.
async fn wait_final(client: &LedgerClient, hash: TxHash) -> Option<Tx> {
    for _ in 0..FINAL_WAITS_MAX {
        match client.tx(hash, FINAL_WAIT).await {
            Ok(tx) if tx.status != TxStatus::Pending => return Some(tx),
            Ok(_) => {}
            Err(error) if error.is_transient() => tokio::time::sleep(REFRESH_INTERVAL).await,
            Err(_) => return None,
        }
    }
    None
}

/// The lane once it is final; an error is what the ledger has against it, as far as it says so.
async fn opened(
    client: &LedgerClient,
    hash: TxHash,
    label: LaneLabel,
) -> Result<LedgerFact, Option<ApiError>> {
    let tx = wait_final(client, hash).await.ok_or(None)?;
    let Some(Effect::LaneOpened { lane, .. }) = tx.effect else { return Err(tx.problem) };
    let lane = LaneId::from_hex(&lane).ok_or(None)?;
    let fact = convert::lane_fact(&client.lane(&lane).await?).ok_or(None)?;
    Ok(LedgerFact::Opened { label, lane, fact })
}

fn settled_octets(tx: &Tx) -> Option<Octets> {
    match &tx.effect {
        Some(Effect::Settled { settlement }) => Some(Octets(settlement.settled_bytes)),
        _ => None,
    }
}
