//! Where fees and the subsidy go, block by block.

use srwan_ledger::amount::Amount;
use srwan_ledger::block::Block;
use srwan_ledger::fee::FeeSchedule;
use srwan_ledger::genesis::{Genesis, GenesisError, GenesisValidator, Params};
use srwan_ledger::outcome::Event;
use srwan_ledger::state::State;
use srwan_ledger::tx::Action;
use srwan_wire::id::Height;

use crate::world::{
    GB, World, base, coins, first_validator, genesis, key, maker, quick_params, validator,
};

#[test]
pub fn a_quarter_of_a_blocks_fees_goes_to_its_voters_and_the_rest_to_dividends() {
    let mut world = World::new();
    world.blocks(1);
    let before = (world.balance(10), world.state.supply().pools.dividends);
    let fee = world.act(1, Action::Transfer { to: key(2), amount: coins(1) }).fee;
    let validators = fee.bps(2_500).unwrap();
    assert_eq!(world.balance(10), before.0.checked_add(validators).unwrap());
    let dividends = world.state.supply().pools.dividends.checked_sub(before.1).unwrap();
    assert_eq!(validators.checked_add(dividends), Some(fee));
}

#[test]
pub fn the_validators_part_of_a_block_without_voters_waits_for_the_next() {
    let mut world = World::new();
    let fee = world.act(1, Action::Transfer { to: key(2), amount: coins(1) }).fee;
    let part = fee.bps(2_500).unwrap();
    assert_eq!(world.state.supply().pools.validators, part);
    let outcome = world.block(Vec::new());
    assert_eq!(outcome.events, [Event::ValidatorPaid { account: key(10), amount: part }]);
    assert_eq!(world.state.supply().pools.validators, Amount::ZERO);
}

#[test]
pub fn a_voter_without_power_is_paid_nothing() {
    let mut world = World::new();
    world.act(1, Action::Transfer { to: key(2), amount: coins(1) });
    let header = world.state.next_header(maker(&[5]), &[]);
    world.state.execute(&Block { header, txs: Vec::new() }).unwrap();
    assert_eq!(world.balance(5), coins(10_000));
    assert!(!world.state.supply().pools.validators.is_zero());
}

#[test]
pub fn the_subsidy_is_paid_out_of_its_account_to_its_last_block_and_not_after() {
    let mut world = World::from(&Genesis { subsidy: coins(1), ..genesis(quick_params()) });
    let left = |world: &World| world.state.supply().pools.subsidy;
    world.blocks(9);
    assert_eq!(left(&world), base(100_000_000));
    world.blocks(1);
    assert_eq!(left(&world), Amount::ZERO);
    world.blocks(3);
    assert_eq!(world.state.supply().pools.dividends, base(750_000_000));
}

#[test]
pub fn all_fees_of_a_reference_gigabyte_are_below_one_percent() {
    let mut world = World::new();
    let before = world.state.supply().pools;
    let lane = world.lane(&[2, 3, 4], coins(100));
    world.settle(2, world.ticket(lane, 4, GB));
    world.must(1, Action::LaneClose { lane });
    let pools = world.state.supply().pools;
    let fees = pools.dividends.base() - before.dividends.base() + world.balance(10).base();
    let fees = fees - coins(10_000).base();
    assert!(fees < coins(10).base() / 100, "{fees}");
}

#[test]
pub fn a_fee_is_the_least_fee_or_the_one_by_size() {
    let fees = FeeSchedule { min_fee: base(100), base_fee: base(10), byte_fee: base(2) };
    assert_eq!(fees.required(0), base(100));
    assert_eq!(fees.required(45), base(100));
    assert_eq!(fees.required(46), base(102));
    assert_eq!(fees.required(u64::MAX), base(u64::MAX));
}

#[track_caller]
fn no_ledger_begins(change: impl FnOnce(&mut Genesis)) -> GenesisError {
    let mut genesis = genesis(quick_params());
    change(&mut genesis);
    State::genesis(&genesis).map(|_| ()).unwrap_err()
}

#[test]
pub fn governance_values_out_of_range_begin_no_ledger() {
    let out_of_range = |change: fn(&mut Params)| {
        let error = no_ledger_begins(|genesis| change(&mut genesis.params));
        assert!(matches!(error, GenesisError::OutOfRange { .. }), "{error}");
    };
    out_of_range(|params| params.infra_bps = 10_001);
    out_of_range(|params| params.validator_bps = 10_001);
    out_of_range(|params| params.slash_bps = 10_001);
    out_of_range(|params| params.commission_bps_max = 2_001);
    out_of_range(|params| params.epoch_blocks = 0);
    out_of_range(|params| params.subsidy_blocks = 0);
    out_of_range(|params| params.claim_window_blocks = 0);
    out_of_range(|params| params.paid_groups = 0);
    out_of_range(|params| params.unbonding_blocks = params.claim_window_blocks - 1);
    out_of_range(|params| params.fees.byte_fee = base(u64::MAX));
}

#[test]
pub fn a_genesis_that_gives_more_than_there_is_begins_no_ledger() {
    let error = no_ledger_begins(|genesis| genesis.supply = coins(99_999));
    assert_eq!(error, GenesisError::SupplyExceeded);
    let error = no_ledger_begins(|genesis| genesis.supply = base(1_000_000_000_000_000_001));
    assert_eq!(error, GenesisError::SupplyTooLarge);
    let error = no_ledger_begins(|genesis| {
        let powerless = GenesisValidator { power: 0, ..first_validator(1) };
        genesis.validators = [(validator(1), powerless)].into();
    });
    assert_eq!(error, GenesisError::PowerlessValidator);
    let error = no_ledger_begins(|genesis| genesis.chain.clear());
    assert_eq!(error, GenesisError::BadName);
}

#[test]
pub fn two_ledgers_that_differ_in_one_unit_have_different_names() {
    let one = genesis(quick_params());
    let mut other = one.clone();
    other.accounts.insert(key(1), base(coins(10_000).base() + 1));
    assert_ne!(one.chain_id(), other.chain_id());
    assert_eq!(State::genesis(&one).unwrap().height(), Height(0));
}
