//! The consensus engine behind a seam of bytes: ordering, peers, block store, catch-up.
//!
//! This crate alone touches the engine's own types. Start at [`seam::Application`], implement it, and
//! hand it to [`Engine::start`]; the [`Handle`] is what the rest of the process talks to.
//!
//! One validator alone is the same engine with a committee of one: it opens no port and needs no peer.
#![forbid(unsafe_code)]

mod config;
mod handle;
pub mod light;
pub mod seam;

pub use config::{Config, Limits, Reach, Timeouts};
pub use handle::{End, Engine, Handle, Status};
