//! `[srv6]`: the SR domain whose kernel carries unbilled paths, from what was written to what was checked.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use srwan_dataplane::seg6::{Encaps, LocatorRoute, SrDomain};
use srwan_wire::id::NodeId;
use srwan_wire::sid::SEGMENTS_MAX;
use srwan_wire::srv6::SidBlock;

use super::check::{Source, is_interface_name};
use super::raw::{RawConfig, RawSrv6, RawSrv6Policy};
use crate::fault::Fault;

/// Most interfaces that face the domain: each is a few rules of the packet filter, which every packet is held against.
const INTERFACES_MAX: usize = 16;

/// Most nodes of a domain: ten full groups. Each is a route.
const NODES_MAX: usize = 1_000;

/// Most policies: each is a rule of the packet filter and two routing rules, which are tried one after the other.
const POLICIES_MAX: usize = 64;

/// A node whose locator the underlay announces.
const ROUTED: &str = "routed";

/// The SR domain as this router's operator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv6 {
    /// All SIDs of the domain.
    pub block: SidBlock,
    /// Interfaces that face the domain; packets for SIDs are taken from no other.
    pub interfaces: Vec<String>,
    /// How segment lists are written.
    pub encaps: Encaps,
    /// The nodes of the domain, this router perhaps among them.
    pub underlay: BTreeMap<NodeId, LocatorRoute>,
    /// To whom End.DX4 hands packets.
    pub next_hop_v4: Option<Ipv4Addr>,
    /// To whom End.DX6 hands packets.
    pub next_hop_v6: Option<Ipv6Addr>,
    /// Prefixes that are always reached over these SIDs.
    pub policies: BTreeMap<IpNet, Vec<Ipv6Addr>>,
}

impl Srv6 {
    /// The domain as node `me` sees it.
    pub fn domain(&self, me: NodeId) -> SrDomain {
        let others = self.underlay.iter().filter(|(node, _)| **node != me);
        SrDomain {
            block: self.block,
            me,
            encaps: self.encaps,
            locators: others.map(|(node, route)| (*node, *route)).collect(),
            next_hop_v4: self.next_hop_v4,
            next_hop_v6: self.next_hop_v6,
            policies: self.policies.clone(),
        }
    }
}

/// Checks the section; `None` if the mode is off.
///
/// # Errors
/// The first refused value, with its line.
pub(super) fn check(raw: &RawConfig, source: &Source) -> Result<Option<Srv6>, Fault> {
    let srv6 = &raw.srv6;
    match srv6.mode.as_str() {
        "off" => return Ok(None),
        "kernel" => {}
        other => return Err(source.range("srv6.mode", format!("{other:?} is no mode"))),
    }
    let block = block(srv6, source)?;
    Ok(Some(Srv6 {
        block,
        interfaces: interfaces(raw, source)?,
        encaps: encaps(&srv6.encaps, source)?,
        underlay: underlay(&srv6.underlay, block, source)?,
        next_hop_v4: srv6.next_hop_v4,
        next_hop_v6: next_hop_v6(srv6, block, source)?,
        policies: policies(&srv6.policies, block, source)?,
    }))
}

fn block(srv6: &RawSrv6, source: &Source) -> Result<SidBlock, Fault> {
    let prefix = srv6.block.ok_or_else(|| source.range("srv6.block", "mode kernel needs it"))?;
    SidBlock::new(prefix).map_err(|error| source.range("srv6.block", error.to_string()))
}

fn interfaces(raw: &RawConfig, source: &Source) -> Result<Vec<String>, Fault> {
    let names = &raw.srv6.interfaces;
    let refuse = |why: String| source.range("srv6.interfaces", why);
    if names.is_empty() || names.len() > INTERFACES_MAX {
        return Err(refuse(format!("{} given, 1 to {INTERFACES_MAX} allowed", names.len())));
    }
    for name in names {
        if !is_interface_name(name) || *name == raw.tun.name || name == "lo" {
            return Err(refuse(format!("{name:?} cannot face the domain")));
        }
    }
    Ok(names.clone())
}

fn encaps(word: &str, source: &Source) -> Result<Encaps, Fault> {
    match word {
        "reduced" => Ok(Encaps::Reduced),
        "full" => Ok(Encaps::Full),
        other => Err(source.range("srv6.encaps", format!("{other:?} is neither"))),
    }
}

fn underlay(
    written: &BTreeMap<String, String>,
    block: SidBlock,
    source: &Source,
) -> Result<BTreeMap<NodeId, LocatorRoute>, Fault> {
    let refuse = |why: String| source.range("srv6.underlay", why);
    if written.len() > NODES_MAX {
        return Err(refuse(format!("{} given, {NODES_MAX} allowed", written.len())));
    }
    let mut nodes = BTreeMap::new();
    for (number, way) in written {
        let node = number.parse().ok().and_then(NodeId::new);
        let node = node.ok_or_else(|| refuse(format!("{number:?} is no node number")))?;
        let route = locator_route(way, block).map_err(|why| refuse(format!("{way:?} {why}")))?;
        nodes.insert(node, route);
    }
    Ok(nodes)
}

fn locator_route(way: &str, block: SidBlock) -> Result<LocatorRoute, &'static str> {
    if way == ROUTED {
        return Ok(LocatorRoute::Routed);
    }
    let neighbour = way.parse().map_err(|_| "is no IPv6 address")?;
    is_neighbour(neighbour, block).map(|()| LocatorRoute::Via(neighbour))
}

/// Whether an address can be of somebody beside us: a SID is no address of a neighbour, and a link-local address would
/// need an interface to go with it.
fn is_neighbour(address: Ipv6Addr, block: SidBlock) -> Result<(), &'static str> {
    if block.prefix().contains(&address) {
        return Err("lies in the block, which is for SIDs alone");
    }
    let is_unusable = address.is_multicast() || address.is_unspecified() || address.is_loopback();
    if is_unusable || address.is_unicast_link_local() {
        return Err("is no routed unicast address");
    }
    Ok(())
}

fn next_hop_v6(
    srv6: &RawSrv6,
    block: SidBlock,
    source: &Source,
) -> Result<Option<Ipv6Addr>, Fault> {
    let Some(next_hop) = srv6.next_hop_v6 else { return Ok(None) };
    let refuse = |why| source.range("srv6.next_hop_v6", format!("{next_hop} {why}"));
    is_neighbour(next_hop, block).map(|()| Some(next_hop)).map_err(refuse)
}

fn policies(
    written: &[RawSrv6Policy],
    block: SidBlock,
    source: &Source,
) -> Result<BTreeMap<IpNet, Vec<Ipv6Addr>>, Fault> {
    let refuse = |why: String| source.range("srv6.policies", why);
    if written.len() > POLICIES_MAX {
        return Err(refuse(format!("{} given, {POLICIES_MAX} allowed", written.len())));
    }
    let mut policies = BTreeMap::new();
    for RawSrv6Policy { prefix, segments } in written {
        let prefix = prefix.trunc();
        if overlaps(prefix, block.prefix()) {
            return Err(refuse(format!("{prefix} holds SIDs: packets would be wrapped for ever")));
        }
        if segments.is_empty() || segments.len() > SEGMENTS_MAX {
            return Err(refuse(format!(
                "{prefix} has {} of 1 to {SEGMENTS_MAX} SIDs",
                segments.len()
            )));
        }
        if let Some(other) = segments.iter().find(|sid| block.sid(**sid).is_none()) {
            return Err(refuse(format!("{other} is no SID of the block")));
        }
        if policies.insert(prefix, segments.clone()).is_some() {
            return Err(refuse(format!("{prefix} is given twice")));
        }
    }
    Ok(policies)
}

fn overlaps(prefix: IpNet, block: Ipv6Net) -> bool {
    match prefix {
        IpNet::V4(_) => false,
        IpNet::V6(v6) => v6.contains(&block) || block.contains(&v6),
    }
}
