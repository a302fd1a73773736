//! Votes and dividends: who is paid at the end of an epoch, and who cannot get more than that.

use srwan_ledger::amount::Amount;
use srwan_ledger::genesis::{Genesis, Params};
use srwan_ledger::rejection::Rejection;
use srwan_ledger::tx::Action;
use srwan_ledger::vote::VoteAction;
use srwan_wire::id::Height;

use crate::world::{World, base, coins, genesis, key, quick_params};

/// A ledger whose epochs have four blocks and whose only income is the subsidy: 100 coins a block.
fn world() -> World {
    let params = Params { subsidy_blocks: 1_000, validator_bps: 0, ..quick_params() };
    World::from(&Genesis { subsidy: coins(100_000), ..genesis(params) })
}

fn open(world: &mut World, leader: u8, commission_bps: u16) {
    world.must(leader, Action::Vote(VoteAction::Open { commission_bps }));
}

fn join(world: &mut World, voter: u8, leader: u8) {
    world.must(voter, Action::Vote(VoteAction::Join { leader: key(leader) }));
}

/// Goes on to the end of an epoch.
fn end_epoch(world: &mut World) {
    let epoch = world.state.params().epoch_blocks;
    world.blocks(epoch - world.state.height().0 % epoch);
}

fn weight(world: &World, voter: u8) -> Amount {
    world.state.votes().voter(&key(voter)).unwrap().weight
}

#[test]
pub fn a_pool_without_votes_waits() {
    let mut world = world();
    end_epoch(&mut world);
    assert_eq!(world.state.supply().pools.dividends, coins(400));
}

#[test]
pub fn a_vote_counts_from_the_epoch_after_it_was_cast() {
    let mut world = world();
    open(&mut world, 1, 0);
    assert_eq!(weight(&world, 1), Amount::ZERO);
    let before = world.balance(1);
    end_epoch(&mut world);
    assert_eq!(world.balance(1), before);
    assert_eq!(weight(&world, 1), before);
    end_epoch(&mut world);
    assert!(world.balance(1) > before);
}

#[test]
pub fn members_are_paid_by_weight_after_the_leaders_commission() {
    let mut world = world();
    open(&mut world, 1, 1_000);
    join(&mut world, 2, 1);
    end_epoch(&mut world);
    let (leader, member) = (weight(&world, 1).base(), weight(&world, 2).base());
    let pool = world.state.supply().pools.dividends.base() + 4 * coins(100).base();
    let before = (world.balance(1).base(), world.balance(2).base());
    end_epoch(&mut world);
    let commission = pool / 10;
    let share = |weight: u64| {
        let part = u128::from(pool - commission) * u128::from(weight);
        u64::try_from(part / u128::from(leader + member)).unwrap()
    };
    let gained = (world.balance(1).base() - before.0, world.balance(2).base() - before.1);
    assert!(gained.0.abs_diff(commission + share(leader)) <= 1);
    assert!(gained.1.abs_diff(share(member)) <= 1);
}

#[test]
pub fn coins_that_move_lose_their_vote_for_the_epoch_wherever_they_go() {
    let mut world = world();
    open(&mut world, 1, 0);
    join(&mut world, 2, 1);
    end_epoch(&mut world);
    let sum = weight(&world, 1).base() + weight(&world, 2).base();
    let fee = world.act(1, Action::Transfer { to: key(2), amount: coins(5_000) }).fee;
    let moved = coins(5_000).base() + fee.base();
    assert_eq!(weight(&world, 1).base() + weight(&world, 2).base(), sum - moved);
}

#[test]
pub fn a_flash_vote_weighs_nothing() {
    let mut world = world();
    open(&mut world, 1, 0);
    open(&mut world, 2, 0);
    end_epoch(&mut world);
    let honest = weight(&world, 2);
    // Borrowed after the epoch began, given back before it ends.
    let before = weight(&world, 1);
    world.must(3, Action::Transfer { to: key(1), amount: coins(9_000) });
    let weight_before = weight(&world, 1);
    assert_eq!(weight_before, before);
    world.must(1, Action::Transfer { to: key(3), amount: coins(9_000) });
    assert!(weight(&world, 1) <= weight_before);
    assert_eq!(weight(&world, 2), honest);
}

#[test]
pub fn splitting_an_account_does_not_raise_its_dividend() {
    let gain = |split: bool| -> u64 {
        let mut world = world();
        // Person 50 begins with nothing, so both worlds have the same coins behind the group.
        if split {
            world.must(1, Action::Transfer { to: key(50), amount: coins(5_000) });
        }
        open(&mut world, 1, 0);
        open(&mut world, 2, 0);
        if split {
            join(&mut world, 50, 1);
        }
        end_epoch(&mut world);
        let wealth = |world: &World| world.wealth(1) + world.wealth(50);
        let before = wealth(&world);
        end_epoch(&mut world);
        wealth(&world) - before
    };
    assert!(gain(true) <= gain(false));
}

#[test]
pub fn only_the_heaviest_groups_are_paid_and_a_tie_goes_to_the_lower_key() {
    let params = Params { paid_groups: 1, subsidy_blocks: 1_000, ..quick_params() };
    let mut world = World::from(&Genesis { subsidy: coins(100_000), ..genesis(params) });
    let mut tied = [4, 5];
    tied.iter().for_each(|leader| open(&mut world, *leader, 0));
    end_epoch(&mut world);
    assert_eq!(weight(&world, 4), weight(&world, 5));
    let before = tied.map(|leader| (key(leader), world.balance(leader)));
    end_epoch(&mut world);
    tied.sort_by_key(|leader| key(*leader));
    let gained = |who: u8| {
        let before = before.iter().find(|(owner, _)| *owner == key(who)).unwrap().1;
        world.balance(who).base() - before.base()
    };
    assert!(gained(tied[0]) > 0);
    assert_eq!(gained(tied[1]), 0);
}

#[test]
pub fn a_commission_change_in_an_epoch_counts_from_the_next() {
    let mut world = world();
    open(&mut world, 1, 0);
    end_epoch(&mut world);
    world.must(1, Action::Vote(VoteAction::SetCommission { commission_bps: 2_000 }));
    let commission = |world: &World| world.state.votes().group(&key(1)).unwrap().commission_bps;
    assert_eq!(commission(&world), 0);
    end_epoch(&mut world);
    assert_eq!(commission(&world), 2_000);
}

#[test]
pub fn votes_that_break_a_rule_are_rejected() {
    let mut world = world();
    let vote = Action::Vote;
    let max_bps = 2_000;
    let greedy = VoteAction::Open { commission_bps: 2_001 };
    world.rejects(1, vote(greedy), Rejection::CommissionTooHigh { max_bps });
    world.rejects(1, vote(VoteAction::Leave), Rejection::DoesNotVote);
    let lonely = VoteAction::Join { leader: key(9) };
    world.rejects(1, vote(lonely), Rejection::NoSuchGroup);
    let set = |commission_bps| VoteAction::SetCommission { commission_bps };
    world.rejects(1, vote(set(1)), Rejection::NotALeader);
    open(&mut world, 1, 0);
    world.rejects(1, vote(set(2_001)), Rejection::CommissionTooHigh { max_bps });
    world.rejects(1, vote(VoteAction::Open { commission_bps: 0 }), Rejection::AlreadyVotes);
    join(&mut world, 2, 1);
    world.rejects(2, vote(VoteAction::Join { leader: key(1) }), Rejection::AlreadyVotes);
    world.rejects(1, vote(VoteAction::Leave), Rejection::GroupHasMembers { members: 1 });
    world.must(2, vote(VoteAction::Leave));
    world.must(1, vote(VoteAction::Leave));
    assert_eq!(world.state.votes().groups().count(), 0);
}

#[test]
pub fn votes_lock_nothing_and_leave_before_the_end_pays_nothing() {
    let mut world = world();
    open(&mut world, 1, 0);
    join(&mut world, 2, 1);
    end_epoch(&mut world);
    world.must(2, Action::Vote(VoteAction::Leave));
    let before = world.balance(2);
    end_epoch(&mut world);
    assert_eq!(world.balance(2), before);
    world.must(1, Action::Transfer { to: key(2), amount: coins(9_000) });
}

#[test]
pub fn what_rounding_leaves_in_a_group_stays_there_and_is_never_lost() {
    let mut world = world();
    open(&mut world, 1, 333);
    (2..=7).for_each(|voter| join(&mut world, voter, 1));
    for _ in 0..20 {
        end_epoch(&mut world);
    }
    assert!(world.state.height() > Height(80));
    // Seven members, less than one unit each and epoch.
    assert!(world.state.supply().groups <= u128::from(base(7 * 20).base()));
}
