//! What a network device may have done for it: segmentation, joining, checksums. Here it is switched off.
//!
//! Source: ethtool(8) `-K DEVICE rx off tx off sg off tso off gso off gro off`, by the same call that it makes.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Switches all of it off at a device in the calling thread's namespace, so that every packet is a frame of its own and
/// has its checksum.
pub fn switch_off(device: &str) -> Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    for command in OFF {
        set(&socket, device, command)
            .with_context(|| format!("cannot switch offloads of {device}"))?;
    }
    Ok(())
}

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

fn set(socket: &OwnedFd, device: &str, command: u32) -> io::Result<()> {
    let mut value = Value { command, data: 0 };
    // SAFETY: `ifreq` is plain data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last octet stays zero: it ends the name.
    let room = request.ifr_name.len() - 1;
    for (place, octet) in request.ifr_name[..room].iter_mut().zip(device.bytes()) {
        *place = libc::c_char::from_ne_bytes([octet]);
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request and the value that it points at live until the call returns; the kernel reads and writes no
    // more than these two. Neither std nor nix offers this call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// linux/sockios.h.
const SIOCETHTOOL: libc::Ioctl = 0x8946;
/// linux/ethtool.h: ETHTOOL_SGRO, _SGSO, _STSO, _SSG, _STXCSUM, _SRXCSUM.
const OFF: [u32; 6] = [0x2c, 0x24, 0x1f, 0x19, 0x17, 0x15];
