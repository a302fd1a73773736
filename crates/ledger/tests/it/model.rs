//! A second ledger, slow and obvious: one map of pots, arithmetic in `i128`, every rule in a line.
//! It judges the real one over random transfers, escrows, lanes and tickets.

use std::collections::BTreeMap;

use proptest::prelude::*;
use srwan_ledger::amount::Amount;
use srwan_ledger::genesis::Params;
use srwan_ledger::lane::lane_id;
use srwan_ledger::outcome::Outcome;
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::Action;
use srwan_wire::id::{Height, LaneId};

use crate::world::{World, base, coins, genesis, key, quick_params};

/// A place where coins can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pot {
    Person(u8),
    Escrow(u8),
    Lane(usize),
    Infra,
    Fees,
}

struct ModelLane {
    id: LaneId,
    payees: Vec<u8>,
    cap: i128,
    settled: i128,
    closing: Option<u64>,
}

/// Only person 1 opens lanes, at the reference price and with weights of one.
struct Model {
    pots: BTreeMap<Pot, i128>,
    lanes: Vec<ModelLane>,
    height: u64,
}

const PRICE: i128 = 10_000_000;
const INFRA_BPS: i128 = 1_000;
const MIN_SETTLE: i128 = 10_000_000;
const CLAIM_WINDOW: u64 = 3;

impl Model {
    fn new() -> Self {
        let each = i128::from(coins(10_000).base());
        let pots = (1..=10).map(|person| (Pot::Person(person), each)).collect();
        Self { pots, lanes: Vec::new(), height: 0 }
    }

    fn has(&self, pot: Pot) -> i128 {
        self.pots.get(&pot).copied().unwrap_or(0)
    }

    fn pay(&mut self, from: Pot, to: Pot, amount: i128) {
        assert!(amount >= 0 && self.has(from) >= amount, "{from:?} -> {to:?}: {amount}");
        *self.pots.entry(from).or_default() -= amount;
        *self.pots.entry(to).or_default() += amount;
    }

    /// Runs one operation in a block of its own; says whether it did what it asks.
    fn run(&mut self, who: u8, op: &Op, id: LaneId, fee: i128) -> bool {
        let funds = self.has(Pot::Person(who)) - fee;
        let done = match op {
            Op::Transfer { to, amount } => {
                let ok = *amount > 0 && funds >= *amount;
                ok.then(|| self.pay(Pot::Person(who), Pot::Person(*to), *amount)).is_some()
            }
            Op::EscrowAdd { amount } => {
                let ok = *amount > 0 && funds >= *amount;
                ok.then(|| self.pay(Pot::Person(who), Pot::Escrow(who), *amount)).is_some()
            }
            Op::EscrowWithdraw { amount } => {
                let ok = *amount > 0 && self.has(Pot::Escrow(who)) >= *amount;
                ok.then(|| self.pay(Pot::Escrow(who), Pot::Person(who), *amount)).is_some()
            }
            Op::Open { payees, cap } => self.open(who, payees, *cap, id),
            Op::Close { lane } => self.close(who, *lane),
            Op::Ticket { lane, receipt, delivery } => {
                self.ticket(who, *lane, *receipt.min(delivery))
            }
        };
        self.pay(Pot::Person(who), Pot::Fees, fee);
        self.end_block();
        done
    }

    fn open(&mut self, who: u8, payees: &[u8], cap: i128, id: LaneId) -> bool {
        let ok = cap > 0 && !payees.contains(&who) && self.has(Pot::Escrow(who)) >= cap;
        if ok {
            let payees = payees.to_vec();
            self.lanes.push(ModelLane { id, payees, cap, settled: 0, closing: None });
            self.pay(Pot::Escrow(who), Pot::Lane(self.lanes.len() - 1), cap);
        }
        ok
    }

    fn close(&mut self, who: u8, index: usize) -> bool {
        let until = self.height + 1 + CLAIM_WINDOW;
        let lane = self.lanes.get_mut(index).filter(|lane| who == 1 && lane.closing.is_none());
        lane.map(|lane| lane.closing = Some(until)).is_some()
    }

    fn ticket(&mut self, who: u8, index: usize, octets: i128) -> bool {
        let Some(lane) = self.lanes.get(index) else { return false };
        let is_over = lane.closing.is_some_and(|until| until <= self.height);
        let most = (lane.cap * 1_000_000 + 999_999) / PRICE;
        let octets = octets.min(most);
        let is_last = octets == most || lane.closing.is_some();
        let is_enough = octets - lane.settled >= MIN_SETTLE || is_last;
        let is_party = who == 1 || lane.payees.contains(&who);
        if is_over || !is_party || octets <= lane.settled || !is_enough {
            return false;
        }
        let n = i128::try_from(lane.payees.len()).unwrap();
        let charge = |b: i128| b * PRICE / 1_000_000;
        let infra = |b: i128| charge(b) * INFRA_BPS / 10_000;
        let share = |b: i128| (charge(b) - infra(b)) / n;
        let (before, payees) = (lane.settled, lane.payees.clone());
        self.lanes[index].settled = octets;
        self.pay(Pot::Lane(index), Pot::Infra, infra(octets) - infra(before));
        for payee in payees {
            self.pay(Pot::Lane(index), Pot::Person(payee), share(octets) - share(before));
        }
        true
    }

    fn end_block(&mut self) {
        self.height += 1;
        for index in 0..self.lanes.len() {
            let lane = &self.lanes[index];
            if lane.closing != Some(self.height) {
                continue;
            }
            let charge = lane.settled * PRICE / 1_000_000;
            let rest = charge - charge * INFRA_BPS / 10_000;
            let carry = rest % i128::try_from(lane.payees.len()).unwrap();
            self.pay(Pot::Lane(index), Pot::Infra, carry);
            self.pay(Pot::Lane(index), Pot::Escrow(1), self.has(Pot::Lane(index)));
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Transfer { to: u8, amount: i128 },
    EscrowAdd { amount: i128 },
    EscrowWithdraw { amount: i128 },
    Open { payees: Vec<u8>, cap: i128 },
    Close { lane: usize },
    Ticket { lane: usize, receipt: i128, delivery: i128 },
}

fn op() -> impl Strategy<Value = (u8, Op)> {
    let amount = || prop_oneof![Just(0), 1_i128..3_000_000_000_000, 1_i128..20_000_000_000_000];
    let octets = || prop_oneof![0_i128..20_000_000, 0_i128..200_000_000_000];
    let payees = prop::sample::subsequence(vec![2_u8, 3, 4, 5], 1..=4).prop_shuffle();
    let lane = || 0_usize..3;
    let someone = 1_u8..=5;
    prop_oneof![
        2 => (someone.clone(), 1_u8..=5, amount())
            .prop_map(|(who, to, amount)| (who, Op::Transfer { to, amount })),
        3 => amount().prop_map(|amount| (1, Op::EscrowAdd { amount })),
        1 => amount().prop_map(|amount| (1, Op::EscrowWithdraw { amount })),
        3 => (payees, amount()).prop_map(|(payees, cap)| (1, Op::Open { payees, cap })),
        1 => (1_u8..=2, lane()).prop_map(|(who, lane)| (who, Op::Close { lane })),
        6 => (someone, lane(), octets(), octets()).prop_map(|(who, lane, receipt, delivery)| {
            (who, Op::Ticket { lane, receipt, delivery })
        }),
    ]
}

fn narrow(amount: i128) -> Amount {
    base(u64::try_from(amount).unwrap())
}

/// The operation as an action; `None` if it names a lane that never was.
fn action(world: &World, model: &Model, op: &Op) -> Option<Action> {
    Some(match op {
        Op::Transfer { to, amount } => Action::Transfer { to: key(*to), amount: narrow(*amount) },
        Op::EscrowAdd { amount } => Action::EscrowAdd { amount: narrow(*amount) },
        Op::EscrowWithdraw { amount } => Action::EscrowWithdraw { amount: narrow(*amount) },
        Op::Open { payees, cap } => {
            let mut open = world.ask(payees);
            (open.cap, open.expiry) = (narrow(*cap), Height(900));
            Action::LaneOpen(open)
        }
        Op::Close { lane } => Action::LaneClose { lane: model.lanes.get(*lane)?.id },
        Op::Ticket { lane, receipt, delivery } => {
            let lane = model.lanes.get(*lane)?;
            world.state.lane(&lane.id).ok()?;
            let endpoint = *lane.payees.last().unwrap();
            let octets = |octets: i128| u64::try_from(octets).unwrap();
            let receipt = world.ticket(lane.id, endpoint, octets(*receipt)).receipt;
            let ticket = world.ticket(lane.id, endpoint, octets(*delivery));
            Action::Ticket(Ticket { receipt, ..ticket })
        }
    })
}

fn assert_same(world: &World, model: &Model) {
    let real = |amount: Amount| i128::from(amount.base());
    for person in 1..=5 {
        assert_eq!(real(world.balance(person)), model.has(Pot::Person(person)), "{person}");
    }
    assert_eq!(real(world.state.escrow(&key(1)).free), model.has(Pot::Escrow(1)));
    for (index, lane) in model.lanes.iter().enumerate() {
        let funds = world.state.lane(&lane.id).map_or(Amount::ZERO, |lane| lane.funds());
        assert_eq!(real(funds), model.has(Pot::Lane(index)), "lane {index}");
    }
    let pools = world.state.supply().pools;
    assert_eq!(real(pools.infra), model.has(Pot::Infra));
    assert_eq!(real(pools.dividends), model.has(Pot::Fees));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_ledger_does_what_the_obvious_model_does(ops in prop::collection::vec(op(), 1..50)) {
        // All fees to the dividend pool and no epoch's end, so that the model needs one pot for
        // them.
        let params = Params { validator_bps: 0, epoch_blocks: 100_000, ..quick_params() };
        let mut world = World::from(&genesis(params));
        let mut model = Model::new();
        for (who, op) in ops {
            let Some(action) = action(&world, &model, &op) else { continue };
            let tx = world.tx(who, action);
            let id = lane_id(&world.state.chain(), &key(who), world.nonce(who));
            let fee = i128::from(tx.body.fee.base());
            let outcome = world.run(tx).outcome;
            let done = model.run(who, &op, id, fee);
            let applied = matches!(outcome, Outcome::Applied(_));
            prop_assert_eq!(applied, done, "{:?}: {:?}", op, outcome);
            assert_same(&world, &model);
        }
    }
}
