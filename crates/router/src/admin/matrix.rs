//! `/v1/matrix`: the group's one-way delays, with what a relay would gain.

use axum::Json;
use axum::extract::State;
use srwan_api::rfc3339;
use srwan_api::router as shape;
use srwan_control::{MatrixView, MemberState, ShownCell};
use srwan_ledger::amount::Amount;
use srwan_node::view::NodeView;
use srwan_wire::id::NodeId;
use srwan_wire::roster::Member;
use srwan_wire::time::Owd;

use super::{Answer, App, view};
use crate::config::Policy;

/// The matrix as this router knows it.
pub async fn matrix(State(shared): App) -> Answer<shape::Matrix> {
    let view = view(&shared).await?;
    let policy = shared.config.policy;
    let members = view.members.iter().map(|member| head(member, &view)).collect();
    let size = view.members.len();
    let pairs = (0..size * size).map(|index| (index / size, index % size));
    let cells = pairs.map(|(from, to)| cell(&view, &policy, from, to)).collect();
    let time = rfc3339::format(shared.wall());
    Ok(Json(shape::Matrix { schema: "srwan.matrix/1".into(), time, members, cells }))
}

fn head(member: &Member, view: &NodeView) -> shape::MatrixMember {
    let peer = view.peers.iter().find(|peer| peer.node == member.node);
    shape::MatrixMember {
        node: member.node.get(),
        name: member.name.clone(),
        city: member.location.city.clone(),
        country: member.location.country.clone(),
        asn: member.asn,
        alive: peer.is_none_or(|peer| peer.state != MemberState::Unreachable),
        price_coins_per_gb: price(member.price),
    }
}

/// Base units per 10^6 octets as coins per 10^9 octets.
pub fn price(base_per_megabyte: Option<u64>) -> String {
    let coins = |base: u64| Amount::from_base(base.saturating_mul(1_000)).to_string();
    base_per_megabyte.map_or_else(|| "inf".to_owned(), coins)
}

fn cell(view: &NodeView, policy: &Policy, from: usize, to: usize) -> Option<shape::MatrixCell> {
    let (source, target) = (view.members[from].node, view.members[to].node);
    let shown = view.matrix.between(source, target)?;
    let best = best_relay(view, source, target);
    let gain = best.map(|(delay, _)| shown.cell.raw - delay).filter(|gain| *gain > Owd::ZERO);
    let relays = best.filter(|_| gain.is_some()).map(|(_, relay)| relay.get());
    let delay = shown.delay.map_or(shown.cell.raw, |delay| delay.value);
    Some(shape::MatrixCell {
        owd_us: delay.as_micros(),
        owd_error_us: error_us(shown),
        owd_raw_us: shown.cell.raw.as_micros(),
        jitter_us: micros(shown.cell.jitter),
        loss: f64::from(shown.cell.loss.ppm()) / 1e6,
        age_ms: u64::try_from(shown.cell.age.as_millis()).unwrap_or(u64::MAX),
        gain_us: gain.map(Owd::as_micros),
        gain_relays: relays.into_iter().collect(),
        improved: gain.is_some_and(|gain| is_worth_it(gain, delay, policy)),
    })
}

/// More than the switching threshold: the larger of the absolute and the relative gain (promise I31).
fn is_worth_it(gain: Owd, delay: Owd, policy: &Policy) -> bool {
    let relative = delay.as_nanos() / 100 * i64::from(policy.gain_min_percent);
    gain > Owd::from_duration(policy.gain_min).max(Owd::from_nanos(relative))
}

/// The relay with the least sum of two raw cells; clock offsets cancel against the direct cell.
fn best_relay(view: &NodeView, from: NodeId, to: NodeId) -> Option<(Owd, NodeId)> {
    let raw = |a, b| raw(&view.matrix, a, b);
    let carries =
        |member: &&Member| member.price.is_some() && member.node != from && member.node != to;
    let sum =
        |member: &Member| Some((raw(from, member.node)? + raw(member.node, to)?, member.node));
    view.members.iter().filter(carries).filter_map(sum).min()
}

fn raw(matrix: &MatrixView, from: NodeId, to: NodeId) -> Option<Owd> {
    matrix.between(from, to).map(|shown| shown.cell.raw)
}

/// Without a bound the delay is as good as unknown: the widest error that can be written says so.
fn error_us(shown: &ShownCell) -> u64 {
    let error = shown.delay.map(|delay| delay.error.as_micros());
    error.map_or(u64::from(u32::MAX), |micros| u64::try_from(micros).unwrap_or(0))
}

/// A length in whole microseconds.
pub fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
