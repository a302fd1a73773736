//! The benchmark: srwan beside what people would pick instead, on one machine, in one run.
//!
//! `net` is the whole run; `testbed` and `topology` make the machines and cables, `contender` says how each product is
//! set up, `measure` reads its figures, `report` and `aims` say what came of it. `micro` measures the packet's hot
//! steps alone; `ledger` is validators under load. `flood` and `load` put routers under strain, `scale` fills their
//! tables. Nothing here decides anything about the product: it only runs it.

pub mod aims;
pub mod contender;
pub mod figures;
pub mod flood;
pub mod garbage;
pub mod ledger;
pub mod load;
pub mod measure;
pub mod micro;
pub mod net;
pub mod programs;
pub mod report;
pub mod scale;
mod steady;
mod strain;
pub mod testbed;
pub mod topology;
