//! Measurements: the product beside what else does the same, in one run, on this machine.
//!
//! Nothing here decides anything; each part sets something up, runs it, and says what it saw.

pub mod ledger;
