//! The router against a real kernel, in network namespaces of its own.

mod disk;
mod egress;
mod faults;
mod host;
mod namespace;
mod network;
mod one_ended;
mod restart;
mod story;
mod xdp;
