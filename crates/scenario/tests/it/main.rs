//! The scenario language, the links it describes, and the judge of what came of it.

mod judge;
mod link;
mod scenario;
