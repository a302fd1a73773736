//! How validators reach each other: the channels, their limits, and the production network.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use commonware_consensus::marshal;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::simplex;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_cryptography::ChaCha20Poly1305;
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_p2p::authenticated::lookup;
use commonware_p2p::utils::mux;
use commonware_p2p::{
    Address, AddressableManager, AddressableTrackedPeers, Blocker, Provider, max_message_size,
};
use commonware_runtime::{Quota, Supervisor as _, tokio as runtime};
use commonware_stream::SakeCups;
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::ordered::Map;

use crate::block::{Block, Digest, usize_of};
use crate::seam::Peer;
use crate::{Config, Limits, Reach, keys};

/// The engine's channels of one network.
pub struct Channels<S, R> {
    /// Votes, by epoch.
    pub votes: (S, R),
    /// Certificates, by epoch.
    pub certificates: (S, R),
    /// Missed certificates, by epoch.
    pub resolver: (S, R),
    /// Missed blocks.
    pub backfill: (S, R),
    /// Proposed blocks.
    pub blocks: (S, R),
    /// Heartbeats and the application's own bytes.
    pub gossip: (S, R),
}

/// Who the peers are, and which of them are not to be spoken with.
pub trait Directory: Blocker<PublicKey = PublicKey> + Provider<PublicKey = PublicKey> {
    /// Follows an epoch's peers: connects to `near`, and lets `far` connect.
    fn follow(&mut self, epoch: u64, near: &[Peer], far: &[Peer]);
}

impl Directory for lookup::Oracle<PublicKey> {
    fn follow(&mut self, epoch: u64, near: &[Peer], far: &[Peer]) {
        let peers = AddressableTrackedPeers::new(addresses(near), addresses(far));
        let _ = self.track(epoch, peers);
    }
}

fn addresses(peers: &[Peer]) -> Map<PublicKey, Address> {
    let parsed = peers.iter().filter_map(|peer| {
        let key = keys::parse(&peer.key)?;
        Some((key, Address::from(peer.address)))
    });
    Map::from_iter_dedup(parsed)
}

/// Channel numbers and messages per second and peer. The network allocates room for a second's worth
/// per peer, so these are as small as the paces of blocks and of catching up allow.
pub const QUOTAS: [(u64, u32); 6] = [(0, 256), (1, 256), (2, 128), (3, 1024), (4, 64), (5, 256)];

/// A channel's limit.
pub fn quota(messages: u32) -> Quota {
    Quota::per_second(NonZeroU32::new(messages).unwrap_or(NonZeroU32::MIN))
}

/// The largest message of any channel. The same on all validators, or they cut each other off.
pub fn message_octets_max(limits: &Limits) -> u32 {
    let votes = simplex::max_payload_size::<Scheme, Digest>(limits.committee_max);
    let blocks = marshal::max_payload_size::<Standard<Block>, Scheme>(limits.committee_max, limits);
    let gossip = usize_of(limits.gossip_octets_max) + crate::gossip::OVERHEAD_OCTETS;
    max_message_size(&[mux::prefixed(votes), blocks, gossip])
}

type Authenticated = SakeCups<PrivateKey, ChaCha20Poly1305>;
type Sender = lookup::Sender<PublicKey, runtime::Context>;
type Receiver = lookup::Receiver<PublicKey>;

/// Opens the port and starts the production network, with room for `peers_max` peers.
pub(crate) fn open(
    context: &runtime::Context,
    config: &Config,
    listen: SocketAddr,
    peers_max: NonZeroUsize,
) -> (Channels<Sender, Receiver>, lookup::Oracle<PublicKey>) {
    let settings = settings(config, listen, peers_max);
    let (mut network, directory) = lookup::Network::new(context.child("network"), settings);
    let [votes, certificates, resolver, backfill, blocks, gossip] =
        QUOTAS.map(|(channel, messages)| network.register(channel, quota(messages)));
    network.start();
    let channels = Channels { votes, certificates, resolver, backfill, blocks, gossip };
    (channels, directory)
}

fn settings(
    config: &Config,
    listen: SocketAddr,
    peers_max: NonZeroUsize,
) -> lookup::Config<Authenticated> {
    let sake = Sake {
        signer: keys::private(&config.key_seed),
        synchrony_bound: CLOCK_SKEW_MAX,
        max_handshake_age: HANDSHAKE_AGE_MAX,
        version: sake::Version::V1,
    };
    let handshake = Cups::<_, ChaCha20Poly1305>::new(sake, cups::Version::V1);
    let octets = message_octets_max(&config.limits);
    let namespace = [config.namespace.as_slice(), b"_P2P"].concat();
    let mailbox = MAILBOX;
    let mut settings =
        lookup::Config::local(handshake, &namespace, listen, peers_max, octets, mailbox);
    settings.allow_dns = false;
    settings.tracked_peer_sets = TRACKED_SETS;
    settings.block_duration = BLOCK_DURATION;
    if config.reach == Reach::Public {
        settings.allow_private_ips = false;
        settings.max_concurrent_handshakes = HANDSHAKES_MAX;
    }
    settings
}

/// Clocks of validators may differ by this much at a handshake.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(10);
/// A handshake message older than this is refused.
const HANDSHAKE_AGE_MAX: Duration = Duration::from_secs(20);
/// The epoch at hand and the one before: enough for who is a few blocks behind.
const TRACKED_SETS: NonZeroUsize = NonZeroUsize::new(2).expect("not zero");
/// A peer that broke the protocol is cut off for this long: longer than an attack is patient, shorter
/// than an operator's night.
const BLOCK_DURATION: Duration = Duration::from_secs(3600);
/// Handshakes at once on a public port: the engine's own recommendation.
const HANDSHAKES_MAX: NonZeroU32 = NonZeroU32::new(512).expect("not zero");
/// Queue of the network's own actors.
pub(crate) const MAILBOX: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");
