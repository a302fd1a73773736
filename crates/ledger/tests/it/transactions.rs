//! Admission: what is refused, what is rejected, and what each leaves behind.

use srwan_ledger::amount::Amount;
use srwan_ledger::outcome::Outcome;
use srwan_ledger::rejection::Rejection;
use srwan_ledger::tx::{Action, SignedTx, Tx};
use srwan_wire::id::{ChainId, Height};

use crate::world::{World, base, coins, genesis, key, quick_params, secret};

fn transfer(to: u8, amount: Amount) -> Action {
    Action::Transfer { to: key(to), amount }
}

#[track_caller]
fn refused(world: &mut World, tx: SignedTx, why: Rejection) {
    let before = world.state.account(&tx.body.sender);
    let receipt = world.run(tx.clone());
    assert_eq!(receipt.outcome, Outcome::Refused(why));
    assert_eq!(receipt.fee, Amount::ZERO);
    assert_eq!(world.state.account(&tx.body.sender), before, "a refusal changes nothing");
}

#[test]
pub fn a_transfer_moves_coins_and_pays_its_fee() {
    let mut world = World::new();
    let receipt = world.act(1, transfer(2, coins(5)));
    assert!(receipt.fee >= world.state.params().fees.min_fee);
    assert_eq!(world.balance(2), coins(10_005));
    let left = coins(10_000 - 5).checked_sub(receipt.fee).unwrap();
    assert_eq!(world.balance(1), left);
    assert_eq!(world.nonce(1), 1);
}

#[test]
pub fn a_transfer_to_oneself_costs_only_the_fee() {
    let mut world = World::new();
    let fee = world.act(1, transfer(1, coins(5))).fee;
    assert_eq!(world.balance(1), coins(10_000).checked_sub(fee).unwrap());
}

#[test]
pub fn a_transaction_of_another_ledger_is_refused() {
    let mut world = World::new();
    let body = world.tx(1, transfer(2, coins(1))).body;
    let foreign = SignedTx::new(Tx { chain: ChainId([1; 32]), ..body }, &secret(1));
    refused(&mut world, foreign, Rejection::WrongChain);
}

#[test]
pub fn a_transaction_with_a_changed_field_is_refused() {
    let mut world = World::new();
    let mut tx = world.tx(1, transfer(2, coins(1)));
    tx.body.action = transfer(3, coins(1));
    refused(&mut world, tx, Rejection::BadSignature);
}

#[test]
pub fn a_transaction_signed_by_someone_else_is_refused() {
    let mut world = World::new();
    let body = world.tx(1, transfer(2, coins(1))).body;
    refused(&mut world, SignedTx::new(body, &secret(2)), Rejection::BadSignature);
}

#[test]
pub fn a_replayed_transaction_is_refused() {
    let mut world = World::new();
    let tx = world.tx(1, transfer(2, coins(1)));
    world.run(tx.clone());
    refused(&mut world, tx, Rejection::WrongNonce { expected: 1, got: 0 });
}

#[test]
pub fn a_transaction_ahead_of_its_turn_is_refused() {
    let mut world = World::new();
    let tx = world.author(1).transfer(3, key(2), coins(1));
    refused(&mut world, tx, Rejection::WrongNonce { expected: 0, got: 3 });
}

#[test]
pub fn an_expired_transaction_is_refused() {
    let mut world = World::new();
    world.blocks(2);
    let body = world.tx(1, transfer(2, coins(1))).body;
    let old = SignedTx::new(Tx { valid_until: Height(2), ..body }, &secret(1));
    refused(&mut world, old, Rejection::Expired { valid_until: Height(2) });
}

#[test]
pub fn a_fee_below_the_price_list_is_refused() {
    let mut world = World::new();
    let body = world.tx(1, transfer(2, coins(1))).body;
    let required = body.fee;
    let offered = required.checked_sub(base(1)).unwrap();
    let cheap = SignedTx::new(Tx { fee: offered, ..body }, &secret(1));
    refused(&mut world, cheap, Rejection::FeeTooLow { offered, required });
}

#[test]
pub fn an_account_that_cannot_pay_the_fee_is_refused() {
    let mut world = World::new();
    let tx = world.tx(99, transfer(2, coins(1)));
    let fee = tx.body.fee;
    refused(&mut world, tx, Rejection::FeeUnaffordable { available: Amount::ZERO, fee });
}

#[test]
pub fn a_rejected_transaction_uses_its_nonce_and_fee_and_nothing_else() {
    let mut world = World::new();
    let receipt = world.act(1, transfer(2, coins(10_000)));
    let needed = coins(10_000).checked_add(receipt.fee).unwrap();
    let why = Rejection::BalanceTooLow { balance: coins(10_000), needed };
    assert_eq!(receipt.outcome, Outcome::Rejected(why));
    assert_eq!(world.balance(1), coins(10_000).checked_sub(receipt.fee).unwrap());
    assert_eq!((world.balance(2), world.nonce(1)), (coins(10_000), 1));
}

#[test]
pub fn an_amount_that_would_overflow_is_rejected() {
    let mut world = World::new();
    let needed = base(u64::MAX);
    let balance = world.balance(1);
    world.rejects(1, transfer(2, base(u64::MAX)), Rejection::BalanceTooLow { balance, needed });
    let balance = world.balance(1);
    let add = Action::EscrowAdd { amount: base(u64::MAX) };
    world.rejects(1, add, Rejection::BalanceTooLow { balance, needed });
}

#[test]
pub fn nothing_moves_for_an_amount_of_zero() {
    let mut world = World::new();
    for action in [
        transfer(2, Amount::ZERO),
        Action::EscrowAdd { amount: Amount::ZERO },
        Action::EscrowWithdraw { amount: Amount::ZERO },
    ] {
        world.rejects(1, action, Rejection::AmountZero);
    }
}

#[test]
pub fn a_preview_says_what_will_happen_and_changes_nothing() {
    let mut world = World::new();
    let root = world.state.root();
    let good = world.tx(1, transfer(2, coins(1)));
    let bad = world.tx(1, transfer(2, coins(20_000)));
    let previewed = world.state.preview(&good);
    let refused = world.state.preview(&bad);
    assert_eq!(world.state.root(), root);
    assert_eq!(world.run(good).outcome, Outcome::Applied(previewed.unwrap()));
    assert!(matches!(refused, Err(Rejection::BalanceTooLow { .. })));
}

#[test]
pub fn the_supply_at_its_cap_still_adds_up() {
    let mut full = genesis(quick_params());
    full.supply = srwan_ledger::amount::SUPPLY_MAX;
    full.accounts.insert(key(1), coins(900_000_000));
    let mut world = World::from(&full);
    world.must(1, transfer(2, coins(899_000_000)));
    world.must(2, Action::EscrowAdd { amount: coins(890_000_000) });
    assert_eq!(world.state.recount(), 1_000_000_000_000_000_000);
}

#[test]
pub fn a_fee_above_what_is_asked_is_taken_whole() {
    let mut world = World::new();
    let body = world.tx(1, transfer(2, coins(1))).body;
    let generous = SignedTx::new(Tx { fee: coins(2), ..body }, &secret(1));
    assert_eq!(world.run(generous).fee, coins(2));
    assert_eq!(world.balance(1), coins(10_000 - 3));
}
