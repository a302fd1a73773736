//! `/v1/paths`, `/v1/why`, `/v1/pin`, `/v1/unpin`: which way traffic goes, and why.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use srwan_api::rfc3339;
use srwan_api::router as shape;
use srwan_control::{Candidate, Cause, Decision, Preference, Rule};
use srwan_dataplane::Count;
use srwan_node::steering::{Engaged, EngagedPath};
use srwan_node::view::{ClassView, EndpointView, NodeView};
use srwan_node::{DSCP_COUNT, Spread};
use srwan_wire::id::NodeId;
use srwan_wire::time::{Instant, Owd};

use super::matrix::{micros, price};
use super::{Answer, App, Destination, NO_SUCH_DESTINATION, NO_SUCH_PATH, Problem, ask, resolve};
use super::{resolve_relays, view};
use crate::names::{self, Names};
use crate::shared::{Shared, lock};

/// Candidate paths to one endpoint, or to all of interest.
pub async fn paths(State(shared): App, Query(query): Query<Destination>) -> Answer<shape::Paths> {
    let view = view(&shared).await?;
    let names = Names::new(&view.members);
    let only = query.dest.map(|dest| resolve(&names, &dest)).transpose()?;
    Ok(Json(answer(&shared, &view, only)))
}

fn answer(shared: &Shared, view: &NodeView, only: Option<NodeId>) -> shape::Paths {
    let wanted = |endpoint: &&EndpointView| only.is_none_or(|only| only == endpoint.node);
    let teller = Teller::new(shared, view);
    let endpoints = view.endpoints.iter().filter(wanted).map(|e| teller.endpoint(e)).collect();
    let time = rfc3339::format(shared.wall());
    shape::Paths { schema: "srwan.paths/1".into(), time, endpoints }
}

/// The decisions about one destination.
pub async fn why(State(shared): App, Query(query): Query<Destination>) -> Answer<shape::Why> {
    let dest = query.dest.unwrap_or_default();
    let view = view(&shared).await?;
    let teller = Teller::new(&shared, &view);
    let node = resolve(&teller.names, &dest)?;
    let endpoint = view.endpoints.iter().find(|endpoint| endpoint.node == node);
    let endpoint = endpoint.ok_or_else(|| not_watched(&teller.names.of(node)))?;
    let decisions = endpoint.decisions.iter().map(|d| teller.decision(endpoint, d)).collect();
    Ok(Json(shape::Why {
        schema: "srwan.why/1".into(),
        time: rfc3339::format(shared.wall()),
        resolution: teller.resolution(&dest, node),
        dest,
        paths: teller.endpoint(endpoint),
        decisions,
    }))
}

/// Forces a path.
pub async fn pin(State(shared): App, Json(pin): Json<shape::Pin>) -> Answer<shape::Paths> {
    let names = Names::new(&view(&shared).await?.members);
    let endpoint = resolve(&names, &pin.dest)?;
    let relays = resolve_relays(&names, &pin.via)?;
    let pinned = ask(&shared, move |node, now, _| node.pin(endpoint, &relays, now)).await?;
    pinned.map_err(|error| {
        let fix =
            "name one to three different routers of the group, and a site's router as endpoint";
        Problem::new(StatusCode::CONFLICT, NO_SUCH_PATH, error.to_string(), fix)
    })?;
    let view = view(&shared).await?;
    Ok(Json(answer(&shared, &view, Some(endpoint))))
}

/// Lets the router choose again.
pub async fn unpin(State(shared): App, Json(unpin): Json<shape::Unpin>) -> Answer<shape::Paths> {
    let names = Names::new(&view(&shared).await?.members);
    let endpoint = resolve(&names, &unpin.dest)?;
    ask(&shared, move |node, now, _| node.unpin(endpoint, now)).await?;
    let view = view(&shared).await?;
    Ok(Json(answer(&shared, &view, Some(endpoint))))
}

fn not_watched(name: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        NO_SUCH_DESTINATION,
        format!("no traffic goes to {name}: it has no site"),
        "name a router with a site, or an address behind one",
    )
}

/// Puts the node's picture into words.
struct Teller<'a> {
    shared: &'a Shared,
    view: &'a NodeView,
    names: Names,
}

impl<'a> Teller<'a> {
    fn new(shared: &'a Shared, view: &'a NodeView) -> Self {
        Self { shared, view, names: Names::new(&view.members) }
    }

    fn endpoint(&self, endpoint: &EndpointView) -> shape::EndpointPaths {
        let mode = if endpoint.is_engaged() { "engaged" } else { "default" };
        let pinned = endpoint.candidates.iter().find(|c| c.rule == Rule::Pinned);
        let mut candidates: Vec<_> =
            endpoint.candidates.iter().map(|c| self.candidate(endpoint, c)).collect();
        // Stable: within a state the order of the node, which is by cost, stays.
        candidates.sort_by_key(|candidate| rank(&candidate.state));
        shape::EndpointPaths {
            endpoint: self.names.of(endpoint.node),
            node: endpoint.node.get(),
            prefixes: endpoint.prefixes.iter().map(ToString::to_string).collect(),
            mode: mode.into(),
            pinned: pinned.map(|candidate| self.names.each(&candidate.relays)),
            spread: endpoint.engaged.as_ref().filter(|_| is_shared(endpoint)).map(spread),
            shares: if is_shared(endpoint) { self.shares(endpoint) } else { Vec::new() },
            classes: endpoint.classes.iter().map(|class| self.class(class)).collect(),
            candidates,
        }
    }

    fn class(&self, class: &ClassView) -> shape::ClassPath {
        shape::ClassPath {
            name: class.name.clone(),
            prefer: preference(class.preference).into(),
            dscp: (0..DSCP_COUNT).filter(|point| class.dscp.contains(*point)).collect(),
            relays: class.path.as_ref().map(|path| self.names.each(&path.relays)),
        }
    }

    fn shares(&self, endpoint: &EndpointView) -> Vec<shape::PathShare> {
        let total: f64 = endpoint.sent.iter().map(|(path, _)| f64::from(path.weight)).sum();
        let are_copies = endpoint.engaged.as_ref().is_some_and(|e| e.spread == Spread::Copies);
        let share = |(path, sent): &(EngagedPath, Count)| shape::PathShare {
            relays: self.names.each(&path.relays),
            weight: path.weight,
            percent: if are_copies { 100.0 } else { f64::from(path.weight) * 100.0 / total },
            sent_packets: sent.packets,
            sent_bytes: sent.octets,
        };
        endpoint.sent.iter().map(share).collect()
    }

    fn candidate(&self, endpoint: &EndpointView, candidate: &Candidate) -> shape::Candidate {
        let offset = endpoint.offset.map_or(Owd::ZERO, |offset| offset.value);
        let shown = |raw: Owd| (raw - offset).as_micros();
        let measured = candidate.measured;
        let residual = measured.and_then(|m| Some(m.forward - candidate.expected?));
        let is_default = candidate.relays.is_empty();
        shape::Candidate {
            relays: self.names.each(&candidate.relays),
            relay_nodes: candidate.relays.iter().map(|node| node.get()).collect(),
            state: state(candidate).into(),
            expected_us: candidate.expected.map(shown),
            measured_us: measured.map(|m| shown(m.forward)),
            owd_error_us: endpoint
                .offset
                .and_then(|offset| u64::try_from(offset.error.as_micros()).ok()),
            residual_us: residual.map(Owd::as_micros),
            loss: Some(f64::from(measured.map_or(candidate.loss, |m| m.loss).ppm()) / 1e6),
            jitter_us: measured.map(|m| micros(m.jitter)),
            throughput_bps: self.throughput(endpoint, candidate),
            inner_mtu: candidate.inner_mtu,
            price_coins_per_gb: if is_default { "0".into() } else { price(candidate.price) },
            lane: self.lane(endpoint.node, &candidate.relays).into(),
            rule: self.rule(candidate),
            age_ms: self.segments_age_ms(endpoint.node, candidate),
        }
    }

    /// Age of what is known of a path from the matrix alone: that of its oldest segment. How old the last answer to a
    /// probe over the very path is, nobody keeps.
    fn segments_age_ms(&self, endpoint: NodeId, candidate: &Candidate) -> Option<u64> {
        if candidate.measured.is_some() {
            return None;
        }
        let nodes: Vec<NodeId> = std::iter::once(self.view.node)
            .chain(candidate.relays.iter().copied())
            .chain([endpoint])
            .collect();
        let ages: Option<Vec<_>> = nodes
            .windows(2)
            .map(|pair| self.view.matrix.between(pair[0], pair[1]).map(|shown| shown.cell.age))
            .collect();
        ages?.into_iter().max().and_then(|age| u64::try_from(age.as_millis()).ok())
    }

    /// Octets per second that the endpoint last saw of the path in use.
    fn throughput(&self, endpoint: &EndpointView, candidate: &Candidate) -> Option<u64> {
        let is_in_use = endpoint.sent.iter().any(|(path, _)| path.relays == candidate.relays);
        let hop = endpoint.hops.iter().find(|(node, _)| *node == endpoint.node);
        hop.filter(|_| is_in_use).map(|(_, figures)| figures.throughput)
    }

    fn lane(&self, endpoint: NodeId, relays: &[NodeId]) -> &'static str {
        let is_this =
            |path: &srwan_node::pay::PathKey| path.endpoint == endpoint && path.relays == relays;
        let lane = self.view.paid.iter().find(|paid| is_this(&paid.path));
        lane.map_or("none", |paid| names::phase(paid.phase))
    }

    fn rule(&self, candidate: &Candidate) -> String {
        let name = |node: NodeId| self.names.of(node);
        let rule = match candidate.rule {
            Rule::Active => "carries the traffic".into(),
            Rule::Shares { weight, of } => {
                format!("shares the traffic: weight {weight} of {of}")
            }
            Rule::CarriesClass { class } => self.class_rule(class),
            Rule::Standby => "confirmed, and kept ready in case the active path fails".into(),
            Rule::Default => "the default path: traffic returns to it when it is well".into(),
            Rule::Pinned => "pinned by the operator".into(),
            Rule::Confirming { answered } => {
                format!("being confirmed: {answered} of 5 probes over this very path answered")
            }
            Rule::LanePending => "its lane is not funded and accepted by each hop yet".into(),
            Rule::Unfunded => "a hop refused its lane, or the escrow does not suffice".into(),
            Rule::Down => "nothing arrives over it".into(),
            Rule::BackedOff { until } => {
                format!("failed lately; left alone until {}", self.time(until))
            }
            Rule::Unknown { from, to } => {
                format!("the segment {} -> {} is not measured", name(from), name(to))
            }
            Rule::NeverCarries { relay } => format!("{} never carries (price inf)", name(relay)),
            Rule::Quarantined { relay } => format!("{} is quarantined", name(relay)),
            Rule::HopGainTooSmall { gain, needed } => format!(
                "one more relay gains {} us, {} us are needed",
                gain.as_micros(),
                needed.as_micros()
            ),
            Rule::Outranked => "in order, but another path is better".into(),
        };
        rule + &conditions(candidate)
    }

    fn class_rule(&self, class: u8) -> String {
        let named = self.class_name(Some(class));
        named.map_or_else(String::new, |name| format!("carries the traffic of class {name}"))
    }

    fn class_name(&self, class: Option<u8>) -> Option<String> {
        let classes = self.view.endpoints.iter().map(|endpoint| &endpoint.classes);
        let named = classes.filter_map(|classes| classes.get(usize::from(class?)));
        named.map(|class| class.name.clone()).next()
    }

    fn decision(&self, endpoint: &EndpointView, decision: &Decision) -> shape::Decision {
        let path = |relays: &[NodeId]| (!relays.is_empty()).then(|| self.names.each(relays));
        let at = EndpointView { offset: decision.offset, ..endpoint.clone() };
        shape::Decision {
            time: self.time(decision.at),
            class: self.class_name(decision.class),
            from: path(&decision.from),
            to: path(&decision.to),
            trigger: trigger(decision.cause).into(),
            reason: self.reason(decision),
            candidates: decision.candidates.iter().map(|c| self.candidate(&at, c)).collect(),
        }
    }

    fn reason(&self, decision: &Decision) -> String {
        let words = cause(decision.cause);
        let delay = |relays: &[NodeId]| {
            let candidate = decision.candidates.iter().find(|c| c.relays == relays)?;
            candidate.measured.map(|figures| figures.forward).or(candidate.expected)
        };
        match (delay(&decision.from), delay(&decision.to)) {
            (Some(from), Some(to)) if decision.from != decision.to => {
                format!("{words}; delay changes by {} us", (to - from).as_micros())
            }
            _ => words.to_owned(),
        }
    }

    /// How a destination was understood, with its geo and ASN as far as the operator's files say.
    fn resolution(&self, dest: &str, node: NodeId) -> String {
        let name = self.names.of(node);
        let Ok(address) = dest.parse() else { return format!("router {name}") };
        let prefix = self.names.behind(address);
        let prefix = prefix.map_or_else(String::new, |(_, prefix)| format!("{prefix} behind "));
        let geo = lock(&self.shared.geo);
        let tuple = geo.find(address);
        let asn = tuple.asn.map_or_else(|| "AS unknown".to_owned(), |asn| format!("AS{asn}"));
        let place = tuple.place.map_or_else(
            || "place unknown".to_owned(),
            |place| format!("{} {}", place.city, place.country),
        );
        format!("{prefix}{name} ({place}, {asn})")
    }

    fn time(&self, at: Instant) -> String {
        rfc3339::format(self.shared.clock.wall().at(at))
    }
}

/// Whether a rule for several paths is in force, although only one of them may be usable.
fn is_shared(endpoint: &EndpointView) -> bool {
    endpoint.candidates.iter().any(|c| matches!(c.rule, Rule::Shares { .. }))
}

fn spread(engaged: &Engaged) -> String {
    names::spread(engaged.spread).to_owned()
}

fn preference(preference: Preference) -> &'static str {
    match preference {
        Preference::DirectFirst => "direct-first",
        Preference::Fastest => "fastest",
        Preference::Cheapest => "cheapest",
    }
}

fn rank(state: &str) -> u8 {
    match state {
        "active" => 0,
        "standby" => 1,
        "confirmed" => 2,
        "candidate" => 3,
        _ => 4,
    }
}

fn state(candidate: &Candidate) -> &'static str {
    match candidate.rule {
        Rule::Active | Rule::Pinned | Rule::Shares { .. } => "active",
        Rule::Standby | Rule::CarriesClass { .. } => "standby",
        Rule::Default | Rule::LanePending => "confirmed",
        Rule::Confirming { .. } | Rule::Outranked => "candidate",
        Rule::Unfunded
        | Rule::Down
        | Rule::BackedOff { .. }
        | Rule::Unknown { .. }
        | Rule::NeverCarries { .. }
        | Rule::Quarantined { .. }
        | Rule::HopGainTooSmall { .. } => "excluded",
    }
}

/// What is wrong with a path, as an appendix to its rule.
fn conditions(candidate: &Candidate) -> String {
    let conditions = candidate.conditions;
    let words = [
        (conditions.blackout, "nothing arrives"),
        (conditions.lossy, "loses packets"),
        (conditions.slow, "slower than it used to be"),
        (conditions.jittery, "its delay varies"),
    ];
    let true_ones: Vec<_> =
        words.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| *word).collect();
    if true_ones.is_empty() { String::new() } else { format!(" ({})", true_ones.join(", ")) }
}

fn trigger(cause: Cause) -> &'static str {
    match cause {
        Cause::Started => "started",
        Cause::Blackout => "blackout",
        Cause::Loss => "loss",
        Cause::AddedDelay => "delay",
        Cause::Jitter => "jitter",
        Cause::Gain => "better",
        Cause::Return => "healed",
        Cause::Pinned => "pinned",
        Cause::Unpinned => "unpinned",
        Cause::LaneLost => "lane",
        Cause::StandbyChanged => "standby",
        Cause::Shares => "shares",
        Cause::Left => "left",
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Started => "the endpoint became of interest",
        Cause::Blackout => "nothing arrives over the path any more",
        Cause::Loss => "the path loses packets",
        Cause::AddedDelay => "the path takes longer than it used to",
        Cause::Jitter => "the delay of the path varies",
        Cause::Gain => "another path is faster",
        Cause::Return => "the default path is well again",
        Cause::Pinned => "pinned by the operator",
        Cause::Unpinned => "the operator took the pin away",
        Cause::LaneLost => "a hop no longer serves the lane",
        Cause::StandbyChanged => "another path is kept ready",
        Cause::Shares => "the paths that share the traffic changed",
        Cause::Left => "nothing is sent there any more",
    }
}
