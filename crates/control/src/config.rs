//! What an operator can choose about control, checked, with the reasons for the defaults.

use core::time::Duration;

use srwan_wire::pulse::ErrorEstimate;
use srwan_wire::sign::AccountSecret;

use crate::choice::Preference;

/// A router sends its row this often (W56).
pub const PULSE_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);

/// Pulses of a young or changed group are at least this far apart (or a quarter of the interval, if
/// that is less), so a storm of changes costs at most ten times the usual traffic.
pub const EXTRA_PULSE_SPACING: Duration = Duration::from_secs(1);

/// Intervals after which a row or a cell is unknown: I32 of the promises.
pub const AGE_INTERVALS_MAX: u32 = 3;

/// Inner packet that fits every path whose links carry 1,500 octets: docs/protocol.md, "MTU".
///
/// - **Units:** octets.
pub const INNER_MTU_DEFAULT: u16 = 1_380;

/// Everything that `Control::new` needs to know beside who it is.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// How often the own row is sent to every member.
    pub pulse_interval: Duration,
    /// How the paths of interest are watched.
    pub liveness: LivenessConfig,
    /// When traffic moves.
    pub policy: PolicyConfig,
    /// What forwarding classes want of paths instead of `policy.preference`, at most
    /// [`CLASSES_MAX`](crate::CLASSES_MAX). Which packets are of a class is the node's matter.
    pub classes: Vec<Preference>,
    /// How well this node's clock is known.
    pub clock: ErrorEstimate,
    /// Signs the rows.
    pub signer: AccountSecret,
}

/// How the paths of interest are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivenessConfig {
    /// Distance of two probes on one path (`desired_min_tx` of RFC 5880): 100 ms, I29 of the
    /// promises.
    pub interval: Duration,
    /// Probes that may stay unanswered in a row before a path is down (`detect_mult`): 4, I30.
    /// Rises with the loss.
    pub misses: u8,
    /// Largest inner packet that a path is asked to carry: the MTU of the host's TUN interface.
    /// **Units:** octets.
    pub inner_mtu: u16,
}

impl Default for LivenessConfig {
    fn default() -> Self {
        Self { interval: Duration::from_millis(100), misses: 4, inner_mtu: INNER_MTU_DEFAULT }
    }
}

/// When traffic moves from one path to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyConfig {
    /// Another path must be better by at least this: 5 ms, I31.
    pub gain_min: Duration,
    /// ... and by this part of the delay, in percent: 10, I31.
    pub gain_min_percent: u8,
    /// For so many windows in a row: 3, I31.
    pub windows: u8,
    /// Length of one window: three probes.
    pub window: Duration,
    /// After a switch nothing but a blackout moves the traffic for this long, and the default path
    /// must be well for this long before the traffic returns to it: 10 s, I31.
    pub hold_down: Duration,
    /// Most relays of a path, `0..=3`.
    pub relays_max: u8,
    /// What is wanted of paths.
    pub preference: Preference,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            gain_min: Duration::from_millis(5),
            gain_min_percent: 10,
            windows: 3,
            window: Duration::from_millis(300),
            hold_down: Duration::from_secs(10),
            relays_max: 3,
            preference: Preference::default(),
        }
    }
}

impl ControlConfig {
    /// The defaults, for a node that signs with `signer` and whose clock is as good as `clock`.
    #[must_use]
    pub fn new(signer: AccountSecret, clock: ErrorEstimate) -> Self {
        Self {
            pulse_interval: PULSE_INTERVAL_DEFAULT,
            liveness: LivenessConfig::default(),
            policy: PolicyConfig::default(),
            classes: Vec::new(),
            clock,
            signer,
        }
    }

    /// Least distance of two rounds of pulses.
    #[must_use]
    pub fn extra_pulse_spacing(&self) -> Duration {
        EXTRA_PULSE_SPACING.min(self.pulse_interval / 4)
    }
}
