//! One member of the roster: whether and how it is reached, and what was exchanged with it.

use core::time::Duration;
use std::collections::VecDeque;

use srwan_wire::id::NodeId;
use srwan_wire::pulse::Row;
use srwan_wire::time::Instant;

use crate::event::{MemberState, Reach};
use crate::reception::Reception;

/// Whole rows of a member that are kept as bases: the sender may still build on the one before the
/// newest.
const BASES_MAX: usize = 4;

/// Pulses that are sent to a member until both rows are there: 1 s apart they cover 9 s, even at 30
/// % loss.
pub(crate) const GREETINGS: u8 = 8;

/// A member without a session for so long is asked over a relay; a direct handshake takes one round
/// trip and a retry at 5 s would only delay the group.
pub(crate) const CONNECT_VIA_AFTER: Duration = Duration::from_secs(3);

/// A relay gets this long to bring a session or a pulse before the next one is tried.
pub(crate) const RELAY_PATIENCE: Duration = Duration::from_secs(5);

/// A member that is reached over relays is called directly again after this long, for so long: its path may have
/// healed. The session over relays goes on meanwhile, and a try costs four handshakes.
pub(crate) const DIRECT_AFTER: Duration = Duration::from_secs(10);
pub(crate) const DIRECT_FOR: Duration = Duration::from_secs(4);

/// A member of the group, other than this node.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// What it asks for carrying; `None` = it never carries.
    pub(crate) price: Option<u64>,
    /// Its autonomous system.
    pub(crate) asn: u32,
    pub(crate) reach: Option<Reach>,
    pub(crate) reception: Reception,
    pub(crate) state: MemberState,
    /// Number of the next pulse to it.
    pub(crate) next_seq: u32,
    /// The newest whole row of ours that it said it holds.
    pub(crate) acked: u32,
    /// Its last whole rows, oldest first.
    bases: VecDeque<Row>,
    pub(crate) heard_direct: Option<Instant>,
    pub(crate) heard_relayed: Option<Instant>,
    /// Since when there is no session, or none that works.
    pub(crate) lost_since: Instant,
    /// Over whom it is being asked, and since when.
    pub(crate) via: Option<(Vec<NodeId>, Instant)>,
    /// Since when it is reached over relays, or when the direct path was last tried again.
    pub(crate) direct_at: Instant,
    /// Whether the direct path is being tried again.
    pub(crate) tries_direct: bool,
    pub(crate) relays_tried: usize,
    pub(crate) greetings_left: u8,
    pub(crate) next_greeting: Instant,
    /// Destinations that it asked to be measured since then.
    pub(crate) requests: (Instant, u32),
}

impl Member {
    pub(crate) fn new(price: Option<u64>, asn: u32, now: Instant) -> Self {
        Self {
            price,
            asn,
            reach: None,
            reception: Reception::default(),
            state: MemberState::Unreachable,
            next_seq: 1,
            acked: 0,
            bases: VecDeque::new(),
            heard_direct: None,
            heard_relayed: None,
            lost_since: now,
            via: None,
            direct_at: now,
            tries_direct: false,
            relays_tried: 0,
            greetings_left: 0,
            next_greeting: now,
            requests: (now, 0),
        }
    }

    pub(crate) fn base(&self, seq: u32) -> Option<&Row> {
        self.bases.iter().find(|row| row.seq == seq)
    }

    /// The number to tell it: its newest whole row that is held, zero if none.
    pub(crate) fn holds(&self) -> u32 {
        self.bases.back().map_or(0, |row| row.seq)
    }

    pub(crate) fn hold(&mut self, row: Row) {
        if self.bases.back().is_some_and(|held| held.clock_epoch != row.clock_epoch) {
            self.bases.clear();
        }
        if self.base(row.seq).is_some() {
            return;
        }
        if self.bases.len() == BASES_MAX {
            self.bases.pop_front();
        }
        self.bases.push_back(row);
    }

    /// Its pulses came directly within the last two of its intervals.
    pub(crate) fn is_heard_directly(&self, now: Instant) -> bool {
        self.reception.silent_intervals(now).is_some_and(|intervals| intervals < 2)
    }

    pub(crate) fn greet(&mut self, now: Instant) {
        self.greetings_left = GREETINGS;
        self.next_greeting = now;
    }
}
