//! The ledger as a pure machine: blocks of signed transactions in, balances and reasons out.
//!
//! Start at [`state::State`]: `genesis`, then `execute` block by block. A client makes its
//! transactions with [`tx::Author`]. Everything is exact integers and height is the only clock, so
//! two machines that execute the same blocks have the same [`hash::StateRoot`].
//!
//! This crate does not order blocks, keep files or talk to anyone: that is `srwan-validator`.
#![forbid(unsafe_code)]

pub mod account;
pub mod amount;
mod apply;
pub mod block;
mod bonding;
pub mod canary;
mod close;
pub mod contract;
mod dividend;
pub mod equivocation;
pub mod escrow;
pub mod evidence;
pub mod fee;
pub mod genesis;
pub mod governance;
pub mod hash;
pub mod lane;
mod merkle;
pub mod node_key;
pub mod outcome;
pub mod proof;
pub mod prove;
pub mod rejection;
mod roots;
pub mod router;
pub mod signature;
pub mod state;
mod table;
pub mod ticket;
pub mod tx;
pub mod validator;
pub mod vote;
