//! A small ledger to test on: a few funded people, blocks on demand, evidence signed by whoever.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use srwan_ledger::amount::Amount;
use srwan_ledger::block::{Block, Maker};
use srwan_ledger::genesis::{Genesis, GenesisValidator, Params};
use srwan_ledger::lane::{LaneOpen, Payee};
use srwan_ledger::outcome::{BlockOutcome, Effect, Outcome, TxReceipt};
use srwan_ledger::rejection::Rejection;
use srwan_ledger::state::State;
use srwan_ledger::ticket::{Settlement, Ticket};
use srwan_ledger::tx::{Action, Author, SignedTx};
use srwan_wire::id::{AccountKey, Height, LaneId, Octets, PathHash, ValidatorKey};
use srwan_wire::receipt::{Delivery, DeliveryBody, Price, Receipt, ReceiptBody};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::Timestamp;

pub const GB: u64 = 1_000_000_000;
pub const PATH: PathHash = PathHash([9; 32]);

pub fn coins(coins: u64) -> Amount {
    Amount::from_coins(coins).unwrap()
}

pub fn base(base: u64) -> Amount {
    Amount::from_base(base)
}

pub fn secret(person: u8) -> AccountSecret {
    AccountSecret::from_seed(&[person; 32])
}

pub fn key(person: u8) -> AccountKey {
    secret(person).public()
}

/// The consensus key of a person; another key than that of its account.
pub fn validator(person: u8) -> ValidatorKey {
    ValidatorKey(secret(person + 100).public().0)
}

/// A person as a validator of genesis, without a bond.
pub fn first_validator(person: u8) -> GenesisValidator {
    let address = SocketAddr::from(([127, 0, 0, 1], 7_000 + u16::from(person)));
    GenesisValidator { account: key(person), address, power: 1, bond: Amount::ZERO }
}

/// What person 10 says in a header, with these people's certificate.
pub fn maker(voters: &[u8]) -> Maker {
    let mut voters: Vec<_> = voters.iter().map(|person| validator(*person)).collect();
    voters.sort();
    Maker { proposer: validator(10), voters, time: Timestamp::default() }
}

/// Parameters with short periods, so that tests reach their ends.
pub fn quick_params() -> Params {
    Params {
        claim_window_blocks: 3,
        lane_blocks_max: 1_000,
        unbonding_blocks: 5,
        epoch_blocks: 4,
        router_bond: coins(1_000),
        subsidy_blocks: 10,
        committee_blocks: 4,
        validator_bond: coins(2_000),
        ..Params::DEFAULT
    }
}

/// Ten people (1..=10) with 10,000 coins each; person 10 validates.
pub fn genesis(params: Params) -> Genesis {
    Genesis {
        chain: "test".to_owned(),
        supply: coins(1_000_000),
        accounts: (1..=10).map(|person| (key(person), coins(10_000))).collect(),
        subsidy: Amount::ZERO,
        validators: BTreeMap::from([(validator(10), first_validator(10))]),
        params,
    }
}

pub struct World {
    pub state: State,
}

impl World {
    pub fn new() -> Self {
        Self::from(&genesis(quick_params()))
    }

    pub fn from(genesis: &Genesis) -> Self {
        Self { state: State::genesis(genesis).unwrap() }
    }

    pub fn author(&self, person: u8) -> Author {
        Author::new(self.state.chain(), self.state.params().fees, secret(person))
    }

    pub fn nonce(&self, person: u8) -> u64 {
        self.state.account(&key(person)).nonce
    }

    pub fn balance(&self, person: u8) -> Amount {
        self.state.account(&key(person)).balance
    }

    /// Signs with the person's next nonce.
    pub fn tx(&self, person: u8, action: Action) -> SignedTx {
        self.author(person).sign(self.nonce(person), action)
    }

    /// One block with these transactions.
    pub fn block(&mut self, txs: Vec<SignedTx>) -> BlockOutcome {
        let header = self.state.next_header(maker(&[10]), &txs);
        let outcome = self.state.execute(&Block { header, txs }).unwrap();
        assert_eq!(self.state.recount(), u128::from(self.state.supply_total().base()));
        outcome
    }

    pub fn blocks(&mut self, count: u64) {
        (0..count).for_each(|_| drop(self.block(Vec::new())));
    }

    /// One block with one transaction.
    pub fn run(&mut self, tx: SignedTx) -> TxReceipt {
        self.block(vec![tx]).receipts.remove(0)
    }

    pub fn act(&mut self, person: u8, action: Action) -> TxReceipt {
        self.run(self.tx(person, action))
    }

    #[track_caller]
    pub fn must(&mut self, person: u8, action: Action) -> Effect {
        let receipt = self.act(person, action);
        match receipt.outcome {
            Outcome::Applied(effect) => effect,
            Outcome::Rejected(_) | Outcome::Refused(_) => panic!("{receipt:?}"),
        }
    }

    #[track_caller]
    pub fn rejects(&mut self, person: u8, action: Action, why: Rejection) {
        assert_eq!(self.act(person, action).outcome, Outcome::Rejected(why));
    }

    /// One block with a transaction that person stands behind a validator with.
    #[track_caller]
    pub fn join(&mut self, person: u8, bond: Amount) -> Effect {
        let tx = self.join_tx(person, bond);
        match self.run(tx).outcome {
            Outcome::Applied(effect) => effect,
            other => panic!("{other:?}"),
        }
    }

    pub fn join_tx(&self, person: u8, bond: Amount) -> SignedTx {
        let address = SocketAddr::from(([127, 0, 0, 1], 7_000 + u16::from(person)));
        let author = self.author(person);
        author.validator_join(self.nonce(person), &secret(person + 100), address, bond)
    }

    /// A lane of person 1 to `payees`, from an escrow with just enough.
    pub fn lane(&mut self, payees: &[u8], cap: Amount) -> LaneId {
        let open = LaneOpen { cap, ..self.ask(payees) };
        self.must(1, Action::EscrowAdd { amount: cap });
        let (id, tx) = self.author(1).lane_open(self.nonce(1), open);
        let receipt = self.run(tx);
        assert!(matches!(receipt.outcome, Outcome::Applied(_)), "{receipt:?}");
        id
    }

    /// What a usual lane asks for: 100 coins, the reference price, weights of one.
    pub fn ask(&self, payees: &[u8]) -> LaneOpen {
        LaneOpen {
            path: PATH,
            payees: payees.iter().map(|who| Payee { account: key(*who), weight: 1 }).collect(),
            price: Price::REFERENCE,
            cap: coins(100),
            fee_reserve: Amount::ZERO,
            expiry: Height(self.state.height().0 + 500),
        }
    }

    /// What the payer signs for `octets` on a lane.
    pub fn receipt(&self, lane: LaneId, octets: u64) -> ReceiptBody {
        let known = self.state.lane(&lane).unwrap();
        ReceiptBody {
            chain: self.state.chain(),
            lane,
            path: known.open.path,
            octets: Octets(octets),
            price: known.open.price,
            expiry: known.open.expiry,
        }
    }

    /// What the endpoint signs for `octets` on a lane.
    pub fn delivery(&self, lane: LaneId, octets: u64) -> DeliveryBody {
        let path = self.state.lane(&lane).unwrap().open.path;
        DeliveryBody { chain: self.state.chain(), lane, path, octets: Octets(octets) }
    }

    /// A ticket of a lane from person 1 to an endpoint, for what both signed.
    pub fn ticket(&self, lane: LaneId, endpoint: u8, octets: u64) -> Ticket {
        Ticket {
            lane,
            receipt: Receipt::new(self.receipt(lane, octets), &secret(1)),
            delivery: Delivery::new(self.delivery(lane, octets), &secret(endpoint)),
            statements: Vec::new(),
        }
    }

    #[track_caller]
    pub fn settle(&mut self, by: u8, ticket: Ticket) -> Settlement {
        match self.must(by, Action::Ticket(ticket)) {
            Effect::Settled(settlement) => settlement,
            other => panic!("{other:?}"),
        }
    }

    /// Everything that this person could ever get at: free, in escrow, in lanes, in bonds.
    pub fn wealth(&self, person: u8) -> u64 {
        let who = key(person);
        let lanes = self.state.lanes().filter(|(_, lane)| lane.payer == who);
        let in_lanes: u64 = lanes.map(|(_, lane)| lane.funds().base()).sum();
        let bond = self.state.router(&who).map_or(0, |router| router.bond.base());
        let validators = self.state.validators().filter(|(_, row)| row.account == who);
        let bond = bond + validators.map(|(_, row)| row.bond.base()).sum::<u64>();
        self.balance(person).base() + self.state.escrow(&who).free.base() + in_lanes + bond
    }
}
