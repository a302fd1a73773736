//! Path ids that share one packet counter, so that the endpoint can tell the order and the sameness of packets that
//! came by different paths.
//!
//! ```text
//!  7 6 5 4 3 2 1 0
//!  1 | | | member      0x00..=0x7f: plain paths, each with a counter of its own
//!    | +-+ number      0xf0..=0xff: reserved (control messages, the direct session)
//!    in order
//! ```
//!
//! Each member has a replay window of its own; a (path id, counter) is used once. See docs/design/007-multipath.md.

use crate::id::PathId;

/// First path id that belongs to a group; plain paths are numbered below.
pub const GROUP_FIRST: u8 = 0x80;

/// Members of a group.
pub const GROUP_MEMBERS_MAX: u8 = 16;

const IN_ORDER: u8 = 0x40;
const MEMBER: u8 = 0x0f;
const RESERVED: u8 = 0xf0;

/// Paths of one session that share a packet counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathGroup(u8);

impl PathGroup {
    /// Packets of this group are copies of one another over several paths: the first copy counts.
    pub const COPIES: Self = Self(GROUP_FIRST);

    /// Packets of this group take turns on several paths: they are delivered in order.
    pub const IN_ORDER: Self = Self(GROUP_FIRST | IN_ORDER);

    /// The group of a path and the path's place in it; `None` for a plain or reserved path.
    #[must_use]
    pub const fn of(path: PathId) -> Option<(Self, u8)> {
        if path.0 < GROUP_FIRST || path.0 >= RESERVED {
            return None;
        }
        Some((Self(path.0 & !MEMBER), path.0 & MEMBER))
    }

    /// The path at a place of the group; `None` from [`GROUP_MEMBERS_MAX`] on.
    #[must_use]
    pub const fn member(self, place: u8) -> Option<PathId> {
        if place < GROUP_MEMBERS_MAX { Some(PathId(self.0 | place)) } else { None }
    }

    /// The path id under which the group's counter is kept: its first member's.
    #[must_use]
    pub const fn counter(self) -> PathId {
        PathId(self.0)
    }

    /// Whether packets of it are delivered in the order of their counters.
    #[must_use]
    pub const fn is_in_order(self) -> bool {
        self.0 & IN_ORDER != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_id_is_plain_reserved_or_of_exactly_one_group() {
        let groups = (0..=0xff).filter_map(|raw| PathGroup::of(PathId(raw)));
        assert_eq!(groups.clone().count(), 7 * 16);
        for (group, place) in groups {
            let path = group.member(place).unwrap();
            assert_eq!(PathGroup::of(path), Some((group, place)));
        }
        for raw in (0..0x80).chain(0xf0..=0xff) {
            assert_eq!(PathGroup::of(PathId(raw)), None);
        }
        assert_eq!(PathGroup::COPIES.member(16), None);
    }

    #[test]
    fn only_packets_that_take_turns_are_put_in_order() {
        assert!(!PathGroup::COPIES.is_in_order());
        assert!(PathGroup::IN_ORDER.is_in_order());
        assert_eq!(PathGroup::IN_ORDER.member(3), Some(PathId(0xc3)));
    }
}
