//! One binary for all tests of the lab: pure ones first, then those that make namespaces.

mod inspect;
mod judge;
mod link;
mod net;
mod packet;
mod scenario;
mod underlay;
