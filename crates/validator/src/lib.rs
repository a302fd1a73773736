//! The shell around the ledger: what orders blocks, what keeps them, what answers questions.
//!
//! [`init`] begins a ledger, [`run`] is the daemon. Which block comes when is decided in
//! `srwan-engine`, what a block does in `srwan-ledger`; [`Blocks`] stands between the two.
#![forbid(unsafe_code)]

mod application;
mod body;
mod committee;
pub mod config;
mod crash;
mod daemon;
mod events;
mod fault;
pub mod genesis_file;
mod gossip;
pub mod index;
mod keys;
pub mod ledger;
pub mod mempool;
mod metrics;
mod recent;
mod report;
pub mod rpc;
mod snapshots;
mod standing;
pub mod storage;
pub mod store;

pub use self::application::Blocks;
pub use self::daemon::{Initialised, init, keygen, run};
pub use self::fault::code;
