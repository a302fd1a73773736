//! The body of a pulse: one measured row, delta-coded.
