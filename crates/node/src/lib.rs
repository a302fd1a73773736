//! One router as one state machine.
#![forbid(unsafe_code)]

pub mod pay;
