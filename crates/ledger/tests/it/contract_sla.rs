//! Service level agreements: measured violations pay, nothing else does.

use srwan_ledger::contract::rejection::ContractRejection as Why;
use srwan_ledger::contract::sla::{
    Bound, Measurement, MeasurementBody, SlaClaim, SlaTerms, sla_id,
};
use srwan_ledger::contract::{ContractAction, ContractEvent};
use srwan_ledger::hash::SlaId;
use srwan_ledger::outcome::Event;
use srwan_wire::id::Height;
use srwan_wire::receipt::Signed;

use crate::world::{World, base, coins, key, secret};

const OBSERVERS: [u8; 3] = [4, 5, 6];
const BOUND: u64 = 30_000_000;

fn terms(world: &World) -> SlaTerms {
    SlaTerms {
        customer: key(3),
        subject: [1; 32],
        bound: Bound::Delay(BOUND),
        observers: OBSERVERS.map(key).to_vec(),
        quorum: 2,
        period_blocks: 4,
        payout: coins(40),
        funds: coins(100),
        until: Height(world.state.height().0 + 17),
    }
}

/// Person 2 promises person 3, and persons 4 to 6 observe.
fn agreed() -> (World, SlaId) {
    let mut world = World::new();
    let id = sla_id(&world.state.chain(), &key(2), world.nonce(2));
    let terms = terms(&world);
    world.agree(2, ContractAction::SlaOpen(terms));
    (world, id)
}

fn said(world: &World, sla: SlaId, period: u64, observer: u8, value: u64) -> Measurement {
    let body = MeasurementBody { chain: world.state.chain(), sla, period, value };
    Measurement { observer, said: Signed::new(body, &secret(OBSERVERS[usize::from(observer)])) }
}

fn claim(world: &World, sla: SlaId, period: u64, values: &[(u8, u64)]) -> SlaClaim {
    let said = |(observer, value): &(u8, u64)| said(world, sla, period, *observer, *value);
    SlaClaim { sla, period, measurements: values.iter().map(said).collect() }
}

const SLOW: u64 = BOUND + 1;

#[test]
fn a_violation_pays_the_customer_once_per_period_and_the_rest_goes_back() {
    let (mut world, id) = agreed();
    let (customer, provider) = (world.balance(3), world.balance(2));
    let slow = |world: &World, period| {
        ContractAction::SlaClaim(claim(world, id, period, &[(0, SLOW), (2, SLOW)]))
    };
    // Anyone may send it; here someone who has nothing to do with it.
    world.agree(7, slow(&world, 0));
    assert_eq!(world.balance(3).base(), customer.base() + coins(40).base());
    world.declines(7, slow(&world, 0), Why::PeriodPaid);
    world.blocks(3);
    world.agree(7, slow(&world, 1));
    world.blocks(20);
    assert_eq!(world.balance(3).base(), customer.base() + coins(80).base());
    assert_eq!(world.balance(2).base(), provider.base() + coins(20).base());
    world.declines(7, slow(&world, 2), Why::NoSuchAgreement);
}

#[test]
fn the_last_piece_is_what_is_left() {
    let (mut world, id) = agreed();
    let customer = world.balance(3);
    for period in 0..4 {
        let slow = claim(&world, id, period, &[(0, SLOW), (1, SLOW)]);
        match period {
            3 => world.declines(7, ContractAction::SlaClaim(slow), Why::AgreementEmpty),
            _ => drop(world.agree(7, ContractAction::SlaClaim(slow))),
        }
        world.blocks(3);
    }
    assert_eq!(world.balance(3).base(), customer.base() + coins(100).base());
}

#[test]
fn without_a_violation_nothing_is_released_and_all_returns() {
    let (mut world, id) = agreed();
    let before = (world.balance(2), world.balance(3));
    let mut ended = Vec::new();
    for _ in 0..25 {
        ended.extend(world.block(Vec::new()).events.into_iter().filter_map(|event| match event {
            Event::Contract(ContractEvent::SlaEnded { id, rest, .. }) => Some((id, rest)),
            _ => None,
        }));
    }
    assert_eq!(ended, [(id, coins(100))]);
    assert_eq!(world.balance(2).base(), before.0.base() + coins(100).base());
    assert_eq!(world.balance(3), before.1);
}

#[test]
fn a_forged_stale_duplicate_or_lonely_measurement_moves_nothing() {
    let (mut world, id) = agreed();
    let period_one = |world: &World, values: &[(u8, u64)]| claim(world, id, 1, values);
    world.blocks(4);
    let cases = [
        (period_one(&world, &[(0, SLOW)]), Why::TooFewObservers { count: 1, needed: 2 }),
        (period_one(&world, &[]), Why::TooFewObservers { count: 0, needed: 2 }),
        (period_one(&world, &[(0, SLOW), (0, SLOW)]), Why::ObserverTwice),
        (period_one(&world, &[(0, SLOW), (1, BOUND)]), Why::BoundKept { index: 1 }),
    ];
    for (claim, why) in cases {
        world.declines(3, ContractAction::SlaClaim(claim), why);
    }
    // The customer signs in the name of an observer.
    let mut forged = claim(&world, id, world_period(&world, id), &[(0, SLOW), (1, SLOW)]);
    forged.measurements[1].said = Signed::new(forged.measurements[1].said.body, &secret(3));
    let why = Why::MeasurementForged { index: 1 };
    world.declines(3, ContractAction::SlaClaim(forged.clone()), why);
    forged.measurements[1].observer = 9;
    world.declines(3, ContractAction::SlaClaim(forged), why);
    // Of another agreement, of another period, of the future, and of long ago.
    let present = world_period(&world, id);
    let mut foreign = claim(&world, id, present, &[(0, SLOW), (1, SLOW)]);
    foreign.period = present.saturating_sub(1);
    let why = Why::MeasurementForeign { index: 0 };
    world.declines(3, ContractAction::SlaClaim(foreign), why);
    let why = Why::MeasurementStale { index: 0 };
    let future = claim(&world, id, world_period(&world, id) + 2, &[(0, SLOW), (1, SLOW)]);
    world.declines(3, ContractAction::SlaClaim(future), why);
    world.blocks(4);
    let past = claim(&world, id, 0, &[(0, SLOW), (1, SLOW)]);
    world.declines(3, ContractAction::SlaClaim(past), why);
    assert_eq!(world.state.contracts().sla(&id).unwrap().left, coins(100));
}

fn world_period(world: &World, id: SlaId) -> u64 {
    world.state.contracts().sla(&id).unwrap().period_at(world.state.next_height())
}

#[test]
fn terms_that_one_party_could_decide_alone_are_not_taken() {
    let mut world = World::new();
    let good = terms(&world);
    let bad = [
        (SlaTerms { observers: vec![key(4)], ..good.clone() }, Why::BadObservers),
        (SlaTerms { observers: vec![key(4), key(4)], ..good.clone() }, Why::BadObservers),
        (SlaTerms { observers: vec![key(4), key(3)], ..good.clone() }, Why::BadObservers),
        (SlaTerms { observers: vec![key(4), key(2)], ..good.clone() }, Why::BadObservers),
        (SlaTerms { quorum: 1, ..good.clone() }, Why::BadQuorum),
        (SlaTerms { quorum: 4, ..good.clone() }, Why::BadQuorum),
        (SlaTerms { payout: base(0), ..good.clone() }, Why::BadAgreement),
        (SlaTerms { payout: coins(101), ..good.clone() }, Why::BadAgreement),
        (SlaTerms { period_blocks: 0, ..good.clone() }, Why::BadAgreement),
        (SlaTerms { customer: key(2), ..good.clone() }, Why::BadAgreement),
        (SlaTerms { until: Height(0), ..good }, Why::BadAgreement),
    ];
    for (terms, why) in bad {
        world.declines(2, ContractAction::SlaOpen(terms), why);
    }
}
