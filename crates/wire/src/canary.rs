//! Seeded bugs: each takes one defence of a router away, so that the simulator can show that it notices.
//!
//! Without the feature `canary`, which only the simulator's tests ask for, [`is`] is constantly false and nothing of
//! this is in the program; a debug build by `cargo test --workspace` has it, switched off. It stands here because this
//! is the only room that all others know.

/// A defence that can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// The replay window reaches 64 packets further back than its bits do.
    WindowTooWide,
    /// A datagram is counted before it is authentic.
    CountsForged,
    /// A relay leaves `segments_left` as it is.
    SegmentsStay,
    /// A node may be listed twice.
    ListedTwice,
    /// A cookie is sent although mac1 is wrong.
    CookieForAll,
    /// A receipt that says no more than the one held replaces it.
    ReceiptAgain,
    /// What was settled is handed in again.
    SettleAgain,
    /// Traffic moves for any gain at once.
    NoHysteresis,
    /// Rows and cells never grow old.
    StaleRows,
    /// Counters and rows of two starts are compared.
    BootIgnored,
    /// The standby path is not probed.
    StandbySilent,
}

/// Switches one bug on for this thread, or all off.
#[cfg(feature = "canary")]
pub fn choose(canary: Option<Canary>) {
    CHOSEN.set(canary);
}

/// Whether this bug is on.
#[cfg(feature = "canary")]
#[must_use]
pub fn is(canary: Canary) -> bool {
    CHOSEN.get() == Some(canary)
}

/// Whether this bug is on: never.
#[cfg(not(feature = "canary"))]
#[inline]
#[must_use]
pub const fn is(canary: Canary) -> bool {
    let _ = canary;
    false
}

#[cfg(feature = "canary")]
thread_local! {
    static CHOSEN: core::cell::Cell<Option<Canary>> = const { core::cell::Cell::new(None) };
}
