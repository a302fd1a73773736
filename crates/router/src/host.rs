//! All that a running router changes on its host, in one place: made at start, listed on request, undone at the end.
//!
//! A thread of its own speaks to the kernel, because routing calls may wait for a lock that other programs hold; orders
//! arrive in a bounded queue and are carried out in order.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use ipnet::IpNet;
use srwan_api::router::{Host as HostShape, HostChange, HostCounters};
use srwan_dataplane::seg6::{EngagedPath, SrDomain};
use srwan_wire::id::NodeId;

use crate::config::Config;
use crate::fault::{self, Fault};
use crate::kernel::paths::Paths;
use crate::kernel::route::{ListedRoute, Routing, Surroundings, interface_index};
use crate::kernel::rule;
use crate::kernel::seg6::{self, SidCounters};
use crate::kernel::sysctl::{self, Switches};
use crate::kernel::{TABLE_ENGAGED, TABLE_FLOWS, TABLE_POLICIES, TABLE_RETURN, TABLE_SIDS};
use crate::nft::{self, Filter, flows, ruleset, segments};
use crate::shared::lock;

/// Orders that may wait: one per prefix of a full group, 100 routers with 16 prefixes each.
const ORDERS_MAX: usize = 1_600;

/// One thing on the host that belongs to srwan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `tun`, `rule`, `route`, `nft` or `sysctl`.
    pub kind: &'static str,
    /// What it is, in the words of `ip`.
    pub what: String,
    /// What the kernel counted there: SIDs only.
    pub counters: Option<SidCounters>,
}

impl Change {
    fn new(kind: &'static str, what: String) -> Self {
        Self { kind, what, counters: None }
    }
}

impl From<Change> for HostChange {
    fn from(change: Change) -> Self {
        let counters = change.counters.map(|counted| HostCounters {
            packets: counted.packets,
            octets: counted.octets,
            errors: counted.errors,
        });
        Self { kind: change.kind.into(), what: change.what, counters }
    }
}

/// What the kernel thread is told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Order {
    Join(SrDomain),
    Engage(NodeId, EngagedPath),
    Release(NodeId),
    Flows(Flows),
    ReleaseAll,
    End,
}

/// What becomes of flows to a destination without a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flows {
    /// Those that begin from now on enter the tunnel.
    Engage(IpNet),
    /// Those that begin from now on take the default path; those that have begun stay in the tunnel.
    Release(IpNet),
    /// All take the default path.
    End(IpNet),
}

/// The changed host. [`Host::undo`], or dropping it, undoes what can be undone; the rest is for `host cleanup`.
pub struct Host {
    orders: SyncSender<Order>,
    owned: Mutex<Option<Owned>>,
}

/// What has to be put away.
struct Owned {
    thread: JoinHandle<()>,
    switches: Switches,
}

impl Host {
    /// Cleans up after an earlier run, then installs rules, switches and packet filter around the TUN interface.
    ///
    /// # Errors
    /// `SRW-R001` without permission, `SRW-R006` or `SRW-R007` with what the kernel said.
    pub fn prepare(config: &Config) -> Result<Self, Fault> {
        let interface = &config.tun.name;
        let mut switches = Switches::open(&config.state_dir);
        prepare_routing(config, &mut switches).map_err(|error| routing_fault(&error))?;
        let filter =
            Filter::install(&ruleset::chains(config)).map_err(|error| filter_fault(&error))?;
        let tunnel = interface_index(interface).map_err(|error| routing_fault(&error))?;
        let mut routing = Routing::open().map_err(|error| routing_fault(&error))?;
        let (interface, site) = (interface.clone(), config.site_prefixes.clone());
        let around = Surroundings { tunnel, inner_mtu: config.tun.mtu, site: site.clone() };
        if let Some(srv6) = &config.srv6 {
            routing.try_seg6(srv6, &around).map_err(|error| seg6_fault(&error))?;
        }
        let is_tracking = !config.watch.is_empty();
        let steered = Steered { interface, site, is_tracking, prefixes: BTreeSet::new() };
        let kernel =
            Kernel { routing, filter, paths: Paths::new(around), steered, limited: Vec::new() };
        let (orders, received) = sync_channel(ORDERS_MAX);
        let thread = std::thread::Builder::new()
            .name("srwan-kernel".into())
            .spawn(move || kernel.obey(&received))
            .map_err(|error| routing_fault(&error))?;
        Ok(Self { orders, owned: Mutex::new(Some(Owned { thread, switches })) })
    }

    /// Makes this node a part of an SR domain: its SIDs exist, and the kernel carries what it can.
    pub fn join(&self, domain: SrDomain) {
        self.order(Order::Join(domain));
    }

    /// Sends packets for an endpoint over a path.
    pub fn engage(&self, endpoint: NodeId, path: EngagedPath) {
        self.order(Order::Engage(endpoint, path));
    }

    /// Lets packets for an endpoint take the default path again.
    pub fn release(&self, endpoint: NodeId) {
        self.order(Order::Release(endpoint));
    }

    /// Says where flows to a destination without a router go.
    pub fn steer_flows(&self, flows: Flows) {
        self.order(Order::Flows(flows));
    }

    /// Lets everything take the default path again.
    pub fn release_all(&self) {
        self.order(Order::ReleaseAll);
    }

    /// Undoes all changes; later orders are forgotten.
    pub fn undo(&self) {
        let Some(owned) = lock(&self.owned).take() else { return };
        self.order(Order::End);
        let Owned { thread, mut switches } = owned;
        let _joined = thread.join();
        if let Err(error) = remove_routing().and_then(|()| switches.restore()) {
            tracing::warn!(code = fault::KERNEL_ROUTE, %error, "run `srwan host cleanup`");
        }
    }

    /// Blocks when the queue is full, so that no order is ever lost; callers are no packet threads.
    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::debug!("an order came after the end");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.undo();
    }
}

fn prepare_routing(config: &Config, switches: &mut Switches) -> io::Result<()> {
    let interface = &config.tun.name;
    let mut routing = Routing::open()?;
    routing.remove_routes()?;
    routing.install_rules(interface)?;
    if let Some(srv6) = &config.srv6 {
        routing.install_segment_rules(srv6)?;
    }
    routing.engage_return(interface_index(interface)?)?;
    sysctl::quieten(interface)?;
    switches.loosen_reverse_path()?;
    let site = &config.site_prefixes;
    if config.egress.enabled || site.iter().any(|prefix| prefix.addr().is_ipv4()) {
        switches.forward_v4()?;
    }
    // A SID is forwarded as IPv6, whatever is inside.
    let has_v6_site = site.iter().any(|prefix| prefix.addr().is_ipv6());
    if config.egress.enabled || config.srv6.is_some() || has_v6_site {
        switches.forward_v6()?;
    }
    Ok(())
}

fn remove_routing() -> io::Result<()> {
    let mut routing = Routing::open()?;
    routing.remove_routes()?;
    routing.remove_rules()
}

/// What the kernel thread holds; the packet filter goes with it.
struct Kernel {
    routing: Routing,
    filter: Filter,
    paths: Paths,
    steered: Steered,
    /// Prefixes whose TCP segments the filter limits.
    limited: Vec<IpNet>,
}

/// Destinations whose new flows enter the tunnel.
struct Steered {
    interface: String,
    site: Vec<IpNet>,
    /// Whether the packet filter has the chains for them: a router that watches no destination has none.
    is_tracking: bool,
    prefixes: BTreeSet<IpNet>,
}

impl Kernel {
    /// One order after the other until the router ends.
    fn obey(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            if order == Order::End {
                return;
            }
            let shown = format!("{order:?}");
            if let Err(error) = self.carry_out(order) {
                tracing::error!(code = fault::KERNEL_ROUTE, order = shown, %error, "route");
            }
        }
    }

    fn carry_out(&mut self, order: Order) -> io::Result<()> {
        let routing = &mut self.routing;
        let done = match order {
            Order::Join(domain) => self.paths.join(domain, routing),
            Order::Engage(endpoint, path) => self.paths.engage(endpoint, path, routing),
            Order::Release(endpoint) => self.paths.release(endpoint, routing),
            Order::Flows(flows) => return self.steer(flows),
            Order::ReleaseAll => self.release_all(),
            Order::End => Ok(()),
        };
        done.and(self.limit_segments())
    }

    /// The route is there before the first flow is marked, and until the last one is given up.
    fn steer(&mut self, flows: Flows) -> io::Result<()> {
        match flows {
            Flows::Engage(prefix) => {
                self.routing.engage_flows(prefix, self.paths.around().tunnel)?;
                self.steered.prefixes.insert(prefix);
                self.mark_flows()
            }
            Flows::Release(prefix) => {
                self.steered.prefixes.remove(&prefix);
                self.mark_flows()
            }
            Flows::End(prefix) => {
                self.steered.prefixes.remove(&prefix);
                self.mark_flows().and(self.routing.end_flows(prefix))
            }
        }
    }

    fn mark_flows(&mut self) -> io::Result<()> {
        if !self.steered.is_tracking {
            return Ok(());
        }
        let prefixes: Vec<IpNet> = self.steered.prefixes.iter().copied().collect();
        let Steered { interface, site, .. } = &self.steered;
        self.filter.replace_rules(&flows::chains(interface, site, &prefixes))
    }

    fn release_all(&mut self) -> io::Result<()> {
        self.steered.prefixes.clear();
        let released = self.paths.release_all(&mut self.routing);
        let cleared = self.routing.clear_tables(&[TABLE_ENGAGED, TABLE_FLOWS, TABLE_RETURN]);
        released.and(self.mark_flows()).and(cleared)
    }

    /// Keeps TCP within what the paths that the kernel carries can take.
    fn limit_segments(&mut self) -> io::Result<()> {
        let prefixes = self.paths.encapsulated();
        if !self.paths.is_in_domain() || prefixes == self.limited {
            return Ok(());
        }
        let mtu = self.paths.around().inner_mtu;
        self.filter.replace_rules(&segments::segment_sizes(&prefixes, mtu))?;
        self.limited = prefixes;
        Ok(())
    }
}

/// Everything on this host that belongs to srwan, in the network namespace of the caller.
///
/// # Errors
/// `SRW-R006` or `SRW-R007`.
pub fn show(state_dir: &Path) -> Result<Vec<Change>, Fault> {
    let mut changes = Vec::new();
    let mut routing = Routing::open().map_err(|error| routing_fault(&error))?;
    for rule in routing.rules().map_err(|error| routing_fault(&error))? {
        let what =
            format!("IPv{} priority {}: {}", rule.version, rule.priority, rule::explain(rule));
        changes.push(Change::new("rule", what));
    }
    let routes = routing.routes().map_err(|error| routing_fault(&error))?;
    changes.extend(routes.iter().map(show_route));
    if nft::is_installed().map_err(|error| filter_fault(&error))? {
        let what = format!("table inet {}: nft list table inet {0}", nft::TABLE);
        changes.push(Change::new("nft", what));
    }
    for (name, before) in Switches::open(state_dir).changed() {
        let what = format!("{} was {before}", name.replace('/', "."));
        changes.push(Change::new("sysctl", what));
    }
    Ok(changes)
}

fn show_route(listed: &ListedRoute) -> Change {
    let ListedRoute { route, action, counters } = listed;
    let name = match route.table {
        TABLE_ENGAGED => "engaged",
        TABLE_FLOWS => "flows over an egress",
        TABLE_RETURN => "returning",
        TABLE_SIDS => "SIDs",
        TABLE_POLICIES => "behind this router over native SRv6",
        _ => "unknown",
    };
    let action = action.as_ref().map_or_else(|| "unknown".to_owned(), seg6::explain);
    let what = format!("{} table {} ({name}): {action}", route.prefix, route.table);
    Change { kind: "route", what, counters: *counters }
}

/// Where a router keeps its state unless its configuration says otherwise.
const STATE_DIR_DEFAULT: &str = "/var/lib/srwan";

/// Undoes what a router left on this host, and says what that was.
///
/// # Errors
/// As [`cleanup`].
pub fn host_cleanup() -> anyhow::Result<HostShape> {
    let state_dir = Path::new(STATE_DIR_DEFAULT);
    let changes = show(state_dir)?.into_iter();
    cleanup(state_dir)?;
    let changes = changes.map(HostChange::from);
    Ok(HostShape { schema: "srwan.host/1".into(), changes: changes.collect() })
}

/// Undoes everything that [`show`] lists, also after a SIGKILL.
///
/// # Errors
/// `SRW-R006`, or `SRW-R007` if a live router owns the packet filter.
pub fn cleanup(state_dir: &Path) -> Result<(), Fault> {
    nft::remove().map_err(|error| filter_fault(&error))?;
    remove_routing()
        .and_then(|()| Switches::open(state_dir).restore())
        .map_err(|error| routing_fault(&error))
}

fn routing_fault(error: &io::Error) -> Fault {
    let what = format!("cannot change routing (tables {TABLE_ENGAGED} and {TABLE_RETURN})");
    if is_permission(error) {
        return not_permitted(what, error);
    }
    Fault::new(
        fault::KERNEL_ROUTE,
        what,
        error.to_string(),
        "the kernel needs policy routing (CONFIG_IP_MULTIPLE_TABLES) and a writable /proc/sys/net",
    )
}

fn seg6_fault(error: &io::Error) -> Fault {
    let what = "this kernel cannot carry paths as SRv6";
    if is_permission(error) {
        return not_permitted(what.to_owned(), error);
    }
    Fault::new(
        fault::KERNEL_SEG6,
        what,
        error.to_string(),
        "CONFIG_IPV6_SEG6_LWTUNNEL, and 6.0 or srv6.encaps = \"full\"; or srv6.mode = \"off\"",
    )
}

fn filter_fault(error: &io::Error) -> Fault {
    let what = format!("cannot install the packet filter (nft table inet {})", nft::TABLE);
    if is_permission(error) {
        return not_permitted(what, error);
    }
    Fault::new(
        fault::KERNEL_FILTER,
        what,
        error.to_string(),
        "load the modules: modprobe -a nf_tables nft_ct nft_masq nf_nat",
    )
}

fn is_permission(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn not_permitted(what: String, error: &io::Error) -> Fault {
    Fault::new(
        fault::NOT_PERMITTED,
        what,
        format!("{error} (CAP_NET_ADMIN is needed, and no other router in this namespace)"),
        "run as root, or stop the other router; srwan host show lists what is installed",
    )
}
