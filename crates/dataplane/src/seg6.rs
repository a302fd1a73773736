//! Kernel SRv6: the routes that make a kernel execute what [`crate::Dataplane`] executes packet by packet.
//!
//! In private mode the engaged paths of a headend become seg6 routes (H.Encaps), and a node's own SIDs become seg6local
//! routes (End, End.DX4, End.DT6, End.DX6). [`RoutePlan::new`] says which routes there should be,
//! [`RoutePlan::changes`] what turns the routes that are there into those. Both are total and know no kernel; the
//! router's shell writes the result in netlink. A SID means here what it means in the overlay: tests/it/executors.rs.
//!
//! - **Source:** RFC 8986 sections 4.1, 4.4, 4.5, 4.6 and 5.1; docs/design/006-kernel-srv6.md.

use core::net::{Ipv4Addr, Ipv6Addr};
use ipnet::IpNet;
use srwan_wire::id::NodeId;
use srwan_wire::sid::{EndpointBehavior, SegmentList, Sid};
use srwan_wire::srv6::SidBlock;
use std::collections::BTreeMap;

/// How a headend writes its segment list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encaps {
    /// H.Encaps: the segment routing header lists every SID.
    Full,
    /// H.Encaps.Red: the first SID stands in the destination address only, as in the overlay's header.
    Reduced,
}

/// How packets for the SIDs of another node leave this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocatorRoute {
    /// The host's own routes lead there: the underlay announces locators.
    Routed,
    /// By a neighbour on a link.
    Via(Ipv6Addr),
}

/// An SR domain as one of its nodes sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrDomain {
    /// All SIDs of the domain.
    pub block: SidBlock,
    /// This node.
    pub me: NodeId,
    /// How paths are written.
    pub encaps: Encaps,
    /// The other nodes. A path over any node that is not here stays in the overlay.
    pub locators: BTreeMap<NodeId, LocatorRoute>,
    /// To whom End.DX4 hands packets; `None`: wherever their own destination leads.
    pub next_hop_v4: Option<Ipv4Addr>,
    /// To whom End.DX6 hands packets; `None`: this node has no End.DX6.
    pub next_hop_v6: Option<Ipv6Addr>,
    /// Prefixes that are always reached over these SIDs, in order of travel, whatever control decides.
    pub policies: BTreeMap<IpNet, Vec<Ipv6Addr>>,
}

/// A path that control engaged, and what takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngagedPath {
    /// Relays in order of travel.
    pub relays: Vec<NodeId>,
    /// Whether a lane pays for it. The kernel counts for nobody, so only the overlay carries what is billed.
    pub is_billed: bool,
    /// Prefixes behind the endpoint.
    pub prefixes: Vec<IpNet>,
}

/// A table of routes. In their order a SID is there before a route leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteTable {
    /// This node's SIDs and the way to those of others.
    Sids,
    /// Prefixes behind this node over native SRv6.
    Policies,
    /// What takes a path.
    Engaged,
}

/// What a route is for: at most one per table and prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// Where it stands.
    pub table: RouteTable,
    /// Destinations.
    pub prefix: IpNet,
}

/// What a node does with a packet whose destination is one of its SIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalSid {
    /// Send on to the next SID.
    End,
    /// Unwrap; hand the IPv4 packet to the next hop, or to where its own destination leads.
    EndDx4(Option<Ipv4Addr>),
    /// Unwrap; send the IPv6 packet to where its own destination leads.
    EndDt6,
    /// Unwrap; hand the IPv6 packet to the next hop.
    EndDx6(Ipv6Addr),
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAction {
    /// Wrap, with these SIDs in order of travel; at least one.
    Encaps(Encaps, Vec<Ipv6Addr>),
    /// A SID of this node.
    Local(LocalSid),
    /// Hand to this neighbour.
    Via(Ipv6Addr),
    /// Hand to the overlay's tunnel.
    Tunnel,
}

/// One step from the routes that are there to those that should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteChange {
    /// Add the route, or replace the one with this key.
    Put(RouteKey, RouteAction),
    /// Take the route with this key out.
    Remove(RouteKey),
}

/// Routes by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutePlan(BTreeMap<RouteKey, RouteAction>);

impl RoutePlan {
    /// The routes of a node with these paths engaged, by endpoint; without a domain all paths take the tunnel.
    ///
    /// A prefix that two endpoints have goes to the one with the lower number.
    #[must_use]
    pub fn new(domain: Option<&SrDomain>, engaged: &BTreeMap<NodeId, EngagedPath>) -> Self {
        let mut plan = Self::default();
        if let Some(domain) = domain {
            plan.add_sids(domain);
            plan.add_locators(domain);
            plan.add_policies(domain);
        }
        for (endpoint, path) in engaged {
            plan.add_path(domain, *endpoint, path);
        }
        plan
    }

    /// The routes, by key.
    pub fn routes(&self) -> impl Iterator<Item = (&RouteKey, &RouteAction)> {
        self.0.iter()
    }

    /// What the route with this key does.
    #[must_use]
    pub fn action(&self, key: &RouteKey) -> Option<&RouteAction> {
        self.0.get(key)
    }

    /// The steps from this plan to `wanted`, in an order in which no packet meets a SID that is not there yet or any
    /// more: all puts from SIDs to what leads to them, then all removals the other way round.
    #[must_use]
    pub fn changes(&self, wanted: &Self) -> Vec<RouteChange> {
        let puts = wanted.0.iter().filter(|(key, action)| self.0.get(*key) != Some(*action));
        let puts = puts.map(|(key, action)| RouteChange::Put(*key, action.clone()));
        let gone = self.0.keys().rev().filter(|key| !wanted.0.contains_key(*key));
        puts.chain(gone.map(|key| RouteChange::Remove(*key))).collect()
    }

    /// Notes that a step was done.
    pub fn note(&mut self, change: RouteChange) {
        match change {
            RouteChange::Put(key, action) => drop(self.0.insert(key, action)),
            RouteChange::Remove(key) => drop(self.0.remove(&key)),
        }
    }

    fn add(&mut self, table: RouteTable, prefix: IpNet, action: RouteAction) {
        self.0.entry(RouteKey { table, prefix }).or_insert(action);
    }

    /// The node's SIDs, and its locator, so that a SID without a behavior ends here and nowhere else (RFC 8986
    /// section 3.3).
    fn add_sids(&mut self, domain: &SrDomain) {
        let mut local = vec![
            (EndpointBehavior::End, LocalSid::End),
            (EndpointBehavior::EndDx4, LocalSid::EndDx4(domain.next_hop_v4)),
            (EndpointBehavior::EndDt6, LocalSid::EndDt6),
        ];
        if let Some(next_hop) = domain.next_hop_v6 {
            local.push((EndpointBehavior::EndDx6, LocalSid::EndDx6(next_hop)));
        }
        for (behavior, sid) in local {
            let address = domain.block.srv6_sid(Sid::new(domain.me, behavior));
            let prefix = core::net::IpAddr::V6(address).into();
            self.add(RouteTable::Sids, prefix, RouteAction::Local(sid));
        }
        let own = domain.block.locator(domain.me);
        self.add(RouteTable::Sids, own.into(), RouteAction::Tunnel);
    }

    fn add_locators(&mut self, domain: &SrDomain) {
        for (node, route) in &domain.locators {
            match route {
                LocatorRoute::Routed => {}
                LocatorRoute::Via(neighbour) => {
                    let locator = domain.block.locator(*node).into();
                    self.add(RouteTable::Sids, locator, RouteAction::Via(*neighbour));
                }
            }
        }
    }

    fn add_policies(&mut self, domain: &SrDomain) {
        for (prefix, segments) in &domain.policies {
            let action = RouteAction::Encaps(domain.encaps, segments.clone());
            self.add(RouteTable::Policies, *prefix, action);
        }
    }

    fn add_path(&mut self, domain: Option<&SrDomain>, endpoint: NodeId, path: &EngagedPath) {
        for prefix in &path.prefixes {
            let way = domain.and_then(|domain| {
                let segments = segments(domain, endpoint, path, prefix)?;
                Some(RouteAction::Encaps(domain.encaps, segments))
            });
            self.add(RouteTable::Engaged, *prefix, way.unwrap_or(RouteAction::Tunnel));
        }
    }
}

/// The SRv6 SIDs of a path in order of travel; `None` if the path is not for the kernel.
fn segments(
    domain: &SrDomain,
    endpoint: NodeId,
    path: &EngagedPath,
    prefix: &IpNet,
) -> Option<Vec<Ipv6Addr>> {
    let is_path = SegmentList::new(&path.relays, endpoint).is_ok();
    let mut hops = path.relays.iter().chain([&endpoint]);
    if path.is_billed || !is_path || !hops.all(|node| domain.locators.contains_key(node)) {
        return None;
    }
    let last = match prefix {
        IpNet::V4(_) => EndpointBehavior::EndDx4,
        IpNet::V6(_) => EndpointBehavior::EndDt6,
    };
    let relays = path.relays.iter().map(|relay| Sid::new(*relay, EndpointBehavior::End));
    let sids = relays.chain([Sid::new(endpoint, last)]);
    Some(sids.map(|sid| domain.block.srv6_sid(sid)).collect())
}
