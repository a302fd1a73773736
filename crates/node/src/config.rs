//! What a node needs to know before it starts. Checked by the shell that read it.

use crate::class::ForwardingClass;
use crate::multipath::MultipathRule;
use srwan_control::{LivenessConfig, PolicyConfig};
use srwan_dataplane::KeyLife;
use srwan_wire::id::{ChainId, NodeId};
use srwan_wire::pulse::ErrorEstimate;
use srwan_wire::receipt::Price;
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::{Timestamp, WallClock};
use std::time::Duration;
use zeroize::Zeroizing;

/// Everything that `Node::new` needs.
pub struct NodeConfig {
    /// The number that the controller gave.
    pub node: NodeId,
    /// X25519 static secret: who this router is in a handshake.
    pub secret: Zeroizing<[u8; 32]>,
    /// The account that pays and is paid.
    pub account: AccountSecret,
    /// The ledger, if it is known already; see [`crate::LedgerFact::Chain`].
    pub chain: Option<ChainId>,
    /// What this router asks for carrying; `None` = it only measures (W94).
    pub price: Option<Price>,
    /// Most that one lane may cost. **Units:** base.
    pub lane_cap: u64,
    /// From monotonic to wall time.
    pub clock: WallClock,
    /// How well the wall clock is known (the error estimate of STAMP packets).
    pub clock_estimate: ErrorEstimate,
    /// Between two pulses.
    pub pulse_interval: Duration,
    /// How paths of interest are watched.
    pub liveness: LivenessConfig,
    /// When traffic moves.
    pub policy: PolicyConfig,
    /// What wants other paths than the rest, up to [`srwan_control::CLASSES_MAX`] classes.
    pub classes: Vec<ForwardingClass>,
    /// For whom several paths share the traffic.
    pub multipath: Vec<MultipathRule>,
    /// Largest packet that the host may hand in. **Units:** octets of the inner packet.
    pub inner_mtu: u16,
    /// How long keys are used.
    pub key_life: KeyLife,
    /// A handshake timestamp that no earlier start of this router went beyond; zero if there was none. A wall clock
    /// that was set back while the router was off then locks it out nowhere (I25).
    pub last_stamp: Timestamp,
    /// Names this start of the router in link statements (I14).
    pub boot: Boot,
}

/// One start of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// When, by its own clock.
    pub time: Timestamp,
    /// Drawn at start.
    pub nonce: u64,
}
