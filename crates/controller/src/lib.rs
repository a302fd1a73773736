//! The controller: `srwan-ditex` behind HTTP, with its state on disk.
//!
//! One process, one exchange, one SQLite file. Every command runs under one lock, and what it
//! changed is on disk before its answer leaves, so a kill at any moment loses nothing that was
//! said. Reading and deciding is the exchange's; this crate only carries.
#![forbid(unsafe_code)]

mod clock;
mod config;
mod desk;
mod http;
mod keys;
mod limit;
mod listen;
mod problem;
mod serve;
mod store;

pub use self::config::Config;
pub use self::http::openapi_json;
pub use self::serve::{Running, key_show, run, start, token_new};
