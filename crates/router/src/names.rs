//! Names of routers, and words for the node's states, as people and programs see them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use srwan_control::{Quantity, SegmentChange};
use srwan_node::pay::LanePhase;
use srwan_node::{PathShares, Spread};
use srwan_wire::id::NodeId;
use srwan_wire::roster::Member;

use crate::packet_loop::Handle;

/// The members of the group by number.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<NodeId, Member>);

impl Names {
    /// The names of these members.
    pub fn new(members: &[Member]) -> Self {
        Self(members.iter().map(|member| (member.node, member.clone())).collect())
    }

    /// The names as the node knows them; none if the router is stopping.
    pub async fn ask(node: &Handle) -> Self {
        let members = node.ask(|node, now, _| node.view(now).members).await;
        members.map_or_else(|_| Self::default(), |members| Self::new(&members))
    }

    /// The name of a router; its number if it is no member.
    pub fn of(&self, node: NodeId) -> String {
        self.0.get(&node).map_or_else(|| node.to_string(), |member| member.name.clone())
    }

    /// The name of each.
    pub fn each(&self, nodes: &[NodeId]) -> Vec<String> {
        nodes.iter().map(|node| self.of(*node)).collect()
    }

    /// All names in one text.
    pub fn list(&self, nodes: &[NodeId]) -> String {
        if nodes.is_empty() { "no relay".to_owned() } else { self.each(nodes).join(", ") }
    }

    /// A member.
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.0.get(&node)
    }

    /// The router that a person means by a name or number.
    pub fn find(&self, text: &str) -> Option<NodeId> {
        let named = self.0.values().find(|member| member.name == text);
        let number = text.trim_start_matches('n').parse().ok().and_then(NodeId::new);
        let numbered = number.and_then(|node| self.0.get(&node));
        named.or(numbered).map(|member| member.node)
    }

    /// The router whose site holds an address: the longest prefix counts.
    pub fn behind(&self, address: IpAddr) -> Option<(NodeId, ipnet::IpNet)> {
        let pairs = self
            .0
            .values()
            .flat_map(|member| member.prefixes.iter().map(|prefix| (member.node, *prefix)));
        let holding = pairs.filter(|(_, prefix)| prefix.contains(&address));
        holding.max_by_key(|(_, prefix)| prefix.prefix_len())
    }
}

/// How traffic is spread over several paths, as the configuration says it.
pub fn spread(spread: Spread) -> &'static str {
    match spread {
        Spread::Flows => "flows",
        Spread::Packets => "packets",
        Spread::Copies => "copies",
    }
}

/// Which paths share the traffic, in words.
pub fn shares(names: &Names, shares: &PathShares) -> String {
    let path = |(relays, weight): &(Vec<NodeId>, u8)| format!("{} ({weight})", names.list(relays));
    let paths: Vec<String> = shares.paths.iter().map(path).collect();
    format!("{} over {} paths: {}", spread(shares.spread), paths.len(), paths.join("; "))
}

/// What changed of a segment, in words: differences alone, in which no clock's offset stands.
pub fn change(change: &SegmentChange) -> String {
    let sign = if change.after < change.before { "-" } else { "+" };
    let millis = change.size().as_secs_f64() * 1e3;
    let ago = change.pulses_ago;
    match change.quantity {
        Quantity::Delay => format!("delay {sign}{millis:.1} ms, since {ago} pulses"),
        Quantity::Jitter => format!("jitter {sign}{millis:.1} ms"),
        Quantity::Loss if change.after > 0 => "loses pulses".to_owned(),
        Quantity::Loss => format!("no pulse lost of the last {ago}"),
    }
}

/// A lane's phase as one word.
pub fn phase(phase: LanePhase) -> &'static str {
    match phase {
        LanePhase::Opening => "opening",
        LanePhase::Ready => "ready",
        LanePhase::Stalled => "stalled",
        LanePhase::Refused => "refused",
        LanePhase::Ending => "ending",
    }
}

/// The kind of the event "a lane reached this phase".
pub fn phase_event(phase: LanePhase) -> &'static str {
    match phase {
        LanePhase::Opening => "lane_opening",
        LanePhase::Ready => "lane_ready",
        LanePhase::Stalled => "lane_stalled",
        LanePhase::Refused => "lane_refused",
        LanePhase::Ending => "lane_ending",
    }
}
