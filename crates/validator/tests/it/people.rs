//! People with coins, a ledger for them, and blocks of their transactions.

use srwan_ledger::amount::Amount;
use srwan_ledger::block::{Block, Maker};
use srwan_ledger::fee::FeeSchedule;
use srwan_ledger::genesis::{Genesis, GenesisValidator, Params};
use srwan_ledger::state::State;
use srwan_ledger::tx::{Author, SignedTx};
use srwan_wire::id::{AccountKey, ChainId, ValidatorKey};
use srwan_wire::sign::AccountSecret;

pub fn secret(person: u8) -> AccountSecret {
    AccountSecret::from_seed(&[person; 32])
}

pub fn key(person: u8) -> AccountKey {
    secret(person).public()
}

pub fn coins(coins: u64) -> Amount {
    Amount::from_coins(coins).unwrap()
}

pub fn genesis() -> Genesis {
    let address = ([127, 0, 0, 1], 7_091).into();
    let validator = GenesisValidator { account: key(9), address, power: 1, bond: Amount::ZERO };
    Genesis {
        chain: "test".to_owned(),
        supply: coins(100_000),
        accounts: (1..=4).map(|person| (key(person), coins(1_000))).collect(),
        subsidy: Amount::ZERO,
        validators: [(ValidatorKey(key(9).0), validator)].into(),
        params: Params::DEFAULT,
    }
}

/// The same ledger as `genesis`, as a person writes it; the validator is whoever begins it.
pub fn genesis_toml() -> String {
    let account = |person: u8| format!("[[account]]\nkey = \"{}\"\ncoins = 1000\n", key(person));
    let accounts: String = (1..=4).map(account).collect();
    format!(
        "chain = \"test\"\nsupply_coins = 100000\n{accounts}\n[params]\nclaim_window_blocks = 3\n"
    )
}

pub fn author(person: u8, chain: ChainId) -> Author {
    Author::new(chain, FeeSchedule::DEFAULT, secret(person))
}

pub fn transfer(person: u8, nonce: u64, chain: ChainId) -> SignedTx {
    author(person, chain).transfer(nonce, key(4), Amount::from_base(1))
}

/// The first `count` blocks of the test ledger, each with a transfer of person 1.
pub fn blocks(count: u64) -> Vec<Block> {
    let mut state = State::genesis(&genesis()).unwrap();
    let mut block = |nonce| {
        let txs = vec![transfer(1, nonce, state.chain())];
        let header = state.next_header(Maker::default(), &txs);
        let block = Block { header, txs };
        state.execute(&block).unwrap();
        block
    };
    (0..count).map(&mut block).collect()
}
