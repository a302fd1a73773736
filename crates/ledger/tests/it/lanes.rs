//! A lane's life: opening, settling, closing, refund.

use srwan_ledger::amount::Amount;
use srwan_ledger::lane::{LaneOpen, LanePhase, PAYEES_MAX, Payee};
use srwan_ledger::outcome::{Effect, Event, Outcome};
use srwan_ledger::rejection::Rejection;
use srwan_ledger::tx::Action;
use srwan_wire::id::{Height, Octets};
use srwan_wire::receipt::Price;

use crate::world::{GB, World, base, coins, key};

#[test]
pub fn a_gigabyte_over_two_relays_and_an_endpoint_pays_each_three_coins() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3, 4], coins(100));
    let settlement = world.settle(1, world.ticket(lane, 4, GB));
    assert_eq!(settlement.charge, coins(10));
    for payee in [2, 3, 4] {
        assert_eq!(world.balance(payee), coins(10_003));
    }
    assert_eq!(world.state.supply().pools.infra, coins(1));
}

#[test]
pub fn a_lane_that_closes_refunds_what_was_not_paid_after_the_claim_window() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    world.settle(1, world.ticket(lane, 3, GB));
    let effect = world.must(1, Action::LaneClose { lane });
    let until = Height(world.state.height().0 + 3);
    assert_eq!(effect, Effect::LaneClosing { lane, until });
    world.blocks(2);
    assert_eq!(world.state.escrow(&key(1)).free, Amount::ZERO);
    let outcome = world.block(Vec::new());
    let [Event::LaneRefunded { id, refund, carry, .. }, ..] = outcome.events.as_slice() else {
        panic!("{:?}", outcome.events);
    };
    assert_eq!((*id, *refund, *carry), (lane, coins(90), Amount::ZERO));
    assert_eq!(world.state.escrow(&key(1)).free, coins(90));
    assert_eq!(world.state.lane(&lane), Err(Rejection::NoSuchLane));
    world.must(1, Action::EscrowWithdraw { amount: coins(90) });
    assert_eq!(world.state.escrow(&key(1)), Default::default());
}

#[test]
pub fn an_expired_lane_closes_by_itself() {
    let mut world = World::new();
    world.must(1, Action::EscrowAdd { amount: coins(10) });
    let expiry = Height(world.state.height().0 + 3);
    let open = LaneOpen { expiry, cap: coins(10), ..world.ask(&[2]) };
    let Effect::LaneOpened { lane, .. } = world.must(1, Action::LaneOpen(open)) else { panic!() };
    world.blocks(2);
    let until = Height(expiry.0 + 3);
    assert_eq!(world.state.lane(&lane).unwrap().phase, LanePhase::Closing { until });
    world.settle(2, world.ticket(lane, 2, 1));
    world.blocks(3);
    assert_eq!(world.state.lane(&lane), Err(Rejection::NoSuchLane));
}

#[test]
pub fn what_rounding_left_over_goes_to_the_infrastructure_account_at_the_end() {
    let mut world = World::new();
    let cap = base(1_000);
    world.must(1, Action::EscrowAdd { amount: cap });
    let open = LaneOpen { price: Price(11), cap, ..world.ask(&[2, 3, 4]) };
    let Effect::LaneOpened { lane, .. } = world.must(1, Action::LaneOpen(open)) else { panic!() };
    world.must(1, Action::LaneClose { lane });
    let before = world.state.supply().pools.infra;
    // 11 units: infrastructure 1, shares 3 x 3, carry 1.
    world.settle(2, world.ticket(lane, 4, 1_000_000));
    world.blocks(3);
    assert_eq!(world.state.supply().pools.infra, before.checked_add(base(2)).unwrap());
    assert_eq!(world.state.escrow(&key(1)).free, base(989));
}

#[test]
pub fn a_ticket_pays_the_lesser_of_receipt_and_delivery() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    let mut ticket = world.ticket(lane, 3, 2 * GB);
    ticket.delivery = world.ticket(lane, 3, GB).delivery;
    assert_eq!(world.settle(2, ticket).charge, coins(10));
    let mut ticket = world.ticket(lane, 3, 5 * GB);
    ticket.receipt = world.ticket(lane, 3, 3 * GB).receipt;
    assert_eq!(world.settle(2, ticket).charge, coins(20));
}

#[test]
pub fn a_receipt_beyond_the_cap_pays_the_cap_and_no_more() {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(10));
    let settlement = world.settle(2, world.ticket(lane, 3, 50 * GB));
    // The most octets whose charge rounds down to the cap: below 10^8 octets more cost a unit.
    assert_eq!(settlement.charge, coins(10));
    let why =
        Rejection::NothingToSettle { claimed: settlement.settled, settled: settlement.settled };
    world.rejects(2, Action::Ticket(world.ticket(lane, 3, 60 * GB)), why);
}

#[test]
pub fn a_raised_cap_pays_for_more() {
    let mut world = World::new();
    let lane = world.lane(&[2], coins(10));
    world.settle(2, world.ticket(lane, 2, 50 * GB));
    world.must(1, Action::EscrowAdd { amount: coins(10) });
    world.must(1, Action::LaneRaise { lane, amount: coins(10) });
    assert_eq!(world.settle(2, world.ticket(lane, 2, 50 * GB)).charge, coins(10));
    world.rejects(
        1,
        Action::LaneRaise { lane, amount: coins(1) },
        Rejection::EscrowTooLow { free: Amount::ZERO, needed: coins(1) },
    );
}

#[test]
pub fn an_open_lane_settles_no_less_than_ten_megabytes_a_closing_one_any_amount() {
    let mut world = World::new();
    let lane = world.lane(&[2], coins(100));
    let (unsettled, min) = (Octets(9_999_999), Octets(10_000_000));
    let why = Rejection::BelowMinSettle { unsettled, min };
    world.rejects(2, Action::Ticket(world.ticket(lane, 2, 9_999_999)), why);
    world.settle(2, world.ticket(lane, 2, 10_000_000));
    world.must(1, Action::LaneClose { lane });
    world.settle(2, world.ticket(lane, 2, 10_000_001));
}

#[test]
pub fn the_fee_of_a_ticket_comes_out_of_the_reserve_first() {
    let mut world = World::new();
    world.must(1, Action::EscrowAdd { amount: coins(11) });
    let open = LaneOpen { cap: coins(10), fee_reserve: coins(1), ..world.ask(&[2]) };
    let Effect::LaneOpened { lane, .. } = world.must(1, Action::LaneOpen(open)) else { panic!() };
    let receipt = world.act(2, Action::Ticket(world.ticket(lane, 2, GB)));
    assert!(matches!(receipt.outcome, Outcome::Applied(_)));
    assert_eq!(world.balance(2), coins(10_009));
    let left = coins(1).checked_sub(receipt.fee).unwrap();
    assert_eq!(world.state.lane(&lane).unwrap().open.fee_reserve, left);
}

#[test]
pub fn a_payee_without_coins_pays_the_fee_out_of_its_share() {
    let mut world = World::new();
    let lane = world.lane(&[50], coins(100));
    let receipt = world.act(50, Action::Ticket(world.ticket(lane, 50, GB)));
    assert!(matches!(receipt.outcome, Outcome::Applied(_)), "{receipt:?}");
    assert_eq!(world.balance(50), coins(9).checked_sub(receipt.fee).unwrap());
}

#[track_caller]
fn refuses_to_open(change: impl FnOnce(&mut World, &mut LaneOpen), why: Rejection) {
    let mut world = World::new();
    world.must(1, Action::EscrowAdd { amount: coins(100) });
    let mut open = world.ask(&[2, 3]);
    change(&mut world, &mut open);
    world.rejects(1, Action::LaneOpen(open), why);
}

#[test]
pub fn a_lane_that_breaks_a_rule_is_not_opened() {
    let max = u64::try_from(PAYEES_MAX).unwrap();
    refuses_to_open(|_, open| open.payees.clear(), Rejection::PayeeCount { count: 0, max });
    refuses_to_open(
        |world, open| *open = world.ask(&[2, 3, 4, 5, 6, 7, 8, 9, 10]),
        Rejection::PayeeCount { count: 9, max },
    );
    refuses_to_open(|world, open| *open = world.ask(&[2, 1]), Rejection::PayerIsPayee);
    refuses_to_open(
        |_, open| open.payees.iter_mut().for_each(|payee| payee.weight = 0),
        Rejection::NoWeight,
    );
    refuses_to_open(|_, open| open.price = Price(0), Rejection::PriceOutOfRange);
    refuses_to_open(|_, open| open.price = Price::INFINITE, Rejection::PriceOutOfRange);
    refuses_to_open(|_, open| open.cap = Amount::ZERO, Rejection::AmountZero);
    refuses_to_open(
        |_, open| open.cap = coins(101),
        Rejection::EscrowTooLow { free: coins(100), needed: coins(101) },
    );
    refuses_to_open(
        |_, open| open.fee_reserve = base(u64::MAX),
        Rejection::EscrowTooLow { free: coins(100), needed: base(u64::MAX) },
    );
    for expiry in [Height(0), Height(2), Height(2_000)] {
        let (lowest, highest) = (Height(3), Height(1_002));
        refuses_to_open(
            |_, open| open.expiry = expiry,
            Rejection::ExpiryOutOfRange { lowest, highest, got: expiry },
        );
    }
}

#[test]
pub fn a_payee_of_weight_zero_gets_nothing_and_the_others_all() {
    let mut world = World::new();
    world.must(1, Action::EscrowAdd { amount: coins(100) });
    let payee = |who, weight| Payee { account: key(who), weight };
    let open = LaneOpen {
        payees: vec![payee(2, 0), payee(3, u32::MAX), payee(4, u32::MAX)],
        ..world.ask(&[2, 3, 4])
    };
    let Effect::LaneOpened { lane, .. } = world.must(1, Action::LaneOpen(open)) else { panic!() };
    world.settle(1, world.ticket(lane, 4, GB));
    assert_eq!(world.balance(2), coins(10_000));
    assert_eq!(world.balance(3), base(10_004_500_000_000));
}

#[test]
pub fn only_the_payer_closes_or_raises_and_only_while_it_is_open() {
    let mut world = World::new();
    let lane = world.lane(&[2], coins(100));
    world.rejects(2, Action::LaneClose { lane }, Rejection::NotThePayer);
    let raise = Action::LaneRaise { lane, amount: coins(1) };
    world.rejects(2, raise.clone(), Rejection::NotThePayer);
    world.must(1, Action::LaneClose { lane });
    world.rejects(1, Action::LaneClose { lane }, Rejection::LaneNotOpen);
    world.rejects(1, raise, Rejection::LaneNotOpen);
}
