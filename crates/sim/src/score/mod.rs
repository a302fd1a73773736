//! How good production's decisions are on real measurements (docs/routing.md), as tables.
//!
//! - `input`: the files' formats
//! - `detection`: changes of a segment against hand-set labels
//! - `paths`, `choice`: paths chosen slice by slice, judged by later slices
//! - `grouping`: who shares a group, and ways between groups
//! - `learning`: forecasts and exploration against plain rules
//! - `shipped`: the files in this repository
//! - `table`: what comes out
//!
//! Every decision is made by the code that routers and controllers run; here is only what feeds
//! it and what counts. The same files give the same figures everywhere: integers, no clock, no
//! random numbers but from fixed seeds.

pub mod choice;
pub mod detection;
pub mod grouping;
pub mod input;
pub mod learning;
pub mod paths;
pub mod shipped;
pub mod table;
