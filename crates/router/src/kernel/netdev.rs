//! What a driver can do with XDP, as it says itself.
//!
//! Source: Documentation/netlink/specs/netdev.yaml; the family exists since Linux 6.3.

use std::io;

use nix::sys::socket::SockProtocol;

use super::netlink::{Netlink, find};

const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;

/// Octets of `struct genlmsghdr`.
const GENL_OCTETS: usize = 4;

/// What a driver can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpFeatures(u64);

impl XdpFeatures {
    /// Whether it runs programs natively.
    pub fn runs_programs(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether it takes frames that a program at another interface, or at itself, sends. A veth says so only while
    /// its other end has a program of its own, or `gro on`: without either it would lose the frames.
    pub fn takes_frames(self) -> bool {
        self.0 & 4 != 0
    }
}

/// Asks drivers.
pub struct Drivers {
    netlink: Netlink,
    family: u16,
}

impl Drivers {
    /// Opens the kernel's register of drivers.
    ///
    /// # Errors
    /// `ENOENT` before Linux 6.3.
    pub fn open() -> io::Result<Self> {
        let mut netlink = Netlink::open(SockProtocol::NetlinkGeneric)?;
        let answers = netlink.call(GENL_ID_CTRL, 0, |message| {
            let message = message.fixed(&[CTRL_CMD_GETFAMILY, 1, 0, 0]);
            message.attr_text(CTRL_ATTR_FAMILY_NAME, "netdev")
        })?;
        let id = answers.first().and_then(|answer| {
            let id = find(answer.get(GENL_OCTETS..)?, CTRL_ATTR_FAMILY_ID)?;
            id.try_into().ok().map(u16::from_ne_bytes)
        });
        let family = id.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { netlink, family })
    }

    /// What the driver of this interface can do now.
    ///
    /// # Errors
    /// `ENODEV`.
    pub fn features(&mut self, interface: u32) -> io::Result<XdpFeatures> {
        let answers = self.netlink.call(self.family, 0, |message| {
            let message = message.fixed(&[NETDEV_CMD_DEV_GET, 1, 0, 0]);
            message.attr_u32(NETDEV_A_DEV_IFINDEX, interface)
        })?;
        let bits = answers.first().and_then(|answer| {
            let bits = find(answer.get(GENL_OCTETS..)?, NETDEV_A_DEV_XDP_FEATURES)?;
            bits.try_into().ok().map(u64::from_ne_bytes)
        });
        bits.map(XdpFeatures).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
