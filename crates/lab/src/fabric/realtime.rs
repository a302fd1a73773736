//! Real-time priority for the one thread that everything in the lab waits for.

/// Asks for `SCHED_FIFO` for the calling thread; `false` = not permitted (no root), go on without.
///
/// Neither std nor nix offers this call, hence one of the crate's few `unsafe` blocks.
pub fn request() -> bool {
    // Normal threads may be woken 50 us late to save power; without real-time priority this is what is left.
    let _kept = nix::sys::prctl::set_timerslack(1);
    let parameters = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: the pointer is to a live, fully initialised struct of the type the call wants; thread 0
    // is the caller; the call writes nothing.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    result == 0
}

/// Above normal threads, below the kernel's own real-time threads (which run at 50).
const PRIORITY: i32 = 10;
