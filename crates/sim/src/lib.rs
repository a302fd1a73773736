//! The whole WAN in one thread from one seed: a second shell around the very machines that the product runs.
//!
//! - `net`, `datagram`: the Internet: links that delay, lose, double, reorder and damage datagrams
//! - `bank`: the ledger's machine behind each router's wishes, a block every 200 ms
//! - `shell`, `clock`, `disk`, `builder`: one router: its machine, and what is around it
//! - `differs`: how single routers differ from the others
//! - `world`: event order; `traffic`: what hosts send; `faults`: starts, deaths and what else goes wrong
//! - `attack`, `adversary`: who attacks from outside, and who cheats inside; `judge`: the checkers
//! - `swarm`: many seeds, each of which draws all of the above
//! - `story`: a scenario file, run and judged
//! - `failover`: deaths of paths by the thousand, and calm hours
//! - `score`: production's decisions judged on real measurements, without a world
//! - `pulses`, `bench`: very many routers, and very much traffic, to be measured
//! - `audit`: a hash over everything that happened; `header`: the checkers' own reading of a datagram
//!
//! Nothing here decides what a router does: every decision is [`srwan_node::Node`]'s. Time is virtual, so an hour takes
//! seconds, and the same seed gives the same run.
#![forbid(unsafe_code)]

pub mod adversary;
pub mod attack;
pub mod audit;
pub mod bank;
pub mod bench;
pub mod builder;
pub mod clock;
pub mod datagram;
pub mod differs;
pub mod disk;
pub mod failover;
pub mod faults;
pub mod header;
pub mod judge;
pub mod net;
pub mod packet;
pub mod pulses;
pub mod score;
pub mod shell;
pub mod story;
pub mod swarm;
pub mod traffic;
pub mod world;
