//! Opening a state directory: snapshots, damaged files, foreign files, two processes.

use std::fs;
use std::path::Path;

use srwan_ledger::block::Block;
use srwan_ledger::state::State;
use srwan_validator::code;
use srwan_validator::storage::Snapshots;
use srwan_validator::store::Store;
use srwan_wire::id::Height;

use crate::people::{blocks, genesis, transfer};

fn begin(directory: &Path) {
    Store::init(directory, &genesis()).unwrap();
}

/// Appends blocks and executes them, with a snapshot after the one of `snapshot_at`.
fn fill(directory: &Path, blocks: &[Block], snapshot_at: &[u64]) {
    let (mut store, _, mut view) = Store::open(directory).unwrap();
    for block in blocks {
        store.append(block).unwrap();
        view.execute(block).unwrap();
        if snapshot_at.contains(&block.header.height.0) {
            store.snapshot(&view);
        }
    }
}

fn expected(count: u64) -> State {
    let mut state = State::genesis(&genesis()).unwrap();
    blocks(count).iter().for_each(|block| drop(state.execute(block).unwrap()));
    state
}

#[track_caller]
fn recovers(directory: &Path, height: u64) {
    let (_, _, view) = Store::open(directory).unwrap();
    assert_eq!(view.state.height(), Height(height));
    assert_eq!(view.state.root(), expected(height).root());
    // The index survives as well: what became of the first transaction is still known.
    let first = transfer(1, 0, view.state.chain()).body.hash();
    assert!(view.index.receipt(&first).is_some());
}

#[track_caller]
fn refuses(directory: &Path, expected: &str) {
    let error = Store::open(directory).map(|_| ()).unwrap_err();
    assert_eq!(error.code, expected, "{error}");
}

#[test]
fn a_ledger_comes_back_from_its_blocks_alone_or_with_snapshots() {
    for snapshots in [&[][..], &[3], &[3, 6], &[10]] {
        let directory = tempfile::tempdir().unwrap();
        begin(directory.path());
        fill(directory.path(), &blocks(10), snapshots);
        recovers(directory.path(), 10);
    }
}

#[test]
fn only_the_last_two_snapshots_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    fill(directory.path(), &blocks(10), &[2, 4, 6, 8]);
    let heights = Snapshots::new(directory.path()).heights().unwrap();
    assert_eq!(heights, [Height(8), Height(6)]);
}

#[test]
fn a_damaged_snapshot_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    fill(directory.path(), &blocks(10), &[3, 6]);
    for height in [Height(6), Height(3)] {
        let path = Snapshots::new(directory.path()).path(height);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        recovers(directory.path(), 10);
    }
}

#[test]
fn an_unfinished_snapshot_is_no_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    fill(directory.path(), &blocks(4), &[]);
    fs::write(directory.path().join("snapshot-4.tmp"), b"SRWSNAP1 half").unwrap();
    recovers(directory.path(), 4);
}

#[test]
fn a_torn_last_block_is_lost_alone_and_was_never_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    fill(directory.path(), &blocks(5), &[2]);
    let path = directory.path().join("blocks.log");
    let length = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 7).unwrap();
    recovers(directory.path(), 4);
    fill(directory.path(), &blocks(5)[4..], &[]);
    recovers(directory.path(), 5);
}

#[test]
fn a_log_that_ends_before_a_snapshot_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    fill(directory.path(), &blocks(5), &[5]);
    fs::remove_file(directory.path().join("blocks.log")).unwrap();
    refuses(directory.path(), code::DAMAGED);
}

#[test]
fn a_damaged_log_is_refused_and_named() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    fill(directory.path(), &blocks(5), &[]);
    let path = directory.path().join("blocks.log");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = Store::open(directory.path()).map(|_| ()).unwrap_err();
    assert_eq!(error.code, code::DAMAGED);
    assert!(error.what.contains("blocks.log") && error.why.contains("block 1"), "{error}");
}

#[test]
fn a_directory_of_another_ledger_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    begin(directory.path());
    let mut other = genesis();
    other.chain = "other".to_owned();
    let error = Store::init(directory.path(), &other).unwrap_err();
    assert_eq!(error.code, code::OTHER_LEDGER);
    fill(directory.path(), &blocks(1), &[]);
}

#[test]
fn two_validators_never_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    let first = Store::open(directory.path()).unwrap();
    refuses(directory.path(), code::IN_USE);
    drop(first);
    Store::open(directory.path()).unwrap();
}
