//! Validators: joining, committees, leaving, and what a contradiction costs.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};
use srwan_ledger::amount::Amount;
use srwan_ledger::equivocation::{Equivocation, PROOF_OCTETS_MAX};
use srwan_ledger::genesis::{Genesis, GenesisValidator};
use srwan_ledger::outcome::{Effect, Event, Outcome};
use srwan_ledger::rejection::Rejection;
use srwan_ledger::tx::Action;
use srwan_ledger::validator::{Join, ValidatorAction, ValidatorPhase};
use srwan_ledger::vote::VoteAction;
use srwan_wire::id::Height;

use crate::world::{World, coins, first_validator, genesis, key, quick_params, secret, validator};

fn members(world: &World, epoch: u64) -> Vec<u8> {
    let committee = world.state.committee(epoch).unwrap();
    let person = |key| (1..=20).find(|person| validator(*person) == key).unwrap();
    let mut people: Vec<u8> = committee.iter().map(|member| person(member.key)).collect();
    assert!(committee.is_sorted_by(|left, right| left.key < right.key));
    people.sort();
    people
}

fn leave() -> Action {
    Action::Validator(ValidatorAction::Leave)
}

fn to_height(world: &mut World, height: u64) {
    world.blocks(height - world.state.height().0);
}

#[test]
pub fn the_committee_of_an_epoch_is_fixed_two_epochs_before() {
    let mut world = World::new();
    assert_eq!((members(&world, 0), members(&world, 1)), (vec![10], vec![10]));
    world.join(1, coins(2_000));
    to_height(&mut world, 3);
    assert_eq!(world.state.committee(2), None);
    let outcome = world.block(Vec::new());
    assert!(outcome.events.contains(&Event::CommitteeFixed { epoch: 2, members: 2 }));
    assert_eq!(members(&world, 2), [1, 10]);
    assert_eq!(members(&world, 1), [10]);
}

#[test]
pub fn the_heaviest_validators_are_in_and_a_tie_goes_to_the_lower_key() {
    let params = srwan_ledger::genesis::Params { committee_max: 2, ..quick_params() };
    let mut world = World::from(&genesis(params));
    world.join(1, coins(2_000));
    world.join(2, coins(3_000));
    world.join(3, coins(2_000));
    to_height(&mut world, 4);
    let tied = if validator(1) < validator(3) { 1 } else { 3 };
    let mut expected = vec![2, tied];
    expected.sort();
    assert_eq!(members(&world, 2), expected);
}

#[test]
pub fn votes_led_by_an_account_lift_its_validator() {
    let params = srwan_ledger::genesis::Params { committee_max: 1, ..quick_params() };
    let mut world = World::from(&genesis(params));
    world.join(1, coins(2_000));
    world.join(2, coins(3_000));
    world.must(1, Action::Vote(VoteAction::Open { commission_bps: 0 }));
    world.must(3, Action::Vote(VoteAction::Join { leader: key(1) }));
    assert_eq!(members(&world, 2), [1], "votes are weighed at the end of the epoch, then ranked");
}

#[test]
pub fn a_validator_that_joins_proves_its_key_and_locks_a_bond() {
    let mut world = World::new();
    let before = world.wealth(1);
    let effect = world.join(1, coins(2_500));
    assert!(matches!(effect, Effect::ValidatorJoined { bond, .. } if bond == coins(2_500)));
    assert!(before - world.wealth(1) < coins(1).base());
    assert_eq!(world.state.supply().validator_bonds, u128::from(coins(2_500).base()));
    let rejected = |world: &mut World, tx, why| {
        assert_eq!(world.run(tx).outcome, Outcome::Rejected(why));
    };
    let again = world.join_tx(1, coins(2_500));
    rejected(&mut world, again, Rejection::ValidatorAlready);
    let (bond, least) = (coins(1_999), coins(2_000));
    let cheap = world.join_tx(2, bond);
    rejected(&mut world, cheap, Rejection::BondTooLow { bond, least });
    let address = ([127, 0, 0, 1], 1).into();
    let stolen = world.author(2).validator_join(world.nonce(2), &secret(101), address, least);
    rejected(&mut world, stolen, Rejection::ConsensusKeyTaken);
    let honest = world.join_tx(3, least);
    let Action::Validator(ValidatorAction::Join(join)) = honest.body.action else { panic!() };
    let forged = Join { key: validator(2), ..join };
    let forged = world.tx(2, Action::Validator(ValidatorAction::Join(forged)));
    rejected(&mut world, forged, Rejection::ConsentForged);
}

#[test]
pub fn an_update_moves_the_address_and_adds_to_the_bond() {
    let mut world = World::new();
    world.join(1, coins(2_000));
    let address = ([10, 0, 0, 9], 9).into();
    let update = ValidatorAction::Update { address, bond: coins(500) };
    world.must(1, Action::Validator(update));
    let row = world.state.validator(&validator(1)).unwrap();
    assert_eq!((row.address, row.bond), (address, coins(2_500)));
    let update = ValidatorAction::Update { address, bond: Amount::ZERO };
    world.rejects(2, Action::Validator(update), Rejection::NotAValidator);
}

#[test]
pub fn a_bond_comes_back_after_the_last_committee_that_its_validator_can_be_in() {
    let mut world = World::new();
    world.join(1, coins(2_000));
    to_height(&mut world, 4);
    world.must(1, leave());
    assert_eq!(members(&world, 2), [1, 10], "what is fixed stays fixed");
    let until = match world.state.validator(&validator(1)).unwrap().phase {
        ValidatorPhase::Leaving { until } => until,
        other => panic!("{other:?}"),
    };
    assert!(until >= Height(12), "its last committee ends with height 12");
    world.rejects(1, leave(), Rejection::ValidatorLeft);
    to_height(&mut world, until.0);
    assert_eq!(world.state.validator(&validator(1)), None);
    assert_eq!(members(&world, 3), [10]);
    world.join(1, coins(2_000));
}

#[test]
pub fn the_last_validator_cannot_leave_and_no_committee_is_ever_empty() {
    let mut world = World::new();
    world.rejects(10, leave(), Rejection::LastValidator);
    world.join(1, coins(2_000));
    world.must(10, leave());
    world.rejects(1, leave(), Rejection::LastValidator);
    to_height(&mut world, 8);
    world.must(2, report(&world, 1));
    to_height(&mut world, 40);
    for epoch in 5..=11 {
        assert_eq!(members(&world, epoch), [1], "epoch {epoch}: no one else is there");
    }
}

/// A vote in the engine's bytes, as crates/engine makes them.
fn vote(world: &World, suffix: &str, view: u8, digest: u8, signer: u8) -> Vec<u8> {
    let mut subject = vec![3, view];
    if suffix != "_NULLIFY" {
        subject.push(view - 1);
        subject.extend([digest; 32]);
    }
    let length = u8::try_from(32 + suffix.len()).unwrap();
    let chain = world.state.chain().0;
    let message = [&[length], &chain[..], suffix.as_bytes(), &subject].concat();
    let signature = SigningKey::from_bytes(&[signer + 100; 32]).sign(&message);
    [&subject[..], &[7], &signature.to_bytes()].concat()
}

fn proof(person: u8, tag: u8, votes: [Vec<u8>; 2]) -> Action {
    let proof = [&[tag], &votes[0][..], &votes[1][..]].concat();
    let report = Equivocation { key: validator(person), proof };
    Action::Validator(ValidatorAction::Report(report))
}

fn report(world: &World, person: u8) -> Action {
    proof(person, 2, [1, 2].map(|digest| vote(world, "_FINALIZE", 5, digest, person)))
}

#[test]
pub fn a_contradiction_costs_five_percent_half_to_the_reporter_half_burned() {
    let mut world = World::new();
    world.join(1, coins(2_000));
    let before = world.balance(2);
    let receipt = world.act(2, report(&world, 1));
    assert!(matches!(receipt.outcome, Outcome::Applied(Effect::ValidatorSlashed { .. })));
    assert_eq!(world.balance(2).base() + receipt.fee.base() - before.base(), coins(50).base());
    assert_eq!(world.state.supply().pools.burned, coins(50));
    assert_eq!(world.state.validator(&validator(1)).unwrap().bond, coins(1_900));
    world.rejects(2, report(&world, 1), Rejection::ValidatorSlashed);
    to_height(&mut world, 4);
    assert_eq!(members(&world, 2), [10], "a slashed validator is in no later committee");
    to_height(&mut world, 30);
    assert_eq!(world.state.validator(&validator(1)).unwrap().bond, Amount::ZERO);
    let again = world.join_tx(1, coins(2_000));
    assert_eq!(world.run(again).outcome, Outcome::Rejected(Rejection::ValidatorSlashed));
}

#[test]
pub fn a_validator_that_leaves_before_the_slash_saves_nothing() {
    let mut world = World::new();
    world.join(1, coins(2_000));
    world.must(1, leave());
    world.blocks(5);
    world.must(2, report(&world, 1));
    assert_eq!(world.state.validator(&validator(1)).unwrap().bond, coins(1_900));
}

#[test]
pub fn each_kind_of_contradiction_convicts() {
    for (tag, left, right) in
        [(1, "_NOTARIZE", "_NOTARIZE"), (2, "_FINALIZE", "_FINALIZE"), (3, "_NULLIFY", "_FINALIZE")]
    {
        let mut world = World::new();
        let votes = [vote(&world, left, 5, 1, 10), vote(&world, right, 5, 2, 10)];
        world.must(2, proof(10, tag, votes));
        let phase = world.state.validator(&validator(10)).unwrap().phase;
        assert!(matches!(phase, ValidatorPhase::Slashed { .. }));
    }
}

#[test]
pub fn votes_that_do_not_contradict_or_are_not_the_validators_convict_no_one() {
    let mut world = World::new();
    world.join(1, coins(2_000));
    let vote = |suffix, view, digest, signer| vote(&world, suffix, view, digest, signer);
    let finalize = |view, digest, signer| vote("_FINALIZE", view, digest, signer);
    let good = proof(1, 2, [finalize(5, 1, 1), finalize(5, 2, 1)]);
    let wrong = [
        ("the same vote twice", proof(1, 2, [finalize(5, 1, 1), finalize(5, 1, 1)])),
        ("two views", proof(1, 2, [finalize(5, 1, 1), finalize(6, 2, 1)])),
        ("one forged", proof(1, 2, [finalize(5, 1, 1), finalize(5, 2, 2)])),
        ("of another", proof(10, 2, [finalize(5, 1, 1), finalize(5, 2, 1)])),
        ("wrong tag", proof(1, 1, [finalize(5, 1, 1), finalize(5, 2, 1)])),
        ("honest", proof(1, 2, [vote("_NOTARIZE", 5, 1, 1), finalize(5, 1, 1)])),
        ("skipped first", proof(1, 3, [finalize(5, 1, 1), vote("_NULLIFY", 5, 0, 1)])),
        ("more behind", proof(1, 2, [finalize(5, 1, 1), [finalize(5, 2, 1), vec![0]].concat()])),
        ("nothing", proof(1, 2, [Vec::new(), Vec::new()])),
        ("too long", proof(1, 2, [vec![0; PROOF_OCTETS_MAX], Vec::new()])),
    ];
    for (what, report) in wrong {
        let outcome = world.act(2, report).outcome;
        assert_eq!(outcome, Outcome::Rejected(Rejection::NoEquivocation), "{what}");
    }
    world.rejects(2, proof(4, 2, [Vec::new(), Vec::new()]), Rejection::NotAValidator);
    world.must(2, good);
}

#[test]
pub fn fees_go_to_the_accounts_of_the_voters_by_power() {
    let strong = GenesisValidator { power: 3, ..first_validator(9) };
    let validators = BTreeMap::from([(validator(9), strong), (validator(10), first_validator(10))]);
    let subsidy = coins(1_000);
    let mut world = World::from(&Genesis { validators, subsidy, ..genesis(quick_params()) });
    world.blocks(1);
    let header = world.state.next_header(crate::world::maker(&[9, 10]), &[]);
    let before = [9, 10].map(|person| world.balance(person));
    let block = srwan_ledger::block::Block { header, txs: Vec::new() };
    world.state.execute(&block).unwrap();
    let paid = |at: usize, person| world.balance(person).base() - before[at].base();
    assert_eq!(paid(0, 9), 3 * paid(1, 10));
    assert_eq!(paid(0, 9) + paid(1, 10), 2 * coins(25).base());
}

#[test]
pub fn a_ledger_without_validators_runs_and_its_fees_wait() {
    let validators = BTreeMap::new();
    let mut world = World::from(&Genesis { validators, ..genesis(quick_params()) });
    world.must(1, Action::EscrowAdd { amount: coins(1) });
    world.blocks(9);
    assert!(!world.state.supply().pools.validators.is_zero());
    assert_eq!(world.state.committee(2), Some(&[][..]));
    world.join(1, coins(2_000));
    to_height(&mut world, 12);
    assert_eq!(members(&world, 4), [1]);
}
