//! The validator: its files, its pool, its configuration, and the whole daemon as a process.

mod child;
mod cluster;
mod config;
mod crash;
mod events;
mod four;
mod mempool;
mod people;
mod points;
mod recovery;
mod rpc;
