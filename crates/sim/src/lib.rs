//! The whole WAN in one thread from one seed: a second shell around the very machines that the product runs.
//!
//! - `net`: the Internet: links with delay, jitter and loss, and datagrams in flight
//! - `bank`: the ledger's machine behind each router's wishes, a block every 200 ms
//! - `score`: production's decisions judged on real measurements, without a world
//! - `differs`: how single routers differ from the others
//! - `failover`: deaths of paths by the thousand, and calm hours
//! - `story`: a scenario file, run and judged
//! - `world`: routers, clock and event order; what a host sends and what it gets
//!
//! Nothing here decides what a router does: every decision is [`srwan_node::Node`]'s. Time is virtual, so an hour takes
//! seconds, and the same seed gives the same run.
#![forbid(unsafe_code)]

pub mod bank;
pub mod differs;
pub mod failover;
pub mod net;
pub mod packet;
pub mod score;
pub mod story;
pub mod world;
