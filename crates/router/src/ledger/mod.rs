//! The router's business with the ledger: escrow at the start, lanes, look-ups and tickets, through outages.
//!
//! One task signs, because nonces are in order; what became of a transaction is awaited beside it, so that a slow block
//! delays nothing else. A ledger that does not answer costs nothing but time: a lane that cannot be opened is reported
//! as such (the traffic keeps the default path), tickets wait here and in the journal until they are final.
//! This room decides no prices and no amounts but the escrow that the operator wrote down.

mod convert;
mod funding;
mod opening;
mod validators;
mod waiter;
mod wallet;

use std::collections::BTreeMap;
use std::time::Duration;

use srwan_api::http::ApiError;
use srwan_api::ledger::{Effect, LanePhase, Status, Tx};
use srwan_ledger::amount::Amount;
use srwan_ledger::hash::TxHash;
use srwan_ledger::tx::{Action, Author, SignedTx};
use srwan_node::LedgerFact;
use srwan_node::pay::{Evidence, LaneRequest};
use srwan_wire::id::{ChainId, LaneId, LaneLabel, Octets};
use srwan_wire::sign::AccountSecret;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use funding::Funding;
use opening::is_over;
pub use validators::{VALIDATORS_MAX, Validators};
use waiter::Waiter;
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

/// Lanes about which something may wait for the ledger: what the journal holds.
const WAITING_MAX: usize = crate::journal::LANES_MAX;

/// How often things are tried.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks at the account, and two tries of what waits.
    pub refresh: Duration,
    /// Until a lane whose ticket would not settle is looked at again.
    pub hold: Duration,
    /// One wait for a transaction's block; it is repeated.
    pub wait: Duration,
    /// How long a lane waits to be opened for a ledger that takes no transactions, or for the escrow. Less than the
    /// 30 s within which the node wants a lane; a failure costs 30 s more.
    pub patience: Duration,
}

impl Pace {
    /// Of a router: an outage is noticed within seconds, and costs a call every two.
    pub const DEFAULT: Self = Self {
        refresh: Duration::from_secs(2),
        hold: Duration::from_secs(10),
        wait: Duration::from_secs(10),
        patience: Duration::from_secs(10),
    };
}

/// Octets of a ticket with all statements. Source: `srwan_ledger::tx::TX_OCTETS_MAX` says "about 4 kB".
const TICKET_OCTETS: u64 = 4_096;

/// HTTP status of a lane that the ledger does not know.
const NOT_FOUND: u16 = 404;

/// A transaction that uses a nonce that another one has just used, or waits with.
const CODES_NONCE: [&str; 2] = ["SRW-L104", "SRW-L702"];

/// Reasons that pass: the nonces are in disorder, the fees have changed, or the account lacks coins for a fee.
const CODES_PASSING: [&str; 6] =
    ["SRW-L104", "SRW-L106", "SRW-L107", "SRW-L108", "SRW-L701", "SRW-L702"];

/// Times that a transaction is signed anew for its nonce: other programs may use the account too, but not that fast.
const NONCE_TRIES: u32 = 3;

/// Where facts go; the receiving end hands them to the node.
pub type Facts = mpsc::Sender<LedgerFact>;

/// The ledger task.
pub struct Ledger {
    client: Validators,
    secret: AccountSecret,
    escrow: Amount,
    facts: Facts,
    view: watch::Sender<WalletView>,
    pace: Pace,
    /// What waits for the ledger to come back, by lane: closing and settling are repeated until they are done.
    waiting: BTreeMap<LaneId, Waiting>,
    funding: Funding,
    /// Lanes to open once the ledger takes transactions and the escrow is there, each with its end of patience.
    opening: Vec<(Instant, LaneRequest)>,
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
    Funded { is_final: bool },
    Ticket { lane: LaneId, hash: TxHash, tx: Option<Box<Tx>> },
    Closed { lane: LaneId, is_final: bool },
    Opened { label: LaneLabel, result: Result<LedgerFact, Option<ApiError>> },
}

/// What is needed to sign: who, for which chain, at which prices.
struct Session {
    chain: ChainId,
    author: Author,
    status: Status,
    fees: srwan_ledger::fee::FeeSchedule,
}

impl Session {
    fn new(status: Status, secret: &AccountSecret) -> Option<Self> {
        let chain = ChainId::from_hex(&status.chain_id)?;
        let fees = status.params.fee_schedule().ok()?;
        let author = Author::new(chain, fees, secret.clone());
        Some(Self { chain, author, status, fees })
    }

    /// Takes in what the ledger says of itself: prices can change by vote.
    fn update(&mut self, status: Status, secret: &AccountSecret) {
        if let Some(fresh) = Self::new(status, secret).filter(|fresh| fresh.chain == self.chain) {
            *self = fresh;
        }
    }
}

impl Ledger {
    /// A task for the account of `secret`, which locks `escrow` at the start as far as the account has it.
    pub fn new(
        client: Validators,
        secret: AccountSecret,
        escrow: Amount,
        facts: Facts,
    ) -> (Self, watch::Receiver<WalletView>) {
        let (view, seen) = watch::channel(WalletView::new(secret.public()));
        let (waiting, done) = (BTreeMap::new(), mpsc::channel(JOBS_MAX));
        let (pace, funding, opening) = (Pace::DEFAULT, Funding::Wanted, Vec::new());
        (Self { client, secret, escrow, facts, view, pace, waiting, funding, opening, done }, seen)
    }

    /// The same at another pace.
    #[must_use]
    pub fn at(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Works until `jobs` is closed.
    pub async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut session = None;
        let mut refresh = tokio::time::interval(self.pace.refresh);
        loop {
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => self.take(&mut session, job).await,
                    None => return,
                },
                Some(done) = self.done.1.recv() => self.finish(done).await,
                _ = refresh.tick() => self.refresh(&mut session).await,
            }
            if self.funding == Funding::Done || self.opening.iter().any(|(until, _)| is_over(until))
            {
                self.open_postponed(&session).await;
            }
        }
    }

    async fn take(&mut self, session: &mut Option<Session>, job: Job) {
        match job {
            Job::Open(request) => {
                self.open_lane(session, request, Instant::now() + self.pace.patience).await;
            }
            Job::Close(lane) => self.remember(lane, |waiting| waiting.close = true),
            Job::Settle(evidence) => {
                self.remember(evidence.lane, |waiting| waiting.ticket = Some(*evidence));
            }
            Job::LookUp(lane) => self.look_up(lane),
        }
        if let Some(session) = session {
            self.work_off(session).await;
        }
    }

    /// Notes what is to be done; beyond the bound it is left to the journal, which the next start reads.
    fn remember(&mut self, lane: LaneId, note: impl FnOnce(&mut Waiting)) {
        if self.waiting.len() < WAITING_MAX || self.waiting.contains_key(&lane) {
            note(self.waiting.entry(lane).or_default());
        } else {
            tracing::error!(code = crate::fault::JOURNAL_FULL, %lane, "too many lanes wait");
        }
    }

    /// Connects if need be, looks at the account, and tries again what waits.
    async fn refresh(&mut self, session: &mut Option<Session>) {
        if session.is_none() {
            *session = self.connect().await;
        }
        let Some(session) = session else { return };
        if let Some(left) = self.client.take_left() {
            tracing::warn!(code = crate::fault::LEDGER_UNREACHABLE, why = left, "other validator");
        }
        if let Ok(status) = self.client.status().await {
            session.update(status, &self.secret);
        }
        let account = self.client.account(self.secret.public()).await;
        let tickets = self.client.tickets_of(self.secret.public()).await;
        let height = session.status.height;
        self.view.send_modify(|view| view.update(account, tickets, height));
        self.fund(session).await;
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
        let session = Session::new(status, &self.secret)?;
        let chain = session.chain;
        self.tell(LedgerFact::Chain(chain)).await;
        self.close_forgotten().await;
        tracing::info!(chain = session.status.chain, %chain, "ledger");
        Some(session)
    }

    /// Closes lanes that an earlier run of this router opened: their coins come back, and payees settle what they hold.
    async fn close_forgotten(&mut self) {
        let Ok(lanes) = self.client.lanes_paid_by(self.secret.public()).await else { return };
        let open = lanes.lanes.iter().filter(|lane| lane.phase == LanePhase::Open);
        for lane in open.filter_map(|lane| LaneId::from_hex(&lane.lane)) {
            tracing::info!(%lane, "closing a lane of an earlier run");
            self.waiting.entry(lane).or_default().close = true;
        }
    }

    fn look_up(&self, lane: LaneId) {
        let (client, facts) = (self.client.clone(), self.facts.clone());
        tokio::spawn(async move {
            let fact = client.lane(lane).await.ok().as_ref().and_then(convert::lane_fact);
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
            Due::Hold => self.hold(lane),
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
        let shown = match self.client.lane(lane).await {
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
            Ok(tx) => self.await_done(lane, tx, is_ticket),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => self.refused(lane, is_ticket, &error),
        }
        Ok(())
    }

    fn await_done(&mut self, lane: LaneId, tx: SignedTx, is_ticket: bool) {
        let hash = tx.body.hash();
        let waiting = self.waiting.entry(lane).or_default();
        waiting.in_flight = true;
        if let Some(evidence) = waiting.ticket.as_ref().filter(|_| is_ticket) {
            self.view.send_modify(|view| view.submitted(hash, evidence));
        }
        let (waiter, done) = (self.waiter(), self.done.0.clone());
        tokio::spawn(async move {
            let tx = waiter.until_final(&tx).await;
            let is_final = tx.as_ref().is_some_and(|tx| !will_pass(tx.problem.as_ref()));
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
            Done::Funded { is_final: true } => self.funding = Funding::Done,
            // It waits nowhere any more: what is missing is looked at anew.
            Done::Funded { is_final: false } => self.funding = Funding::Wanted,
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
        self.view.send_modify(|view| view.finished(hash, &tx));
        if will_pass(tx.problem.as_ref()) {
            return self.hold(lane);
        }
        let settled = settled_octets(&tx);
        let submitted = waiting.ticket.as_ref().map_or(Octets(0), Evidence::octets);
        if settled.is_none() || settled >= Some(submitted) {
            waiting.ticket = None;
        }
        match settled {
            Some(octets) => self.tell(LedgerFact::Settled { lane, octets }).await,
            // Somebody else's ticket may have been first: what the lane says counts.
            None => self.look_up(lane),
        }
    }

    /// The ledger will not have it: that is final, and the lane as it stands is looked up for the node.
    fn refused(&mut self, lane: LaneId, is_ticket: bool, error: &ApiError) {
        tracing::debug!(%lane, is_ticket, %error, "refused");
        if will_pass(Some(error)) {
            return self.hold(lane);
        }
        if let Some(waiting) = self.waiting.get_mut(&lane) {
            waiting.ticket.take_if(|_| is_ticket);
            waiting.close &= is_ticket;
        }
        self.look_up(lane);
    }

    fn hold(&mut self, lane: LaneId) {
        let waiting = self.waiting.entry(lane).or_default();
        waiting.not_before = Some(Instant::now() + self.pace.hold);
    }

    fn waiter(&self) -> Waiter {
        Waiter { client: self.client.clone(), pace: self.pace }
    }

    /// Signs with the next nonce and hands in.
    async fn submit(&self, session: &Session, action: Action) -> Result<SignedTx, ApiError> {
        let mut tries = 1;
        loop {
            let nonce = self.client.account(self.secret.public()).await?.next_nonce;
            let tx = session.author.sign(nonce, action.clone());
            match self.client.submit(&tx).await {
                Ok(_) => return Ok(tx),
                Err(error) if tries < NONCE_TRIES && CODES_NONCE.contains(&error.code.as_str()) => {
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn tell(&self, fact: LedgerFact) {
        // The receiver is gone only when the router ends.
        let _ended = self.facts.send(fact).await;
    }
}

/// Whether the same can be asked again later.
fn will_pass(problem: Option<&ApiError>) -> bool {
    problem.is_some_and(|problem| CODES_PASSING.contains(&problem.code.as_str()))
}

fn settled_octets(tx: &Tx) -> Option<Octets> {
    match &tx.effect {
        Some(Effect::Settled { settlement }) => Some(Octets(settlement.settled_bytes)),
        _ => None,
    }
}
