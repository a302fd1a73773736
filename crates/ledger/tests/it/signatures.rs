//! Signatures checked at once, remembered, or one by one: a block does the same.

use proptest::prelude::*;
use srwan_ledger::block::Block;
use srwan_ledger::outcome::Outcome;
use srwan_ledger::rejection::Rejection;
use srwan_ledger::signature::Checked;
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::{Action, SignedTx};
use srwan_wire::id::LaneId;

use crate::world::{GB, World, coins, key, maker};

/// What is wrong with a ticket.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Nothing,
    Sender,
    Receipt,
    Delivery,
}

fn ticket(world: &World, lane: LaneId, nonce: u64, wrong: Wrong) -> SignedTx {
    let mut ticket: Ticket = world.ticket(lane, 3, GB + nonce * GB / 10);
    match wrong {
        Wrong::Receipt => ticket.receipt.signature.0[40] ^= 1,
        Wrong::Delivery => ticket.delivery.signature.0[3] ^= 1,
        Wrong::Nothing | Wrong::Sender => {}
    }
    let mut tx = world.author(2).sign(world.nonce(2) + nonce, Action::Ticket(ticket));
    if matches!(wrong, Wrong::Sender) {
        tx.signature.0[63] ^= 1;
    }
    tx
}

fn wrong() -> impl Strategy<Value = Wrong> {
    prop_oneof![
        6 => Just(Wrong::Nothing),
        1 => Just(Wrong::Sender),
        1 => Just(Wrong::Receipt),
        1 => Just(Wrong::Delivery),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_block_does_the_same_however_its_signatures_are_checked(
        wrongs in prop::collection::vec(wrong(), 0..12),
        known in 0_usize..12,
    ) {
        let mut world = World::new();
        let lane = world.lane(&[2, 3], coins(100));
        let nonces = 0_u64..;
        let made = |(wrong, nonce): (&Wrong, u64)| ticket(&world, lane, nonce, *wrong);
        let txs: Vec<_> = wrongs.iter().zip(nonces).map(made).collect();
        let block = Block { header: world.state.next_header(maker(&[10]), &txs), txs };
        let mut checked = Checked::new();
        checked.check(&world.state, &block.txs[..known.min(block.txs.len())]);

        let (mut one_by_one, mut at_once, mut remembered) =
            (world.state.clone(), world.state.clone(), world.state.clone());
        let height = one_by_one.next_height();
        let receipts: Vec<_> = block.txs.iter().map(|tx| one_by_one.apply(tx, height)).collect();
        let outcome = at_once.execute(&block).unwrap();
        prop_assert_eq!(&outcome.receipts, &receipts);
        prop_assert_eq!(remembered.execute_checked(&block, &checked).unwrap(), outcome);
        prop_assert_eq!(remembered.root(), at_once.root());
    }
}

#[test]
pub fn only_transactions_whose_signatures_all_hold_are_remembered() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let wrongs = [Wrong::Nothing, Wrong::Sender, Wrong::Receipt, Wrong::Delivery, Wrong::Nothing];
    let txs: Vec<_> = wrongs.iter().map(|wrong| ticket(&world, lane, 0, *wrong)).collect();
    let mut checked = Checked::new();
    checked.check(&world.state, &txs);
    assert_eq!(checked.len(), 1);
    assert!(world.state.preview_checked(&txs[0], &checked).is_ok());
    let refused = world.state.preview_checked(&txs[1], &checked);
    assert_eq!(refused, Err(Rejection::BadSignature));
    let rejected = world.state.preview_checked(&txs[2], &checked);
    assert_eq!(rejected, Err(Rejection::ReceiptForged));
}

#[test]
pub fn a_ticket_remembered_before_its_lane_was_final_is_checked_when_it_is_settled() {
    let mut world = World::new();
    world.must(1, Action::EscrowAdd { amount: coins(200) });
    let (lane, open) = world.author(1).lane_open(world.nonce(1), world.ask(&[2, 3]));
    let mut ahead = World { state: world.state.clone() };
    ahead.run(open.clone());
    let forged = ticket(&ahead, lane, 0, Wrong::Receipt);
    let mut checked = Checked::new();
    checked.check(&world.state, &[open.clone(), forged.clone()]);
    assert_eq!(checked.len(), 2);
    let txs = vec![open, forged];
    let block = Block { header: world.state.next_header(maker(&[10]), &txs), txs };
    let outcome = world.state.execute_checked(&block, &checked).unwrap();
    assert_eq!(outcome.receipts[1].outcome, Outcome::Rejected(Rejection::ReceiptForged));
    assert_eq!(world.balance(3), coins(10_000));
    assert_eq!(world.state.account(&key(2)).nonce, 1);
}
