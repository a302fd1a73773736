//! What a router changes in the host's kernel: routes ([`route`], [`seg6`]), rules ([`rule`]), an address
//! ([`address`]) and switches ([`sysctl`]), all spoken in netlink ([`netlink`]), no `ip` binary needed. [`paths`] keeps
//! what is engaged.
//!
//! One routing table for what is engaged, one for returning traffic, one for marked flows, two for an SR domain, one
//! range of rule priorities, four firewall marks.
//! **Fail-open:** every route that diverts traffic points at the TUN interface, which the kernel removes, with its
//! routes, when this process dies; an empty table makes the rules fall through to the main table. So a killed router
//! means the default path.

pub mod address;
pub mod link_layer;
pub mod netdev;
pub mod netlink;
pub mod paths;
pub mod route;
pub mod rule;
pub mod seg6;
pub mod sysctl;

/// Routing table of the engaged prefixes. Source: the UDP port's number, which no distribution uses as a table.
pub const TABLE_ENGAGED: u32 = 4766;

/// Routing table of traffic that returns to another router's site after source NAT here.
pub const TABLE_RETURN: u32 = 4767;

/// Routing table of flows that leave at an egress because their destination has no router of its own.
pub const TABLE_FLOWS: u32 = 4768;

/// Routing table of the SIDs of an SR domain: this node's own, and the way to those of its neighbours.
pub const TABLE_SIDS: u32 = 4769;

/// Routing table of the prefixes that are behind this router over native SRv6.
pub const TABLE_POLICIES: u32 = 4770;

/// All tables of srwan.
pub const TABLES: [u32; 5] = [TABLE_ENGAGED, TABLE_RETURN, TABLE_FLOWS, TABLE_SIDS, TABLE_POLICIES];

/// First rule priority that belongs to srwan: before the main table (32766), after the local one (0).
pub const RULE_PRIORITY_FIRST: u32 = 4755;

/// Last rule priority that belongs to srwan.
pub const RULE_PRIORITY_LAST: u32 = 4769;

/// Mark of the router's own datagrams: they never enter the tunnel. "SR" and a one.
pub const MARK_OWN: u32 = 0x5352_0001;

/// Mark of flows that left here with source NAT: their replies go back into the tunnel.
pub const MARK_RETURN: u32 = 0x5352_0002;

/// Mark of flows that began while their destination went over an egress: they stay there until they end.
pub const MARK_FLOWS: u32 = 0x5352_0003;

/// Mark of packets that came with a segment list of the SR domain, and of what was inside.
pub const MARK_SEGMENTS: u32 = 0x5352_0004;

/// Routing protocol number written into our routes and rules, so that a person can tell them: `ip route show proto 76`.
pub const PROTOCOL: u8 = 76;
