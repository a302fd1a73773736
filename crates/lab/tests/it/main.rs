//! One binary for all tests of the lab: pure ones first, then those that make namespaces.

mod inspect;
mod net;
mod packet;
mod plan;
mod underlay;
