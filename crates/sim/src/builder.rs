//! Makes routers, also again: their keys, their members in the roster, their configuration.

use crate::world::WorldConfig;
use ipnet::{IpNet, Ipv4Net};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use srwan_control::{LivenessConfig, PolicyConfig};
use srwan_dataplane::Identity;
use srwan_node::multipath::MultipathRule;
use srwan_node::{Boot, Node, NodeConfig};
use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::pulse::ErrorEstimate;
use srwan_wire::receipt::Price;
use srwan_wire::roster::{Class, Location, Member, Roster};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::{Instant, Timestamp, WallClock};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use zeroize::Zeroizing;

/// Wall time at which every simulation starts: 2026-01-01T00:00:00Z. Any date does; a fixed one keeps runs equal.
const START_NS: i64 = 1_767_225_600_000_000_000;

/// Port of every router, until a NAT chooses another.
pub const PORT: u16 = 4_766;

/// Makes routers.
pub(crate) struct Builder {
    pub(crate) config: WorldConfig,
    pub(crate) accounts: Vec<AccountSecret>,
    pub(crate) secrets: Vec<Zeroizing<[u8; 32]>>,
    pub(crate) rng: ChaCha20Rng,
}

impl Builder {
    /// The roster that lists every router.
    pub(crate) fn roster(&mut self) -> Roster {
        let members = (0..self.accounts.len()).map(|index| self.member(index)).collect();
        let (issued, psk) = (Timestamp::from_nanos(0), draw(&mut self.rng));
        Roster { group: GroupId(1), seq: 1, issued, psk, members }
    }

    pub(crate) fn node(&mut self, config: NodeConfig, now: Instant) -> Node {
        Node::new(config, draw(&mut self.rng), now)
    }

    fn rules(&self, index: usize) -> Vec<MultipathRule> {
        let own = self.config.multipath.iter().filter(|(router, _)| *router == index);
        own.map(|(_, rule)| rule.clone()).collect()
    }

    pub(crate) fn price(&self, index: usize) -> Option<Price> {
        (!self.config.measure_only.contains(&index)).then_some(self.config.price)
    }

    fn member(&self, index: usize) -> Member {
        let node = number(index);
        let identity = Identity {
            node,
            secret: self.secrets[index].clone(),
            clock: WallClock::new(Timestamp::default()),
            last_stamp: Timestamp::default(),
        };
        let has_site = self.config.sites.contains(&index);
        let site = || Ipv4Net::new(network(index), 16).expect("16 is a prefix length");
        let mut member = Member {
            node,
            node_key: identity.public(),
            account_key: self.accounts[index].public(),
            endpoints: vec![address(index)],
            prefixes: if has_site { vec![IpNet::V4(site())] } else { Vec::new() },
            location: Location::default(),
            asn: 64_512 + u32::from(u16::try_from(index).unwrap_or(0)),
            class: Class::Public,
            price: self.price(index).map(|price| price.0),
            egress: false,
            name: format!("r{index}"),
        };
        self.config.differs.get(&index).into_iter().for_each(|own| own.enrol(&mut member));
        member
    }

    /// What router `index` is started with, its wall clock being `offset` nanoseconds before the world's.
    pub(crate) fn config_of(&self, index: usize, offset: i64) -> NodeConfig {
        let epoch = u64::try_from(START_NS.saturating_add(offset)).unwrap_or(0);
        let start = Timestamp::from_nanos(epoch);
        let mut config = NodeConfig {
            node: number(index),
            secret: self.secrets[index].clone(),
            account: self.accounts[index].clone(),
            chain: None,
            price: self.price(index),
            lane_cap: self.config.lane_cap,
            clock: WallClock::new(start),
            clock_estimate: ErrorEstimate::new(false, Duration::from_secs(3_600)),
            pulse_interval: self.config.pulse_interval,
            liveness: LivenessConfig::default(),
            policy: PolicyConfig::default(),
            classes: self.config.classes.clone(),
            multipath: self.rules(index),
            inner_mtu: self.config.inner_mtu,
            key_life: self.config.key_life,
            last_stamp: Timestamp::default(),
            boot: Boot { time: start, nonce: u64::try_from(index).unwrap_or(0) },
        };
        self.config.differs.get(&index).into_iter().for_each(|own| own.configure(&mut config));
        config
    }
}

/// The address that a router is listed with.
#[must_use]
pub fn address(router: usize) -> SocketAddr {
    let bits = u32::from(Ipv4Addr::new(198, 18, 0, 1));
    let router = u32::try_from(router).unwrap_or(0);
    SocketAddr::from((Ipv4Addr::from(bits.saturating_add(router)), PORT))
}

/// The first host behind a router.
#[must_use]
pub fn host(router: usize) -> Ipv4Addr {
    let [a, b, ..] = network(router).octets();
    Ipv4Addr::new(a, b, 0, 1)
}

/// A site's network: `10.i.0.0`.
fn network(router: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, u8::try_from(router + 1).unwrap_or(u8::MAX), 0, 0)
}

/// The number of a router in the roster.
#[must_use]
pub fn number(router: usize) -> NodeId {
    NodeId::new(u32::try_from(router + 1).unwrap_or(u32::MAX)).expect("few routers")
}

/// 32 octets.
pub(crate) fn draw(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut octets = [0; 32];
    rng.fill_bytes(&mut octets);
    octets
}
