//! Bytes <-> types: everything that srwan puts on a wire or signs.
//!
//! Fixed packet formats (segment header, handshake frames) are borrowed views whose length check makes every
//! accessor panic-free, beside owned values that always encode. Messages inside a sealed packet and objects that
//! are signed use borsh, whose encoding is canonical. This crate does no IO and knows no clock.
#![forbid(unsafe_code)]

pub mod canary;
pub mod handshake;
pub mod id;
pub mod oam;
pub mod padding;
pub mod path_group;
pub mod pulse;
pub mod receipt;
pub mod report;
pub mod roster;
pub mod segment;
pub mod sid;
pub mod sign;
pub mod srv6;
pub mod time;
