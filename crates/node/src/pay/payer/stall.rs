//! A payer that stood still itself does not blame its hops for the silence.

use super::Payer;
use srwan_wire::time::Instant;
use std::time::Duration;

/// A router looks at its lanes every 100 ms at least; a pause as long as this means that it stood still: stopped,
/// suspended, or its machine too busy.
const STOOD_STILL: Duration = Duration::from_secs(1);

impl Payer {
    /// The time in which this router neither asked nor listened counts against no hop.
    pub(super) fn forgive_pause(&mut self, now: Instant) {
        let pause = now.since(self.ticked);
        self.ticked = now;
        if pause < STOOD_STILL {
            return;
        }
        for hop in self.lanes.values_mut().flat_map(|lane| &mut lane.hops) {
            hop.answered_at = (hop.answered_at + pause).min(now);
        }
    }
}
