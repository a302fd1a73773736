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
use std::collections::BTreeMap;
use std::time::Duration;

/// Distance of two blocks.
pub const BLOCK_EVERY: Duration = Duration::from_millis(200);

/// All coins there are. **Units:** base.
pub const SUPPLY: u64 = 1_000_000_000_000_000_000;

/// What each router begins with, and what it puts into escrow. **Units:** base.
const ENDOWMENT: u64 = 1_000_000_000_000;
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
    facts: Vec<(usize, LedgerFact)>,
    opening: BTreeMap<TxHash, (usize, LaneLabel)>,
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
}

struct Client {
    author: Author,
    nonce: u64,
}

impl Bank {
    /// A ledger with an account and an escrow for each secret.
    #[must_use]
    pub fn new(secrets: &[AccountSecret]) -> Self {
        let accounts = secrets.iter().map(|s| (s.public(), Amount::from_base(ENDOWMENT))).collect();
        let genesis = Genesis {
            chain: "sim".to_owned(),
            supply: Amount::from_base(SUPPLY),
            accounts,
            subsidy: Amount::from_base(100_000_000_000_000_000),
            validators: BTreeMap::new(),
            params: Params { claim_window_blocks: 50, ..Params::DEFAULT },
        };
        let state = State::genesis(&genesis).expect("the genesis of a simulation is sound");
        let author = |s: &AccountSecret| Author::new(state.chain(), genesis.params.fees, s.clone());
        let clients = secrets.iter().map(|s| Client { author: author(s), nonce: 0 }).collect();
        let mut bank = Self {
            state,
            clients,
            pool: Vec::new(),
            facts: Vec::new(),
            opening: BTreeMap::new(),
            next_block: Instant::ZERO + BLOCK_EVERY,
            earned: BTreeMap::new(),
            settled: 0,
            refused: 0,
            settlements: Vec::new(),
            settled_lanes: BTreeMap::new(),
            halted: false,
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

    /// Takes what a router asks of the ledger or of its disk; other events are none of its business.
    pub fn handle(&mut self, client: usize, event: &NodeEvent) {
        match event {
            NodeEvent::OpenLane(request) => self.open(client, request),
            NodeEvent::CloseLane(lane) => {
                self.submit(client, |author, nonce| author.lane_close(nonce, *lane));
            }
            NodeEvent::LookUpLane(lane) => {
                let fact = self.fact(*lane);
                self.facts.push((client, LedgerFact::Lane { lane: *lane, fact }));
            }
            NodeEvent::Store(evidence) => {
                let (lane, octets) = (evidence.lane, evidence.receipt.body.octets);
                self.facts.push((client, LedgerFact::Stored { lane, octets }));
            }
            NodeEvent::Settle(evidence) => self.ticket(client, evidence),
            _ => {}
        }
    }

    /// What the ledger says to whom since the last call.
    pub fn take_facts(&mut self) -> Vec<(usize, LedgerFact)> {
        std::mem::take(&mut self.facts)
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
                if let Some(((client, label), fact)) = request.zip(self.fact(lane)) {
                    self.facts.push((client, LedgerFact::Opened { label, lane, fact }));
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

    fn ticket(&mut self, client: usize, evidence: &Evidence) {
        let Some(delivery) = evidence.delivery else { return };
        if self.fact(evidence.lane).is_none_or(|fact| fact.settled >= evidence.octets()) {
            return;
        }
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
