//! The headend's table: which SR path the packets to a destination take.
//!
//! Longest prefix first. Per prefix length a sorted map, tried from the longest length in use to
//! the shortest: a lookup costs one map search for each length that occurs, which is a handful. No
//! entry means the default path, and that is not this table's business.

use crate::dscp::DscpSet;
use crate::shares::PATHS_MAX;
use crate::steering::Steering;
use core::net::IpAddr;
use ipnet::IpNet;
use srwan_wire::id::{LaneLabel, NodeId, PathId};
use srwan_wire::sid::SegmentListError;
use std::collections::BTreeMap;

/// Inner MTU that every path has whose outer MTU is 1500: docs/protocol.md, "MTU".
///
/// - **Units:** octets of the inner packet. 1380 + 84 (three relays) + 20 (IPv6) = 1484.
pub const INNER_MTU_DEFAULT: u16 = 1_380;

/// Prefixes with a policy. Each needs about 100 octets; a router steers destinations in use, not
/// the whole Internet.
pub const POLICIES_MAX: usize = 65_536;

/// How packets to a prefix travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyEntry {
    /// Where they are unwrapped.
    pub endpoint: NodeId,
    /// How they are spread over the paths.
    pub spread: Spread,
    /// The paths: one to [`PATHS_MAX`].
    pub paths: Vec<PolicyPath>,
    /// Largest inner packet that fits all of them, in octets.
    pub inner_mtu: u16,
    /// What goes over a path of its own instead; the first class that has a packet's code point takes it.
    pub classes: Vec<PolicyClass>,
}

/// A forwarding class of a per-flow policy (RFC 9256 section 8.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyClass {
    /// Which packets are of it.
    pub dscp: DscpSet,
    /// Their path.
    pub path: PolicyPath,
    /// Largest inner packet that fits it, in octets.
    pub inner_mtu: u16,
}

/// How packets are spread over several paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Each flow stays on a path; paths get flows by their weights.
    Flows,
    /// Packets take turns by the weights of the paths, whose ids are of a group in order.
    Packets,
    /// Each packet goes over all paths, whose ids are of a group not in order.
    Copies,
}

/// One path of a policy (a segment list of RFC 9256).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPath {
    /// The relays in order of travel; empty for the direct path.
    pub relays: Vec<NodeId>,
    /// The lane that pays; it must be installed with this router as its previous hop.
    pub lane: Option<LaneLabel>,
    /// Tells this path of the session from others; any but [`crate::OAM_PATH`].
    pub path_id: PathId,
    /// Its share, relative to those of the other paths; not zero.
    pub weight: u8,
}

impl PolicyEntry {
    /// The path over `relays` to `endpoint`, with the default MTU.
    #[must_use]
    pub fn new(
        endpoint: NodeId,
        relays: Vec<NodeId>,
        lane: Option<LaneLabel>,
        path_id: PathId,
    ) -> Self {
        let path = PolicyPath { relays, lane, path_id, weight: 1 };
        let (spread, inner_mtu) = (Spread::Flows, INNER_MTU_DEFAULT);
        Self { endpoint, spread, paths: vec![path], inner_mtu, classes: Vec::new() }
    }
}

/// Why a policy was not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The relays and the endpoint are no path.
    #[error("not a path: {0}")]
    Path(#[from] SegmentListError),
    /// The path leads through or to this router itself.
    #[error("the path leads back to this router")]
    Loop,
    /// The path id of control messages, or one that is not of a group as the spread asks.
    #[error("the path id is reserved, or not of a group as the spread asks")]
    PathId,
    /// No path, or more than [`PATHS_MAX`], or one without a share.
    #[error("a policy has 1 to {PATHS_MAX} paths, each with a weight above zero")]
    Paths,
    /// There are [`POLICIES_MAX`] policies.
    #[error("there are {POLICIES_MAX} policies already")]
    Full,
}

/// All policies of a headend.
#[derive(Debug, Default)]
pub(crate) struct PolicyTable {
    v4: Family,
    v6: Family,
    len: usize,
}

/// Prefix lengths in use, longest first, each with its prefixes (as the address's bits,
/// left-aligned).
#[derive(Debug, Default)]
struct Family(Vec<(u8, BTreeMap<u128, Steering>)>);

impl PolicyTable {
    /// Installs a policy in place of an earlier one for the same prefix, whose flows stay where they
    /// are as far as they can.
    pub(crate) fn insert(
        &mut self,
        prefix: IpNet,
        mut steering: Steering,
    ) -> Result<(), PolicyError> {
        if self.len >= POLICIES_MAX {
            return Err(PolicyError::Full);
        }
        let (family, length) = (self.family_mut(&prefix), prefix.prefix_len());
        let place = family.0.partition_point(|(other, _)| *other > length);
        if family.0.get(place).is_none_or(|(other, _)| *other != length) {
            family.0.insert(place, (length, BTreeMap::new()));
        }
        let prefixes = &mut family.0[place].1;
        if let Some(before) = prefixes.get(&bits(prefix.network())) {
            steering.follow(before);
        }
        let replaced = prefixes.insert(bits(prefix.network()), steering);
        self.len += usize::from(replaced.is_none());
        Ok(())
    }

    pub(crate) fn remove(&mut self, prefix: IpNet) -> bool {
        let (family, length) = (self.family_mut(&prefix), prefix.prefix_len());
        let Some(place) = family.0.iter().position(|(other, _)| *other == length) else {
            return false;
        };
        let is_removed = family.0[place].1.remove(&bits(prefix.network())).is_some();
        if family.0[place].1.is_empty() {
            family.0.remove(place);
        }
        self.len -= usize::from(is_removed);
        is_removed
    }

    /// The policy of the longest prefix that contains `destination`.
    pub(crate) fn lookup(&self, destination: IpAddr) -> Option<&Steering> {
        let family = if destination.is_ipv4() { &self.v4 } else { &self.v6 };
        let bits = bits(destination);
        let mut lengths = family.0.iter();
        lengths.find_map(|(length, prefixes)| prefixes.get(&(bits & mask(*length))))
    }

    /// The same, to be changed.
    pub(crate) fn lookup_mut(&mut self, destination: IpAddr) -> Option<&mut Steering> {
        let family = if destination.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let bits = bits(destination);
        let mut lengths = family.0.iter_mut();
        lengths.find_map(|(length, prefixes)| prefixes.get_mut(&(bits & mask(*length))))
    }

    fn family_mut(&mut self, prefix: &IpNet) -> &mut Family {
        match prefix {
            IpNet::V4(_) => &mut self.v4,
            IpNet::V6(_) => &mut self.v6,
        }
    }
}

/// The address's bits, left-aligned.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// `length` ones from the left.
fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(raw: u32) -> NodeId {
        NodeId::new(raw).unwrap()
    }

    fn steering(endpoint: u32) -> Steering {
        let entry = PolicyEntry::new(node(endpoint), vec![], None, PathId(1));
        Steering::new(&entry, node(1_000)).unwrap()
    }

    #[test]
    fn families_do_not_mix_and_removal_is_exact() {
        let mut table = PolicyTable::default();
        table.insert("0.0.0.0/0".parse().unwrap(), steering(1)).unwrap();
        assert!(table.lookup("::1".parse().unwrap()).is_none());
        assert!(!table.remove("0.0.0.0/1".parse().unwrap()));
        assert!(table.remove("0.0.0.0/0".parse().unwrap()));
        assert!(table.lookup("1.2.3.4".parse().unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn the_longest_prefix_wins(
            prefixes in proptest::collection::vec((0_u32..16, 24_u8..=32), 1..20),
            probe in 0_u32..16,
        ) {
            let mut table = PolicyTable::default();
            let mut all = Vec::new();
            for (i, (low, length)) in prefixes.iter().enumerate() {
                let address = IpAddr::V4((0x0a00_0000 | low).into());
                let prefix = IpNet::new(address, *length).unwrap().trunc();
                let number = u32::try_from(i + 1).unwrap();
                table.insert(prefix, steering(number)).unwrap();
                all.retain(|(other, _)| *other != prefix);
                all.push((prefix, node(number)));
            }
            let probe = IpAddr::V4((0x0a00_0000 | probe).into());
            let best = all.iter().filter(|(prefix, _)| prefix.contains(&probe));
            let longest = best.max_by_key(|(prefix, _)| prefix.prefix_len());
            let expected = longest.map(|(_, node)| *node);
            let found = table.lookup(probe).and_then(|found| found.way(0));
            prop_assert_eq!(found.map(|way| way.endpoint), expected);
        }
    }
}
