//! The swarm: each seed draws a topology, what goes wrong, who attacks and what hosts send, and is judged.
//!
//! Phase 1 is about safety: faults come and go, nothing may be believed, delivered, counted or claimed that should
//! not be. Phase 2 is about liveness: everything is healed, and what should work by then must work; what is still
//! pending at the end is a failure. `draw` is the plan of a seed, `course` its execution, `batch` many seeds and what
//! they must have shown together.

mod batch;
mod course;
mod draw;

pub use batch::Batch;
pub use draw::{Character, Plan};

use crate::audit::AuditHash;
use crate::judge::{Tally, Violation};

/// What came of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What it was about.
    pub character: Character,
    /// The hash over everything that happened.
    pub audit: AuditHash,
    /// How many things happened.
    pub events: u64,
    /// What was seen.
    pub tally: Tally,
    /// Broken promises, the first first.
    pub violations: Vec<Violation>,
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64) -> Report {
    course::Course::new(Plan::draw(seed)).run()
}

/// Runs one seed with a character that is given and not drawn.
#[must_use]
pub fn run_as(seed: u64, character: Character) -> Report {
    course::Course::new(Plan::draw_as(seed, character)).run()
}
