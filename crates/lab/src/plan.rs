//! Addresses for a scenario: which site a node is, what stands behind it, what each link does.
//!
//! Site `i` has 198.18.i.1 and 2001:db8:i::1 on its `eth0`; machines behind its router have addresses in
//! 198.19.i.0/24 and 2001:db8:i:1::/64. Both IPv4 ranges are the benchmarking block of RFC 2544, which no
//! product rule treats as private; the IPv6 range is the documentation block of RFC 3849. No IO here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::scenario::{
    LinkShape, NODES_MAX, Node, NodeName, Role, Scenario, Underlay, VALIDATORS_MAX,
};

/// A scenario with addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub scenario: Scenario,
    /// Nodes with an `eth0`, in file order.
    pub sites: Vec<Site>,
    /// Nodes behind a router, in file order.
    pub behind: Vec<Behind>,
}

/// A node directly on the Internet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    pub name: NodeName,
    /// Number in its addresses, 1 to 251.
    pub number: u8,
    /// Addresses of `eth0`.
    pub addresses: Vec<IpAddr>,
    /// Networks behind it: the lab's own, then those of the file.
    pub lans: Vec<IpNet>,
}

/// A node behind a router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Behind {
    pub name: NodeName,
    pub router: NodeName,
    /// Position among the machines behind that router, from 0.
    pub position: u8,
    pub addresses: Vec<IpAddr>,
    /// The router's addresses on the LAN, same order of families.
    pub gateways: Vec<IpAddr>,
}

impl Plan {
    /// Gives every node its addresses.
    pub fn new(scenario: Scenario) -> Self {
        let mut plan = Self { scenario, sites: Vec::new(), behind: Vec::new() };
        let nodes = plan.scenario.nodes.clone();
        let mut numbers = 1..LEDGERS_MORE_FIRST;
        let mut ledgers = std::iter::once(LEDGER).chain(LEDGERS_MORE_FIRST..CONTROLLER);
        for node in nodes.iter().filter(|node| node.behind.is_none()) {
            let number = match node.role {
                Role::Controller => Some(CONTROLLER),
                Role::Ledger => ledgers.next(),
                Role::Router | Role::Host | Role::Web => numbers.next(),
            };
            let number =
                number.expect("a scenario has at most NODES_MAX nodes, fewer than numbers");
            plan.sites.push(plan.new_site(node, number));
        }
        for node in &nodes {
            if let Some(router) = &node.behind {
                plan.behind.push(plan.new_behind(node, router));
            }
        }
        plan
    }

    /// The site of that name.
    pub fn site(&self, name: &NodeName) -> Option<&Site> {
        self.sites.iter().find(|site| site.name == *name)
    }

    /// Addresses of any node: of its `eth0`, or of its LAN interface.
    pub fn addresses(&self, name: &NodeName) -> &[IpAddr] {
        let site = self.site(name).map(|site| site.addresses.as_slice());
        let behind = || self.behind.iter().find(|node| node.name == *name);
        site.or_else(|| behind().map(|node| node.addresses.as_slice())).unwrap_or_default()
    }

    /// The address others use for a node: IPv4 where there is one.
    pub fn address(&self, name: &NodeName) -> Option<IpAddr> {
        self.addresses(name).first().copied()
    }

    /// The node that has an address or whose LAN holds it.
    pub fn owner(&self, address: IpAddr) -> Option<&Site> {
        self.sites.iter().find(|site| site.holds(address))
    }

    /// Shapes of all links between sites, as (from, to, shape) with positions in `sites`.
    pub fn links(&self) -> Vec<(usize, usize, LinkShape)> {
        let node = |site: &Site| self.scenario.node(&site.name).expect("sites are made of nodes");
        let ends: Vec<&Node> = self.sites.iter().map(node).collect();
        let pairs = (0..ends.len()).flat_map(|from| (0..ends.len()).map(move |to| (from, to)));
        let shape =
            |(from, to): (usize, usize)| (from, to, self.scenario.link_shape(ends[from], ends[to]));
        pairs.filter(|(from, to)| from != to).map(shape).collect()
    }

    /// Only a router with somebody behind it has a network there: the others have no traffic of their own to send, so
    /// they watch no destinations and open no lanes.
    fn new_site(&self, node: &Node, number: u8) -> Site {
        let mut lans: Vec<IpNet> = node.prefixes.clone();
        if self.scenario.nodes.iter().any(|other| other.behind.as_ref() == Some(&node.name)) {
            lans.extend(self.families::<IpNet>(lan_v4(number).into(), lan_v6(number).into()));
        }
        let addresses = self.families(site_v4(number).into(), site_v6(number).into());
        Site { name: node.name.clone(), number, addresses, lans }
    }

    fn new_behind(&self, node: &Node, router: &NodeName) -> Behind {
        let number = self.site(router).map_or(0, |site| site.number);
        let earlier = self.behind.iter().filter(|other| other.router == *router).count();
        let position = u8::try_from(earlier).unwrap_or(u8::MAX).min(BEHIND_MAX);
        Behind {
            name: node.name.clone(),
            router: router.clone(),
            position,
            addresses: self.families(
                in_v4(lan_v4(number), HOST_FIRST + position).into(),
                in_v6(lan_v6(number), HOST_FIRST + position).into(),
            ),
            gateways: self.families(
                in_v4(lan_v4(number), GATEWAY).into(),
                in_v6(lan_v6(number), GATEWAY).into(),
            ),
        }
    }

    fn families<T>(&self, v4: T, v6: T) -> Vec<T> {
        match self.scenario.underlay {
            Underlay::Ipv4 => vec![v4],
            Underlay::Ipv6 => vec![v6],
            Underlay::Dual => vec![v4, v6],
        }
    }
}

impl Site {
    /// Whether packets for this address go to this site.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address) || self.lans.iter().any(|lan| lan.contains(&address))
    }

    /// All prefixes that lead here: its own addresses and the networks behind it.
    pub fn prefixes(&self) -> Vec<IpNet> {
        let own = self.addresses.iter().map(|address| IpNet::from(*address));
        own.chain(self.lans.iter().copied()).collect()
    }
}

fn site_v4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, number, 1)
}

fn lan_v4(number: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(198, 19, number, 0), 24)
}

fn site_v6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, u16::from(number), 0, 0, 0, 0, 1)
}

fn lan_v6(number: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, u16::from(number), 1, 0, 0, 0, 0), 64)
}

fn in_v4(lan: Ipv4Net, host: u8) -> Ipv4Addr {
    let [a, b, c, _] = lan.network().octets();
    Ipv4Addr::new(a, b, c, host)
}

fn in_v6(lan: Ipv6Net, host: u8) -> Ipv6Addr {
    let mut octets = lan.network().octets();
    octets[15] = host;
    octets.into()
}

/// Site numbers of the two services, after all others.
const CONTROLLER: u8 = 250;
const LEDGER: u8 = 251;
/// The second validator's; the rest follow, up to the controller.
const LEDGERS_MORE_FIRST: u8 = 244;
const _: () = assert!(1 + (CONTROLLER - LEDGERS_MORE_FIRST) as usize == VALIDATORS_MAX);
const _: () = assert!(NODES_MAX < LEDGERS_MORE_FIRST as usize);
/// First machine behind a router.
const HOST_FIRST: u8 = 10;
/// The router on its LAN.
const GATEWAY: u8 = 254;
/// Machines behind one router; the addresses end before the gateway's.
const BEHIND_MAX: u8 = GATEWAY - HOST_FIRST - 1;
