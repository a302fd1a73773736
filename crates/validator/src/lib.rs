//! The shell around the ledger: what orders blocks, what keeps them, what answers questions.
//!
//! [`init`] begins a ledger, [`run`] is the daemon. Everything that decides is in `srwan-ledger`.
#![forbid(unsafe_code)]

pub mod config;
mod daemon;
pub mod engine;
mod fault;
pub mod genesis_file;
pub mod index;
mod keys;
pub mod ledger;
pub mod mempool;
pub mod rpc;
pub mod storage;
pub mod store;

pub use self::daemon::{Initialised, init, run};
pub use self::fault::code;
