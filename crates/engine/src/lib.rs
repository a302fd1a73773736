//! The consensus engine behind a seam of bytes: ordering, peers, block store, catch-up.
//!
//! This crate alone touches the engine's own types. Start at [`seam::Application`], implement it, and
//! hand it to [`Engine::start`]; the [`Handle`] is what the rest of the process talks to.
//!
//! One validator alone is the same engine with a committee of one: it opens no port and needs no peer.
#![forbid(unsafe_code)]

mod archive;
mod block;
mod bridge;
mod certificates;
mod committees;
mod config;
mod deliver;
mod epoch;
mod epocher;
mod evidence;
mod gossip;
mod handle;
mod keys;
pub mod light;
/// Open for this crate's simulations only: it speaks the engine's own types.
#[doc(hidden)]
pub mod network;
mod newborn;
mod requests;
pub mod seam;
/// Open for this crate's simulations only.
#[doc(hidden)]
pub mod shared;
mod silent;
/// Open for this crate's simulations only: it speaks the engine's own types.
#[doc(hidden)]
pub mod wiring;

pub use config::{Config, Limits, Reach, Timeouts};
pub use handle::{End, Engine, Handle, Status};
