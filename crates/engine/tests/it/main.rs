//! The engine as its users and its enemies meet it.

mod ledger;
mod light;
mod real;
