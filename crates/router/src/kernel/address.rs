//! Addresses of this host: the one of this node in its SR domain, and which of them belongs to the site.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::netlink::{self, find};
use super::route::{FAMILIES, Routing, address};
use super::{MARK_OWN, netlink::EXCLUSIVE};

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;

/// Nobody else on a TUN interface could have the address.
const IFA_F_NODAD: u32 = 0x02;

/// The table of SIDs says where the domain is, not the main table.
const IFA_F_NOPREFIXROUTE: u32 = 0x200;

/// Octets of `struct ifaddrmsg`.
const FIXED_OCTETS: usize = 8;

impl Routing {
    /// Gives `interface` an address of its own, which the kernel takes away with the interface.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN`, `EEXIST` if it has the address already.
    pub fn add_address(&mut self, interface: u32, address: Ipv6Addr) -> io::Result<()> {
        let mut header = vec![FAMILIES[1], 128, 0, 0];
        header.extend(interface.to_ne_bytes());
        self.netlink.call(RTM_NEWADDR, netlink::CREATE | EXCLUSIVE, |message| {
            message
                .fixed(&header)
                .attr(IFA_LOCAL, &address.octets())
                .attr(IFA_ADDRESS, &address.octets())
                .attr_u32(IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE)
        })?;
        Ok(())
    }

    /// The source of packets that this host itself sends to `prefix` over a path: what the default path would use,
    /// unless that is outside of the site and another address is not. An endpoint takes no other source.
    pub(super) fn source_towards(&mut self, prefix: IpNet, site: &[IpNet]) -> Option<IpAddr> {
        let is_site = |address: &IpAddr| site.iter().any(|prefix| prefix.contains(address));
        let usual = self.lookup(prefix.addr(), MARK_OWN).ok().and_then(|hop| hop.source);
        let own = || {
            let mut addresses = self.addresses(prefix.addr().is_ipv4()).unwrap_or_default();
            addresses.retain(is_site);
            addresses.first().copied()
        };
        usual.filter(is_site).or_else(own).or(usual)
    }

    /// All addresses of this host in one family.
    fn addresses(&mut self, is_v4: bool) -> io::Result<Vec<IpAddr>> {
        let mut header = [0; FIXED_OCTETS];
        header[0] = if is_v4 { FAMILIES[0] } else { FAMILIES[1] };
        let answers = self.netlink.call(RTM_GETADDR, netlink::DUMP, |m| m.fixed(&header))?;
        let own = answers.iter().filter_map(|answer| {
            let attributes = answer.get(FIXED_OCTETS..)?;
            // On a point-to-point link IFA_ADDRESS is the other end; IPv6 may leave IFA_LOCAL out.
            find(attributes, IFA_LOCAL).or_else(|| find(attributes, IFA_ADDRESS)).and_then(address)
        });
        Ok(own.collect())
    }
}
