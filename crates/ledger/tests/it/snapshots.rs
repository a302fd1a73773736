//! A state and its bytes: equal roots, damaged bytes refused, replay gives the same.

use proptest::prelude::*;
use srwan_ledger::block::{Block, BlockError};
use srwan_ledger::state::State;
use srwan_ledger::tx::Action;
use srwan_ledger::vote::VoteAction;
use srwan_wire::id::Height;

use crate::world::{GB, World, coins, key, maker};

fn eventful() -> World {
    let mut world = World::new();
    let lane = world.lane(&[2, 3], coins(100));
    world.settle(2, world.ticket(lane, 3, GB));
    world.must(4, Action::Vote(VoteAction::Open { commission_bps: 100 }));
    world.must(5, Action::Transfer { to: key(60), amount: coins(7) });
    world.must(1, Action::LaneClose { lane });
    world
}

#[test]
pub fn a_state_goes_on_from_its_snapshot_as_if_nothing_had_happened() {
    let mut world = eventful();
    let restored = State::from_snapshot(&world.state.to_snapshot()).unwrap();
    assert_eq!(restored.root(), world.state.root());
    let mut other = World { state: restored };
    for _ in 0..8 {
        let tx = world.tx(6, Action::Transfer { to: key(7), amount: coins(1) });
        assert_eq!(world.block(vec![tx.clone()]), other.block(vec![tx]));
    }
    assert_eq!(other.state.to_snapshot(), world.state.to_snapshot());
}

#[test]
pub fn blocks_that_do_not_follow_are_not_executed() {
    let mut world = eventful();
    let (world_height, root) = (world.state.height(), world.state.root());
    let good = Block { header: world.state.next_header(maker(&[10]), &[]), txs: Vec::new() };
    let mut check = |change: fn(&mut Block), expected: BlockError| {
        let mut block = good.clone();
        change(&mut block);
        assert_eq!(world.state.execute(&block).map(|_| ()), Err(expected));
        assert_eq!(world.state.root(), root);
    };
    let height = good.header.height;
    let got = Height(height.0 + 1);
    check(|block| block.header.chain.0 = [1; 32], BlockError::WrongChain);
    check(|block| block.header.height.0 += 1, BlockError::WrongHeight { expected: height, got });
    check(|block| block.header.parent.0 = [1; 32], BlockError::WrongParent);
    check(|block| block.header.tx_root = [1; 32], BlockError::WrongTransactions);
    let forked = srwan_ledger::hash::StateRoot([1; 32]);
    let wrong = BlockError::WrongState { height: world_height, expected: root, got: forked };
    check(|block| block.header.state_root.0 = [1; 32], wrong);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_snapshot_with_a_flipped_bit_is_refused(
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let bytes = eventful().state.to_snapshot();
        let mut damaged = bytes.clone();
        let at = at.index(bytes.len());
        damaged[at] ^= 1 << bit;
        prop_assert!(State::from_snapshot(&damaged).is_err());
    }
}
