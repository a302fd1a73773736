//! The pool: bounds, order, replacement.

use srwan_ledger::amount::Amount;
use srwan_ledger::hash::TxHash;
use srwan_ledger::signature::Form;
use srwan_ledger::tx::{SignedTx, Tx};
use srwan_validator::mempool::{Mempool, PER_ACCOUNT_MAX, POOL_MAX, PoolError};
use srwan_wire::id::{ChainId, Height};

use crate::people::{key, secret, transfer};

const CHAIN: ChainId = ChainId([5; 32]);

fn paying(person: u8, nonce: u64, fee: u64) -> SignedTx {
    let body = transfer(person, nonce, CHAIN).body;
    SignedTx::new(Tx { fee: Amount::from_base(fee), ..body }, &secret(person))
}

fn order(pool: &Mempool) -> Vec<(u8, u64)> {
    let chosen = pool.select(u64::MAX, |_| 0);
    let who = |tx: &SignedTx| (1..=4).find(|person| key(*person) == tx.body.sender).unwrap();
    chosen.iter().map(|tx| (who(tx), tx.body.nonce)).collect()
}

fn insert(pool: &mut Mempool, tx: SignedTx, next: u64) -> Result<TxHash, PoolError> {
    let form = Form::of(&tx);
    pool.insert(tx, &form, next)
}

#[test]
fn the_best_paying_account_goes_first_and_each_account_in_its_order() {
    let mut pool = Mempool::default();
    for (person, nonce, fee) in [(1, 1, 9_000), (1, 0, 1_000), (2, 0, 5_000), (3, 0, 500)] {
        insert(&mut pool, paying(person, nonce, fee), 0).unwrap();
    }
    assert_eq!(order(&pool), [(2, 0), (1, 0), (1, 1), (3, 0)]);
}

#[test]
fn a_transaction_after_a_gap_waits() {
    let mut pool = Mempool::default();
    insert(&mut pool, paying(1, 1, 1_000), 0).unwrap();
    assert_eq!(order(&pool), []);
    assert!(!pool.has_ready(|_| 0));
    assert_eq!(pool.next_nonce(&key(1), 0), 0);
    insert(&mut pool, paying(1, 0, 1_000), 0).unwrap();
    assert_eq!(order(&pool), [(1, 0), (1, 1)]);
    assert!(pool.has_ready(|_| 0));
    assert_eq!(pool.next_nonce(&key(1), 0), 2);
}

#[test]
fn one_account_fills_only_its_part_of_the_pool() {
    let mut pool = Mempool::default();
    for nonce in 0..PER_ACCOUNT_MAX {
        insert(&mut pool, paying(1, nonce, 1_000), 0).unwrap();
    }
    let error = insert(&mut pool, paying(1, PER_ACCOUNT_MAX, 1_000), 0).unwrap_err();
    assert_eq!(error, PoolError::NonceTooFar { next: 0, got: PER_ACCOUNT_MAX });
    insert(&mut pool, paying(2, 0, 1), 0).unwrap();
}

#[test]
fn a_used_nonce_is_not_taken() {
    let error = insert(&mut Mempool::default(), paying(1, 3, 1_000), 4).unwrap_err();
    assert_eq!(error, PoolError::NonceUsed { next: 4, got: 3 });
}

#[test]
fn a_nonce_is_replaced_only_for_a_tenth_more() {
    let mut pool = Mempool::default();
    insert(&mut pool, paying(1, 0, 1_000), 0).unwrap();
    insert(&mut pool, paying(1, 0, 1_000), 0).unwrap();
    assert_eq!(insert(&mut pool, paying(1, 0, 1_099), 0), Err(PoolError::NonceTaken));
    let hash = insert(&mut pool, paying(1, 0, 1_100), 0).unwrap();
    assert_eq!(pool.len(), 1);
    assert!(pool.contains(&hash));
}

#[test]
fn a_blocks_transactions_and_all_used_nonces_are_forgotten() {
    let mut pool = Mempool::default();
    for nonce in 0..4 {
        insert(&mut pool, paying(1, nonce, 1_000), 0).unwrap();
    }
    // Another transaction with nonce 1 may have been in the block.
    pool.forget(&[paying(1, 1, 9_999)], |_| 2);
    assert_eq!(pool.len(), 2);
    assert_eq!(pool.next_nonce(&key(1), 2), 4);
}

#[test]
fn a_block_takes_no_more_octets_than_it_may() {
    let mut pool = Mempool::default();
    for person in 1..=3 {
        insert(&mut pool, paying(person, 0, 1_000), 0).unwrap();
    }
    let one = srwan_ledger::tx::size_octets(&paying(1, 0, 1_000));
    assert_eq!(pool.select(2 * one, |_| 0).len(), 2);
    assert_eq!(pool.select(one - 1, |_| 0).len(), 0);
}

#[test]
fn a_full_pool_makes_room_only_for_who_pays_more() {
    // Signatures are checked before the pool, so unsigned ones do here.
    let unsigned = |account: u32, fee: u64| {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&account.to_le_bytes());
        let mut tx = paying(1, 0, fee);
        tx.body.sender = srwan_wire::id::AccountKey(seed);
        tx
    };
    let mut pool = Mempool::default();
    for account in 0..u32::try_from(POOL_MAX).unwrap() {
        insert(&mut pool, unsigned(account, 1_000), 0).unwrap();
    }
    let newcomer = u32::MAX;
    assert_eq!(insert(&mut pool, unsigned(newcomer, 1_000), 0), Err(PoolError::Full));
    insert(&mut pool, unsigned(newcomer, 2_000), 0).unwrap();
    assert_eq!(pool.len(), POOL_MAX);
}

#[test]
fn what_can_no_longer_be_in_a_block_is_forgotten() {
    let mut pool = Mempool::default();
    for (nonce, until) in [(0, 10), (1, 5), (2, 20)] {
        let mut tx = paying(1, nonce, 1_000);
        tx.body.valid_until = Height(until);
        insert(&mut pool, tx, 0).unwrap();
    }
    pool.forget_expired(Height(4));
    assert_eq!(pool.len(), 3);
    pool.forget_expired(Height(10));
    assert_eq!(pool.len(), 1);
    let left = srwan_ledger::tx::size_octets(&paying(1, 2, 1_000));
    assert_eq!(pool.octets(), left);
}

#[test]
fn among_equals_who_came_first_goes_first_even_if_more_keep_coming() {
    let mut pool = Mempool::default();
    let octets = srwan_ledger::tx::size_octets(&paying(1, 0, 1_000));
    for round in 0..20 {
        let arrival = [3, 1, 4, 2];
        for person in arrival {
            insert(&mut pool, paying(person, round, 1_000), round).unwrap();
        }
        // Room for three of the four: whoever is left over is first in the next block.
        let first = pool.select(3 * octets, |_| round);
        let people: Vec<u8> = first
            .iter()
            .map(|tx| arrival.into_iter().find(|who| key(*who) == tx.body.sender).unwrap())
            .collect();
        assert_eq!(people, [3, 1, 4], "round {round}");
        pool.forget(&pool.select(u64::MAX, |_| round), |_| round + 1);
    }
}
