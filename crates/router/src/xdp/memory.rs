//! The two maps of the XDP program that the router's own thread works on, too, seen as words.
//!
//! `BPF_F_MMAPABLE` arrays are mapped for the life of the process: the node holds references to them, and the kernel
//! frees them when the process ends. Source: bpf(2), Documentation/bpf/map_array.rst.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU64;

use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use srwan_dataplane::{FastPathMemory, LANE_WORDS, REFUSED_WORDS, SHARED_LANES_MAX};

/// Maps the lanes and the counters of what was refused. Once for each pair of maps.
///
/// # Errors
/// What the kernel says, for example that memory may not be locked.
pub fn share(lanes: BorrowedFd, refused: BorrowedFd) -> io::Result<FastPathMemory> {
    let lanes = words(lanes, SHARED_LANES_MAX * LANE_WORDS)?;
    let refused = words(refused, REFUSED_WORDS)?;
    FastPathMemory::new(lanes, refused).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn words(map: BorrowedFd, count: usize) -> io::Result<&'static [AtomicU64]> {
    let octets = NonZeroUsize::new(count * size_of::<AtomicU64>()).expect("never none");
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
    let start = unsafe { mmap(None, octets, protection, MapFlags::MAP_SHARED, map, 0)? };
    // SAFETY: the mapping is page-aligned, at least `count` words long, zeroed or written by atomics only, on both
    // sides of it, and never unmapped.
    Ok(unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>().as_ptr(), count) })
}
