//! The JSON shapes of the three daemons and the client that reads them.
//!
//! A portal or a command has no privilege that a user lacks: all of them come through here.
#![forbid(unsafe_code)]

pub mod controller;
pub mod http;
pub mod ledger;
pub mod rfc3339;
pub mod router;
