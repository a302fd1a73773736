//! Opening a state directory: snapshots, damaged files, foreign files, two processes.

use std::fs;
use std::path::Path;

use srwan_ledger::state::State;
use srwan_validator::code;
use srwan_validator::index::Index;
use srwan_validator::ledger::View;
use srwan_validator::storage::Snapshots;
use srwan_validator::store::{Store, encode_view};
use srwan_wire::id::Height;
use srwan_wire::time::Timestamp;

use crate::people::{blocks, genesis, transfer};

fn begin(directory: &Path) {
    Store::init(directory, &genesis()).unwrap();
    // As the engine would: without its files a ledger of one has lost its blocks.
    fs::create_dir_all(directory.join("engine")).unwrap();
}

/// Executes ten blocks, with a snapshot after each of `snapshots_at`.
fn fill(directory: &Path, snapshots_at: &[u64]) {
    let (store, genesis, _) = Store::open(directory).unwrap();
    let state = State::genesis(&genesis).unwrap();
    let mut view = View { state, index: Index::default(), time: Timestamp::default() };
    for block in blocks(10) {
        view.execute(&block).unwrap();
        if snapshots_at.contains(&block.header.height.0) {
            store.snapshot(block.header.height, &encode_view(&view));
        }
    }
}

#[track_caller]
fn recovers(directory: &Path, height: u64) {
    let (_, genesis, view) = Store::open(directory).unwrap();
    assert_eq!(view.state.height(), Height(height));
    let mut expected = State::genesis(&genesis).unwrap();
    let count = usize::try_from(height).unwrap();
    blocks(10).iter().take(count).for_each(|block| drop(expected.execute(block).unwrap()));
    assert_eq!(view.state.root(), expected.root());
    if height > 0 {
        // The index survives as well: what became of the first transaction is still known.
        let first = transfer(1, 0, view.state.chain()).body.hash();
        assert!(view.index.receipt(&first).is_some());
    }
}

#[track_caller]
fn refuses(directory: &Path, expected: &str) {
    let error = Store::open(directory).map(|_| ()).unwrap_err();
    assert_eq!(error.code, expected, "{error}");
}

#[test]
fn a_ledger_comes_back_to_its_newest_snapshot_or_to_its_beginning() {
    for (snapshots, height) in [(&[][..], 0), (&[3], 3), (&[3, 6], 6), (&[10], 10)] {
        let directory = tempfile::tempdir().unwrap();
        begin(directory.path());
        fill(directory.path(), snapshots);
        recovers(directory.path(), height);
    }
}

#[test]
fn only_the_last_two_snapshots_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    fill(directory.path(), &[2, 4, 6, 8]);
    let heights = Snapshots::new(directory.path()).heights().unwrap();
    assert_eq!(heights, [Height(8), Height(6)]);
}

#[test]
fn a_damaged_snapshot_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    fill(directory.path(), &[3, 6]);
    for (damaged, height) in [(6, 3), (3, 0)] {
        let path = Snapshots::new(directory.path()).path(Height(damaged));
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        recovers(directory.path(), height);
    }
}

#[test]
fn an_unfinished_snapshot_is_no_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    fill(directory.path(), &[]);
    fs::write(directory.path().join("snapshot-4.tmp"), b"SRWSNAP1 half").unwrap();
    recovers(directory.path(), 0);
}

#[test]
fn a_lone_ledger_whose_blocks_are_gone_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    begin(directory.path());
    fill(directory.path(), &[5]);
    fs::remove_dir(directory.path().join("engine")).unwrap();
    refuses(directory.path(), code::DAMAGED);
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
    recovers(directory.path(), 0);
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
