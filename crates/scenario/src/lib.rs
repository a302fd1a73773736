//! A scenario: nodes, links, faults in time, flows and what must come out, as checked values.
//!
//! The same TOML file drives the lab (real processes) and the simulator (one thread), so this crate does no IO and
//! reads no clock. The format is documented in docs/testing.md.
//!
//! - `raw`, `parse`, `quantity`, `wanted`, `resolve`: how a file may be written, and the types below from it; all
//!   else is refused with a line and a suggestion
//! - `cities`: measured delays between cities; `shipped`: the scenarios that come with the program
//! - `link`, `random`: one directed link as a machine, the same for real packets and for simulated ones
//! - `record`, `judge`, `report`, `lateness`: what was seen of a story, whether it meets the expectations, and the
//!   words for it
//! - `describe`: events in words
//!
//! It deliberately knows nothing of addresses, namespaces, processes or routers: a runner does (docs/design/008).
#![forbid(unsafe_code)]

pub mod cities;
mod describe;
mod error;
mod expect;
pub mod judge;
pub mod lateness;
pub mod link;
mod parse;
mod quantity;
pub mod random;
mod raw;
pub mod record;
pub mod report;
mod resolve;
mod shipped;
mod wanted;

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use error::ScenarioError;
pub use expect::{Expect, ExpectKind, Way, Window};
pub use quantity::{BitRate, NodeName, Probability};
pub use shipped::shipped;

/// Nodes in one scenario: 100 routers (one group), their hosts, and the two services.
pub const NODES_MAX: usize = 240;
/// Validators of the ledger in one scenario: two may fail, and more would not fit on one machine beside routers.
pub const VALIDATORS_MAX: usize = 7;
/// Events, flows or expectations in one scenario; a person writes them, so more is a mistake.
pub const ENTRIES_MAX: usize = 200;
/// Bytes in a scenario file: generous for 240 nodes and a full mesh of links.
pub const SCENARIO_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// A whole experiment, checked: every name resolves, every figure is in range.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Short word used for directories and messages.
    pub name: NodeName,
    /// One sentence for people.
    pub title: String,
    /// Seed of every random draw on the links.
    pub seed: u64,
    /// How long the story runs after the routers are ready.
    pub duration: Duration,
    /// Address families that exist between sites.
    pub underlay: Underlay,
    /// MTU of every site's `eth0` and of every cable behind a router, in octets.
    pub mtu: u16,
    /// Whether veth devices may have segmentation, joining and checksums done by their neighbours.
    pub offload: bool,
    /// Shape of every link that nothing else describes.
    pub link_default: LinkShape,
    /// Nodes in file order.
    pub nodes: Vec<Node>,
    /// Links that differ from what the cities say, one entry per direction.
    pub links: Vec<Link>,
    /// Faults and repairs, sorted by time.
    pub events: Vec<Event>,
    /// Transfers between nodes.
    pub flows: Vec<Flow>,
    /// What must hold for the run to succeed.
    pub expects: Vec<Expect>,
}

/// Address families between the sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Underlay {
    Ipv4,
    Ipv6,
    Dual,
}

/// One machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub name: NodeName,
    pub role: Role,
    /// Where it stands; `None` only when every delay to it is written out or it is a service.
    pub city: Option<&'static cities::City>,
    /// Autonomous system it says it is in.
    pub asn: u32,
    /// The router that this host or web server stands behind; `None` = directly on the Internet.
    pub behind: Option<NodeName>,
    /// More prefixes behind a router than the one the lab gives it.
    pub prefixes: Vec<IpNet>,
    /// How this router differs from the defaults of the product.
    pub router: RouterOverrides,
}

/// What runs on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A segment router.
    Router,
    /// A plain machine that starts transfers.
    Host,
    /// A plain machine that answers them.
    Web,
    /// The controller.
    Controller,
    /// A validator of the ledger.
    Ledger,
}

/// Settings of a router that a scenario may change; `None` = the product's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouterOverrides {
    /// Coins per GB relayed, as the router's own config writes it (`"inf"` = never for sale).
    pub coins_per_gb: Option<String>,
    /// Coins that it sets aside for lanes; a lane's cap is a twentieth of it.
    pub escrow_coins: Option<String>,
    /// Error put on the router's own clock input, in milliseconds.
    pub skew_ms: Option<i64>,
    /// Whether it delivers to the open Internet with source NAT.
    pub egress: Option<bool>,
    /// Interval of pulses.
    pub pulse: Option<Duration>,
    /// Interval of liveness packets on active and standby paths.
    pub liveness: Option<Duration>,
    /// Liveness packets that may be missed before a path is down.
    pub misses: Option<u8>,
    /// Time a path is kept after a switch.
    pub hold_down: Option<Duration>,
    /// Windows that a gain must last.
    pub windows: Option<u8>,
    /// Length of one window.
    pub window: Option<Duration>,
    /// Relays in a path at most.
    pub relays_max: Option<u8>,
    /// MTU of the TUN interface.
    pub tun_mtu: Option<u16>,
    /// One-ended prefixes to keep measured.
    pub watch: Vec<IpNet>,
    /// Forwarding classes, as the router's own config writes them; the router checks them.
    pub classes: Vec<toml::Table>,
    /// Rules for several paths at once, as the router's own config writes them; the router checks them.
    pub multipath: Vec<toml::Table>,
}

/// Everything a directed link does to packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkShape {
    /// One-way delay: the floor, every packet takes at least this.
    pub owd: Duration,
    /// Mean of the extra delay of queues elsewhere (see [`link`] for its distribution).
    pub jitter: Duration,
    pub loss: Probability,
    /// Serialisation rate; `None` = as fast as the machine.
    pub rate: Option<BitRate>,
    /// Octets that may wait for a rated link; more are dropped at the tail.
    pub queue_octets: u64,
    /// Largest packet the link carries; `None` = the site's MTU.
    pub mtu: Option<u16>,
    /// Whether the sender of a larger packet is told so; if not, the packet is gone without a word.
    pub icmp: bool,
    pub duplicate: Probability,
    /// Chance that a packet is held back so that later ones overtake it.
    pub reorder: Probability,
    /// Chance that one bit of the packet's payload is flipped.
    pub corrupt: Probability,
    /// Nothing passes.
    pub blackhole: bool,
}

/// One directed link that the file describes.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub from: NodeName,
    pub to: NodeName,
    pub change: LinkChange,
}

/// The fields of a link that a file wrote; the rest come from the cities and the defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkChange {
    pub owd: Option<Duration>,
    pub jitter: Option<Duration>,
    pub loss: Option<Probability>,
    pub rate: Option<BitRate>,
    pub queue_octets: Option<u64>,
    pub mtu: Option<u16>,
    pub icmp: Option<bool>,
    pub duplicate: Option<Probability>,
    pub reorder: Option<Probability>,
    pub corrupt: Option<Probability>,
    pub blackhole: Option<bool>,
}

/// What a fault adds to a link until it heals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impairment {
    /// Added to the one-way delay.
    pub add: Duration,
    /// Replaces the link's other fields where it says something (its `owd` too).
    pub change: LinkChange,
}

/// A directed pair of nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Direction {
    pub from: NodeName,
    pub to: NodeName,
}

/// Something that happens at a time of the story.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub at: Duration,
    /// Name that expectations refer to; unique.
    pub label: String,
    pub action: Action,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The links get worse.
    Congest { links: Vec<Direction>, impairment: Impairment },
    /// The links carry nothing.
    Fail { links: Vec<Direction> },
    /// The links are as they were.
    Heal { links: Vec<Direction> },
    /// The first link of the path that a flow is on carries nothing, in both directions.
    Cut { flow: String, way: Way },
    /// The daemon of the node gets SIGKILL.
    Kill { node: NodeName },
    /// The daemon of the node gets SIGTERM and shuts down in order.
    Stop { node: NodeName },
    /// The daemon of the node is frozen (SIGSTOP).
    Pause { node: NodeName },
    /// The daemon of the node goes on (SIGCONT).
    Resume { node: NodeName },
    /// The daemon of the node is started again.
    Start { node: NodeName },
    /// All that the node's daemon kept is lost, except for its keys; the daemon must be dead.
    Wipe { node: NodeName },
    /// A command runs in the node's namespace; it must exit 0.
    Exec { node: NodeName, command: Vec<String> },
}

/// A transfer between two nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    pub name: String,
    pub from: NodeName,
    pub to: NodeName,
    pub start: Duration,
    pub end: Duration,
    pub program: Program,
    pub bulk: Bulk,
    /// Pace of the sender; `None` = as fast as TCP goes.
    pub limit: Option<BitRate>,
}

/// Which program moves the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The lab's own HTTP client, always there.
    Http,
    /// The system's curl; the flow is skipped, and said so, where it is not installed.
    Curl,
    /// The system's iperf3; the same.
    Iperf3,
    /// Packets of every kind, each checked at both ends (see `variety`); over all families that both nodes have.
    Variety,
}

/// Which way the bulk of the bytes goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bulk {
    /// From the answering node to the starting one.
    Download,
    /// From the starting node to the answering one.
    Upload,
}

impl Scenario {
    /// Parses and checks a scenario file.
    ///
    /// **Errors:** the first thing that is wrong, with its line where there is one; show it to the author.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        parse::scenario(text)
    }

    /// The node of that name.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// The flow of that name.
    pub fn flow(&self, name: &str) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.name == name)
    }

    /// The event of that label.
    pub fn event(&self, label: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.label == label)
    }

    /// Nodes of one role, in file order.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.role == role)
    }

    /// The node whose `eth0` carries this node's packets: itself, or the router it stands behind.
    pub fn site_of<'a>(&'a self, node: &'a Node) -> &'a NodeName {
        node.behind.as_ref().unwrap_or(&node.name)
    }

    /// Shape of the link between two sites before any event.
    pub fn link_shape(&self, from: &Node, to: &Node) -> LinkShape {
        resolve::link_shape(self, from, to)
    }
}

impl LinkShape {
    /// The shape with a fault on top.
    pub fn impaired(&self, fault: &Impairment) -> Self {
        let mut shape = self.changed(&fault.change);
        shape.owd += fault.add;
        shape
    }

    /// The shape with some fields replaced.
    pub fn changed(&self, change: &LinkChange) -> Self {
        Self {
            owd: change.owd.unwrap_or(self.owd),
            jitter: change.jitter.unwrap_or(self.jitter),
            loss: change.loss.unwrap_or(self.loss),
            rate: change.rate.or(self.rate),
            queue_octets: change.queue_octets.unwrap_or(self.queue_octets),
            mtu: change.mtu.or(self.mtu),
            icmp: change.icmp.unwrap_or(self.icmp),
            duplicate: change.duplicate.unwrap_or(self.duplicate),
            reorder: change.reorder.unwrap_or(self.reorder),
            corrupt: change.corrupt.unwrap_or(self.corrupt),
            blackhole: change.blackhole.unwrap_or(self.blackhole),
        }
    }
}

impl Default for LinkShape {
    /// A perfect link: no delay, no loss, no limit, and 250 kB of queue if it gets a rate.
    fn default() -> Self {
        Self {
            owd: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Probability::NEVER,
            rate: None,
            queue_octets: QUEUE_OCTETS_DEFAULT,
            mtu: None,
            icmp: true,
            duplicate: Probability::NEVER,
            reorder: Probability::NEVER,
            corrupt: Probability::NEVER,
            blackhole: false,
        }
    }
}

impl Impairment {
    /// A link that carries nothing.
    pub fn blackhole() -> Self {
        let change = LinkChange { blackhole: Some(true), ..LinkChange::default() };
        Self { add: Duration::ZERO, change }
    }
}

impl Role {
    /// The word a scenario file uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Host => "host",
            Self::Web => "web",
            Self::Controller => "controller",
            Self::Ledger => "ledger",
        }
    }

    /// Whether a daemon of the product runs there.
    pub fn is_daemon(self) -> bool {
        matches!(self, Self::Router | Self::Controller | Self::Ledger)
    }
}

impl Action {
    /// The word a scenario file uses.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Congest { .. } => "congest",
            Self::Fail { .. } => "fail",
            Self::Heal { .. } => "heal",
            Self::Cut { .. } => "cut",
            Self::Kill { .. } => "kill",
            Self::Stop { .. } => "stop",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Start { .. } => "start",
            Self::Wipe { .. } => "wipe",
            Self::Exec { .. } => "exec",
        }
    }
}

/// Octets of queue of a rated link: 40 ms at 50 Mbit/s, about what a home router's uplink holds.
const QUEUE_OCTETS_DEFAULT: u64 = 250_000;
