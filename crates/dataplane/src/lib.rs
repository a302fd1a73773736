//! The data plane of one router: one packet in, one verdict out.
//!
//! A pure machine: no IO, no clock, no generator of its own. [`Dataplane`] is all of it. `receive`
//! judges a datagram from the network, `headend` a packet from the host; both rewrite the caller's
//! buffer in place and allocate nothing per packet. Handshakes, rekeying and keepalives happen in
//! `handle_timeout` and leave by `poll_transmit`.
//!
//! [`seg6`] writes the same tables down as routes for a kernel that does SRv6 by itself.
//!
//! It knows neither the matrix nor money: the node installs policies and lanes, and reads meters.
#![forbid(unsafe_code)]

mod aead;
mod bucket;
mod checksum;
mod control_seal;
mod crypto;
mod dataplane;
mod drop_reason;
mod dscp;
mod endpoint;
mod fast_path;
mod fib;
mod forward;
mod fragment;
mod frame;
mod gate;
mod handshake;
mod headend;
mod ip;
mod lane;
mod mss;
mod noise;
mod peer;
mod pmtu;
mod policy;
mod reorder;
mod replay;
mod routing;
mod seal;
pub mod seg6;
mod sequencer;
mod session;
mod shared_lane;
mod shares;
mod source;
mod steering;
mod timer;
mod tos;
mod verdict;

pub use crate::control_seal::OamError;
pub use crate::dataplane::{Dataplane, Event, Identity, Totals, Transmit};
pub use crate::drop_reason::{DropCounters, DropReason};
pub use crate::dscp::{DSCP_COUNT, DscpSet};
pub use crate::fast_path::FastPathTotals;
pub use crate::fib::{FibAdjacency, FibChange, FibLane, FibLink, LinkSecret};
pub use crate::frame::{Frame, HEADROOM, TAILROOM};
pub use crate::gate::HANDSHAKES_PER_SECOND;
pub use crate::lane::{LANES_MAX, LaneEntry, LaneError, LaneMeter};
pub use crate::peer::{
    Count, ENDPOINTS_MAX, KEEPALIVE_INTERVAL, PeerConfig, PeerMeter, Reach,
    UNBILLED_RELAY_PER_SECOND,
};
pub use crate::policy::{
    INNER_MTU_DEFAULT, POLICIES_MAX, PolicyClass, PolicyEntry, PolicyError, PolicyPath, Spread,
};
pub use crate::replay::{REPLAY_WINDOW, ReplayError, ReplayWindow};
pub use crate::sequencer::{Delivery, HELD_OCTETS_MAX};
pub use crate::session::{
    KeyLife, OAM_PATH, REKEY_AFTER, REKEY_AFTER_MIN, REKEY_AFTER_PACKETS, SESSIONS_MAX,
};
pub use crate::shared_lane::{
    FastPathMemory, LANE_WORDS, LaneSlot, REFUSED_WORDS, SHARED_LANES_MAX,
};
pub use crate::shares::PATHS_MAX;
pub use crate::source::{SOURCES_MAX, TooManySources};
pub use crate::verdict::{Forward, Oam, Verdict};
