//! The validator: its files, its pool, its configuration, and the whole daemon as a process.

mod child;
mod config;
mod crash;
mod log;
mod mempool;
mod people;
mod recovery;
mod rpc;
