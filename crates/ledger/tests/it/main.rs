//! The ledger through its public API.

mod attacks;
mod conservation;
mod contract_evidence;
mod contract_lease;
mod contract_ops;
mod contract_sla;
mod contract_window;
mod contract_world;
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
