//! The ledger through its public API.

mod attacks;
mod conservation;
mod dividends;
mod documentation;
mod fees;
mod formats;
mod governance;
mod headers;
mod lanes;
mod model;
mod node_keys;
mod proofs;
mod registration;
mod signatures;
mod snapshots;
mod transactions;
mod validators;
mod vectors;
mod world;
