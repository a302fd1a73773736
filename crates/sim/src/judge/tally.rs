//! What was seen: a batch in which one of these is zero has shown nothing about it.

use super::Judge;
use srwan_node::NodeEvent;
use srwan_node::pay::LanePhase;

macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often what was seen.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Tally {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Tally {
            /// Adds what another run saw.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// Every count with its name.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

tally! {
    /// Paths with relays that traffic was moved to.
    engaged,
    /// Moves away from a path that went silent.
    failovers,
    /// Tickets that paid something.
    settled,
    /// Forged, changed or replayed datagrams that a router refused.
    rejected,
    /// Sessions that came up again after they were gone.
    recoveries,
    /// Routers that were quarantined.
    quarantines,
    /// Packets of hosts that went through a tunnel.
    tunnelled,
    /// Datagrams that a relay sent on.
    relayed,
    /// Receipts that were stored.
    stored,
    /// Lanes that became ready.
    lanes,
    /// Cookie replies to strangers.
    cookies,
    /// Routers that were started again.
    restarts,
    /// Failovers whose length was measured.
    measured_failovers,
}

impl Judge {
    pub(super) fn tally_event(&mut self, event: &NodeEvent) {
        match event {
            NodeEvent::Engage { relays, .. } if !relays.is_empty() => self.tally.engaged += 1,
            NodeEvent::PathChanged(change) if change.reason.starts_with("nothing arrives") => {
                self.tally.failovers += 1;
            }
            NodeEvent::LaneChanged { phase: LanePhase::Ready, .. } => self.tally.lanes += 1,
            NodeEvent::Store(_) => self.tally.stored += 1,
            _ => {}
        }
    }
}
