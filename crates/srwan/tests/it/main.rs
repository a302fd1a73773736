//! The real binary: grammar, exit codes, streams, JSON, and what the pages about it say.

mod bench;
mod chain;
mod config;
mod controller;
mod errors;
mod evidence;
mod help;
mod ledger;
mod operations;
mod readme;
mod recorded;
mod router;
mod run;
mod score;
mod wallet;
