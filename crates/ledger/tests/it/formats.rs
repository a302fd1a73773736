//! Every format of the ledger: its encodings are pinned, and its corpus of bytes is replayed, as
//! `srwan-wire` does.

mod contracts;
#[path = "../../../wire/tests/it/draw.rs"]
mod draw;
mod exercise;
#[path = "../../../wire/tests/it/format.rs"]
mod format;
mod samples;

use format::Format;

const FORMATS: &[Format] = &[
    Format { name: "ledger_tx", exercise: exercise::tx, sample: samples::tx },
    Format { name: "ledger_block", exercise: exercise::block, sample: samples::block },
    Format { name: "ledger_snapshot", exercise: exercise::snapshot, sample: samples::snapshot },
];

/// `cargo xtask fixtures` runs this test to write what it otherwise compares.
#[test]
fn encodings_are_those_of_the_fixtures() {
    format::check_fixtures(FORMATS, concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures.txt"));
}

#[test]
fn the_corpus_breaks_nothing() {
    format::check_corpus(FORMATS);
}
