//! Rules of the operator for several paths at once: written with names, which mean what the roster in force says.

use crate::node::Node;
use srwan_control::{SPREAD_PATHS_MAX, SpreadConfig, SpreadMode};
use srwan_wire::id::NodeId;
use srwan_wire::oam::Relays;
use srwan_wire::time::Instant;
use std::collections::BTreeMap;

/// Rules at most: one for each endpoint that a router watches.
pub const RULES_MAX: usize = 16;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultipathRule {
    /// Name of the router at the far end.
    pub endpoint: String,
    /// How traffic is spread.
    pub mode: SpreadMode,
    /// Over how many paths that the router chooses, 2 to 4.
    pub paths: u8,
    /// Over these paths with these weights instead: the relays' names in order of travel, none for the direct path.
    pub explicit: Vec<(Vec<String>, u8)>,
}

impl Node {
    /// Gives control the rules whose endpoint is in the roster, and takes those back whose endpoint is gone.
    pub(crate) fn apply_rules(&mut self, now: Instant) {
        let named = |name: &str| self.members.values().find(|m| m.name == name).map(|m| m.node);
        let me = self.config.node;
        let known: BTreeMap<NodeId, SpreadConfig> = self
            .config
            .multipath
            .iter()
            .filter_map(|rule| {
                let endpoint = named(&rule.endpoint).filter(|endpoint| *endpoint != me)?;
                let config = resolve(rule, &[me, endpoint], &named);
                // Of all paths that were written out none exists: that is not a wish for others.
                let is_void = config.explicit.is_empty() && !rule.explicit.is_empty();
                (!is_void).then_some((endpoint, config))
            })
            .collect();
        for endpoint in self.members.keys().copied().collect::<Vec<_>>() {
            self.control.set_spread(endpoint, known.get(&endpoint).cloned(), now);
        }
    }
}

/// The rule with numbers for names. A path with a relay that is not in the roster, or that is a loop, is left out.
fn resolve(
    rule: &MultipathRule,
    ends: &[NodeId],
    named: &dyn Fn(&str) -> Option<NodeId>,
) -> SpreadConfig {
    let path = |(names, weight): &(Vec<String>, u8)| {
        let relays: Vec<NodeId> = names.iter().map(|name| named(name)).collect::<Option<_>>()?;
        let is_twice = |at: usize| relays[..at].contains(&relays[at]) || ends.contains(&relays[at]);
        let is_path = !(0..relays.len()).any(is_twice);
        Some((Relays::new(relays).filter(|_| is_path)?, (*weight).max(1)))
    };
    let explicit = rule.explicit.iter().take(SPREAD_PATHS_MAX).filter_map(path).collect();
    SpreadConfig { mode: rule.mode, paths: rule.paths, explicit }
}
