//! The engine as its users and its enemies meet it.

mod byzantine;
mod crashes;
mod epochs;
mod ledger;
mod light;
mod links;
mod real;
mod world;
