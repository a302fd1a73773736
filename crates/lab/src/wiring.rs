//! Addresses, routes and veth pairs of the lab's namespaces, by rtnetlink and /proc/sys.

use std::fs;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Context, Result};
use netlink_packet_route::address::AddressHeaderFlags;
use netlink_packet_route::route::RouteScope;
use nix::net::if_::if_nametoindex;
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder, new_connection};

use crate::fabric::INTERFACE;
use crate::netns;
use crate::offload;
use crate::plan::{Behind, Site};

/// Sets the kernel's switches in a fresh namespace; devices that come later take them as defaults.
pub fn prepare(namespace: &Path, is_site: bool) -> Result<()> {
    let set = || if is_site { sysctl_site() } else { sysctl_machine() };
    netns::within(namespace, set)?
        .with_context(|| format!("cannot prepare {}", namespace.display()))
}

/// Gives a site its addresses and a default route into the fabric. Its `eth0` must exist.
pub fn wire_site(namespace: &Path, site: &Site) -> Result<()> {
    let wired = netns::within(namespace, || {
        with_netlink(async |net: Net| {
            net.raise("lo").await?;
            for address in &site.addresses {
                net.address(INTERFACE, *address).await?;
            }
            net.lengthen(INTERFACE).await?;
            net.raise(INTERFACE).await?;
            for address in &site.addresses {
                net.default_by_device(INTERFACE, *address).await?;
            }
            Ok(())
        })
    })?;
    wired.with_context(|| format!("cannot configure the network of {}", site.name))
}

/// What a cable behind a router is.
#[derive(Clone, Copy, Debug)]
pub struct Cable {
    pub mtu: u16,
    pub offload: bool,
}

/// Joins a machine to its router: a veth pair, `lan0` at the machine and `lan<position>` at the router.
pub fn wire_behind(machine: &Path, router: &Path, behind: &Behind, cable: Cable) -> Result<()> {
    let target =
        File::open(machine).with_context(|| format!("no namespace at {}", machine.display()))?;
    let router_side = format!("lan{}", behind.position);
    let made = netns::within(router, || {
        with_netlink(async |net: Net| {
            net.veth(&router_side, PEER).await?;
            for device in [router_side.as_str(), PEER] {
                net.resize(device, cable.mtu).await?;
                if !cable.offload {
                    offload::switch_off(device)?;
                }
            }
            net.give(PEER, target.as_raw_fd()).await?;
            for (address, gateway) in behind.addresses.iter().zip(&behind.gateways) {
                net.address(&router_side, *gateway).await?;
                net.raise(&router_side).await?;
                net.host_route(&router_side, *address).await?;
            }
            Ok(())
        })
    })?;
    made.with_context(|| format!("cannot join {} to {}", behind.name, behind.router))?;
    wire_machine(machine, behind)
}

fn wire_machine(namespace: &Path, behind: &Behind) -> Result<()> {
    let wired = netns::within(namespace, || {
        with_netlink(async |net: Net| {
            net.raise("lo").await?;
            net.rename(PEER, MACHINE_SIDE).await?;
            net.raise(MACHINE_SIDE).await?;
            for (address, gateway) in behind.addresses.iter().zip(&behind.gateways) {
                net.address(MACHINE_SIDE, *address).await?;
                net.host_route(MACHINE_SIDE, *gateway).await?;
                net.default_by_gateway(*gateway).await?;
            }
            Ok(())
        })
    })?;
    wired.with_context(|| format!("cannot configure the network of {}", behind.name))
}

/// A few netlink requests, with the names that people know.
struct Net(Handle);

impl Net {
    async fn raise(&self, device: &str) -> Result<()> {
        let message = LinkUnspec::new_with_index(index(device)?).up().build();
        self.0.link().set(message).execute().await.with_context(|| format!("cannot raise {device}"))
    }

    /// By netlink: the older ioctl wants rights that a user namespace does not have.
    async fn lengthen(&self, device: &str) -> Result<()> {
        let message = LinkUnspec::new_with_index(index(device)?).txqueuelen(TX_QUEUE_LEN).build();
        let request = self.0.link().set(message);
        request.execute().await.with_context(|| format!("cannot set the queue of {device}"))
    }

    async fn resize(&self, device: &str, mtu: u16) -> Result<()> {
        let message = LinkUnspec::new_with_index(index(device)?).mtu(mtu.into()).build();
        let request = self.0.link().set(message);
        request.execute().await.with_context(|| format!("cannot set the MTU of {device}"))
    }

    async fn rename(&self, device: &str, name: &str) -> Result<()> {
        let message = LinkUnspec::new_with_index(index(device)?).name(name).build();
        self.0
            .link()
            .set(message)
            .execute()
            .await
            .with_context(|| format!("cannot rename {device}"))
    }

    async fn veth(&self, name: &str, peer: &str) -> Result<()> {
        let message = LinkVeth::new(name, peer).build();
        self.0.link().add(message).execute().await.context("cannot make a veth pair")
    }

    async fn give(&self, device: &str, namespace: i32) -> Result<()> {
        let message = LinkUnspec::new_with_index(index(device)?).setns_by_fd(namespace).build();
        self.0.link().set(message).execute().await.with_context(|| format!("cannot move {device}"))
    }

    async fn address(&self, device: &str, address: IpAddr) -> Result<()> {
        let mut request = self.0.address().add(index(device)?, address, bits(address));
        // Without it an IPv6 address is tentative for a moment, even where detection is off.
        request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        request.execute().await.with_context(|| format!("cannot give {address} to {device}"))
    }

    async fn host_route(&self, device: &str, to: IpAddr) -> Result<()> {
        let route = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(to, bits(to))?
            .scope(RouteScope::Link)
            .output_interface(index(device)?);
        let request = self.0.route().add(route.build());
        request.execute().await.with_context(|| format!("cannot route {to} to {device}"))
    }

    async fn default_by_device(&self, device: &str, family: IpAddr) -> Result<()> {
        let route = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(unspecified(family), 0)?
            .scope(RouteScope::Link)
            .output_interface(index(device)?);
        let request = self.0.route().add(route.build());
        request.execute().await.context("cannot set the default route")
    }

    async fn default_by_gateway(&self, gateway: IpAddr) -> Result<()> {
        let route = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(unspecified(gateway), 0)?
            .gateway(gateway)?;
        let request = self.0.route().add(route.build());
        request.execute().await.context("cannot set the default route")
    }
}

/// Runs netlink requests in the calling thread's namespace.
fn with_netlink(work: impl AsyncFnOnce(Net) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = new_connection().context("cannot open a netlink socket")?;
        let served = tokio::spawn(connection);
        let done = work(Net(handle)).await;
        served.abort();
        done
    })
}

fn index(device: &str) -> Result<u32> {
    if_nametoindex(device).with_context(|| format!("no device {device}"))
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn unspecified(family: IpAddr) -> IpAddr {
    match family {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Routers forward; asymmetric paths are the point of the product, so no reverse path filter.
fn sysctl_site() -> Result<()> {
    sysctl_machine()?;
    set("net/ipv4/ip_forward", "1")?;
    set_if_there("net/ipv6/conf/all/forwarding", "1")?;
    set("net/ipv4/conf/all/rp_filter", "0")?;
    set("net/ipv4/conf/default/rp_filter", "0")
}

/// No address conflict exists to be detected, and detection would cost the first second.
fn sysctl_machine() -> Result<()> {
    set_if_there("net/ipv6/conf/all/accept_dad", "0")?;
    set_if_there("net/ipv6/conf/default/accept_dad", "0")?;
    set_if_there("net/ipv6/conf/default/router_solicitations", "0")?;
    set("net/ipv4/ping_group_range", "0 2147483647")
        .or_else(|_| set("net/ipv4/ping_group_range", "0 0"))
}

/// Sets a switch of the kernel in the calling thread's namespace, by its path below /proc/sys.
pub fn set(key: &str, value: &str) -> Result<()> {
    let file = Path::new("/proc/sys").join(key);
    fs::write(&file, value).with_context(|| format!("cannot set {}", file.display()))
}

/// A kernel without IPv6 has no such keys; scenarios without IPv6 run there.
fn set_if_there(key: &str, value: &str) -> Result<()> {
    if Path::new("/proc/sys").join(key).exists() { set(key, value) } else { Ok(()) }
}

/// Packets that wait in a site's TUN: 12 ms at 1 Gbit/s, so that a busy fabric is late and does not lose.
const TX_QUEUE_LEN: u32 = 1000;
/// Name of the machine's end until it is in its namespace.
const PEER: &str = "srwanlabpeer";
/// Name of the machine's end.
pub const MACHINE_SIDE: &str = "lan0";
