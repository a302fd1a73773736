//! The consensus engine behind a seam of bytes: ordering, peers, block store, catch-up.
//!
//! This crate alone touches the engine's own types. Start at [`seam::Application`].
#![forbid(unsafe_code)]

pub mod seam;
