//! Parameters: who may change them, when, and within which bounds.

use std::collections::BTreeMap;

use proptest::prelude::*;
use srwan_ledger::genesis::{Genesis, Params};
use srwan_ledger::governance::{Change, Parameter};
use srwan_ledger::outcome::Event;
use srwan_ledger::rejection::Rejection;
use srwan_ledger::tx::Action;
use srwan_ledger::validator::ValidatorAction;

use crate::world::{World, first_validator, genesis, key, quick_params, validator};

/// Persons 7 to 10 validate, with power 1 each.
fn world() -> World {
    let validators: BTreeMap<_, _> =
        (7..=10).map(|person| (validator(person), first_validator(person))).collect();
    World::from(&Genesis { validators, ..genesis(quick_params()) })
}

const CHANGE: Change = Change { parameter: Parameter::InfraBps, value: 500 };

fn end_epoch(world: &mut World) -> Vec<Event> {
    let epoch = world.state.params().epoch_blocks;
    let left = epoch - world.state.height().0 % epoch;
    world.blocks(left - 1);
    world.block(Vec::new()).events
}

#[test]
pub fn more_than_two_thirds_change_a_parameter_at_the_end_of_the_epoch() {
    let mut world = world();
    for person in [7, 8, 9] {
        world.must(person, Action::Govern(CHANGE));
        assert_eq!(world.state.params().infra_bps, 1_000);
    }
    let events = end_epoch(&mut world);
    assert!(events.contains(&Event::ParameterChanged(CHANGE)));
    assert_eq!(world.state.params().infra_bps, 500);
    assert_eq!(world.state.approvals().iter().count(), 0);
}

#[test]
pub fn two_thirds_or_less_change_nothing_and_a_later_word_replaces_an_earlier_one() {
    let mut world = world();
    world.must(7, Action::Govern(CHANGE));
    world.must(8, Action::Govern(CHANGE));
    world.must(9, Action::Govern(Change { value: 501, ..CHANGE }));
    end_epoch(&mut world);
    assert_eq!(world.state.params().infra_bps, 1_000);
    world.must(9, Action::Govern(CHANGE));
    end_epoch(&mut world);
    assert_eq!(world.state.params().infra_bps, 500);
}

#[test]
pub fn no_one_but_members_of_the_committee_approves() {
    let mut world = world();
    world.rejects(1, Action::Govern(CHANGE), Rejection::NotAValidator);
    world.join(1, srwan_ledger::amount::Amount::from_coins(2_000).unwrap());
    world.rejects(1, Action::Govern(CHANGE), Rejection::NotInCommittee);
    world.must(7, Action::Govern(CHANGE));
    world.must(7, Action::Validator(ValidatorAction::Leave));
    world.rejects(7, Action::Govern(CHANGE), Rejection::ValidatorLeft);
    assert_eq!(world.state.account(&key(1)).nonce, 3);
}

#[test]
pub fn an_approval_ends_with_the_membership() {
    let mut world = world();
    world.must(7, Action::Govern(CHANGE));
    world.must(7, Action::Validator(ValidatorAction::Leave));
    world.blocks(12);
    assert_eq!(world.state.approvals().iter().count(), 0);
}

#[test]
pub fn governance_values_out_of_range_are_rejected() {
    let mut world = world();
    let mut check = |parameter, got, lowest, highest| {
        let change = Action::Govern(Change { parameter, value: got });
        world.rejects(7, change, Rejection::ParameterOutOfRange { got, lowest, highest });
    };
    check(Parameter::InfraBps, 10_001, 0, 10_000);
    check(Parameter::ValidatorBps, 10_001, 0, 10_000);
    check(Parameter::ValidatorBps, 65_536, 0, 65_535);
    check(Parameter::SlashBps, u64::MAX, 0, 65_535);
    check(Parameter::CommissionBpsMax, 2_001, 0, 2_000);
    check(Parameter::CommitteeMax, 0, 1, 100);
    check(Parameter::CommitteeMax, 101, 1, 100);
    check(Parameter::PaidGroups, 0, 1, 1_000);
    check(Parameter::ByteFee, 1_000_000_000_001, 0, 1_000_000_000_000);
    check(Parameter::UnbondingBlocks, 2, 3, 3_153_600_000);
}

#[test]
pub fn changes_that_do_not_fit_together_are_passed_over() {
    let mut world = world();
    // Each is within range alone: the claim window is 3, the unbonding time 5.
    let longer = Change { parameter: Parameter::ClaimWindowBlocks, value: 5 };
    let shorter = Change { parameter: Parameter::UnbondingBlocks, value: 4 };
    for person in [7, 8, 9] {
        world.must(person, Action::Govern(longer));
        world.must(person, Action::Govern(shorter));
    }
    end_epoch(&mut world);
    let params = world.state.params();
    assert_eq!((params.claim_window_blocks, params.unbonding_blocks), (5, 5));
    assert_eq!(params.check(), Ok(()));
}

proptest! {
    #[test]
    fn whatever_is_applied_is_within_all_ranges(
        which in 0_u8..15,
        value in any::<u64>(),
        small in any::<bool>(),
    ) {
        let parameter: Parameter = borsh::from_slice(&[which]).unwrap();
        let value = if small { value % 70_000 } else { value };
        if let Ok(params) = (Change { parameter, value }).applied_to(&Params::DEFAULT) {
            prop_assert_eq!(params.check(), Ok(()));
        }
    }
}
