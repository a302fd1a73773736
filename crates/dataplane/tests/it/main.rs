//! The data plane through its public API: routers in memory, every datagram in the test's hands.

mod allocation;
mod classes;
mod drops;
mod executors;
mod fast_path;
mod faults;
mod handshake;
mod host;
mod inner;
mod lanes;
mod multipath;
mod paths;
mod rekey;
mod seg6;
mod tamper;
mod world;
