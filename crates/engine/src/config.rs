//! What an engine is told when it starts.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use commonware_utils::IpAddrExt;

use crate::seam::Peer;

/// Everything an engine needs beside its application.
#[derive(Clone)]
pub struct Config {
    /// Seed of the ed25519 consensus key. Peers know this validator by the public key.
    pub key_seed: [u8; 32],
    /// What keeps signatures of one chain out of another: the chain id.
    pub namespace: Vec<u8>,
    /// Where blocks, certificates and votes are kept. One engine per directory.
    pub directory: PathBuf,
    /// Where peers connect to. Opened only while a committee has more than one member; `None` refuses
    /// to run with such a committee.
    pub listen: Option<SocketAddr>,
    /// Blocks per epoch: epoch `e` is heights `e * n + 1 ..= (e + 1) * n`. Part of the chain's rules.
    pub epoch_blocks: NonZeroU64,
    /// Largest block. Part of the chain's rules: all validators need the same.
    pub limits: Limits,
    /// How long to wait for whom.
    pub timeouts: Timeouts,
    /// Which addresses peers may have.
    pub reach: Reach,
    /// Peers to connect to beside the committee, such as whom a newcomer knows of an old chain.
    pub bootstrap: Vec<Peer>,
}

impl Config {
    /// The defaults around what has none.
    pub fn new(key_seed: [u8; 32], namespace: &[u8], directory: PathBuf) -> Self {
        Self {
            key_seed,
            namespace: namespace.to_vec(),
            directory,
            listen: None,
            epoch_blocks: EPOCH_BLOCKS_DEFAULT,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            reach: Reach::Public,
            bootstrap: Vec::new(),
        }
    }

    /// The public key that belongs to the seed.
    pub fn public_key(&self) -> [u8; 32] {
        crate::light::public_key(&self.key_seed)
    }
}

/// Upper bounds of a block's parts and of one gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a header, in octets.
    pub header_octets_max: u32,
    /// Of a body, in octets.
    pub body_octets_max: u32,
    /// Of one call of [`crate::Handle::gossip`], in octets.
    pub gossip_octets_max: u32,
    /// Most members of a committee.
    pub committee_max: u32,
}

impl Default for Limits {
    /// 4 KiB, 1 MiB, 64 KiB and 100 members, as the design note of the ledger engine says.
    fn default() -> Self {
        Self {
            header_octets_max: 4 * 1024,
            body_octets_max: 1024 * 1024,
            gossip_octets_max: 64 * 1024,
            committee_max: 100,
        }
    }
}

/// How long to wait for whom. They need not be equal on all validators, but should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a leader's proposal. Must exceed the longest [`crate::seam::Application::pause`] by the time
    /// that a block takes to travel, or idle leaders are skipped.
    pub leader: Duration,
    /// For a proposal to be voted on by enough. Must exceed `leader`.
    pub certification: Duration,
    /// Between repeated votes to skip a view, and between repeated fetches.
    pub retry: Duration,
    /// For a peer's answer to a fetch.
    pub fetch: Duration,
    /// A leader silent for this long is skipped at once. Must exceed `certification` and `retry`.
    pub skip: Duration,
}

impl Default for Timeouts {
    /// A leader that paces idle blocks at 1 s gets 2 s; 3 s for the votes.
    fn default() -> Self {
        Self {
            leader: Duration::from_secs(2),
            certification: Duration::from_secs(3),
            retry: Duration::from_secs(1),
            fetch: Duration::from_secs(2),
            skip: Duration::from_secs(6),
        }
    }
}

/// Which addresses peers may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public ones; one validator per address is expected, and reconnects are paced slowly.
    Public,
    /// Private and loopback ones too; several validators may share an address.
    Private,
}

impl Reach {
    /// What validators at these addresses need: one that is not reachable from everywhere makes all private.
    ///
    /// Asks the network's own measure, so that no address is refused that was taken for public.
    #[must_use]
    pub fn of(mut addresses: impl Iterator<Item = IpAddr>) -> Self {
        let is_inside = |address: IpAddr| !IpAddrExt::is_global(&address.to_canonical());
        if addresses.any(is_inside) { Self::Private } else { Self::Public }
    }
}

/// About ten minutes of idle blocks at 1 s; the ledger's `committee_blocks` overrides it.
pub const EPOCH_BLOCKS_DEFAULT: NonZeroU64 = NonZeroU64::new(600).expect("not zero");
