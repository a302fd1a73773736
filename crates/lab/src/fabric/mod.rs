//! The Internet of the lab: one process that holds the far end of every site's `eth0`.
//!
//! Why not veth pairs and netem: docs/design/001-lab-underlay.md. The loop below is the whole shell: wait
//! for a packet, a request or the next due time; hand packets to [`net::Net`]; write what is due. `net` and
//! `link` (of the scenario crate) decide everything and do no IO.

pub mod control;
pub mod net;
pub mod packet;
mod realtime;

pub use srwan_scenario::{lateness, link, random};

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ipnet::IpNet;
use nix::poll::{PollFd, PollFlags};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::netns;
use crate::scenario::{Direction, LinkShape, NodeName};

use control::{Ask, LinkStats, Reply, Request, Stats};
use lateness::Lateness;
use link::Link;
use net::{Net, SiteRoutes};

/// What the fabric process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FabricConfig {
    pub seed: u64,
    pub mtu: u16,
    pub control: PathBuf,
    pub sites: Vec<FabricSite>,
    pub links: Vec<FabricLink>,
}

/// A namespace that gets an `eth0`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FabricSite {
    pub name: NodeName,
    pub netns: PathBuf,
    pub prefixes: Vec<IpNet>,
}

/// A directed link between positions in the list of sites.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FabricLink {
    pub from: usize,
    pub to: usize,
    pub shape: LinkShape,
}

/// Name of a site's interface to the Internet.
pub const INTERFACE: &str = "eth0";

/// Runs the fabric until the process is ended.
pub fn run(config: &Path) -> Result<()> {
    let text =
        std::fs::read(config).with_context(|| format!("cannot read {}", config.display()))?;
    let config: FabricConfig =
        serde_json::from_slice(&text).context("the fabric's config is damaged")?;
    let mut fabric = Fabric::open(&config)?;
    eprintln!("ready fabric sites={} realtime={}", config.sites.len(), fabric.realtime);
    loop {
        fabric.turn()?;
    }
}

struct Fabric {
    names: Vec<NodeName>,
    devices: Vec<SyncDevice>,
    net: Net,
    asks: Receiver<Ask>,
    woken: UnixStream,
    start: Instant,
    /// When the devices were last found empty or last read, ns.
    looked_ns: u64,
    delivery: Lateness,
    pickup: Lateness,
    realtime: bool,
    /// Takes one packet of the longest kind; a copy of what came costs less than nine thousand noughts before each.
    scratch: Vec<u8>,
}

impl Fabric {
    fn open(config: &FabricConfig) -> Result<Self> {
        let devices: Result<Vec<_>> =
            config.sites.iter().map(|site| open_device(site, config.mtu)).collect();
        let (woken, wake) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        Ok(Self {
            names: config.sites.iter().map(|site| site.name.clone()).collect(),
            devices: devices?,
            net: new_net(config),
            asks: control::listen(&config.control, wake)?,
            woken,
            start: Instant::now(),
            looked_ns: 0,
            delivery: Lateness::default(),
            pickup: Lateness::default(),
            realtime: realtime::request(),
            scratch: vec![0; usize::from(config.mtu)],
        })
    }

    /// One turn of the loop.
    fn turn(&mut self) -> Result<()> {
        let ready = self.wait()?;
        let readable = ready.iter().enumerate().filter(|(_, ready)| **ready).map(|(site, _)| site);
        for site in readable.collect::<Vec<_>>() {
            if site == self.devices.len() {
                self.answer();
            } else {
                self.read(site)?;
            }
        }
        self.deliver();
        Ok(())
    }

    /// Sleeps until a device, the control socket or the clock has something; says which are readable.
    fn wait(&mut self) -> Result<Vec<bool>> {
        let timeout = self.net.poll_timeout().map(|due| {
            TimeSpec::from_duration(Duration::from_nanos(due.saturating_sub(self.now_ns())))
        });
        let mut files: Vec<PollFd> = self
            .devices
            .iter()
            .map(|device| PollFd::new(device.as_fd(), PollFlags::POLLIN))
            .collect();
        files.push(PollFd::new(self.woken.as_fd(), PollFlags::POLLIN));
        match nix::poll::ppoll(&mut files, timeout, None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting for packets"),
        }
        let ready = files.iter().map(|file| file.any().unwrap_or(false)).collect();
        drop(files);
        self.looked_ns = self.now_ns();
        Ok(ready)
    }

    /// Reads a batch from one device.
    fn read(&mut self, site: usize) -> Result<()> {
        for _ in 0..BATCH {
            match self.devices[site].recv(&mut self.scratch) {
                Ok(octets) => {
                    let now_ns = self.now_ns();
                    self.pickup.record(now_ns.saturating_sub(self.looked_ns));
                    let mut packet = self.net.buffer();
                    packet.extend_from_slice(&self.scratch[..octets]);
                    self.net.send(site, packet, now_ns);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    return Err(error).with_context(|| format!("eth0 of {}", self.names[site]));
                }
            }
        }
        Ok(())
    }

    /// Writes what is due, at most a batch so that readers get their turn.
    fn deliver(&mut self) {
        for _ in 0..BATCH {
            let now_ns = self.now_ns();
            let Some(parcel) = self.net.poll_arrival(now_ns) else { return };
            self.delivery.record(now_ns - parcel.due_ns);
            // A site that takes no packets (interface down, its queue full) loses them, as on the Internet.
            let _lost = self.devices[parcel.site].send(&parcel.packet);
            self.net.recycle(parcel.packet);
        }
    }

    fn answer(&mut self) {
        let mut bytes = [0; 64];
        while matches!(self.woken.read(&mut bytes), Ok(octets) if octets > 0) {}
        while let Ok(ask) = self.asks.try_recv() {
            let reply = self.handle(ask.request);
            let _gone = ask.reply.send(reply);
        }
    }

    fn handle(&mut self, request: Request) -> Reply {
        match request {
            Request::Impair { links, fault } => {
                self.each(&links, |link| link.set_fault(Some(fault.clone())))
            }
            Request::Heal { links } => self.each(&links, |link| link.set_fault(None)),
            Request::Change { links, change } => {
                self.each(&links, |link| link.set_base(link.base().changed(&change)))
            }
            Request::Stats => Reply::Stats(Box::new(self.stats())),
        }
    }

    /// Applies a change to all links or, where one does not exist, to none.
    fn each(&mut self, links: &[Direction], change: impl Fn(&mut Link)) -> Reply {
        let places: Option<Vec<_>> = links.iter().map(|link| self.place(link)).collect();
        let Some(places) = places else {
            return Reply::Refused { what: "no such link".into() };
        };
        for (from, to) in places {
            change(self.net.link_mut(from, to));
        }
        Reply::Done
    }

    fn place(&self, direction: &Direction) -> Option<(usize, usize)> {
        let position = |name: &NodeName| self.names.iter().position(|other| other == name);
        let (from, to) = (position(&direction.from)?, position(&direction.to)?);
        (from != to).then_some((from, to))
    }

    fn stats(&self) -> Stats {
        Stats {
            delivery: self.delivery.summary(),
            pickup: self.pickup.summary(),
            realtime: self.realtime,
            net: self.net.counters().clone(),
            links: self.link_stats(),
        }
    }

    fn link_stats(&self) -> Vec<LinkStats> {
        let sites = 0..self.names.len();
        let pairs = sites.clone().flat_map(|from| sites.clone().map(move |to| (from, to)));
        let stats = |(from, to): (usize, usize)| {
            let link = self.net.link(from, to);
            LinkStats {
                direction: Direction { from: self.names[from].clone(), to: self.names[to].clone() },
                shape: link.shape().clone(),
                impaired: link.is_impaired(),
                counters: link.counters().clone(),
            }
        };
        pairs.filter(|(from, to)| from != to).map(stats).collect()
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn new_net(config: &FabricConfig) -> Net {
    let count = config.sites.len();
    let mut shapes = vec![LinkShape::default(); count * count];
    for link in &config.links {
        shapes[link.from * count + link.to] = link.shape.clone();
    }
    let links =
        shapes.into_iter().zip(0..).map(|(shape, stream)| Link::new(shape, config.seed, stream));
    let routes = config.sites.iter().map(|site| SiteRoutes { prefixes: site.prefixes.clone() });
    Net::new(routes.collect(), links.collect())
}

/// Makes `eth0` inside the site's namespace; the file descriptor stays usable out here.
fn open_device(site: &FabricSite, mtu: u16) -> Result<SyncDevice> {
    let made = netns::within(&site.netns, || -> std::io::Result<SyncDevice> {
        let device = DeviceBuilder::new().name(INTERFACE).mtu(mtu).build_sync()?;
        device.set_nonblocking(true)?;
        Ok(device)
    });
    made?.with_context(|| {
        format!("cannot make a TUN device for {} (is /dev/net/tun there?)", site.name)
    })
}

/// Packets per device and per delivery round: at 1 Gbit/s and 1500 octets this is 0.8 ms of one link.
const BATCH: usize = 64;
