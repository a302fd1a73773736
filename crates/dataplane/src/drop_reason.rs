//! Why a packet was not taken, and how often.
//!
//! A drop is not an error: it is a counter. Nothing else of the data plane moves when a packet is
//! dropped (I17).

/// Declares the reasons once: the enum, the counters, the list of all and the names come from the
/// same lines.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $name:ident,)*) => {
        /// Why a packet was not delivered, forwarded or taken in. Each variant is a counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DropReason {
            $($(#[$doc])* $variant,)*
        }

        impl DropReason {
            /// Every reason, in the order of the enum.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name under which the counter is shown.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name),)* }
            }
        }

        /// One counter per [`DropReason`].
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct DropCounters {
            $($name: u64,)*
        }

        impl DropCounters {
            /// How often packets were dropped for `reason`.
            #[must_use]
            pub const fn count(&self, reason: DropReason) -> u64 {
                match reason { $(DropReason::$variant => self.$name,)* }
            }

            pub(crate) fn record(&mut self, reason: DropReason) {
                self.add(reason, 1);
            }

            /// Counts packets that were dropped elsewhere.
            pub(crate) fn add(&mut self, reason: DropReason, packets: u64) {
                match reason { $(DropReason::$variant => self.$name += packets,)* }
            }
        }
    };
}

reasons! {
    /// Not one of our packet types.
    NotOurs => not_ours,
    /// Shorter than its header says.
    Truncated => truncated,
    /// Another version of the format.
    Version => version,
    /// A malformed segment list, or more segments left than listed, or padding that is not zero.
    Header => header,
    /// The link index names no live link.
    UnknownLink => unknown_link,
    /// The link tag is not that of the link's key.
    LinkTag => link_tag,
    /// The link's or the session's keys are too old to be used.
    Expired => expired,
    /// A SID of another node, of an unknown node, or with a function that is not this one.
    NoSuchSid => no_such_sid,
    /// The path leads back to the previous hop, to this router, or to one node twice.
    Loop => path_loop,
    /// No proven address or no live session to the next hop.
    NoAdjacency => no_adjacency,
    /// The lane is not installed here.
    UnknownLane => unknown_lane,
    /// The lane is installed for another previous or next hop.
    LaneHop => lane_hop,
    /// The lane has used up what its receipts and credit allow.
    LaneCredit => lane_credit,
    /// Data of the unbilled class, which this router does not relay for that neighbour.
    Unbilled => unbilled,
    /// More control messages than this router relays for one neighbour.
    RelayRate => relay_rate,
    /// The session index names no live session, or one with another neighbour than the packet came
    /// from.
    UnknownSession => unknown_session,
    /// The packet counter was taken before, or is too old to tell.
    Replayed => replayed,
    /// The payload or what its seal binds was changed, or sealed with another key.
    Unauthenticated => unauthenticated,
    /// The inner packet is not one whole IPv4 or IPv6 packet.
    InnerMalformed => inner_malformed,
    /// The inner source address is not one that its sender may use.
    InnerSource => inner_source,
    /// A congestion mark for a sender that does not understand marks.
    Congested => congested,
    /// No policy covers the inner destination.
    NoPolicy => no_policy,
    /// No live session with the endpoint.
    NoSession => no_session,
    /// The packet exceeds the path's MTU and no message could be sent about it.
    TooBig => too_big,
    /// Not a handshake frame.
    HandshakeFormat => handshake_format,
    /// mac1 is not valid: the sender does not know this router's key.
    HandshakeMac => handshake_mac,
    /// A cookie was sent instead of an answer: under load, or to a peer's first call since the start.
    HandshakeCookie => handshake_cookie,
    /// Too many handshakes from one place or in all.
    HandshakeRate => handshake_rate,
    /// The Noise message is not authentic.
    HandshakeNoise => handshake_noise,
    /// An authentic handshake with a node that is no peer of this router.
    HandshakePeer => handshake_peer,
    /// The handshake is not newer than the last one of that peer.
    HandshakeStale => handshake_stale,
    /// An answer to no handshake of ours.
    HandshakeUnexpected => handshake_unexpected,
    /// A relayed handshake whose list of relays is not the path that it came by.
    HandshakePath => handshake_path,
    /// No session index is free.
    SessionsFull => sessions_full,
}

impl DropCounters {
    /// All reasons with their counts, in the order of [`DropReason::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|reason| (*reason, self.count(*reason)))
    }

    /// Packets dropped in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_counter_and_a_name_of_its_own() {
        let mut counters = DropCounters::default();
        for (times, reason) in DropReason::ALL.iter().enumerate() {
            (0..times).for_each(|_| counters.record(*reason));
        }
        for (times, (_, count)) in counters.iter().enumerate() {
            assert_eq!(count, u64::try_from(times).unwrap());
        }
        let names: BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
    }
}
