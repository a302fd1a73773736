//! The benchmark: srwan beside what people would pick instead, on one machine, in one run.
//!
//! `net` is the whole run; `testbed` and `topology` make the machines and cables, `contender` says how each product is
//! set up, `measure` reads its figures, `report` and `aims` say what came of it. `micro` measures the packet's hot
//! steps alone; `ledger` is validators under load. Nothing here decides anything about the product: it only runs it.

pub mod aims;
pub mod contender;
pub mod figures;
pub mod ledger;
pub mod measure;
pub mod micro;
pub mod net;
pub mod programs;
pub mod report;
pub mod testbed;
pub mod topology;
