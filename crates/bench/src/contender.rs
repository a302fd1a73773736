//! What is compared: each contender, the ways that it can carry packets, and how it is set up with its own best
//! documented settings. docs/performance.md lists the settings for people.

mod forwarding;
mod nebula;
mod openvpn;
mod segments;
mod srwan;
mod tinc;
mod wireguard;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

use anyhow::Result;
use serde::Serialize;

use crate::programs::{Program, Programs};
use crate::testbed::TestBed;
use crate::topology::{End, Topology};

pub use forwarding::stand as stand_plain;
pub use srwan::{Paid, SCENARIO, ask, paid, stand_relay};

/// The way that packets go from A to B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Forwarded by the kernel at R, nothing wrapped: the ceiling.
    Plain,
    /// srwan runs and no path is engaged.
    PassThrough,
    /// A tunnel from A to B; R forwards the outer packets.
    Direct,
    /// Through the product at R.
    Relay,
}

impl Way {
    /// Word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::PassThrough => "pass-through",
            Self::Direct => "direct",
            Self::Relay => "relay",
        }
    }
}

/// One contender.
pub struct Contender {
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    /// Programs that it takes; the first one is the product.
    pub programs: &'static [Program],
    /// What makes the product's program say its version; empty = the kernel's.
    pub version_flag: &'static str,
    /// Why it cannot run here although its programs are installed.
    pub lacks: fn(&TestBed) -> Option<String>,
    /// Sets it up; each standing carries packets when this returns.
    pub raise: fn(&mut TestBed) -> Result<Vec<Standing>>,
}

/// A contender that stands: one way of it, ready to be measured.
pub struct Standing {
    pub way: Way,
    pub topology: Rc<Topology>,
    /// Address at A.
    pub source: Ipv4Addr,
    /// Address at B.
    pub target: Ipv4Addr,
    /// Processes of the product, services included.
    pub daemons: Daemons,
    /// What makes packets go this way, where several ways share a topology.
    pub switch: Option<Switch>,
    /// What must be the same after a turn as before: the product could have chosen another way meanwhile.
    pub witness: Option<Witness>,
}

/// Numbers of a product's processes.
#[derive(Clone, Debug, Default)]
pub struct Daemons {
    pub all: Vec<i32>,
    /// The one that relays.
    pub relay: Option<i32>,
    /// By machine, where each has one.
    pub routers: BTreeMap<End, i32>,
}

impl Daemons {
    /// Adds the process of a machine, if there is one.
    pub fn add(&mut self, end: End, process: impl Into<Option<i32>>) {
        let process = process.into();
        self.all.extend(process);
        self.routers.extend(process.map(|process| (end, process)));
        if end == End::R {
            self.relay = process;
        }
    }
}

/// Makes a topology's packets go one way.
pub type Switch = Box<dyn Fn(&TestBed) -> Result<()>>;

/// Tells which way packets have gone so far.
pub type Witness = Box<dyn Fn(&TestBed) -> Result<String>>;

impl Standing {
    /// A way whose packets need no switch; its addresses are those of a network that the product brings.
    fn inside(way: Way, topology: Topology, network: u8, daemons: Daemons) -> Self {
        let (source, target) = (End::A.inner(network), End::B.inner(network));
        let topology = Rc::new(topology);
        Self { way, topology, source, target, daemons, switch: None, witness: None }
    }
}

impl Contender {
    /// The contender of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CONTENDERS.iter().find(|contender| contender.name == name)
    }

    /// The first of its programs that is not installed.
    pub fn missing(&self, programs: &Programs) -> Option<Program> {
        self.programs.iter().find(|program| programs.find(**program).is_none()).copied()
    }
}

/// The ends that run the product on a way: R only where it relays.
fn ends_of(way: Way) -> &'static [End] {
    if way == Way::Relay { &End::ALL } else { &End::OUTER }
}

fn nothing(_: &TestBed) -> Option<String> {
    None
}

/// A private Debian package of a product.
const fn debian(name: &'static str, install: &'static str) -> Program {
    Program { name, install }
}

/// The product itself, whose figures the others' are compared with.
pub const SRWAN: &str = "srwan";
/// The ceiling.
pub const FORWARDING: &str = "forwarding";

/// Everybody, in the order of tables.
pub const CONTENDERS: &[Contender] = &[
    Contender {
        name: FORWARDING,
        what: "plain kernel forwarding, no tunnel, no encryption: the ceiling",
        programs: &[],
        version_flag: "",
        lacks: nothing,
        raise: forwarding::raise,
    },
    Contender {
        name: SRWAN,
        what: "this program: tag, lane and meter on, relay and endpoint paid",
        programs: &[],
        version_flag: "",
        lacks: nothing,
        raise: srwan::raise,
    },
    Contender {
        name: "srv6",
        what: "kernel SRv6: H.Encaps, End, End.DX4; no encryption",
        programs: &[],
        version_flag: "",
        lacks: segments::lacks,
        raise: segments::raise,
    },
    Contender {
        name: "wireguard",
        what: "WireGuard in the kernel",
        programs: &[wireguard::WG],
        version_flag: "",
        lacks: wireguard::lacks_kernel,
        raise: wireguard::raise_kernel,
    },
    Contender {
        name: "wireguard-go",
        what: "WireGuard in user space, Go",
        programs: &[debian("wireguard-go", "apt-get install wireguard-go"), wireguard::WG],
        version_flag: "--version",
        lacks: nothing,
        raise: wireguard::raise_go,
    },
    Contender {
        name: "gotatun",
        what: "WireGuard in user space, Rust",
        programs: &[wireguard::GOTATUN, wireguard::WG],
        version_flag: "--version",
        lacks: nothing,
        raise: wireguard::raise_gotatun,
    },
    Contender {
        name: "boringtun",
        what: "WireGuard in user space, Rust",
        programs: &[wireguard::BORINGTUN, wireguard::WG],
        version_flag: "--version",
        lacks: nothing,
        raise: wireguard::raise_boringtun,
    },
    Contender {
        name: "nebula",
        what: "overlay with lighthouse and its own relays",
        programs: &[nebula::NEBULA, nebula::NEBULA_CERT],
        version_flag: "-version",
        lacks: nothing,
        raise: nebula::raise,
    },
    Contender {
        name: "tinc",
        what: "mesh VPN that forwards through its peers",
        programs: &[tinc::TINCD],
        version_flag: "--version",
        lacks: nothing,
        raise: tinc::raise,
    },
    Contender {
        name: "openvpn",
        what: "TLS VPN, client to client through its server",
        programs: &[openvpn::OPENVPN, openvpn::OPENSSL],
        version_flag: "--version",
        lacks: nothing,
        raise: openvpn::raise,
    },
];
