//! The main story and its neighbours, with real routers and the real ledger in virtual time.

mod cheats;
mod classes;
mod failover;
mod money;
mod mtu;
mod multipath;
mod one_ended;
mod paths;
mod rekey;
mod restart;
mod score;
mod story;
mod swarm;
