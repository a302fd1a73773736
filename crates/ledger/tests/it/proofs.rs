//! Proofs: each row of a state and each absence can be proved, and nothing else.

use borsh::BorshDeserialize;
use proptest::prelude::*;
use srwan_ledger::account::Account;
use srwan_ledger::proof::{Kind, Leaf, Proof, ProofError, verify};
use srwan_ledger::prove::Fixed;
use srwan_ledger::tx::Action;
use srwan_ledger::validator::{Committee, Epoch, Validator};
use srwan_ledger::vote::VoteAction;

use crate::world::{World, coins, key, validator};

fn eventful() -> World {
    let mut world = World::new();
    world.lane(&[2, 3], coins(100));
    world.must(4, Action::Vote(VoteAction::Open { commission_bps: 100 }));
    (20..60).for_each(|person| {
        world.must(5, Action::Transfer { to: key(person), amount: coins(7) });
    });
    world
}

fn check(world: &World, kind: Kind, key: &[u8; 32]) -> Option<Vec<u8>> {
    let proven = world.state.prove(kind, key);
    let root = world.state.root();
    assert_eq!(verify(&root, kind, key, proven.row.as_deref(), &proven.proof), Ok(()));
    let bytes = borsh::to_vec(&proven.proof).unwrap();
    assert_eq!(borsh::from_slice::<Proof>(&bytes).unwrap(), proven.proof);
    proven.row
}

fn row<T: BorshDeserialize>(world: &World, kind: Kind, key: &[u8; 32]) -> T {
    borsh::from_slice(&check(world, kind, key).unwrap()).unwrap()
}

#[test]
pub fn every_row_of_every_kind_is_provable() {
    let world = eventful();
    for person in (1..=10).chain(20..60) {
        let account: Account = row(&world, Kind::Account, &key(person).0);
        assert_eq!(account, world.state.account(&key(person)));
    }
    let (id, lane) = world.state.lanes().next().unwrap();
    assert_eq!(row::<srwan_ledger::lane::Lane>(&world, Kind::Lane, &id.0), *lane);
    let fixed: Fixed = row(&world, Kind::Fixed, &[0; 32]);
    assert_eq!((fixed.height, fixed.pools), (world.state.height(), world.state.supply().pools));
    let known: Validator = row(&world, Kind::Validator, &validator(10).0);
    assert_eq!(known.account, key(10));
    let next_epoch = world.state.height().0 / world.state.params().committee_blocks + 1;
    let committee: Committee = row(&world, Kind::Committee, &Epoch::new(next_epoch).0);
    assert_eq!(committee.0[0].key, validator(10));
    for kind in [Kind::Escrow, Kind::VoteGroup, Kind::Voter] {
        let who = if kind == Kind::Escrow { 1 } else { 4 };
        assert!(check(&world, kind, &key(who).0).is_some());
    }
}

#[test]
pub fn the_absence_of_a_row_is_provable_in_every_kind() {
    let world = eventful();
    for kind in Kind::ALL {
        for octet in 0..40 {
            let key = [octet; 32];
            let is_there = kind == Kind::Fixed && octet == 0;
            assert_eq!(check(&world, kind, &key).is_some(), is_there, "{kind:?}");
        }
    }
}

#[test]
pub fn a_proof_does_not_hold_for_another_row_key_kind_or_root() {
    let world = eventful();
    let (root, who, whom) = (world.state.root(), key(3).0, key(4).0);
    let proven = world.state.prove(Kind::Account, &who);
    let (row, proof) = (proven.row.unwrap(), proven.proof);
    let mut other = root;
    other.0[0] ^= 1;
    let check = |kind, key, row, root, expected| {
        assert_eq!(verify(root, kind, key, row, &proof), Err(expected));
    };
    let richer = [&[1], &row[1..]].concat();
    check(Kind::Account, &who, Some(&richer[..]), &root, ProofError::OtherRoot);
    check(Kind::Account, &whom, Some(&row), &root, ProofError::OtherRoot);
    check(Kind::Escrow, &who, Some(&row), &root, ProofError::OtherRoot);
    check(Kind::Account, &who, None, &root, ProofError::OtherClaim);
    check(Kind::Account, &who, Some(&row), &other, ProofError::OtherRoot);
}

#[test]
pub fn a_row_that_is_there_cannot_be_shown_as_absent() {
    let world = eventful();
    let (root, who) = (world.state.root(), key(3).0);
    let own = world.state.prove(Kind::Account, &who);
    let hash = |row: &[u8]| *blake3::hash(row).as_bytes();
    for person in (1..=10).chain(20..60) {
        let other = world.state.prove(Kind::Account, &key(person).0);
        let leaf = Leaf::Other { key: key(person).0, row: hash(&other.row.unwrap()) };
        for steps in [&own.proof.steps, &other.proof.steps] {
            let forged = Proof { leaf, steps: steps.clone(), ..own.proof.clone() };
            assert!(verify(&root, Kind::Account, &who, None, &forged).is_err());
        }
    }
    let empty = Proof { leaf: Leaf::None, steps: Vec::new(), ..own.proof };
    assert_eq!(verify(&root, Kind::Account, &who, None, &empty), Err(ProofError::OtherRoot));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_proof_with_a_flipped_bit_proves_nothing(
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        is_there in any::<bool>(),
    ) {
        let world = eventful();
        let who = if is_there { key(3).0 } else { [9; 32] };
        let proven = world.state.prove(Kind::Account, &who);
        prop_assert_eq!(proven.row.is_some(), is_there);
        let mut bytes = borsh::to_vec(&proven.proof).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(proof) = borsh::from_slice::<Proof>(&bytes) {
            let row = proven.row.as_deref();
            prop_assert!(verify(&world.state.root(), Kind::Account, &who, row, &proof).is_err());
        }
    }

    #[test]
    fn any_bytes_are_a_proof_or_none_and_break_nothing(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Ok(proof) = borsh::from_slice::<Proof>(&bytes) {
            let root = World::new().state.root();
            prop_assert!(verify(&root, Kind::Lane, &[7; 32], None, &proof).is_err());
        }
    }
}
