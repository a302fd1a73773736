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
use srwan_api::router::{Host as HostShape, HostChange};

use crate::config::Config;
use crate::fault::{self, Fault};
use crate::kernel::route::{self, Routing, interface_index};
use crate::kernel::sysctl::{self, Switches};
use crate::kernel::{TABLE_ENGAGED, TABLE_FLOWS, TABLE_RETURN};
use crate::nft::{self, Filter, flows, ruleset};
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
}

/// What the kernel thread is told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Order {
    Engage(Vec<IpNet>),
    Release(Vec<IpNet>),
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
        let chains = ruleset::chains(interface, &config.site_prefixes, &config.egress);
        let filter = Filter::install(&chains).map_err(|error| filter_fault(&error))?;
        let index = interface_index(interface).map_err(|error| routing_fault(&error))?;
        let routing = Routing::open().map_err(|error| routing_fault(&error))?;
        let (interface, site) = (interface.clone(), config.site_prefixes.clone());
        let steered = Steered { interface, site, prefixes: BTreeSet::new() };
        let kernel = Kernel { routing, filter, index, steered };
        let (orders, received) = sync_channel(ORDERS_MAX);
        let thread = std::thread::Builder::new()
            .name("srwan-kernel".into())
            .spawn(move || kernel.obey(&received))
            .map_err(|error| routing_fault(&error))?;
        Ok(Self { orders, owned: Mutex::new(Some(Owned { thread, switches })) })
    }

    /// Sends packets for these prefixes into the tunnel.
    pub fn engage(&self, prefixes: Vec<IpNet>) {
        self.order(Order::Engage(prefixes));
    }

    /// Lets these prefixes take the default path again.
    pub fn release(&self, prefixes: Vec<IpNet>) {
        self.order(Order::Release(prefixes));
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
    routing.engage_return(interface_index(interface)?)?;
    sysctl::quieten(interface)?;
    switches.loosen_reverse_path()?;
    let site = &config.site_prefixes;
    if config.egress.enabled || site.iter().any(|prefix| prefix.addr().is_ipv4()) {
        switches.forward_v4()?;
    }
    if config.egress.enabled || site.iter().any(|prefix| prefix.addr().is_ipv6()) {
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
    index: u32,
    steered: Steered,
}

/// Destinations whose new flows enter the tunnel.
struct Steered {
    interface: String,
    site: Vec<IpNet>,
    prefixes: BTreeSet<IpNet>,
}

impl Kernel {
    /// One order after the other until the router ends.
    fn obey(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            let (routing, index) = (&mut self.routing, self.index);
            let result = match &order {
                Order::Engage(prefixes) => each(prefixes, |prefix| routing.engage(prefix, index)),
                Order::Release(prefixes) => each(prefixes, |prefix| routing.disengage(prefix)),
                Order::Flows(flows) => self.steer(*flows),
                Order::ReleaseAll => self.release_all(),
                Order::End => return,
            };
            if let Err(error) = result {
                tracing::error!(code = fault::KERNEL_ROUTE, ?order, %error, "route");
            }
        }
    }

    /// The route is there before the first flow is marked, and until the last one is given up.
    fn steer(&mut self, flows: Flows) -> io::Result<()> {
        match flows {
            Flows::Engage(prefix) => {
                self.routing.engage_flows(prefix, self.index)?;
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
        let prefixes: Vec<IpNet> = self.steered.prefixes.iter().copied().collect();
        let Steered { interface, site, .. } = &self.steered;
        self.filter.replace_rules(&flows::chains(interface, site, &prefixes))
    }

    fn release_all(&mut self) -> io::Result<()> {
        self.steered.prefixes.clear();
        self.mark_flows().and(self.routing.remove_routes())
    }
}

/// Does all, and returns the first error.
fn each(prefixes: &[IpNet], mut change: impl FnMut(IpNet) -> io::Result<()>) -> io::Result<()> {
    let mut result = Ok(());
    for prefix in prefixes {
        result = result.and(change(*prefix));
    }
    result
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
            format!("IPv{} priority {}: {}", rule.version, rule.priority, route::explain(rule));
        changes.push(Change { kind: "rule", what });
    }
    for route in routing.routes().map_err(|error| routing_fault(&error))? {
        let name = match route.table {
            TABLE_ENGAGED => "engaged",
            TABLE_FLOWS => "flows over an egress",
            _ => "returning",
        };
        let what = format!("{} table {} ({name})", route.prefix, route.table);
        changes.push(Change { kind: "route", what });
    }
    if nft::is_installed().map_err(|error| filter_fault(&error))? {
        let what = format!("table inet {}: nft list table inet {0}", nft::TABLE);
        changes.push(Change { kind: "nft", what });
    }
    for (name, before) in Switches::open(state_dir).changed() {
        let what = format!("{} was {before}", name.replace('/', "."));
        changes.push(Change { kind: "sysctl", what });
    }
    Ok(changes)
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
    let changes = changes.map(|change| HostChange { kind: change.kind.into(), what: change.what });
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
