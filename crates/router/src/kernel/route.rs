//! The routing tables of srwan: put routes in, take them out, list and remove.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use nix::sys::socket::SockProtocol;
use srwan_dataplane::seg6::{LocalSid, RouteAction, RouteKey, RouteTable};
use srwan_wire::sid::Sid;

use super::netlink::{self, Message, Netlink, find, find_u32};
use super::seg6::{self, SidCounters};
use super::{
    PROTOCOL, TABLE_ENGAGED, TABLE_FLOWS, TABLE_POLICIES, TABLE_RETURN, TABLE_SIDS, TABLES,
};
use crate::config::srv6::Srv6;

// include/uapi/linux/rtnetlink.h
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
pub(super) const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
pub(super) const RTA_METRICS: u16 = 8;
const RTA_TABLE: u16 = 15;
const RTA_MARK: u16 = 16;
const RTA_VIA: u16 = 18;
pub(super) const RTAX_MTU: u16 = 2;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RT_SCOPE_NOWHERE: u8 = 255;
const RTN_UNICAST: u8 = 1;

/// Octets of `struct rtmsg`.
const FIXED_OCTETS: usize = 12;

/// The address families that routes and rules are made for: `AF_INET`, `AF_INET6`.
pub(super) const FAMILIES: [u8; 2] = [2, 10];

/// Names a route of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// One of [`TABLES`].
    pub table: u32,
    /// What it is for.
    pub prefix: IpNet,
}

/// A route of ours, as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRoute {
    /// Which.
    pub route: Route,
    /// What it does; `None` if that is nothing srwan writes.
    pub action: Option<RouteAction>,
    /// What it counted, if it is a SID.
    pub counters: Option<SidCounters>,
}

/// What routes depend on beside what they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Index of the TUN interface.
    pub tunnel: u32,
    /// Largest packet that may enter a path.
    pub inner_mtu: u16,
    /// Networks behind this router.
    pub site: Vec<IpNet>,
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
    pub(super) netlink: Netlink,
}

impl Routing {
    /// Opens the kernel's routing.
    ///
    /// # Errors
    /// No netlink, which no Linux lacks outside of a sandbox.
    pub fn open() -> io::Result<Self> {
        Netlink::open(SockProtocol::NetlinkRoute).map(|netlink| Self { netlink })
    }

    /// Adds a route, or replaces the one with this key, at no moment without either.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN`, `ENODEV` if the interface is gone, `EOPNOTSUPP` or `EINVAL` if the kernel lacks
    /// what the route does. Putting twice is no error.
    pub fn put(
        &mut self,
        key: &RouteKey,
        action: &RouteAction,
        around: &Surroundings,
    ) -> io::Result<()> {
        let source = match key.table {
            RouteTable::Engaged | RouteTable::Policies => {
                self.source_towards(key.prefix, &around.site)
            }
            RouteTable::Sids => None,
        };
        // A neighbour is on the link that the kernel finds it on.
        let is_neighbour = matches!(action, RouteAction::Via(_));
        let interface = (!is_neighbour).then_some(around.tunnel);
        self.add(&route_of(key), interface, source, |message| {
            seg6::write(message, action, around.inner_mtu)
        })
    }

    /// Tries whether the kernel does seg6 and seg6local, with routes to and from nobody that are gone at once.
    ///
    /// # Errors
    /// As [`Routing::put`].
    pub fn try_seg6(&mut self, srv6: &Srv6, around: &Surroundings) -> io::Result<()> {
        let nobody = srv6.block.srv6_sid(Sid::from_bits(0));
        let key = RouteKey { table: RouteTable::Sids, prefix: IpAddr::V6(nobody).into() };
        let wrap = RouteAction::Encaps(srv6.encaps, vec![nobody, nobody]);
        let sids = [LocalSid::End, LocalSid::EndDx4(None), LocalSid::EndDt6];
        for action in sids.map(RouteAction::Local).into_iter().chain([wrap]) {
            self.put(&key, &action, around)?;
            self.withdraw(&key)?;
        }
        Ok(())
    }

    /// Takes a route out.
    ///
    /// # Errors
    /// As [`Routing::put`]. A route that is not there is no error.
    pub fn withdraw(&mut self, key: &RouteKey) -> io::Result<()> {
        self.remove(&route_of(key))
    }

    /// Sends marked flows for `prefix` to `interface`.
    ///
    /// # Errors
    /// As [`Routing::put`].
    pub fn engage_flows(&mut self, prefix: IpNet, interface: u32) -> io::Result<()> {
        self.add_plain(&Route { table: TABLE_FLOWS, prefix }, interface)
    }

    /// Lets marked flows for `prefix`, if any is left, take the default path.
    ///
    /// # Errors
    /// As [`Routing::withdraw`].
    pub fn end_flows(&mut self, prefix: IpNet) -> io::Result<()> {
        self.remove(&Route { table: TABLE_FLOWS, prefix })
    }

    /// Sends marked replies of source-translated flows back into the tunnel.
    ///
    /// # Errors
    /// As [`Routing::put`].
    pub fn engage_return(&mut self, interface: u32) -> io::Result<()> {
        for prefix in everything() {
            self.add_plain(&Route { table: TABLE_RETURN, prefix }, interface)?;
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

    /// Removes every route in our tables.
    ///
    /// # Errors
    /// As [`Routing::put`].
    pub fn remove_routes(&mut self) -> io::Result<()> {
        self.clear_tables(&TABLES)
    }

    /// Removes every route in these tables of ours.
    ///
    /// # Errors
    /// As [`Routing::put`].
    pub fn clear_tables(&mut self, tables: &[u32]) -> io::Result<()> {
        let listed = self.routes()?.into_iter().map(|listed| listed.route);
        for route in listed.filter(|route| tables.contains(&route.table)) {
            self.remove(&route)?;
        }
        Ok(())
    }

    /// The routes in our tables.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn routes(&mut self) -> io::Result<Vec<ListedRoute>> {
        let mut routes = Vec::new();
        for prefix in everything() {
            let header = route_header(prefix, RT_SCOPE_UNIVERSE, 0);
            let answers = self.netlink.call(RTM_GETROUTE, netlink::DUMP, |m| m.fixed(&header))?;
            routes.extend(answers.iter().filter_map(|answer| parse_route(answer)));
        }
        Ok(routes)
    }

    fn add_plain(&mut self, route: &Route, interface: u32) -> io::Result<()> {
        self.add(route, Some(interface), None, |message| message)
    }

    fn add(
        &mut self,
        route: &Route,
        interface: Option<u32>,
        source: Option<IpAddr>,
        fill: impl FnOnce(Message) -> Message,
    ) -> io::Result<()> {
        let scope = if route.prefix.addr().is_ipv4() { RT_SCOPE_LINK } else { RT_SCOPE_UNIVERSE };
        let source = source.filter(|source| source.is_ipv4() == route.prefix.addr().is_ipv4());
        self.netlink.call(RTM_NEWROUTE, netlink::CREATE | netlink::REPLACE, |message| {
            let mut message = describe(message, route, scope);
            if let Some(interface) = interface {
                message = message.attr_u32(RTA_OIF, interface);
            }
            if let Some(source) = source {
                message = message.attr(RTA_PREFSRC, &octets(source));
            }
            fill(message)
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

fn parse_route(answer: &[u8]) -> Option<ListedRoute> {
    let (header, attributes) = answer.split_first_chunk::<FIXED_OCTETS>()?;
    let table = find_u32(attributes, RTA_TABLE)?;
    if !TABLES.contains(&table) {
        return None;
    }
    let any = if header[0] == FAMILIES[0] { [0_u8; 4].into() } else { IpAddr::from([0_u8; 16]) };
    let target = find(attributes, RTA_DST).and_then(address).unwrap_or(any);
    let prefix = IpNet::new(target, header[1]).ok()?;
    let (action, counters) = seg6::parse(attributes).unzip();
    Some(ListedRoute { route: Route { table, prefix }, action, counters: counters.flatten() })
}

fn route_of(key: &RouteKey) -> Route {
    let table = match key.table {
        RouteTable::Sids => TABLE_SIDS,
        RouteTable::Policies => TABLE_POLICIES,
        RouteTable::Engaged => TABLE_ENGAGED,
    };
    Route { table, prefix: key.prefix }
}

/// An address as attributes carry it.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub(super) fn address(octets: &[u8]) -> Option<IpAddr> {
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
