//! The routing tables and rules of srwan: engage and disengage prefixes, install, list and remove.
//!
//! ```text
//! 4760  fwmark RETURN lookup 4767      replies of flows that left here with source NAT
//! 4761  iif srwan0 goto 4769           what the tunnel delivered never goes back into the tunnel
//! 4762  not fwmark OWN lookup 4766     everything but our own datagrams, if its prefix is engaged
//! 4763  fwmark FLOWS lookup 4768       flows that began while their destination went over an egress
//! 4769  nop
//! ```

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use nix::sys::socket::SockProtocol;

use super::netlink::{self, Message, Netlink, find, find_u32};
use super::{
    MARK_FLOWS, MARK_OWN, MARK_RETURN, PROTOCOL, RULE_PRIORITY_FIRST, RULE_PRIORITY_LAST,
    TABLE_ENGAGED, TABLE_FLOWS, TABLE_RETURN,
};

// include/uapi/linux/rtnetlink.h
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_TABLE: u16 = 15;
const RTA_MARK: u16 = 16;
const RTA_VIA: u16 = 18;
const RTAX_MTU: u16 = 2;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RT_SCOPE_NOWHERE: u8 = 255;
const RTN_UNICAST: u8 = 1;

// include/uapi/linux/fib_rules.h
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_PROTOCOL: u16 = 21;
const FR_ACT_TO_TBL: u8 = 1;
const FR_ACT_GOTO: u8 = 2;
const FR_ACT_NOP: u8 = 3;
const FIB_RULE_INVERT: u32 = 2;

/// Octets of `struct rtmsg` and of `struct fib_rule_hdr`.
const FIXED_OCTETS: usize = 12;

/// The address families that rules are made for: `AF_INET`, `AF_INET6`.
const FAMILIES: [u8; 2] = [2, 10];

/// A rule of ours, as the kernel lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// 4 or 6.
    pub version: u8,
    /// In `RULE_PRIORITY_FIRST..=RULE_PRIORITY_LAST`.
    pub priority: u32,
}

/// A route of ours, as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `TABLE_ENGAGED`, `TABLE_RETURN` or `TABLE_FLOWS`.
    pub table: u32,
    /// What it is for.
    pub prefix: IpNet,
}

/// Where the kernel would send a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Interface index; 0 if the kernel named none.
    pub interface: u32,
    /// Source address the kernel would choose.
    pub source: Option<IpAddr>,
    /// Through whom, if the target is not on the link.
    pub gateway: Option<IpAddr>,
    /// Largest packet, if the route itself limits it.
    pub mtu: Option<u32>,
    /// Whether it leads to one other host, over IP of the same version.
    pub is_unicast: bool,
}

/// The kernel's routing, seen from the network namespace of the thread that made this.
pub struct Routing {
    netlink: Netlink,
}

impl Routing {
    /// Opens the kernel's routing.
    ///
    /// # Errors
    /// No netlink, which no Linux lacks outside of a sandbox.
    pub fn open() -> io::Result<Self> {
        Netlink::open(SockProtocol::NetlinkRoute).map(|netlink| Self { netlink })
    }

    /// Sends packets for `prefix` to `interface`, with the source address that the default path would use.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN`, `ENODEV` if the interface is gone. Engaging twice is no error.
    pub fn engage(&mut self, prefix: IpNet, interface: u32) -> io::Result<()> {
        let source = self.lookup(prefix.addr(), MARK_OWN).ok().and_then(|hop| hop.source);
        self.add(Route { table: TABLE_ENGAGED, prefix }, interface, source)
    }

    /// Lets `prefix` take the default path again.
    ///
    /// # Errors
    /// As [`Routing::engage`]. A prefix that is not engaged is no error.
    pub fn disengage(&mut self, prefix: IpNet) -> io::Result<()> {
        self.remove(&Route { table: TABLE_ENGAGED, prefix })
    }

    /// Sends marked flows for `prefix` to `interface`.
    ///
    /// # Errors
    /// As [`Routing::engage`].
    pub fn engage_flows(&mut self, prefix: IpNet, interface: u32) -> io::Result<()> {
        self.add(Route { table: TABLE_FLOWS, prefix }, interface, None)
    }

    /// Lets marked flows for `prefix`, if any is left, take the default path.
    ///
    /// # Errors
    /// As [`Routing::disengage`].
    pub fn end_flows(&mut self, prefix: IpNet) -> io::Result<()> {
        self.remove(&Route { table: TABLE_FLOWS, prefix })
    }

    /// Sends marked replies of source-translated flows back into the tunnel.
    ///
    /// # Errors
    /// As [`Routing::engage`].
    pub fn engage_return(&mut self, interface: u32) -> io::Result<()> {
        for prefix in everything() {
            self.add(Route { table: TABLE_RETURN, prefix }, interface, None)?;
        }
        Ok(())
    }

    /// Where the kernel would send a packet with this mark.
    ///
    /// # Errors
    /// `ENETUNREACH` if nowhere.
    pub fn lookup(&mut self, target: IpAddr, mark: u32) -> io::Result<NextHop> {
        let prefix = IpNet::from(target);
        let answers = self.netlink.call(RTM_GETROUTE, 0, |message| {
            let header = route_header(prefix, RT_SCOPE_UNIVERSE, 0);
            message.fixed(&header).attr(RTA_DST, &octets(target)).attr_u32(RTA_MARK, mark)
        })?;
        let answer = answers.first().and_then(|answer| answer.split_first_chunk::<FIXED_OCTETS>());
        let (header, attributes) = answer.ok_or(io::ErrorKind::InvalidData)?;
        Ok(NextHop {
            interface: find_u32(attributes, RTA_OIF).unwrap_or(0),
            source: find(attributes, RTA_PREFSRC).and_then(address),
            gateway: find(attributes, RTA_GATEWAY).and_then(address),
            mtu: find(attributes, RTA_METRICS).and_then(|metrics| find_u32(metrics, RTAX_MTU)),
            is_unicast: header[7] == RTN_UNICAST && find(attributes, RTA_VIA).is_none(),
        })
    }

    /// Installs the rules for packets and `interface`, after removing whatever rule of ours is there.
    ///
    /// # Errors
    /// As [`Routing::engage`].
    pub fn install_rules(&mut self, interface: &str) -> io::Result<()> {
        self.remove_rules()?;
        for family in FAMILIES {
            let last = RULE_PRIORITY_LAST;
            self.rule(family, FR_ACT_NOP, 0, |m| m.attr_u32(FRA_PRIORITY, last))?;
            self.rule(family, FR_ACT_TO_TBL, 0, |m| {
                m.attr_u32(FRA_PRIORITY, RULE_PRIORITY_FIRST)
                    .attr_u32(FRA_FWMARK, MARK_RETURN)
                    .attr_u32(FRA_TABLE, TABLE_RETURN)
            })?;
            self.rule(family, FR_ACT_GOTO, 0, |m| {
                m.attr_u32(FRA_PRIORITY, RULE_PRIORITY_FIRST + 1)
                    .attr_text(FRA_IIFNAME, interface)
                    .attr_u32(FRA_GOTO, last)
            })?;
            self.rule(family, FR_ACT_TO_TBL, FIB_RULE_INVERT, |m| {
                m.attr_u32(FRA_PRIORITY, RULE_PRIORITY_FIRST + 2)
                    .attr_u32(FRA_FWMARK, MARK_OWN)
                    .attr_u32(FRA_TABLE, TABLE_ENGAGED)
            })?;
            self.rule(family, FR_ACT_TO_TBL, 0, |m| {
                m.attr_u32(FRA_PRIORITY, RULE_PRIORITY_FIRST + 3)
                    .attr_u32(FRA_FWMARK, MARK_FLOWS)
                    .attr_u32(FRA_TABLE, TABLE_FLOWS)
            })?;
        }
        Ok(())
    }

    /// Removes every rule in our range of priorities.
    ///
    /// # Errors
    /// As [`Routing::engage`].
    pub fn remove_rules(&mut self) -> io::Result<()> {
        for rule in self.rules()? {
            let family = if rule.version == 4 { FAMILIES[0] } else { FAMILIES[1] };
            self.netlink.call(RTM_DELRULE, 0, |message| {
                let header = rule_header(family, 0, 0);
                message.fixed(&header).attr_u32(FRA_PRIORITY, rule.priority)
            })?;
        }
        Ok(())
    }

    /// Removes every route in our tables.
    ///
    /// # Errors
    /// As [`Routing::engage`].
    pub fn remove_routes(&mut self) -> io::Result<()> {
        for route in self.routes()? {
            self.remove(&route)?;
        }
        Ok(())
    }

    /// The rules in our range, IPv4 first, by priority.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn rules(&mut self) -> io::Result<Vec<Rule>> {
        let mut rules = Vec::new();
        for family in FAMILIES {
            let answers = self
                .netlink
                .call(RTM_GETRULE, netlink::DUMP, |m| m.fixed(&rule_header(family, 0, 0)))?;
            let version = if family == FAMILIES[0] { 4 } else { 6 };
            let priorities = answers
                .iter()
                .filter_map(|answer| find_u32(answer.get(FIXED_OCTETS..)?, FRA_PRIORITY));
            let ours =
                priorities.filter(|p| (RULE_PRIORITY_FIRST..=RULE_PRIORITY_LAST).contains(p));
            rules.extend(ours.map(|priority| Rule { version, priority }));
        }
        Ok(rules)
    }

    /// The routes in our tables.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn routes(&mut self) -> io::Result<Vec<Route>> {
        let mut routes = Vec::new();
        for prefix in everything() {
            let header = route_header(prefix, RT_SCOPE_UNIVERSE, 0);
            let answers = self.netlink.call(RTM_GETROUTE, netlink::DUMP, |m| m.fixed(&header))?;
            routes.extend(answers.iter().filter_map(|answer| parse_route(answer)));
        }
        Ok(routes)
    }

    fn add(&mut self, route: Route, interface: u32, source: Option<IpAddr>) -> io::Result<()> {
        let scope = if route.prefix.addr().is_ipv4() { RT_SCOPE_LINK } else { RT_SCOPE_UNIVERSE };
        let flags = netlink::CREATE | netlink::REPLACE;
        self.netlink.call(RTM_NEWROUTE, flags, |message| {
            let message = describe(message, &route, scope).attr_u32(RTA_OIF, interface);
            match source.filter(|source| source.is_ipv4() == route.prefix.addr().is_ipv4()) {
                Some(source) => message.attr(RTA_PREFSRC, &octets(source)),
                None => message,
            }
        })?;
        Ok(())
    }

    fn remove(&mut self, route: &Route) -> io::Result<()> {
        let gone = |error: &io::Error| error.raw_os_error() == Some(libc::ESRCH);
        match self.netlink.call(RTM_DELROUTE, 0, |m| describe(m, route, RT_SCOPE_NOWHERE)) {
            Err(error) if !gone(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn rule(
        &mut self,
        family: u8,
        action: u8,
        flags: u32,
        fill: impl FnOnce(Message) -> Message,
    ) -> io::Result<()> {
        self.netlink.call(RTM_NEWRULE, netlink::CREATE | netlink::EXCLUSIVE, |message| {
            let message = message.fixed(&rule_header(family, action, flags));
            fill(message.attr(FRA_PROTOCOL, &[PROTOCOL]))
        })?;
        Ok(())
    }
}

/// The default prefixes of both families.
fn everything() -> [IpNet; 2] {
    let any = |address: IpAddr| IpNet::new(address, 0).expect("zero is a valid length");
    [any(IpAddr::from([0_u8; 4])), any(IpAddr::from([0_u8; 16]))]
}

fn describe(message: Message, route: &Route, scope: u8) -> Message {
    let header = route_header(route.prefix, scope, RTN_UNICAST);
    let target = octets(route.prefix.network());
    message.fixed(&header).attr(RTA_DST, &target).attr_u32(RTA_TABLE, route.table)
}

/// `struct rtmsg`: family, target length, source length, TOS, table, protocol, scope, type, flags.
fn route_header(prefix: IpNet, scope: u8, kind: u8) -> [u8; FIXED_OCTETS] {
    let family = if prefix.addr().is_ipv4() { FAMILIES[0] } else { FAMILIES[1] };
    [family, prefix.prefix_len(), 0, 0, 0, PROTOCOL, scope, kind, 0, 0, 0, 0]
}

/// `struct fib_rule_hdr`: family, target length, source length, TOS, table, two reserved, action, flags.
fn rule_header(family: u8, action: u8, flags: u32) -> [u8; FIXED_OCTETS] {
    let [f0, f1, f2, f3] = flags.to_ne_bytes();
    [family, 0, 0, 0, 0, 0, 0, action, f0, f1, f2, f3]
}

fn parse_route(answer: &[u8]) -> Option<Route> {
    let (header, attributes) = answer.split_first_chunk::<FIXED_OCTETS>()?;
    let table = find_u32(attributes, RTA_TABLE)?;
    if ![TABLE_ENGAGED, TABLE_RETURN, TABLE_FLOWS].contains(&table) {
        return None;
    }
    let any = if header[0] == FAMILIES[0] { [0_u8; 4].into() } else { IpAddr::from([0_u8; 16]) };
    let target = find(attributes, RTA_DST).and_then(address).unwrap_or(any);
    let prefix = IpNet::new(target, header[1]).ok()?;
    Some(Route { table, prefix })
}

/// An address as attributes carry it.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// The index of the interface called `name`.
///
/// # Errors
/// `ENODEV`.
pub fn interface_index(name: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(name)?)
}

/// What a rule is for, in words for `host show`.
pub fn explain(rule: Rule) -> &'static str {
    match rule.priority - RULE_PRIORITY_FIRST {
        0 => "replies of source-translated flows go back into the tunnel",
        1 => "what the tunnel delivered does not enter it again",
        2 => "engaged prefixes enter the tunnel, except for the router's own datagrams",
        3 => "flows that began over an egress stay there",
        _ => "end of the srwan rules",
    }
}
