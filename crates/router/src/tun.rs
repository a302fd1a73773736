//! The TUN interface: where the kernel hands over packets of engaged prefixes, and takes delivered ones.
//!
//! Non-persistent, so that the kernel removes it with its routes when this process dies. With segmentation offload, as
//! measured in the design of the data plane: packets are read as super-packets and split here, and written packets are
//! coalesced again; that needs buffers with room for a whole super-packet ([`BUFFER_OCTETS`]).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use tun_rs::{DeviceBuilder, GROTable, IDEAL_BATCH_SIZE, SyncDevice, VIRTIO_NET_HDR_LEN};

use crate::config::Tun as TunConfig;
use crate::fault::{self, Fault};

/// Octets that must be free in front of a packet that is written: the virtio header goes there.
pub const WRITE_HEADROOM: usize = VIRTIO_NET_HDR_LEN;

/// Capacity of a buffer that is written: with less, `tun-rs` silently stops coalescing (3.5 times slower, measured).
pub const BUFFER_OCTETS: usize = 65_536 + VIRTIO_NET_HDR_LEN;

/// Most packets that one read can yield: a 64 KiB super-packet in pieces of no less than 512 octets.
pub const READ_PACKETS_MAX: usize = IDEAL_BATCH_SIZE;

/// The open interface.
pub struct Tun {
    device: SyncDevice,
    coalescer: GROTable,
    super_packet: Vec<u8>,
}

impl Tun {
    /// Makes the interface, with its MTU, and brings it up. It has no address of its own.
    ///
    /// # Errors
    /// `SRW-R001` without permission, `SRW-R002` if the kernel has no TUN or the name is taken.
    pub fn open(config: &TunConfig) -> Result<Self, Fault> {
        let device = DeviceBuilder::new()
            .name(&config.name)
            .mtu(config.mtu)
            .offload(true)
            .build_sync()
            .and_then(|device| device.set_nonblocking(true).map(|()| device))
            .map_err(|error| open_fault(&config.name, &error))?;
        let super_packet = vec![0; BUFFER_OCTETS];
        Ok(Self { device, coalescer: GROTable::default(), super_packet })
    }

    /// Reads what the kernel has, split into packets, each at `offset` of its buffer; returns how many.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; anything else concerns this read alone.
    pub fn read(
        &mut self,
        buffers: &mut [Vec<u8>],
        sizes: &mut [usize],
        offset: usize,
    ) -> io::Result<usize> {
        self.device.recv_multiple(&mut self.super_packet, buffers, sizes, offset)
    }

    /// Writes packets, each with [`WRITE_HEADROOM`] octets in front; neighbours of one flow are coalesced in place.
    ///
    /// # Errors
    /// `WouldBlock` if the queue is full; the packets are lost then, as on any link.
    pub fn write(&mut self, packets: &mut [Vec<u8>]) -> io::Result<()> {
        self.device.send_multiple(&mut self.coalescer, packets, WRITE_HEADROOM).map(drop)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is owned by `self.device` and stays open for the borrow of `self`.
        unsafe { BorrowedFd::borrow_raw(self.device.as_raw_fd()) }
    }
}

fn open_fault(name: &str, error: &io::Error) -> Fault {
    let what = format!("cannot make the TUN interface {name}");
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Fault::new(
            fault::NOT_PERMITTED,
            what,
            "no permission (CAP_NET_ADMIN is needed)",
            "run as root, or give the capability: setcap cap_net_admin+ep srwan",
        ),
        Some(libc::EBUSY) => Fault::new(
            fault::TUN_MISSING,
            what,
            "an interface of that name is in use",
            "stop the other router, or choose another name: [tun] name",
        ),
        _ => Fault::new(
            fault::TUN_MISSING,
            what,
            error.to_string(),
            "load the module: modprobe tun; in a container, pass --device /dev/net/tun",
        ),
    }
}
