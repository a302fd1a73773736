//! Every format of this crate from outside: its encodings are pinned, and its corpus of bytes is replayed.

mod draw;
mod exercise;
mod format;
mod samples;

use format::Format;

const FORMATS: &[Format] = &[
    Format { name: "segment", exercise: exercise::segment, sample: samples::segment },
    Format { name: "handshake", exercise: exercise::handshake, sample: samples::handshake },
    Format { name: "oam", exercise: exercise::oam, sample: samples::oam },
    Format {
        name: "relayed_handshake",
        exercise: exercise::relayed_handshake,
        sample: samples::relayed_handshake,
    },
    Format { name: "pulse", exercise: exercise::pulse, sample: samples::pulse },
    Format { name: "row", exercise: exercise::row, sample: samples::row },
    Format { name: "receipt", exercise: exercise::receipt, sample: samples::receipt },
    Format { name: "roster", exercise: exercise::roster, sample: samples::roster },
    Format { name: "join", exercise: exercise::join, sample: samples::join },
    Format { name: "report", exercise: exercise::report, sample: samples::report },
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
