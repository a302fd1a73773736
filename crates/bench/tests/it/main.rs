//! The benchmark without a network: figures, reports, and the hot steps.

mod figures;
mod micro;
mod report;
