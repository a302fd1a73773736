//! What the targets call: the very functions by which the plain tests replay the corpora.

#[path = "../../crates/wire/tests/it/exercise.rs"]
pub mod wire;

#[path = "../../crates/ledger/tests/it/formats/exercise.rs"]
pub mod ledger;
