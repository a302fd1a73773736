//! Named points at which a test can make the process die as if it were killed.
//!
//! `SRWAN_CRASH_AT=name` dies at the first pass of that point, `name:3` at the third. Builds without
//! debug assertions have none of it.

/// A point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A proposal is made and not handed to the engine yet.
    Proposed,
    /// A final block is about to be executed.
    BeforeExecute,
    /// A final block is executed, and the engine does not know yet.
    AfterExecute,
    /// Half of a snapshot is in its file.
    HalfWritten,
    /// A snapshot has its name, and the directory is not synced yet.
    Renamed,
}

#[cfg(debug_assertions)]
impl Point {
    /// Its name in the environment.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::BeforeExecute => "before-execute",
            Self::AfterExecute => "after-execute",
            Self::HalfWritten => "snapshot-half-written",
            Self::Renamed => "snapshot-renamed",
        }
    }
}

/// Dies if the environment says so.
#[cfg(debug_assertions)]
pub fn point(point: Point) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSES: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("SRWAN_CRASH_AT") else {
        return;
    };
    let (name, pass) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    if name == point.name()
        && PASSES.fetch_add(1, Ordering::Relaxed) + 1 >= pass.parse().unwrap_or(1)
    {
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
pub const fn point(_point: Point) {}
