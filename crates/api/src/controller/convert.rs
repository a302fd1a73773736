//! From the exchange's types to their JSON shapes.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use srwan_ditex as ditex;
use srwan_wire::roster::{Class, Location};
use srwan_wire::time::Timestamp;

use super::{
    EvidenceItem, Group, JoinAnswer, Place, QuarantineState, ReportAnswer, RosterAnswer, Router,
    RouterDetail, Segment, SegmentSource, Side,
};
use crate::rfc3339;

impl JoinAnswer {
    /// The answer to a router that has joined.
    #[must_use]
    pub fn new(joined: &ditex::Joined, exchange: &ditex::Exchange) -> Self {
        Self {
            schema: "srwan.join/1".into(),
            node: joined.node.get(),
            group: joined.group.0,
            controller_key: exchange.controller_key().to_string(),
            roster: STANDARD.encode(joined.roster.to_bytes()),
            roster_seq: exchange.roster_seq(joined.group).unwrap_or(0),
            member_token: hex::encode(joined.member_token),
            pulse_interval_ms: millis(exchange.config().pulse_interval),
        }
    }
}

impl RosterAnswer {
    /// The answer to a member that asks for its roster.
    #[must_use]
    pub fn new(group: u32, seq: u64, octets: &[u8], pulse_interval: Duration) -> Self {
        Self {
            schema: "srwan.roster/1".into(),
            group,
            seq,
            roster: STANDARD.encode(octets),
            pulse_interval_ms: millis(pulse_interval),
        }
    }
}

impl From<ditex::Intake> for ReportAnswer {
    fn from(intake: ditex::Intake) -> Self {
        Self {
            schema: "srwan.report/1".into(),
            round: intake.round,
            first_of_round: intake.first_of_round,
            rows_new: intake.rows_new,
            rows_known: intake.rows_known,
            rows_refused: intake.rows_refused,
            paths_compared: intake.paths_compared,
        }
    }
}

impl From<ditex::GroupView> for Group {
    fn from(view: ditex::GroupView) -> Self {
        Self {
            group: view.record.group.0,
            members: view.members,
            up: view.up,
            roster_seq: view.record.seq,
            roster_issued: rfc3339::format(view.record.issued),
            reporter: view.reported.map(|(node, _)| node.get()),
            reported: view.reported.map(|(_, time)| rfc3339::format(time)),
        }
    }
}

impl From<ditex::RouterView<'_>> for Router {
    fn from(view: ditex::RouterView<'_>) -> Self {
        let (record, member) = (view.record, &view.record.member);
        Self {
            node: member.node.get(),
            name: member.name.clone(),
            group: record.group.0,
            health: health(view.health).into(),
            seen: view.seen.map(rfc3339::format),
            node_key: member.node_key.to_string(),
            account_key: member.account_key.to_string(),
            endpoints: member.endpoints.iter().map(ToString::to_string).collect(),
            prefixes: member.prefixes.iter().map(ToString::to_string).collect(),
            location: Place::from(&member.location),
            asn: member.asn,
            class: class(member.class).into(),
            price_base_per_mb: price(member.price),
            egress: member.egress,
            joined: rfc3339::format(record.joined),
            score: view.rating.and_then(ditex::Rating::score),
            quarantine: record.quarantine.as_ref().map(QuarantineState::from),
        }
    }
}

impl RouterDetail {
    /// A router with what is held for and against it.
    #[must_use]
    pub fn new(view: ditex::RouterView<'_>, now: Timestamp) -> Self {
        let evidence = view.rating.into_iter().flat_map(ditex::Rating::evidence);
        Self {
            schema: "srwan.router/1".into(),
            time: rfc3339::format(now),
            router: Router::from(view),
            availability: view.rating.and_then(ditex::Rating::availability),
            accuracy: view.rating.map_or(1_000, ditex::Rating::accuracy),
            evidence: evidence.map(EvidenceItem::from).collect(),
        }
    }
}

impl From<&ditex::Quarantine> for QuarantineState {
    fn from(quarantine: &ditex::Quarantine) -> Self {
        let cause = match quarantine.cause {
            ditex::QuarantineCause::Manual => "manual",
            ditex::QuarantineCause::Evidence { .. } => "evidence",
        };
        let (reason, since) = (quarantine.reason.clone(), rfc3339::format(quarantine.since));
        Self { cause: cause.into(), reason, since }
    }
}

impl From<&ditex::Evidence> for EvidenceItem {
    fn from(evidence: &ditex::Evidence) -> Self {
        Self {
            round: evidence.round,
            time: rfc3339::format(evidence.at),
            reporter: evidence.reporter.get(),
            headend: evidence.headend.get(),
            relays: evidence.relays.iter().map(|node| node.get()).collect(),
            observer: evidence.observer.get(),
            expected_us: micros(evidence.expected),
            residual_us: evidence.residual_ns / 1_000,
            mismatch: evidence.is_mismatch(),
        }
    }
}

impl From<&ditex::Segment> for Segment {
    fn from(segment: &ditex::Segment) -> Self {
        let figures = &segment.figures;
        Self {
            a: Side::from(&segment.a),
            z: Side::from(&segment.z),
            owd_us: figures.owd.map(srwan_wire::time::Owd::as_micros),
            owd_error_us: micros(figures.owd_error),
            jitter_us: micros(figures.jitter),
            loss_ppm: figures.loss.ppm(),
            updated: rfc3339::format(segment.updated),
            age_ms: millis(figures.age),
            price_base_per_mb: price(segment.price),
            class: class(segment.class).into(),
            source: SegmentSource {
                group: segment.source.group.0,
                reporter: segment.source.reporter.get(),
                round: segment.source.round,
            },
        }
    }
}

impl From<&ditex::Side> for Side {
    fn from(side: &ditex::Side) -> Self {
        Self {
            node: side.node.get(),
            name: side.name.clone(),
            address: side.endpoint.map(|endpoint| endpoint.ip().to_string()).unwrap_or_default(),
            port: side.endpoint.map_or(0, |endpoint| endpoint.port()),
            location: Place::from(&side.location),
            asn: side.asn,
        }
    }
}

impl From<&Location> for Place {
    fn from(location: &Location) -> Self {
        Self {
            city: location.city.clone(),
            country: location.country.clone(),
            lat_e6: location.lat_e6,
            lon_e6: location.lon_e6,
        }
    }
}

fn health(health: ditex::Health) -> &'static str {
    match health {
        ditex::Health::Up => "up",
        ditex::Health::Silent => "silent",
        ditex::Health::Unknown => "unknown",
    }
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Public => "public",
        Class::Premium => "premium",
        Class::Private => "private",
    }
}

fn price(price: Option<u64>) -> String {
    price.map_or_else(|| "inf".to_owned(), |base| base.to_string())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
