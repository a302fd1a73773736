//! A controller over loopback HTTP, as routers and operators meet it.

mod api;
mod crash;
mod faults;
mod joins;
mod rosters;
mod world;
