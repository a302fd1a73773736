//! The router against a real kernel, in network namespaces of its own, and its business with a ledger.

mod disk;
mod egress;
mod fake_ledger;
mod faults;
mod host;
mod namespace;
mod network;
mod one_ended;
mod restart;
mod settling;
mod sr_capture;
mod sr_daemons;
mod sr_domain;
mod srv6;
mod story;
mod xdp;
