//! How one router differs from the others of a world.

use srwan_control::{LivenessConfig, PolicyConfig};
use srwan_node::NodeConfig;
use srwan_wire::pulse::ErrorEstimate;
use srwan_wire::receipt::Price;
use srwan_wire::roster::Member;
use std::time::Duration;

/// What is special about one router.
#[derive(Clone, Debug)]
pub struct Differs {
    /// Its name in the roster.
    pub name: String,
    /// Its autonomous system.
    pub asn: u32,
    /// What it asks for carrying; `None` = it only measures.
    pub price: Option<Price>,
    /// Most that one lane may cost. **Units:** base.
    pub lane_cap: u64,
    /// How well it says that its clock is known.
    pub clock_estimate: ErrorEstimate,
    /// Between two pulses.
    pub pulse_interval: Duration,
    /// How it watches paths.
    pub liveness: LivenessConfig,
    /// When it moves traffic.
    pub policy: PolicyConfig,
}

impl Differs {
    pub(crate) fn configure(&self, config: &mut NodeConfig) {
        config.price = self.price;
        config.lane_cap = self.lane_cap;
        config.clock_estimate = self.clock_estimate;
        config.pulse_interval = self.pulse_interval;
        config.liveness = self.liveness;
        config.policy = self.policy;
    }

    pub(crate) fn enrol(&self, member: &mut Member) {
        member.name.clone_from(&self.name);
        member.asn = self.asn;
        member.price = self.price.map(|price| price.0);
    }
}
