//! The attacks that the design note on money lists, one test each.

use srwan_ledger::amount::Amount;
use srwan_ledger::block::{Block, BlockError};
use srwan_ledger::genesis::Params;
use srwan_ledger::lane::LaneOpen;
use srwan_ledger::outcome::{Effect, Outcome};
use srwan_ledger::rejection::{Field, Rejection};
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::{Action, SignedTx, Tx};
use srwan_wire::id::{ChainId, Height, LaneId, Octets, PathHash};
use srwan_wire::receipt::{
    Delivery, DeliveryBody, LinkCounters, LinkStatement, LinkStatementBody, Price, Receipt,
    ReceiptBody,
};
use srwan_wire::time::Timestamp;

use crate::world::{GB, World, base, coins, genesis, key, maker, quick_params, secret};

fn settled_in_parts(parts: &[u64]) -> (Vec<Amount>, Amount, Amount) {
    let mut world = World::from(&genesis(Params { claim_window_blocks: 5, ..quick_params() }));
    world.must(1, Action::EscrowAdd { amount: coins(100) });
    // A price and weights that leave something over at every division.
    let mut open = LaneOpen { price: Price(10_000_019), ..world.ask(&[2, 3, 4]) };
    (open.payees[0].weight, open.payees[1].weight) = (3, 7);
    let (lane, tx) = world.author(1).lane_open(world.nonce(1), open);
    assert!(matches!(world.run(tx).outcome, Outcome::Applied(_)));
    world.must(1, Action::LaneClose { lane });
    let tickets =
        parts.iter().map(|octets| world.tx(1, Action::Ticket(world.ticket(lane, 4, *octets))));
    let tickets: Vec<_> = tickets.collect();
    for tx in tickets {
        let tx = SignedTx::new(Tx { nonce: world.nonce(1), ..tx.body }, &secret(1));
        world.block(vec![tx]);
    }
    let left = world.state.lane(&lane).unwrap().funds();
    let balances = (2..=4).map(|payee| world.balance(payee)).collect();
    (balances, world.state.supply().pools.infra, left)
}

#[test]
pub fn split_and_merged_tickets_pay_the_same_in_total() {
    let whole = settled_in_parts(&[987_654_321]);
    assert_eq!(settled_in_parts(&[1, 987_654_321]), whole);
    assert_eq!(settled_in_parts(&[333_333_333, 777_777_777, 987_654_321]), whole);
}

#[test]
pub fn replayed_reordered_and_duplicated_tickets_pay_once() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let (first, last) = (world.ticket(lane, 3, GB), world.ticket(lane, 3, 3 * GB));
    world.settle(2, last.clone());
    let after = (world.balance(3), world.state.lane(&lane).unwrap().clone());
    for stale in [last.clone(), first.clone(), last, first] {
        let claimed = stale.receipt.body.octets;
        let why = Rejection::NothingToSettle { claimed, settled: Octets(3 * GB) };
        world.rejects(2, Action::Ticket(stale), why);
        assert_eq!((world.balance(3), world.state.lane(&lane).unwrap().clone()), after);
    }
}

#[test]
pub fn two_tickets_for_the_same_octets_in_one_block_pay_once() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let by = |person| world.tx(person, Action::Ticket(world.ticket(lane, 3, GB)));
    let txs = vec![by(2), by(3)];
    let outcome = world.block(txs);
    assert!(matches!(outcome.receipts[0].outcome, Outcome::Applied(_)));
    let settled = Octets(GB);
    let why = Rejection::NothingToSettle { claimed: settled, settled };
    assert_eq!(outcome.receipts[1].outcome, Outcome::Rejected(why));
}

#[track_caller]
fn refuses(change: impl FnOnce(&World, LaneId, &mut Ticket), why: Rejection) {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let mut ticket = world.ticket(lane, 3, GB);
    change(&world, lane, &mut ticket);
    world.rejects(2, Action::Ticket(ticket), why);
    assert_eq!(world.state.lane(&lane).unwrap().paid, Amount::ZERO);
}

fn receipt_with(change: fn(&mut ReceiptBody)) -> impl FnOnce(&World, LaneId, &mut Ticket) {
    move |_, _, ticket| {
        change(&mut ticket.receipt.body);
        ticket.receipt = Receipt::new(ticket.receipt.body, &secret(1));
    }
}

fn delivery_with(change: fn(&mut DeliveryBody)) -> impl FnOnce(&World, LaneId, &mut Ticket) {
    move |_, _, ticket| {
        change(&mut ticket.delivery.body);
        ticket.delivery = Delivery::new(ticket.delivery.body, &secret(3));
    }
}

#[test]
pub fn a_receipt_of_another_chain_lane_path_price_or_expiry_pays_nothing() {
    let mismatch = |field| Rejection::ReceiptMismatch { field };
    refuses(receipt_with(|body| body.chain = ChainId([1; 32])), mismatch(Field::Chain));
    refuses(receipt_with(|body| body.lane = LaneId([1; 32])), mismatch(Field::Lane));
    refuses(receipt_with(|body| body.path = PathHash([1; 32])), mismatch(Field::Path));
    refuses(receipt_with(|body| body.price = Price(1)), mismatch(Field::Price));
    refuses(receipt_with(|body| body.expiry = Height(1)), mismatch(Field::Expiry));
}

#[test]
pub fn a_delivery_of_another_chain_lane_or_path_pays_nothing() {
    let mismatch = |field| Rejection::DeliveryMismatch { field };
    refuses(delivery_with(|body| body.chain = ChainId([1; 32])), mismatch(Field::Chain));
    refuses(delivery_with(|body| body.lane = LaneId([1; 32])), mismatch(Field::Lane));
    refuses(delivery_with(|body| body.path = PathHash([1; 32])), mismatch(Field::Path));
}

#[test]
pub fn a_price_never_changes_in_a_lane_but_opens_another() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(50));
    world.must(1, Action::EscrowAdd { amount: coins(50) });
    let dearer = LaneOpen { price: Price(20_000_000), cap: coins(50), ..world.ask(&[2, 3]) };
    let Effect::LaneOpened { lane: other, .. } = world.must(1, Action::LaneOpen(dearer)) else {
        panic!()
    };
    assert_ne!(lane, other);
    assert_eq!(world.settle(2, world.ticket(lane, 3, GB)).charge, coins(10));
    assert_eq!(world.settle(2, world.ticket(other, 3, GB)).charge, coins(20));
}

#[test]
pub fn a_receipt_that_the_payer_did_not_sign_pays_nothing() {
    refuses(
        |_, _, ticket| ticket.receipt = Receipt::new(ticket.receipt.body, &secret(2)),
        Rejection::ReceiptForged,
    );
    refuses(|_, _, ticket| ticket.receipt.body.octets = Octets(2 * GB), Rejection::ReceiptForged);
}

#[test]
pub fn a_delivery_that_the_endpoint_did_not_sign_pays_nothing() {
    refuses(
        |_, _, ticket| ticket.delivery = Delivery::new(ticket.delivery.body, &secret(2)),
        Rejection::DeliveryForged,
    );
}

#[test]
pub fn a_signature_over_a_delivery_is_no_signature_over_a_receipt() {
    refuses(
        |_, _, ticket| {
            let body = DeliveryBody { octets: Octets(2 * GB), ..ticket.delivery.body };
            ticket.receipt.signature = Delivery::new(body, &secret(1)).signature;
        },
        Rejection::ReceiptForged,
    );
}

#[test]
pub fn a_stranger_cannot_settle_a_lane() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    world.rejects(7, Action::Ticket(world.ticket(lane, 3, GB)), Rejection::NotAParty);
}

#[test]
pub fn the_submitter_of_a_ticket_cannot_choose_what_the_payers_reserve_pays() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let body = world.tx(2, Action::Ticket(world.ticket(lane, 3, GB))).body;
    let required = body.fee;
    let fee = required.checked_add(base(1)).unwrap();
    let outcome = world.run(SignedTx::new(Tx { fee, ..body }, &secret(2))).outcome;
    assert_eq!(outcome, Outcome::Refused(Rejection::FeeNotExact { required }));
}

fn statement(world: &World, reporter: u8, peer: u8, seq: u64, out: u64) -> LinkStatementBody {
    LinkStatementBody {
        chain: world.state.chain(),
        reporter: key(reporter),
        peer: key(peer),
        boot_time: Timestamp::from_nanos(1),
        boot_nonce: 1,
        seq,
        counters: LinkCounters { out_octets: Octets(out), ..LinkCounters::default() },
    }
}

#[test]
pub fn link_statements_are_evidence_and_never_raise_a_payment() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let sign = |body: LinkStatementBody, by| LinkStatement::new(body, &secret(by));
    let statements = vec![
        sign(statement(&world, 1, 2, 1, u64::MAX), 1),
        sign(statement(&world, 2, 3, 1, u64::MAX), 2),
    ];
    let ticket = Ticket { statements, ..world.ticket(lane, 3, GB) };
    assert_eq!(world.settle(2, ticket).charge, coins(10));
}

#[test]
pub fn foreign_forged_and_contradicting_statements_are_no_evidence() {
    let sign = |body: LinkStatementBody, by| LinkStatement::new(body, &secret(by));
    refuses(
        |world, _, ticket| ticket.statements = vec![sign(statement(world, 7, 2, 1, 1), 7)],
        Rejection::StatementForeign { index: 0 },
    );
    refuses(
        |world, _, ticket| ticket.statements = vec![sign(statement(world, 2, 3, 1, 1), 3)],
        Rejection::StatementForged { index: 0 },
    );
    refuses(
        |world, _, ticket| {
            let told = |out| sign(statement(world, 2, 3, 1, out), 2);
            ticket.statements = vec![told(1), told(2)];
        },
        Rejection::StatementsContradict,
    );
    refuses(
        |world, _, ticket| ticket.statements = vec![sign(statement(world, 2, 3, 1, 1), 2); 17],
        Rejection::TooManyStatements { count: 17, max: 16 },
    );
}

#[test]
pub fn statements_of_two_boots_do_not_contradict_each_other() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let before = statement(&world, 2, 3, 9, 1_000);
    let after = LinkStatementBody { boot_nonce: 2, ..statement(&world, 2, 3, 10, 0) };
    let statements = [before, after].map(|body| LinkStatement::new(body, &secret(2))).to_vec();
    world.settle(2, Ticket { statements, ..world.ticket(lane, 3, GB) });
}

#[test]
pub fn a_dust_flood_costs_the_flooder_and_not_the_lane() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let before = (world.balance(2), world.state.lane(&lane).unwrap().clone());
    for octets in 1..=20 {
        let receipt = world.act(2, Action::Ticket(world.ticket(lane, 3, octets)));
        assert!(matches!(receipt.outcome, Outcome::Rejected(Rejection::BelowMinSettle { .. })));
        assert!(receipt.fee >= world.state.params().fees.min_fee);
    }
    assert_eq!(world.state.lane(&lane).unwrap(), &before.1);
    let least = world.state.params().fees.min_fee.base() * 20;
    assert!(before.0.base() - world.balance(2).base() >= least);
}

#[test]
pub fn a_claim_in_the_last_block_of_the_window_beats_the_refund_and_the_withdrawal() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    world.must(1, Action::LaneClose { lane });
    world.blocks(2);
    let withdrawal = world.tx(1, Action::EscrowWithdraw { amount: coins(100) });
    let claim = world.tx(2, Action::Ticket(world.ticket(lane, 3, GB)));
    let outcome = world.block(vec![withdrawal, claim]);
    let needed = coins(100);
    let why = Rejection::EscrowTooLow { free: Amount::ZERO, needed };
    assert_eq!(outcome.receipts[0].outcome, Outcome::Rejected(why));
    assert!(matches!(outcome.receipts[1].outcome, Outcome::Applied(_)));
    assert_eq!(world.state.escrow(&key(1)).free, coins(90));
}

#[test]
pub fn a_claim_after_the_window_finds_no_lane() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let late = world.ticket(lane, 3, GB);
    world.must(1, Action::LaneClose { lane });
    world.blocks(3);
    world.rejects(2, Action::Ticket(late), Rejection::NoSuchLane);
}

#[test]
pub fn caps_of_all_lanes_never_exceed_the_escrow() {
    let mut world = World::new();
    world.must(1, Action::EscrowAdd { amount: coins(150) });
    let open = |world: &World| Action::LaneOpen(world.ask(&[2, 3]));
    world.must(1, open(&world));
    let why = Rejection::EscrowTooLow { free: coins(50), needed: coins(100) };
    world.rejects(1, open(&world), why);
    let why = Rejection::EscrowTooLow { free: coins(50), needed: coins(51) };
    world.rejects(1, Action::EscrowWithdraw { amount: coins(51) }, why);
}

#[test]
pub fn one_owner_is_not_twice_in_a_path() {
    let mut world = World::new();
    world.must(1, Action::EscrowAdd { amount: coins(100) });
    world.rejects(1, Action::LaneOpen(world.ask(&[2, 3, 2])), Rejection::PayeeTwice);
}

/// What a coalition has more, in base units, if it pays itself for a gigabyte that never was.
fn gain_of_self_dealing(coalition: &[u8], payees: &[u8], subsidy: Amount) -> i128 {
    let wealth_after = |deals: bool| -> i128 {
        let mut world =
            World::from(&srwan_ledger::genesis::Genesis { subsidy, ..genesis(quick_params()) });
        vote_with(&mut world, coalition);
        if deals {
            let lane = world.lane(payees, coins(100));
            let endpoint = *payees.last().unwrap();
            world.settle(endpoint, world.ticket(lane, endpoint, 5 * GB));
            world.must(1, Action::LaneClose { lane });
        }
        while world.state.height() < Height(40) {
            world.block(Vec::new());
        }
        coalition.iter().map(|person| i128::from(world.wealth(*person))).sum()
    };
    wealth_after(true) - wealth_after(false)
}

fn vote_with(world: &mut World, coalition: &[u8]) {
    use srwan_ledger::vote::VoteAction;
    let leader = coalition[0];
    world.must(leader, Action::Vote(VoteAction::Open { commission_bps: 2_000 }));
    for person in &coalition[1..] {
        world.must(*person, Action::Vote(VoteAction::Join { leader: key(leader) }));
    }
}

#[test]
pub fn self_dealing_gains_nothing_for_any_share_of_ownership_with_or_without_subsidy() {
    for subsidy in [Amount::ZERO, coins(1_000)] {
        // Payer alone; payer and relays; all of them, all votes and the only validator.
        for coalition in [vec![1], vec![1, 2], vec![1, 2, 3, 4], (1..=10).collect()] {
            let gain = gain_of_self_dealing(&coalition, &[2, 3, 4], subsidy);
            assert!(gain < 0, "{coalition:?} gains {gain} with subsidy {subsidy}");
        }
    }
}

#[test]
pub fn a_validator_that_stuffs_its_blocks_with_its_own_transactions_gains_nothing() {
    let mut world = World::new();
    let before = world.wealth(10);
    for _ in 0..20 {
        world.act(10, Action::Transfer { to: key(10), amount: coins(1) });
    }
    world.blocks(5);
    assert!(world.wealth(10) < before);
}

#[test]
pub fn a_block_that_names_a_voter_twice_is_not_executed() {
    let mut world = World::new();
    world.blocks(1);
    let root = world.state.root();
    let header = world.state.next_header(maker(&[10, 10]), &[]);
    let executed = world.state.execute(&Block { header, txs: Vec::new() });
    assert_eq!(executed.map(|_| ()), Err(BlockError::WrongVoters));
    assert_eq!(world.state.root(), root);
}

#[test]
pub fn loss_of_a_payee_to_a_refused_last_receipt_is_what_it_served_without_one() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let (vouchered, served) = (GB, GB + (64 << 20));
    let mut ticket = world.ticket(lane, 3, vouchered);
    ticket.delivery = world.ticket(lane, 3, served).delivery;
    let paid = world.settle(2, ticket).charge;
    let owed = world.state.lane(&lane).unwrap().divide(Octets(served)).charge;
    let credit_limit = world.state.lane(&lane).unwrap().divide(Octets(64 << 20)).charge;
    assert!(owed.checked_sub(paid).unwrap() <= credit_limit.checked_add(base(1)).unwrap());
}

#[test]
pub fn a_payee_that_stops_after_the_receipt_is_paid_for_what_was_delivered() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let ticket = Ticket {
        receipt: world.ticket(lane, 3, GB + (16 << 20)).receipt,
        ..world.ticket(lane, 3, GB)
    };
    assert_eq!(world.settle(2, ticket).charge, coins(10));
}

#[test]
pub fn counters_at_the_end_of_their_range_pay_the_cap_and_no_more() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    world.settle(2, world.ticket(lane, 3, u64::MAX - 1));
    let after = world.state.lane(&lane).unwrap().clone();
    assert_eq!((after.paid, after.funds()), (coins(100), Amount::ZERO));
    let settled = after.settled;
    for octets in [u64::MAX, 0, 1] {
        let why = Rejection::NothingToSettle { claimed: settled.min(Octets(octets)), settled };
        world.rejects(2, Action::Ticket(world.ticket(lane, 3, octets)), why);
    }
}
