//! The ledger of a simulation: the real state machine, a block every 200 ms, and what each router asks of it.

use srwan_ledger::amount::Amount;
use srwan_ledger::block::{Block, Maker};
use srwan_ledger::genesis::{Genesis, Params};
use srwan_ledger::hash::TxHash;
use srwan_ledger::lane::{Lane, LaneOpen, LanePhase, Payee};
use srwan_ledger::outcome::{Effect, Outcome};
use srwan_ledger::state::State;
use srwan_ledger::ticket::{Settlement, Ticket};
use srwan_ledger::tx::{Author, SignedTx};
use srwan_node::pay::{Evidence, LaneFact, LaneRequest, Terms};
use srwan_node::{LedgerFact, NodeEvent};
use srwan_wire::id::{AccountKey, ChainId, Height, LaneId, LaneLabel, Octets};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::{Instant, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Distance of two blocks.
pub const BLOCK_EVERY: Duration = Duration::from_millis(200);

/// All coins there are. **Units:** base.
pub const SUPPLY: u64 = 1_000_000_000_000_000_000;

/// What each router begins with, and what it puts into escrow. **Units:** base.
pub const ENDOWMENT: u64 = 1_000_000_000_000;
const ESCROW: u64 = 200_000_000_000;

/// Fee reserve of a lane: enough for a hundred tickets. **Units:** base.
const FEE_RESERVE: u64 = 100_000_000;

/// Blocks that a lane lives at most.
const LANE_BLOCKS: u64 = 100_000;

/// The ledger and its clients.
pub struct Bank {
    state: State,
    clients: Vec<Client>,
    pool: Vec<SignedTx>,
    facts: VecDeque<(usize, LedgerFact)>,
    opening: BTreeMap<TxHash, (usize, LaneLabel)>,
    lanes: Vec<LaneId>,
    next_block: Instant,
    /// What tickets paid to each account. **Units:** base.
    pub earned: BTreeMap<AccountKey, u64>,
    /// Tickets that paid something.
    pub settled: u64,
    /// Tickets that the ledger refused.
    pub refused: u64,
    /// What each ticket settled, by its transaction, in order.
    pub settlements: Vec<(TxHash, Settlement)>,
    /// Each lane that was settled, as it was after its last ticket: the ledger forgets it some time after its end.
    pub settled_lanes: BTreeMap<LaneId, Lane>,
    /// Whether blocks are made.
    pub halted: bool,
    /// Clients that do not reach the ledger at the moment.
    cut: BTreeSet<usize>,
    /// What those asked meanwhile.
    waiting: VecDeque<(usize, NodeEvent)>,
    /// What those are to be told.
    held: Vec<(usize, LedgerFact)>,
    /// Evidence that shells hold until it would settle, and from which height on they look at it again.
    claims: BTreeMap<(usize, LaneId), (Evidence, u64)>,
}

/// A ticket that did not settle what it claims is handed in again after so many blocks.
const LOOK_AGAIN_BLOCKS: u64 = 25;

/// Requests that wait for the ledger in all; a shell's outbox is bounded as well.
const WAITING_MAX: usize = 10_000;

struct Client {
    author: Author,
    nonce: u64,
}

impl Bank {
    /// A ledger with an account and an escrow for each secret, whose lanes take tickets for so many blocks after they
    /// were closed.
    #[must_use]
    pub fn new(secrets: &[AccountSecret], claim_window_blocks: u64) -> Self {
        let accounts = secrets.iter().map(|s| (s.public(), Amount::from_base(ENDOWMENT))).collect();
        let genesis = Genesis {
            chain: "sim".to_owned(),
            supply: Amount::from_base(SUPPLY),
            accounts,
            subsidy: Amount::from_base(100_000_000_000_000_000),
            validators: BTreeMap::new(),
            params: Params { claim_window_blocks, ..Params::DEFAULT },
        };
        let state = State::genesis(&genesis).expect("the genesis of a simulation is sound");
        let author = |s: &AccountSecret| Author::new(state.chain(), genesis.params.fees, s.clone());
        let clients = secrets.iter().map(|s| Client { author: author(s), nonce: 0 }).collect();
        let mut bank = Self {
            state,
            clients,
            pool: Vec::new(),
            facts: VecDeque::new(),
            opening: BTreeMap::new(),
            lanes: Vec::new(),
            next_block: Instant::ZERO + BLOCK_EVERY,
            earned: BTreeMap::new(),
            settled: 0,
            refused: 0,
            settlements: Vec::new(),
            settled_lanes: BTreeMap::new(),
            halted: false,
            cut: BTreeSet::new(),
            waiting: VecDeque::new(),
            held: Vec::new(),
            claims: BTreeMap::new(),
        };
        for client in 0..secrets.len() {
            bank.submit(client, |author, nonce| {
                author.escrow_add(nonce, Amount::from_base(ESCROW))
            });
        }
        bank
    }

    /// Which ledger.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.state.chain()
    }

    /// Free coins of an account in base units.
    #[must_use]
    pub fn balance(&self, account: &AccountKey) -> u64 {
        self.state.account(account).balance.base()
    }

    /// The ledger's state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether all coins add up to the supply, counted anew.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        self.state.recount() == u128::from(SUPPLY)
    }

    /// Takes what a router asks of the ledger; other events are none of its business.
    pub fn handle(&mut self, client: usize, event: &NodeEvent) {
        if !self.cut.contains(&client) {
            self.answer(client, event);
        } else if is_request(event) && self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((client, event.clone()));
        }
    }

    /// Cuts a client off, or connects it again: then it is told what it missed, and what it asked is done.
    pub fn set_cut(&mut self, client: usize, is_cut: bool) {
        if is_cut {
            self.cut.insert(client);
            return;
        }
        self.cut.remove(&client);
        let (mine, others) = self.held.drain(..).partition(|(to, _)| *to == client);
        self.held = others;
        self.facts.extend::<Vec<_>>(mine);
        let waiting = std::mem::take(&mut self.waiting);
        for (from, event) in waiting {
            self.handle(from, &event);
        }
    }

    /// A client starts anew: it knows nothing of what it asked before, closes the lanes that it paid for, and hands in
    /// what is owed to it.
    pub fn rejoin(&mut self, client: usize, owed: &[Evidence]) {
        self.waiting.retain(|(from, _)| *from != client);
        self.claims.retain(|(by, _), _| *by != client);
        self.held.retain(|(to, _)| *to != client);
        self.facts.retain(|(to, _)| *to != client);
        self.opening.retain(|_, (by, _)| *by != client);
        let account = self.clients[client].author.account();
        let is_mine = |lane: &&LaneId| {
            self.state.lane(lane).is_ok_and(|l| l.payer == account && l.phase == LanePhase::Open)
        };
        let open: Vec<LaneId> = self.lanes.iter().filter(is_mine).copied().collect();
        open.into_iter().for_each(|lane| self.handle(client, &NodeEvent::CloseLane(lane)));
        owed.iter().for_each(|one| self.handle(client, &NodeEvent::Settle(one.clone())));
    }

    fn answer(&mut self, client: usize, event: &NodeEvent) {
        match event {
            NodeEvent::OpenLane(request) => self.open(client, request),
            NodeEvent::CloseLane(lane) => {
                self.submit(client, |author, nonce| author.lane_close(nonce, *lane));
            }
            NodeEvent::LookUpLane(lane) => {
                let fact = self.fact(*lane);
                self.facts.push_back((client, LedgerFact::Lane { lane: *lane, fact }));
            }
            NodeEvent::Settle(evidence) => {
                self.claims.insert((client, evidence.lane), (evidence.clone(), 0));
            }
            _ => {}
        }
    }

    /// Hands a ticket in at once, whether it would settle or not.
    pub fn hand_in(&mut self, client: usize, evidence: &Evidence) {
        self.ticket(client, evidence);
    }

    /// Has a router told something that its own disk says: no ledger is needed for that.
    pub fn tell(&mut self, client: usize, fact: LedgerFact) {
        self.facts.push_back((client, fact));
    }

    /// What the ledger says next, and to whom.
    pub fn next_fact(&mut self) -> Option<(usize, LedgerFact)> {
        while let Some((to, fact)) = self.facts.pop_front() {
            if !self.cut.contains(&to) || matches!(fact, LedgerFact::Stored { .. }) {
                return Some((to, fact));
            }
            self.held.push((to, fact));
        }
        None
    }

    /// Octets that are settled on a lane; `None` if there is no such lane.
    #[must_use]
    pub fn settled_octets(&self, lane: LaneId) -> Option<u64> {
        self.state.lane(&lane).ok().map(|lane| lane.settled.0)
    }

    /// When the next block is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        self.next_block
    }

    /// Makes the block that is due.
    pub fn tick(&mut self, now: Instant) {
        if now < self.next_block {
            return;
        }
        self.next_block = now + BLOCK_EVERY;
        if self.halted {
            return;
        }
        self.hand_claims_in();
        let txs = std::mem::take(&mut self.pool);
        let time = Timestamp::from_nanos(now.as_nanos());
        let header = self.state.next_header(Maker { time, ..Maker::default() }, &txs);
        let outcome = self.state.execute(&Block { header, txs }).expect("the block follows");
        for receipt in outcome.receipts {
            let request = self.opening.remove(&receipt.hash);
            if let Outcome::Applied(Effect::Settled(settlement)) = &receipt.outcome {
                self.settlements.push((receipt.hash, settlement.clone()));
                let lane = self.state.lane(&settlement.lane).ok().cloned();
                self.settled_lanes.extend(lane.map(|lane| (settlement.lane, lane)));
            }
            self.publish(receipt.outcome, request);
        }
    }

    /// Tells whom it concerns what became of a transaction, and of the request for a lane if it was one.
    fn publish(&mut self, outcome: Outcome, request: Option<(usize, LaneLabel)>) {
        match outcome {
            Outcome::Applied(Effect::LaneOpened { lane, .. }) => {
                self.lanes.push(lane);
                if let Some(((client, label), fact)) = request.zip(self.fact(lane)) {
                    self.facts.push_back((client, LedgerFact::Opened { label, lane, fact }));
                }
            }
            Outcome::Applied(Effect::Settled(settlement)) => {
                self.settled += 1;
                for client in &self.clients {
                    let account = client.author.account();
                    *self.earned.entry(account).or_default() +=
                        settlement.share_of(&account).base();
                }
                let (lane, octets) = (settlement.lane, settlement.settled);
                let tell = |client| (client, LedgerFact::Settled { lane, octets });
                self.facts.extend((0..self.clients.len()).map(tell));
            }
            Outcome::Applied(_) => {}
            Outcome::Rejected(_) | Outcome::Refused(_) => {
                self.refused += 1;
                let failed = request.map(|(to, label)| (to, LedgerFact::OpenFailed { label }));
                self.facts.extend(failed);
            }
        }
    }

    fn open(&mut self, client: usize, request: &LaneRequest) {
        let payee = |account: &AccountKey| Payee { account: *account, weight: 1 };
        let open = LaneOpen {
            path: request.path,
            payees: request.payees.iter().map(payee).collect(),
            price: request.terms.price,
            cap: Amount::from_base(request.terms.cap),
            fee_reserve: Amount::from_base(FEE_RESERVE),
            expiry: Height(self.state.height().0 + LANE_BLOCKS),
        };
        let who = &mut self.clients[client];
        let (_, tx) = who.author.lane_open(who.nonce, open);
        who.nonce += 1;
        self.opening.insert(tx.body.hash(), (client, request.label));
        self.pool.push(tx);
    }

    /// What the shells do with evidence: it is handed in when it would settle, one ticket of a lane in a block.
    fn hand_claims_in(&mut self) {
        let mut lanes = BTreeSet::new();
        let claims = std::mem::take(&mut self.claims);
        let height = self.state.height().0;
        for ((client, lane), (evidence, mut from)) in claims {
            let due = self.due(lane, &evidence);
            let is_cut = self.cut.contains(&client);
            if due == Due::Submit && !is_cut && height >= from && lanes.insert(lane) {
                from = height + LOOK_AGAIN_BLOCKS;
                self.ticket(client, &evidence);
            }
            if due != Due::Gone {
                self.claims.insert((client, lane), (evidence, from));
            }
        }
    }

    /// As `Ledger::due` of the router's shell.
    fn due(&self, id: LaneId, evidence: &Evidence) -> Due {
        let Ok(lane) = self.state.lane(&id) else { return Due::Gone };
        let terms = Terms { price: lane.open.price, cap: lane.open.cap.base() };
        let claimed = evidence.octets().0.min(terms.cap_octets().0);
        let unsettled = claimed.saturating_sub(lane.settled.0);
        let is_last =
            claimed == terms.cap_octets().0 || matches!(lane.phase, LanePhase::Closing { .. });
        match unsettled {
            0 => Due::Gone,
            _ if is_last || unsettled >= Params::DEFAULT.min_settle.0 => Due::Submit,
            _ => Due::Hold,
        }
    }

    fn ticket(&mut self, client: usize, evidence: &Evidence) {
        let Some(delivery) = evidence.delivery else { return };
        let ticket = Ticket {
            lane: evidence.lane,
            receipt: evidence.receipt,
            delivery,
            statements: evidence.statements.clone(),
        };
        self.submit(client, |author, nonce| author.ticket(nonce, ticket));
    }

    fn submit(&mut self, client: usize, make: impl FnOnce(&Author, u64) -> SignedTx) {
        let who = &mut self.clients[client];
        self.pool.push(make(&who.author, who.nonce));
        who.nonce += 1;
    }

    fn fact(&self, lane: LaneId) -> Option<LaneFact> {
        let lane = self.state.lane(&lane).ok()?;
        Some(LaneFact {
            payer: lane.payer,
            path: lane.open.path,
            payees: lane.open.payees.iter().map(|p| p.account).collect(),
            terms: Terms { price: lane.open.price, cap: lane.open.cap.base() },
            expiry: lane.open.expiry,
            open: lane.phase == LanePhase::Open,
            settled: Octets(lane.settled.0),
        })
    }
}

/// What to do with evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// It would settle.
    Submit,
    /// It would not settle yet.
    Hold,
    /// There is nothing to settle.
    Gone,
}

/// Whether the ledger has to do something for this event.
fn is_request(event: &NodeEvent) -> bool {
    matches!(
        event,
        NodeEvent::OpenLane(_)
            | NodeEvent::CloseLane(_)
            | NodeEvent::LookUpLane(_)
            | NodeEvent::Settle(_)
    )
}
