//! Headers name a state that their proposer had reached; blocks between it and them may be pending.

use srwan_ledger::block::{Block, BlockError, Maker, Parent};
use srwan_ledger::state::State;
use srwan_ledger::tx::{Action, SignedTx};
use srwan_wire::id::Height;

use crate::world::{World, coins, key, maker};

fn block_after(state: &State, parent: &Parent, txs: Vec<SignedTx>) -> Block {
    let header = state.header_after(parent, maker(&[10]), &txs).unwrap();
    Block { header, txs }
}

fn transfer(world: &World) -> SignedTx {
    world.tx(1, Action::Transfer { to: key(2), amount: coins(1) })
}

#[test]
pub fn blocks_proposed_above_pending_ones_are_executed_in_order() {
    let mut world = World::new();
    world.blocks(2);
    let first = block_after(&world.state, &world.state.parent(), vec![transfer(&world)]);
    let second = block_after(&world.state, &first.header.parent(), Vec::new());
    assert_eq!(second.header.height, Height(4));
    assert_eq!(second.header.state_height, Height(2));
    assert_eq!(world.state.check_after(&first.header.parent(), &second), Ok(()));
    assert_eq!(second.header.voters, [], "one certificate is named once");
    world.state.execute(&first).unwrap();
    world.state.execute(&second).unwrap();
    assert_eq!(world.state.root_at(Height(2)), Some(second.header.state_root));
    assert_eq!(world.state.root_at(Height(4)), Some(world.state.root()));
    assert_eq!(world.state.root_at(Height(5)), None);
}

#[test]
pub fn a_ledger_that_is_behind_says_later_and_proposes_nothing() {
    let mut ahead = World::new();
    let mut behind = World::new();
    ahead.blocks(3);
    behind.blocks(1);
    let parent = ahead.state.parent();
    let block = block_after(&ahead.state, &parent, Vec::new());
    let (known, got) = (Height(1), Height(3));
    let later = Err(BlockError::StateUnknown { known, got });
    assert_eq!(behind.state.check_after(&parent, &block), later);
    assert_eq!(behind.state.header_after(&block.header.parent(), Maker::default(), &[]), None);
    let past = Parent { height: Height(2), ..parent };
    assert_eq!(ahead.state.header_after(&past, Maker::default(), &[]), None);
}

#[test]
pub fn a_header_never_goes_back_behind_its_parent_nor_names_itself() {
    let mut world = World::new();
    world.blocks(3);
    let root_at = |height| world.state.root_at(Height(height)).unwrap();
    let check = |state_height: u64, expected| {
        let mut block = block_after(&world.state, &world.state.parent(), Vec::new());
        block.header.state_height = Height(state_height);
        block.header.state_root = root_at(state_height.min(3));
        block.header.voters.truncate(usize::from(state_height > 1));
        assert_eq!(world.state.check_block(&block), expected, "{state_height}");
    };
    check(3, Ok(()));
    let parent = Height(2);
    check(1, Err(BlockError::StateFell { parent, got: Height(1) }));
    check(2, Err(BlockError::VotersWithoutState));
    check(4, Err(BlockError::StateNotBefore { got: Height(4) }));
}

#[test]
pub fn a_snapshot_keeps_the_roots_of_earlier_states() {
    let mut world = World::new();
    world.blocks(9);
    let read = State::from_snapshot(&world.state.to_snapshot()).unwrap();
    for height in 0..=9 {
        assert_eq!(read.root_at(Height(height)), world.state.root_at(Height(height)));
        assert!(read.root_at(Height(height)).is_some());
    }
}
