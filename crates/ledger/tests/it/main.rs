//! The ledger through its public API.

mod attacks;
mod conservation;
mod dividends;
mod documentation;
mod fees;
mod formats;
mod headers;
mod lanes;
mod model;
mod proofs;
mod registration;
mod signatures;
mod snapshots;
mod transactions;
mod vectors;
mod world;
