//! What must hold of any bytes given to the ledger: no panic, one encoding, no coin made or lost.
//!
//! Shared by the fuzz targets and by the plain test that replays their corpora.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use borsh::{BorshDeserialize, BorshSerialize};
use srwan_ledger::amount::Amount;
use srwan_ledger::block::{Block, Maker, tx_root};
use srwan_ledger::genesis::{Genesis, GenesisValidator, Params};
use srwan_ledger::state::State;
use srwan_ledger::tx::{SignedTx, size_octets};
use srwan_wire::id::{AccountKey, ValidatorKey};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::Timestamp;

/// The secret of one of the eight people who hold coins in [`genesis`].
pub fn secret(person: u8) -> AccountSecret {
    AccountSecret::from_seed(&[person; 32])
}

/// The ledger on which transactions of the corpus are executed.
pub fn genesis() -> Genesis {
    let coins = |coins| Amount::from_coins(coins).expect("few coins");
    let account = |person| (secret(person).public(), coins(10_000));
    let validator = GenesisValidator {
        account: secret(1).public(),
        address: SocketAddr::from(([127, 0, 0, 1], 7_091)),
        power: 1,
        bond: coins(10),
    };
    Genesis {
        chain: "formats".into(),
        supply: coins(1_000_000),
        accounts: (1..=8).map(account).collect::<BTreeMap<AccountKey, Amount>>(),
        subsidy: Amount::ZERO,
        validators: BTreeMap::from([(ValidatorKey(secret(1).public().0), validator)]),
        params: Params::DEFAULT,
    }
}

/// The state before the first block.
pub fn first_state() -> State {
    State::genesis(&genesis()).expect("the genesis keeps its rules")
}

/// A block with these transactions that follows `state`.
pub fn next_block(state: &State, txs: Vec<SignedTx>) -> Block {
    let proposer = ValidatorKey(secret(1).public().0);
    let maker = Maker { proposer, voters: Vec::new(), time: Timestamp::from_nanos(1) };
    let header = state.next_header(maker, &txs);
    Block { header, txs }
}

/// A transaction is applied or rejected; the sum of all coins stays.
pub fn tx(bytes: &[u8]) -> bool {
    let Some(tx) = same::<SignedTx>(bytes) else { return false };
    assert_eq!(usize::try_from(size_octets(&tx)), Ok(bytes.len()));
    let mut state = first_state();
    let supply = u128::from(state.supply_total().base());
    let block = next_block(&state, vec![tx]);
    if state.execute(&block).is_ok() {
        assert_eq!(state.recount(), supply);
        assert!(snapshot(&state.to_snapshot()));
    }
    true
}

/// A block has one name.
pub fn block(bytes: &[u8]) -> bool {
    let Some(block) = same::<Block>(bytes) else { return false };
    let _ = (block.header.hash(), tx_root(&block.txs));
    let mut state = first_state();
    let before = state.root();
    if state.execute(&block).is_err() {
        assert_eq!(state.root(), before);
    }
    true
}

/// A state that is read back is the whole of its bytes.
pub fn snapshot(bytes: &[u8]) -> bool {
    let Ok(state) = State::from_snapshot(bytes) else { return false };
    assert_eq!(state.to_snapshot(), bytes);
    true
}

/// The value in `bytes`, if they are one; asserts that they are its only encoding.
fn same<T: BorshSerialize + BorshDeserialize>(bytes: &[u8]) -> Option<T> {
    let value: T = borsh::from_slice(bytes).ok()?;
    assert_eq!(borsh::to_vec(&value).expect("writing to memory cannot fail"), bytes);
    Some(value)
}
