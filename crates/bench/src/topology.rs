//! One topology for every contender: A - R - B, three namespaces and two veth pairs.
//!
//! ```text
//!  A 198.18.1.1 --eth0====a0-- 198.18.1.254 R 198.18.3.254 --b0====eth0-- 198.18.3.1 B
//!  198.19.1.10 on lo               198.18.2.1 on lo               on lo 198.19.3.10
//! ```
//!
//! IPv6 beside it: 2001:db8:1::1 and 2001:db8:3::1, R is ::fe on both links. MTU 1500. With [`Reach::Open`] R forwards
//! between A and B, as the Internet would; with [`Reach::ByRelay`] A and B know no way to each other, so that a product
//! that claims to relay has to. The addresses are the lab's for its sites 1, 2 and 3.

use std::net::Ipv4Addr;

use anyhow::Result;
use srwan_lab::netns;
use srwan_lab::scenario::NodeName;
use srwan_lab::wiring;

use crate::programs::ETHTOOL;
use crate::testbed::TestBed;

/// A machine of the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    A,
    R,
    B,
}

/// Whether A and B reach each other without a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Open,
    ByRelay,
}

/// The namespaces of one contender.
#[derive(Clone, Debug)]
pub struct Topology {
    tag: String,
    /// Devices of all veth pairs, by machine.
    devices: Vec<(NodeName, String)>,
}

impl End {
    /// All machines, the relay first: the others call it when they start.
    pub const ALL: [Self; 3] = [Self::R, Self::A, Self::B];
    /// The machines that send and receive.
    pub const OUTER: [Self; 2] = [Self::A, Self::B];

    /// Word in names.
    pub fn word(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::R => "r",
            Self::B => "b",
        }
    }

    /// Number in addresses.
    pub fn number(self) -> u8 {
        match self {
            Self::A => 1,
            Self::R => 2,
            Self::B => 3,
        }
    }

    /// The other outer machine; R has none and is its own.
    pub fn peer(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::R => Self::R,
            Self::B => Self::A,
        }
    }

    /// Its address on the underlay.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number(), 1)
    }

    /// Its address inside a private network `10.<network>.0.0/24`, for products that bring one.
    pub fn inner(self, network: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, network, 0, self.number())
    }

    /// Its address in the network behind it: what plain forwarding and srwan carry.
    pub fn behind(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, self.number(), 10)
    }

    /// R as this machine's neighbour.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number(), 254)
    }
}

impl Topology {
    /// Makes the three machines. `tag` is 1 to 14 of `a-z 0-9 -`.
    pub fn make(bed: &mut TestBed, tag: &str, reach: Reach) -> Result<Self> {
        let mut topology = Self { tag: tag.to_owned(), devices: Vec::new() };
        for end in End::ALL {
            bed.make_machine(&topology.node(end)?)?;
        }
        let relay = topology.node(End::R)?;
        bed.ip(&relay, &format!("address add {}/32 dev lo", End::R.address()))?;
        for end in End::OUTER {
            topology.wire(bed, end, reach)?;
        }
        Ok(topology)
    }

    /// The machine's name; with a short tag also the name of a device that is unique on the test bed.
    pub fn node(&self, end: End) -> Result<NodeName> {
        let word = end.word();
        let name = if self.tag.is_empty() { word.into() } else { format!("{}-{word}", self.tag) };
        Ok(NodeName::new(&name)?)
    }

    /// Joins one more machine to R, with one address and R as its default gateway.
    pub fn attach(&self, bed: &mut TestBed, name: &NodeName, address: Ipv4Addr) -> Result<()> {
        bed.make_machine(name)?;
        let relay = self.node(End::R)?;
        let device = name.as_str().to_owned();
        bed.ip(&relay, &pair(bed, name, &device))?;
        bed.ip(name, &format!("address add {address}/32 dev eth0\nlink set eth0 up"))?;
        bed.ip(name, "route add default dev eth0 scope link")?;
        bed.ip(&relay, &format!("link set {device} up\nroute add {address}/32 dev {device}"))?;
        // The machine asks for everybody's link address; R answers for all that it can route.
        bed.set(&relay, &format!("net/ipv4/conf/{device}/proxy_arp"), "1")
    }

    /// Turns the offloads of all veth devices on or off.
    pub fn set_offloads(&self, bed: &TestBed, is_on: bool) -> Result<()> {
        let ethtool = bed.programs().need(ETHTOOL)?;
        let word = if is_on { "on" } else { "off" };
        for (node, device) in &self.devices {
            let features = OFFLOADS.iter().flat_map(|feature| [*feature, word]);
            let command: Vec<&str> = [ethtool.as_str(), "-K", device].into_iter().collect();
            bed.run(node, &[command, features.collect()].concat())?;
        }
        Ok(())
    }

    fn wire(&mut self, bed: &TestBed, end: End, reach: Reach) -> Result<()> {
        let (outer, relay) = (self.node(end)?, self.node(End::R)?);
        let (device, number) = (format!("{}0", end.word()), end.number());
        bed.ip(&relay, &pair(bed, &outer, &device))?;
        let gateway = end.gateway();
        bed.ip(
            &outer,
            &format!(
                "address add {}/24 dev eth0\naddress add 2001:db8:{number}::1/64 dev eth0 nodad\n\
                 address add {}/32 dev lo\nlink set eth0 up",
                end.address(),
                end.behind(),
            ),
        )?;
        bed.ip(
            &relay,
            &format!(
                "address add {gateway}/24 dev {device}\n\
                 address add 2001:db8:{number}::fe/64 dev {device} nodad\nlink set {device} up\n\
                 route add 198.19.{number}.0/24 via {}",
                end.address(),
            ),
        )?;
        self.devices.push((outer.clone(), "eth0".to_owned()));
        self.devices.push((relay, device));
        match reach {
            Reach::Open => bed.ip(
                &outer,
                &format!(
                    "route add default via {gateway}\n\
                     route add default via 2001:db8:{number}::fe"
                ),
            ),
            Reach::ByRelay => Ok(()),
        }
    }
}

/// The `ip` line, said at R, that makes a veth pair with `eth0` at `machine`.
fn pair(bed: &TestBed, machine: &NodeName, device: &str) -> String {
    let netns = bed.place().netns(machine);
    let netns = netns.file_name().unwrap_or_default().to_string_lossy().into_owned();
    format!("link add {device} type veth peer name eth0 netns {netns}")
}

/// Makes one machine's namespace with the kernel's switches as the lab sets them.
pub(crate) fn make_namespace(bed: &TestBed, name: &NodeName) -> Result<()> {
    let file = bed.place().netns(name);
    netns::create(&file)?;
    wiring::prepare(&file, true)?;
    bed.ip(name, "link set lo up")
}

/// What `ethtool -K` turns off so that every packet travels as a frame of its own.
const OFFLOADS: [&str; 6] = ["rx", "tx", "sg", "tso", "gso", "gro"];
