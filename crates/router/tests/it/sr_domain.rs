//! An SR domain of four nodes in a row, with a host behind each end. Every node's routes are made by the product's own
//! code; no daemon runs.
//!
//! ```text
//!  host  --- node 1 --- node 2 --- node 3 --- node 4 ---  host
//!  10.1.0.2, fd01::2    2001:db8:N::1 and ::2 between N and N+1    10.2.0.2, fd02::2
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use ipnet::IpNet;
use srwan_dataplane::seg6::{EngagedPath, RouteAction, RouteKey, RoutePlan, RouteTable};
use srwan_router::config::Config;
use srwan_router::host::Host;
use srwan_router::kernel::route::{ListedRoute, Routing};
use srwan_router::kernel::seg6::SidCounters;
use srwan_router::kernel::{TABLE_ENGAGED, TABLE_POLICIES, TABLE_SIDS};
use srwan_router::prober;
use srwan_router::tun::Tun;
use srwan_wire::id::NodeId;
use srwan_wire::sid::{EndpointBehavior, Sid};
use srwan_wire::srv6::SidBlock;

use crate::namespace::link_up;
use crate::network::{
    Netns, add_address, add_address_v6, add_default_route, add_default_route_v6, add_veth,
    block_on, wait,
};

/// Nodes in the row.
pub const NODES: u32 = 4;

/// Addresses of the hosts at the two ends.
pub const WEST: [IpAddr; 2] = [v4([10, 1, 0, 2]), v6([0xfd01, 0, 0, 0, 0, 0, 0, 2])];
pub const EAST: [IpAddr; 2] = [v4([10, 2, 0, 2]), v6([0xfd02, 0, 0, 0, 0, 0, 0, 2])];

/// Prefixes behind node 1 and behind node 4. To the last two of node 4 only its eastern host knows the way.
const SITES: [&[&str]; 2] =
    [&["10.1.0.0/24", "fd01::/64"], &["10.2.0.0/24", "fd02::/64", "10.2.6.0/24", "fd02:6::/64"]];

const fn v4(octets: [u8; 4]) -> IpAddr {
    IpAddr::V4(std::net::Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]))
}

const fn v6(s: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]))
}

pub fn node(raw: u32) -> NodeId {
    NodeId::new(raw).unwrap()
}

pub fn block() -> SidBlock {
    SidBlock::new("fd53:5257:1::/48".parse().unwrap()).unwrap()
}

pub fn sid(raw: u32, behavior: EndpointBehavior) -> Ipv6Addr {
    block().srv6_sid(Sid::new(node(raw), behavior))
}

/// A node with what it has engaged.
pub struct Node {
    pub netns: Netns,
    pub host: Host,
    pub config: Config,
    engaged: BTreeMap<NodeId, EngagedPath>,
    me: NodeId,
    // Nobody reads it: what gets there is what the kernel did not carry.
    _tun: Tun,
    _dir: tempfile::TempDir,
}

/// The whole row.
pub struct Domain {
    pub nodes: Vec<Node>,
    pub west: Netns,
    pub east: Netns,
}

impl Domain {
    /// All nodes with their SIDs, and nothing engaged.
    pub fn new() -> Option<Self> {
        Self::with(|_| "")
    }

    /// The same, with lines of its own in the `[srv6]` of each node.
    pub fn with(extra: impl Fn(u32) -> &'static str) -> Option<Self> {
        let spaces: Vec<Netns> = (1..=NODES).map(|_| quiet_netns()).collect::<Option<_>>()?;
        let (west, east) = (quiet_netns()?, quiet_netns()?);
        for (index, pair) in spaces.windows(2).enumerate() {
            join_nodes(u16::try_from(index).unwrap() + 1, &pair[0], &pair[1]);
        }
        join_host(&spaces[0], &west, 1);
        join_host(&spaces[3], &east, 2);
        let start = |(netns, raw)| Node::start(netns, raw, &body(raw, extra(raw)));
        let nodes = spaces.into_iter().zip(1..).map(start).collect();
        let domain = Self { nodes, west, east };
        domain.nodes.iter().for_each(Node::settle);
        Some(domain)
    }

    pub fn node(&mut self, raw: u32) -> &mut Node {
        let index = usize::try_from(raw - 1).unwrap();
        &mut self.nodes[index]
    }

    /// Both directions between the two hosts over these relays, as seen from the west.
    pub fn engage(&mut self, relays: &[u32]) {
        let back: Vec<u32> = relays.iter().rev().copied().collect();
        self.node(1).engage(4, relays, SITES[1]);
        self.node(4).engage(1, &back, SITES[0]);
    }
}

impl Node {
    /// A node with its SIDs. `body` is what stands behind the controller in its configuration.
    pub fn start(netns: Netns, raw: u32, body: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("{}{body}", head(dir.path(), raw));
        let config = Config::parse(&text, "router.toml").unwrap();
        let domain = config.srv6.as_ref().unwrap().domain(node(raw));
        let (tun, host) = netns.enter(|| {
            let tun = Tun::open(&config.tun).unwrap();
            (tun, Host::prepare(&config).unwrap())
        });
        host.join(domain);
        let engaged = BTreeMap::new();
        Self { netns, host, config, engaged, me: node(raw), _tun: tun, _dir: dir }
    }

    /// Engages a path and waits until the kernel has it.
    pub fn engage(&mut self, endpoint: u32, relays: &[u32], prefixes: &[&str]) {
        let path = EngagedPath {
            relays: relays.iter().map(|raw| node(*raw)).collect(),
            is_billed: false,
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        };
        self.host.engage(node(endpoint), path.clone());
        self.engaged.insert(node(endpoint), path);
        self.settle();
    }

    pub fn release(&mut self, endpoint: u32) {
        self.host.release(node(endpoint));
        self.engaged.remove(&node(endpoint));
        self.settle();
    }

    /// What the kernel should have.
    pub fn plan(&self) -> BTreeMap<RouteKey, RouteAction> {
        let domain = self.config.srv6.as_ref().unwrap().domain(self.me);
        let plan = RoutePlan::new(Some(&domain), &self.engaged);
        plan.routes().map(|(key, action)| (*key, action.clone())).collect()
    }

    /// What the kernel has, without what is not of paths.
    pub fn listed(&self) -> BTreeMap<RouteKey, RouteAction> {
        let named = self.routes().into_iter().filter_map(|listed| {
            let table = match listed.route.table {
                TABLE_SIDS => RouteTable::Sids,
                TABLE_POLICIES => RouteTable::Policies,
                TABLE_ENGAGED => RouteTable::Engaged,
                _ => return None,
            };
            Some((RouteKey { table, prefix: listed.route.prefix }, listed.action.unwrap()))
        });
        named.collect()
    }

    pub fn routes(&self) -> Vec<ListedRoute> {
        self.netns.enter(|| Routing::open().unwrap().routes().unwrap())
    }

    /// What went by a SID of this node.
    pub fn counted(&self, behavior: EndpointBehavior) -> SidCounters {
        let prefix = IpNet::from(IpAddr::V6(sid(self.me.get(), behavior)));
        let routes = self.routes();
        let found = routes.iter().find(|listed| listed.route.prefix == prefix).unwrap();
        found.counters.unwrap()
    }

    /// Waits until the kernel has what it should have.
    pub fn settle(&self) {
        wait("the kernel to have the routes", || (self.listed() == self.plan()).then_some(()));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Elsewhere it would undo what another namespace has.
        self.netns.enter(|| self.host.undo());
    }
}

/// Whether a host reaches an address.
pub fn pings(from: &Netns, target: IpAddr) -> bool {
    let echo = async {
        tokio::time::timeout(std::time::Duration::from_secs(1), prober::echo(target)).await
    };
    from.enter(|| matches!(block_on(echo), Ok(Ok(_))))
}

/// A namespace whose addresses are there at once: nobody else could have them.
pub fn quiet_netns() -> Option<Netns> {
    let netns = Netns::new()?;
    netns.enter(|| {
        std::fs::write("/proc/sys/net/ipv6/conf/all/accept_dad", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
        link_up("lo").unwrap();
    });
    Some(netns)
}

fn underlay(n: u16, end: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, end)
}

/// A link between two nodes: `east` of one, `west` of the other.
pub fn join_nodes(n: u16, left: &Netns, right: &Netns) {
    left.enter(|| {
        add_veth("east", "west", right);
        link_up("east").unwrap();
        add_address_v6("east", underlay(n, 1), 64);
    });
    right.enter(|| {
        link_up("west").unwrap();
        add_address_v6("west", underlay(n, 2), 64);
    });
}

fn join_host(router: &Netns, host: &Netns, n: u8) {
    let address = |end| Ipv6Addr::new(0xfd00 | u16::from(n), 0, 0, 0, 0, 0, 0, end);
    router.enter(|| {
        add_veth("lan0", "eth0", host);
        link_up("lan0").unwrap();
        add_address("lan0", [10, n, 0, 1], 24);
        add_address_v6("lan0", address(1), 64);
    });
    host.enter(|| {
        link_up("eth0").unwrap();
        add_address("eth0", [10, n, 0, 2], 24);
        add_address_v6("eth0", address(2), 64);
        // What only the eastern host knows the way to.
        add_address("lo", [10, n, 6, 1], 32);
        add_address_v6("lo", Ipv6Addr::new(0xfd00 | u16::from(n), 6, 0, 0, 0, 0, 0, 1), 128);
        add_default_route("eth0", [10, n, 0, 1]);
        add_default_route_v6("eth0", address(1));
    });
}

/// What every configuration needs and no route depends on.
fn head(state_dir: &Path, raw: u32) -> String {
    format!(
        "name = \"n{raw}\"\nstate_dir = {state_dir:?}\nlisten = \"0.0.0.0:4766\"\n\
         endpoints = [\"198.18.{raw}.1:4766\"]\n[controller]\nurl = \"http://127.0.0.1:1\"\n\
         key = \"{}\"\n",
        "01".repeat(32)
    )
}

/// A node of the row.
fn body(raw: u32, extra: &str) -> String {
    let (site, interfaces): (&[&str], &[&str]) = match raw {
        1 => (SITES[0], &["east"]),
        NODES => (SITES[1], &["west"]),
        _ => (&[], &["west", "east"]),
    };
    let own = u16::try_from(raw).unwrap();
    let neighbour = |other: u32| {
        let there = if other < raw { underlay(own - 1, 1) } else { underlay(own, 2) };
        format!("{other} = \"{there}\"\n")
    };
    let others: String = (1..=NODES).filter(|other| *other != raw).map(neighbour).collect();
    format!(
        "[site]\nprefixes = {site:?}\n\
         [srv6]\nmode = \"kernel\"\nblock = \"{block}\"\ninterfaces = {interfaces:?}\n{extra}\n\
         [srv6.underlay]\n{others}",
        block = block().prefix(),
    )
}
