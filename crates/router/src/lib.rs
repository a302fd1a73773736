//! The shell of a segment router: sockets, TUN, kernel and disk around the pure `node` machine.
//!
//! Rooms: [`config`] and [`keys`] read what the operator wrote; [`udp`] and [`tun`] move packets; [`kernel`] and [`nft`]
//! change the host, and undo it. This crate decides nothing about paths, peers or money.

pub mod clock;
pub mod config;
pub mod doctor;
pub mod fault;
pub mod geo;
pub mod host;
pub mod journal;
pub mod kernel;
pub mod keys;
pub mod membership;
pub mod nft;
pub mod outbox;
pub mod tun;
pub mod udp;
