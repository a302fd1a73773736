//! A thread in fresh network and mount namespaces: the kernel removes them when the thread ends.
//!
//! Such a namespace has no name, so nothing is left behind even when a test panics.

use std::io::{self, Write};

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::SockProtocol;
use srwan_router::kernel::netlink::{CREATE, EXCLUSIVE, Netlink};

/// Runs `test` in its own namespaces, or says why it cannot.
pub fn run(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS) {
            needs_root(&error);
            return;
        }
        link_up("lo").unwrap();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Says that a test did not run. Past the test harness, which keeps what is printed from whoever looks at a pass.
pub fn needs_root(error: &nix::Error) {
    let text = format!("SKIPPED: needs root to make a network namespace ({error})");
    // Nobody is there to be told if standard error is closed.
    let _unseen = writeln!(io::stderr(), "{text}");
}

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_ADDRESS: u16 = 1;
const RTA_OIF: u16 = 4;

fn netlink() -> io::Result<Netlink> {
    Netlink::open(SockProtocol::NetlinkRoute)
}

/// `struct ifinfomsg`.
fn link_header(index: u32, flags: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    header.extend(index.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header
}

pub fn link_up(name: &str) -> io::Result<()> {
    let index = nix::net::if_::if_nametoindex(name)?;
    netlink()?.call(RTM_NEWLINK, 0, |m| m.fixed(&link_header(index, 1))).map(drop)
}

/// Makes an interface (one end of a veth pair), up, with an address.
pub fn veth(name: &str, address: [u8; 4]) -> io::Result<u32> {
    netlink()?.call(RTM_NEWLINK, CREATE | EXCLUSIVE, |m| {
        m.fixed(&link_header(0, 1))
            .attr_text(IFLA_IFNAME, name)
            .nested(IFLA_LINKINFO, |info| info.attr_text(IFLA_INFO_KIND, "veth"))
    })?;
    let index = nix::net::if_::if_nametoindex(name)?;
    link_up("veth0")?;
    let mut header = vec![2, 24, 0, 0];
    header.extend(index.to_ne_bytes());
    netlink()?.call(RTM_NEWADDR, CREATE | EXCLUSIVE, |m| {
        m.fixed(&header).attr(IFA_LOCAL, &address).attr(IFA_ADDRESS, &address)
    })?;
    Ok(index)
}

/// A default route out of the interface.
pub fn default_route(index: u32) -> io::Result<()> {
    // family, lengths, TOS, table main, protocol static, scope link, unicast, flags
    let header = [2, 0, 0, 0, 254, 4, 253, 1, 0, 0, 0, 0];
    netlink()?.call(RTM_NEWROUTE, CREATE, |m| m.fixed(&header).attr_u32(RTA_OIF, index)).map(drop)
}
