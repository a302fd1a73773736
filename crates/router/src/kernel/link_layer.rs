//! What is below IP on the way to a neighbour: interface, MAC addresses, MTU, own address.
//!
//! Only for whoever writes frames by himself; sockets need none of it. Nothing is asked of the network: a neighbour
//! whose MAC address the kernel does not know (yet) is no result. Source: rtnetlink(7), include/uapi/linux/neighbour.h.

use std::io;
use std::net::IpAddr;

use nix::sys::socket::SockProtocol;

use super::netlink::{Netlink, find, find_u32};
use super::route::{Routing, octets};

const RTM_GETLINK: u16 = 18;
const RTM_GETNEIGH: u16 = 30;
const IFLA_ADDRESS: u16 = 1;
const IFLA_MTU: u16 = 4;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const ARPHRD_ETHER: u16 = 1;

/// `NUD_REACHABLE`, `STALE`, `DELAY`, `PROBE`, `NOARP`, `PERMANENT`: the kernel would send to such an address.
const NUD_VALID: u16 = 0xde;

/// Octets of `struct ifinfomsg` and `struct ndmsg`.
const IFINFO_OCTETS: usize = 16;
const ND_OCTETS: usize = 12;

/// The way to a neighbour below IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkLayer {
    /// Interface index.
    pub interface: u32,
    /// Source address that the kernel would choose.
    pub source: IpAddr,
    /// MAC address of the interface.
    pub source_mac: [u8; 6],
    /// MAC address of the neighbour, or of the gateway to it.
    pub target_mac: [u8; 6],
    /// Largest IP packet. **Units:** octets.
    pub mtu: u16,
}

/// Asks the kernel, in the network namespace of the thread that made this.
pub struct Resolver {
    netlink: Netlink,
    routing: Routing,
}

impl Resolver {
    /// Opens the kernel's routing.
    ///
    /// # Errors
    /// No netlink, which no Linux lacks outside of a sandbox.
    pub fn open() -> io::Result<Self> {
        let netlink = Netlink::open(SockProtocol::NetlinkRoute)?;
        Ok(Self { netlink, routing: Routing::open()? })
    }

    /// The way of packets with this mark to `target`; `None` if the kernel knows none over Ethernet, or not the MAC
    /// address.
    pub fn resolve(&mut self, target: IpAddr, mark: u32) -> Option<LinkLayer> {
        let hop = self.routing.lookup(target, mark).ok().filter(|hop| hop.is_unicast)?;
        let (source_mac, mtu) = self.interface(hop.interface).ok()??;
        let target_mac = self.neighbour(hop.interface, hop.gateway.unwrap_or(target)).ok()??;
        let mtu = hop.mtu.map_or(mtu, |route| route.min(mtu));
        let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
        Some(LinkLayer {
            interface: hop.interface,
            source: hop.source?,
            source_mac,
            target_mac,
            mtu,
        })
    }

    /// MAC address and MTU of an Ethernet interface.
    fn interface(&mut self, index: u32) -> io::Result<Option<([u8; 6], u32)>> {
        let mut header = [0; IFINFO_OCTETS];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        let answers = self.netlink.call(RTM_GETLINK, 0, |message| message.fixed(&header))?;
        Ok(answers.first().and_then(|answer| {
            let (head, attributes) = answer.split_first_chunk::<IFINFO_OCTETS>()?;
            let is_ethernet = u16::from_ne_bytes([head[2], head[3]]) == ARPHRD_ETHER;
            let mac = find(attributes, IFLA_ADDRESS)?.try_into().ok().filter(|_| is_ethernet)?;
            Some((mac, find_u32(attributes, IFLA_MTU)?))
        }))
    }

    fn neighbour(&mut self, interface: u32, address: IpAddr) -> io::Result<Option<[u8; 6]>> {
        let mut header = [0; ND_OCTETS];
        header[0] = if address.is_ipv4() { 2 } else { 10 };
        header[4..8].copy_from_slice(&interface.to_ne_bytes());
        let answers = self.netlink.call(RTM_GETNEIGH, 0, |message| {
            message.fixed(&header).attr(NDA_DST, &octets(address))
        })?;
        Ok(answers.first().and_then(|answer| {
            let (head, attributes) = answer.split_first_chunk::<ND_OCTETS>()?;
            let is_valid = u16::from_ne_bytes([head[8], head[9]]) & NUD_VALID != 0;
            find(attributes, NDA_LLADDR)?.try_into().ok().filter(|_| is_valid)
        }))
    }
}
