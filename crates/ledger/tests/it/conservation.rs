//! Random transactions, sensible and absurd: no coin is made or lost, no lane pays backwards, and
//! nothing panics. `World::block` counts all coins after every block.

use proptest::prelude::*;
use srwan_ledger::amount::Amount;
use srwan_ledger::contract::ContractEvent;
use srwan_ledger::genesis::Genesis;
use srwan_ledger::lane::{LaneOpen, Payee, lane_id};
use srwan_ledger::outcome::{Effect, Event, Outcome};
use srwan_ledger::router::{Contradiction, Registration};
use srwan_ledger::state::State;
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::Action;
use srwan_ledger::vote::VoteAction;
use srwan_wire::id::{Height, LaneId, NodeKey, Octets};
use srwan_wire::receipt::{
    Delivery, DeliveryBody, LinkCounters, LinkStatement, LinkStatementBody, Price, Receipt,
    ReceiptBody,
};
use srwan_wire::roster::{Class, Location};
use srwan_wire::time::Timestamp;

use crate::contract_ops::{ContractOp, contract_action, contract_op};
use crate::world::{PATH, World, base, coins, genesis, key, quick_params, secret};

/// People who act; the lanes that they opened are numbered in order.
const PEOPLE: u8 = 5;

#[derive(Clone, Debug)]
enum Op {
    Transfer { to: u8, amount: u64 },
    EscrowAdd { amount: u64 },
    EscrowWithdraw { amount: u64 },
    LaneOpen { payees: Vec<(u8, u32)>, price: u64, cap: u64, reserve: u64, blocks: u64 },
    LaneRaise { lane: usize, amount: u64 },
    LaneClose { lane: usize },
    Ticket { lane: usize, receipt: u64, delivery: u64 },
    Register { node: u8 },
    Retire,
    Contradict { whom: u8 },
    Vote(VoteAction),
    Contract(ContractOp),
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1_u64..1_000, 1_u64..20_000_000_000_000, any::<u64>(), Just(u64::MAX)]
}

fn octets() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..20_000_000, 0_u64..100_000_000_000, any::<u64>()]
}

fn person() -> impl Strategy<Value = u8> {
    1..=PEOPLE
}

fn vote() -> impl Strategy<Value = VoteAction> {
    prop_oneof![
        (0_u16..2_100).prop_map(|commission_bps| VoteAction::Open { commission_bps }),
        person().prop_map(|leader| VoteAction::Join { leader: key(leader) }),
        Just(VoteAction::Leave),
        (0_u16..2_100).prop_map(|commission_bps| VoteAction::SetCommission { commission_bps }),
    ]
}

fn usual_lane_open() -> impl Strategy<Value = Op> {
    let payees = prop::sample::subsequence(vec![2_u8, 3, 4, 5, 6], 1..=4);
    (payees, 1_u64..2_000_000_000_000, 0_u64..1_000_000_000, 4_u64..12).prop_map(
        |(payees, cap, reserve, blocks)| Op::LaneOpen {
            payees: payees.into_iter().map(|who| (who, 1)).collect(),
            price: 10_000_000,
            cap,
            reserve,
            blocks,
        },
    )
}

fn absurd_lane_open() -> impl Strategy<Value = Op> {
    let weight = prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()];
    let payees = prop::collection::vec((1_u8..=9, weight), 0..=9);
    let price = prop_oneof![Just(10_000_000), 0_u64..100, any::<u64>(), Just(u64::MAX)];
    (payees, price, amount(), amount(), 0_u64..12).prop_map(
        |(payees, price, cap, reserve, blocks)| Op::LaneOpen {
            payees,
            price,
            cap,
            reserve,
            blocks,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let lane = prop_oneof![Just(0_usize), 0_usize..4];
    prop_oneof![
        2 => (person(), amount()).prop_map(|(to, amount)| Op::Transfer { to, amount }),
        3 => (1_u64..8_000_000_000_000).prop_map(|amount| Op::EscrowAdd { amount }),
        1 => amount().prop_map(|amount| Op::EscrowWithdraw { amount }),
        4 => usual_lane_open(),
        2 => absurd_lane_open(),
        1 => (lane.clone(), amount()).prop_map(|(lane, amount)| Op::LaneRaise { lane, amount }),
        2 => lane.clone().prop_map(|lane| Op::LaneClose { lane }),
        6 => (lane, octets(), octets())
            .prop_map(|(lane, receipt, delivery)| Op::Ticket { lane, receipt, delivery }),
        1 => (1_u8..4).prop_map(|node| Op::Register { node }),
        1 => Just(Op::Retire),
        1 => person().prop_map(|whom| Op::Contradict { whom }),
        3 => vote().prop_map(Op::Vote),
        10 => contract_op().prop_map(Op::Contract),
    ]
}

#[derive(Default)]
struct Opened(Vec<(LaneId, u8, LaneOpen)>);

impl Opened {
    fn get(&self, index: usize) -> Option<&(LaneId, u8, LaneOpen)> {
        self.0.iter().rev().nth(index)
    }
}

fn action(world: &World, opened: &Opened, op: &Op) -> Option<Action> {
    let id = |index: &usize| opened.get(*index).map(|(id, ..)| *id);
    Some(match op {
        Op::Transfer { to, amount } => Action::Transfer { to: key(*to), amount: base(*amount) },
        Op::EscrowAdd { amount } => Action::EscrowAdd { amount: base(*amount) },
        Op::EscrowWithdraw { amount } => Action::EscrowWithdraw { amount: base(*amount) },
        Op::LaneOpen { payees, price, cap, reserve, blocks } => Action::LaneOpen(LaneOpen {
            path: PATH,
            payees: payees
                .iter()
                .map(|(who, weight)| Payee { account: key(*who), weight: *weight })
                .collect(),
            price: Price(*price),
            cap: base(*cap),
            fee_reserve: base(*reserve),
            expiry: Height(world.state.height().0 + blocks),
        }),
        Op::LaneRaise { lane, amount } => {
            Action::LaneRaise { lane: id(lane)?, amount: base(*amount) }
        }
        Op::LaneClose { lane } => Action::LaneClose { lane: id(lane)? },
        Op::Ticket { lane, receipt, delivery } => {
            Action::Ticket(ticket(world, opened.get(*lane)?, *receipt, *delivery))
        }
        Op::Register { node } => Action::RegisterRouter(Registration {
            node_key: NodeKey([*node; 32]),
            location: Location::default(),
            asn: 1,
            class: Class::Public,
            price: Price::REFERENCE,
        }),
        Op::Retire => Action::RetireRouter,
        Op::Contradict { whom } => contradiction(world, *whom),
        Op::Vote(vote) => Action::Vote(*vote),
        Op::Contract(op) => Action::Contract(Box::new(contract_action(world, op)?)),
    })
}

fn ticket(
    world: &World,
    (lane, payer, open): &(LaneId, u8, LaneOpen),
    receipt: u64,
    delivery: u64,
) -> Ticket {
    let chain = world.state.chain();
    let endpoint = (1..=9).find(|who| Some(key(*who)) == open.payees.last().map(|p| p.account));
    let receipt = ReceiptBody {
        chain,
        lane: *lane,
        path: PATH,
        octets: Octets(receipt),
        price: open.price,
        expiry: open.expiry,
    };
    let delivery = DeliveryBody { chain, lane: *lane, path: PATH, octets: Octets(delivery) };
    Ticket {
        lane: *lane,
        receipt: Receipt::new(receipt, &secret(*payer)),
        delivery: Delivery::new(delivery, &secret(endpoint.unwrap_or(1))),
        statements: Vec::new(),
    }
}

fn contradiction(world: &World, whom: u8) -> Action {
    let told = |out| {
        let body = LinkStatementBody {
            chain: world.state.chain(),
            reporter: key(whom),
            peer: key(9),
            boot_time: Timestamp::from_nanos(1),
            boot_nonce: 1,
            seq: 1,
            counters: LinkCounters { out_octets: Octets(out), ..LinkCounters::default() },
        };
        LinkStatement::new(body, &secret(whom))
    };
    Action::ReportContradiction(Box::new(Contradiction { left: told(1), right: told(2) }))
}

fn rich_world() -> World {
    let subsidy = coins(1_000);
    World::from(&Genesis { subsidy, ..genesis(quick_params()) })
}

struct Ran {
    world: World,
    settled: usize,
    dividends: usize,
    leases: usize,
    agreements: usize,
}

/// Runs the operations, up to three in a block; checks what must never change.
fn run(ops: &[(u8, Op)]) -> Ran {
    let (mut settled, mut dividends, mut leases, mut agreements) = (0, 0, 0, 0);
    let mut world = rich_world();
    let mut opened = Opened::default();
    let mut paid = std::collections::BTreeMap::new();
    for group in ops.chunks(3) {
        let mut nonces = std::collections::BTreeMap::new();
        let mut txs = Vec::new();
        for (who, op) in group {
            let Some(action) = action(&world, &opened, op) else { continue };
            let nonce = nonces.entry(*who).or_insert_with(|| world.nonce(*who));
            if let Action::LaneOpen(open) = &action {
                let id = lane_id(&world.state.chain(), &key(*who), *nonce);
                opened.0.push((id, *who, open.clone()));
            }
            txs.push(world.author(*who).sign(*nonce, action));
            *nonce += 1;
        }
        let outcome = world.block(txs);
        for receipt in &outcome.receipts {
            if let Outcome::Applied(Effect::Settled(settlement)) = &receipt.outcome {
                assert!(settlement.settled > settlement.settled_before);
                settled += 1;
            }
        }
        let is_dividend = |event: &&Event| matches!(event, Event::DividendPaid { .. });
        dividends += outcome.events.iter().filter(is_dividend).count();
        for event in &outcome.events {
            match event {
                Event::Contract(ContractEvent::LeaseSettled { .. }) => leases += 1,
                Event::Contract(ContractEvent::SlaEnded { .. }) => agreements += 1,
                _ => {}
            }
        }
        for (id, lane) in world.state.lanes() {
            let before = paid.insert(*id, lane.paid).unwrap_or(Amount::ZERO);
            assert!(lane.paid >= before && lane.paid <= lane.open.cap);
        }
    }
    Ran { world, settled, dividends, leases, agreements }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_sequence_of_transactions_makes_or_loses_a_coin(
        ops in prop::collection::vec((1_u8..=PEOPLE, op()), 1..60),
    ) {
        let world = run(&ops).world;
        prop_assert_eq!(world.state.supply().total, u128::from(coins(1_000_000).base()));
    }

    #[test]
    fn two_ledgers_that_run_the_same_blocks_agree_and_so_does_a_snapshot(
        ops in prop::collection::vec((1_u8..=PEOPLE, op()), 1..30),
    ) {
        let (one, other) = (run(&ops).world, run(&ops).world);
        prop_assert_eq!(one.state.root(), other.state.root());
        let restored = State::from_snapshot(&one.state.to_snapshot()).unwrap();
        prop_assert_eq!(restored.root(), one.state.root());
    }
}

#[test]
fn the_random_transactions_are_not_all_rejected() {
    // A green property that never settles anything would prove nothing.
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let ops = prop::collection::vec((1_u8..=PEOPLE, op()), 1_500..1_501);
    let ops = ops.new_tree(&mut runner).unwrap().current();
    let Ran { world, settled, dividends, leases, agreements } = run(&ops);
    let supply = world.state.supply();
    assert!(settled >= 5, "only {settled} settlements");
    assert!(dividends >= 5, "only {dividends} dividends");
    assert!(leases >= 1 && agreements >= 1, "{leases} leases, {agreements} agreements");
    assert!(supply.bonds > 0 || !supply.pools.burned.is_zero(), "no bond: {supply:?}");
}
