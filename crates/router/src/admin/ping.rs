//! `/v1/ping`: probes over a path and over the direct one, side by side.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use srwan_api::router as shape;
use srwan_control::Bounded;
use srwan_node::ping::{PingFigures, PingOrder, PingOutcome, PingSample};
use srwan_node::view::NodeView;
use srwan_wire::id::NodeId;
use srwan_wire::time::Owd;

use super::{Answer, App, OUT_OF_RANGE, Problem, ask, resolve, resolve_relays, stopping, view};
use crate::names::Names;

/// Probes, and answers when all are answered or given up.
pub async fn ping(
    State(shared): App,
    Json(request): Json<shape::PingRequest>,
) -> Answer<shape::PingReport> {
    let in_range =
        (1..=100).contains(&request.count) && (10..=10_000).contains(&request.interval_ms);
    if !in_range {
        let fix = "count 1 to 100, interval_ms 10 to 10000";
        let what = "count or interval out of range";
        return Err(Problem::new(StatusCode::BAD_REQUEST, OUT_OF_RANGE, what, fix));
    }
    let view = view(&shared).await?;
    let names = Names::new(&view.members);
    let endpoint = resolve(&names, &request.dest)?;
    let relays = resolve_relays(&names, &request.via)?;
    let id = shared.next_ping.fetch_add(1, Ordering::Relaxed);
    let outcome = shared.expect_ping(id);
    let interval = Duration::from_millis(request.interval_ms);
    let order = PingOrder { id, endpoint, relays, count: request.count, interval };
    if !ask(&shared, move |node, now, _| node.ping(order, now)).await? {
        let fix = "wait for the other pings to end";
        let what = "too many pings are under way";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, OUT_OF_RANGE, what, fix));
    }
    let outcome = outcome.await.map_err(|_| stopping())?;
    Ok(Json(report(&outcome, offset(&view, endpoint), &names)))
}

/// Offset of the endpoint's clock, from the matrix: what was taken off the raw delay to show it.
fn offset(view: &NodeView, endpoint: NodeId) -> Option<Bounded> {
    let shown = view.matrix.between(view.node, endpoint)?;
    let delay = shown.delay?;
    Some(Bounded { value: shown.cell.raw - delay.value, error: delay.error })
}

fn report(outcome: &PingOutcome, offset: Option<Bounded>, names: &Names) -> shape::PingReport {
    let side = |figures: &PingFigures| side(figures, offset, names);
    shape::PingReport {
        schema: "srwan.ping/1".into(),
        endpoint: names.of(outcome.endpoint),
        direct: side(&outcome.direct),
        path: outcome.path.as_ref().map(side),
    }
}

fn side(figures: &PingFigures, offset: Option<Bounded>, names: &Names) -> shape::PingSide {
    let shift = offset.map_or(Owd::ZERO, |offset| offset.value);
    let spread =
        |pick: &dyn Fn(&PingSample) -> i64| spread(figures.samples.iter().map(pick).collect());
    shape::PingSide {
        relays: names.each(&figures.relays),
        sent: figures.sent,
        answered: u32::try_from(figures.samples.len()).unwrap_or(u32::MAX),
        forward_us: spread(&|sample| (sample.forward - shift).as_micros()),
        reverse_us: spread(&|sample| (sample.reverse + shift).as_micros()),
        error_us: offset.and_then(|offset| u64::try_from(offset.error.as_micros()).ok()),
        rtt_us: spread(&|sample| i64::try_from(sample.rtt.as_micros()).unwrap_or(i64::MAX)),
    }
}

/// Least, median, most.
fn spread(mut values: Vec<i64>) -> Option<[i64; 3]> {
    values.sort_unstable();
    Some([*values.first()?, *values.get(values.len() / 2)?, *values.last()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_least_median_and_most() {
        assert_eq!(spread(vec![5, 1, 9]), Some([1, 5, 9]));
        assert_eq!(spread(vec![7]), Some([7, 7, 7]));
        assert_eq!(spread(Vec::new()), None);
    }
}
