//! The XDP program and its maps in the kernel: loaded, attached, written.
//!
//! Everything goes with its descriptors: when this is dropped, or the process dies, the kernel detaches the program
//! and frees the maps. The object is built ahead (`cargo xtask xdp --build`), so nobody needs clang.

use std::io;
use std::os::fd::AsFd;

use aya::maps::{Array, DevMapHash, HashMap, Map, MapData, MapError};
use aya::programs::links::FdLink;
use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use srwan_dataplane::FastPathMemory;
use srwan_wire::id::{LaneLabel, LinkIndex, NodeId};

use super::memory;
use super::value::{LinkValue, WayValue};

/// The program as a router runs it.
pub static RELAY: &[u8] = aya::include_bytes_aligned!("../../xdp/relay.bpf.o");

/// Name of the relay in the object.
const PROGRAM: &str = "relay";

/// Who this router is, as the program knows it.
#[derive(Clone, Copy, Debug)]
pub struct Me {
    /// Its number.
    pub node: NodeId,
    /// Its UDP port.
    pub port: u16,
}

/// The program and its maps.
pub struct Program {
    ebpf: Ebpf,
    links: Array<MapData, LinkValue>,
    ways: HashMap<MapData, u32, WayValue>,
    ports: DevMapHash<MapData>,
    memory: FastPathMemory,
    attached: Vec<FdLink>,
}

impl Program {
    /// Loads `object` and has the verifier check it.
    ///
    /// # Errors
    /// What the kernel lacks or refuses, in words.
    pub fn load(object: &[u8], me: Me) -> anyhow::Result<Self> {
        let port = u32::from(u16::from_ne_bytes(me.port.to_be_bytes()));
        let mut ebpf = EbpfLoader::new()
            .override_global("NODE", &me.node.get(), true)
            .override_global("PORT", &port, true)
            .load(object)?;
        xdp(&mut ebpf, PROGRAM)?.load()?;
        let memory = memory::share(array(&ebpf, "lane_memory")?, array(&ebpf, "refused_memory")?)?;
        Ok(Self {
            links: Array::try_from(take(&mut ebpf, "links")?)?,
            ways: HashMap::try_from(take(&mut ebpf, "ways")?)?,
            ports: DevMapHash::try_from(take(&mut ebpf, "ports")?)?,
            memory,
            attached: Vec::new(),
            ebpf,
        })
    }

    /// Memory for the node to share. All programs of one process have memory of their own.
    pub fn memory(&self) -> FastPathMemory {
        self.memory
    }

    /// The loaded object, for tests and measurements that run it without an interface.
    pub fn object(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Attaches the program to an interface's driver, by a link that goes with this process, and lets it send there.
    ///
    /// # Errors
    /// `EOPNOTSUPP` if the driver has no native XDP, `EBUSY` if another program is there, `ERANGE` or `EINVAL` if the
    /// MTU is too large.
    pub fn attach(&mut self, interface: u32) -> anyhow::Result<()> {
        let program = xdp(&mut self.ebpf, PROGRAM)?;
        let id = program.attach_to_if_index(interface, XdpMode::Driver)?;
        // Without links (before Linux 5.9) a killed router would leave its program behind: then there is no fast path.
        let link = FdLink::try_from(program.take_link(id)?)?;
        self.attached.push(link);
        self.ports.insert(interface, interface, None, 0)?;
        Ok(())
    }

    /// Says how a link is by now.
    ///
    /// # Errors
    /// None that the kernel should have for a map that exists.
    pub fn set_link(&mut self, link: LinkIndex, value: LinkValue) -> Result<(), MapError> {
        self.links.set(u32::from(link.0), value, 0)
    }

    /// Says how a lane's packets travel by now.
    ///
    /// # Errors
    /// As [`Program::set_link`]; there is room for as many lanes as can be shared.
    pub fn set_way(&mut self, label: LaneLabel, value: WayValue) -> Result<(), MapError> {
        self.ways.insert(label.0, value, 0)
    }

    /// Leaves a lane's packets to the router.
    ///
    /// # Errors
    /// As [`Program::set_link`]. A lane that is not there is no error.
    pub fn clear_way(&mut self, label: LaneLabel) -> Result<(), MapError> {
        match self.ways.remove(&label.0) {
            Err(MapError::SyscallError(error)) if is_absent(&error.io_error) => Ok(()),
            Err(MapError::KeyNotFound) => Ok(()),
            result => result,
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOENT)
}

fn xdp<'e>(ebpf: &'e mut Ebpf, name: &str) -> anyhow::Result<&'e mut Xdp> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    Ok(program.try_into()?)
}

fn take(ebpf: &mut Ebpf, name: &str) -> anyhow::Result<Map> {
    ebpf.take_map(name).ok_or_else(|| missing(name))
}

/// The descriptor of an array that is mapped, not opened.
fn array<'e>(ebpf: &'e Ebpf, name: &str) -> anyhow::Result<std::os::fd::BorrowedFd<'e>> {
    match ebpf.map(name) {
        Some(Map::Array(data)) => Ok(data.fd().as_fd()),
        Some(_) | None => Err(missing(name)),
    }
}

fn missing(name: &str) -> anyhow::Error {
    anyhow::anyhow!("the object has no {name}")
}
