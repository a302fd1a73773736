//! The lab: a whole SR-WAN on one machine, from real processes in network namespaces.
//!
//! `scenario` (what shall be: a crate of its own, which the simulator shares), `plan` (addresses), `fabric` (the
//! Internet between the sites), `netns` and
//! `wiring` (machines and cables), and from there processes, a story and a verdict. The daemons under test
//! are the program's own subcommands; nothing here is linked into them.

pub mod capture;
pub mod cli;
pub mod cluster;
pub mod fabric;
mod fetch;
mod forward;
mod http;
pub mod inner;
pub mod inspect;
pub mod interrupt;
pub mod lab;
pub mod netns;
mod offload;
pub mod pcap;
pub mod place;
pub mod plan;
pub mod privilege;
pub mod problem;
pub mod process;
pub mod settings;
mod soak;
pub mod story;
mod variety;
mod verbs;
mod web;
pub mod wiring;

pub use srwan_scenario as scenario;
