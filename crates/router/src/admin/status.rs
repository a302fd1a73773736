//! `/v1/status` and `/v1/peers`: one look at everything, and who is there.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use srwan_api::rfc3339;
use srwan_api::router as shape;
use srwan_control::MemberState;
use srwan_node::view::{EndpointView, NodeView, PeerView};

use super::{Answer, App, view};
use crate::names::Names;
use crate::shared::{Reach, Shared};

/// One look at everything; also before the router has joined.
pub async fn status(State(shared): App) -> Answer<shape::Status> {
    let seen = match shared.node.get() {
        Some(_) => Some(view(&shared).await?),
        None => None,
    };
    Ok(Json(make(&shared, seen.as_ref())))
}

/// The other routers of the group.
pub async fn peers(State(shared): App) -> Answer<shape::Peers> {
    let view = view(&shared).await?;
    let names = Names::new(&view.members);
    let peers = view.peers.iter().map(|peer| peer_shape(peer, &view, &names)).collect();
    Ok(Json(shape::Peers { schema: "srwan.peers/1".into(), peers }))
}

fn make(shared: &Shared, seen: Option<&NodeView>) -> shape::Status {
    let wallet = shared.wallet.borrow();
    let account = wallet.account.as_ref();
    let coins = |pick: fn(&srwan_api::ledger::Account) -> &String| {
        account.map_or_else(|| "0".to_owned(), |account| pick(account).clone())
    };
    let health: Vec<shape::HealthItem> =
        shared.faults().into_iter().chain(wallet.fault()).map(shape::HealthItem::from).collect();
    let (state, sentence) = describe(seen, &health);
    let members = seen.map_or(0, |view| count(view.members.len()));
    let last_ok = wallet.last_ok_ns.map(srwan_wire::time::Timestamp::from_nanos);
    let ledger = Reach { last_ok, error: wallet.error.clone() };
    shape::Status {
        schema: "srwan.status/1".into(),
        time: rfc3339::format(shared.wall()),
        name: shared.config.name.clone(),
        node: seen.map(|view| view.node.get()),
        group: shared.group().map(|group| group.0),
        state: state.into(),
        sentence,
        uptime_s: shared.clock.now().as_nanos() / 1_000_000_000,
        version: env!("CARGO_PKG_VERSION").into(),
        members,
        peers_up: seen.map_or(0, |view| count(up(view))),
        matrix_complete: seen.is_some_and(|view| view.matrix.is_full()),
        matrix_known: seen.map_or(0, |view| count(view.matrix.known())),
        matrix_cells: members * members.saturating_sub(1),
        engaged: seen.map_or_else(Vec::new, |view| engaged(shared, view)),
        relayed_bytes: sum(seen, |peer| peer.meter.relayed.octets),
        sent_bytes: sum(seen, |peer| peer.meter.sealed.octets),
        delivered_bytes: sum(seen, |peer| peer.meter.delivered.octets),
        earned_coins: coins(|account| &account.earned_coins),
        applied_coins: coins(|account| &account.applied_coins),
        controller: shared.controller().shown(),
        ledger: ledger.shown(),
        health,
        drops: seen.map_or_else(Vec::new, drops),
        reporter: shared.is_reporter.load(Ordering::Relaxed),
        portal_url: Some(format!("http://{}/", shared.config.portal_listen)),
    }
}

fn drops(view: &NodeView) -> Vec<shape::DropCount> {
    let one = |(reason, packets): &(srwan_dataplane::DropReason, u64)| shape::DropCount {
        reason: reason.name().into(),
        packets: *packets,
    };
    view.drops.iter().map(one).collect()
}

/// The state as one word and one sentence.
fn describe(seen: Option<&NodeView>, health: &[shape::HealthItem]) -> (&'static str, String) {
    let Some(view) = seen else {
        return ("nodata", "Waiting for the controller's first roster.".into());
    };
    let (others, up) = (view.peers.len(), up(view));
    let engaged = view.endpoints.iter().filter(|endpoint| endpoint.is_engaged()).count();
    let path = match engaged {
        0 => "all traffic is on default paths".to_owned(),
        1 => "traffic to one site is on a better path".to_owned(),
        many => format!("traffic to {many} sites is on better paths"),
    };
    let sentence = format!("{up} of {others} other routers are up; {path}.");
    match (others, up) {
        (0, _) => ("nodata", "This router is alone in its group.".into()),
        (_, 0) => ("down", "No other router can be reached.".into()),
        (others, up) if up < others || !health.is_empty() => ("degraded", sentence),
        _ => ("ok", sentence),
    }
}

fn engaged(shared: &Shared, view: &NodeView) -> Vec<shape::Engaged> {
    let names = Names::new(&view.members);
    let one = |endpoint: &EndpointView| {
        let relays = endpoint.engaged.as_ref()?.relays();
        let since = shared.engaged_since(endpoint.node);
        Some(shape::Engaged {
            endpoint: names.of(endpoint.node),
            endpoint_node: endpoint.node.get(),
            prefixes: endpoint.prefixes.iter().map(ToString::to_string).collect(),
            relays: names.each(relays),
            since: since.as_ref().map_or_else(String::new, |since| rfc3339::format(since.at)),
            reason: since.map_or_else(String::new, |since| since.reason),
            gain_us: gain_us(endpoint, relays),
        })
    };
    view.endpoints.iter().filter_map(one).collect()
}

/// Default path's delay minus that of the path over `relays`, both as measured end to end.
fn gain_us(endpoint: &EndpointView, relays: &[srwan_wire::id::NodeId]) -> Option<i64> {
    let measured = |relays: &[srwan_wire::id::NodeId]| {
        let candidate = endpoint.candidates.iter().find(|c| c.relays == relays);
        candidate.and_then(|candidate| candidate.measured).map(|figures| figures.forward)
    };
    Some((measured(&[])? - measured(relays)?).as_micros())
}

fn peer_shape(peer: &PeerView, view: &NodeView, names: &Names) -> shape::Peer {
    let member = names.member(peer.node);
    let session = match (peer.is_up, peer.state) {
        (false, _) => "down",
        (true, MemberState::Relayed) => "relayed",
        (true, MemberState::Direct | MemberState::Unreachable) => "direct",
    };
    let pulse = view.matrix.between(peer.node, view.node);
    shape::Peer {
        node: peer.node.get(),
        name: names.of(peer.node),
        city: member.map_or_else(String::new, |member| member.location.city.clone()),
        asn: member.map_or(0, |member| member.asn),
        session: session.into(),
        address: peer.address.map(|address| address.to_string()),
        pulse_age_s: pulse.map(|shown| shown.cell.age.as_secs_f64()),
        rx_bytes: peer.meter.link_in.octets,
        tx_bytes: peer.meter.link_out.octets,
        rx_packets: peer.meter.link_in.packets,
        tx_packets: peer.meter.link_out.packets,
        handshakes: peer.meter.handshakes,
    }
}

fn sum(seen: Option<&NodeView>, pick: fn(&PeerView) -> u64) -> u64 {
    seen.map_or(0, |view| view.peers.iter().map(pick).sum())
}

fn up(view: &NodeView) -> usize {
    view.peers.iter().filter(|peer| peer.is_up).count()
}

/// Members are at most 100.
fn count(members: usize) -> u32 {
    u32::try_from(members).unwrap_or(u32::MAX)
}
