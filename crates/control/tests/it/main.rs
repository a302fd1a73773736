//! Control through its public API: path search against an oracle, and whole groups on a synthetic
//! network.

mod changes;
mod choice;
mod clocks;
mod destinations;
mod failover;
mod group;
mod mtu;
mod paths;
mod spread;
mod world;
