//! What was seen during a story, with the time of each sight. Pure data and figures derived from it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Window;
use crate::lateness::LatenessSummary;

/// Everything that expectations and the report look at.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// When each event really happened, by label.
    pub events: BTreeMap<String, Duration>,
    pub flows: BTreeMap<String, FlowLog>,
    /// Paths of flows by (flow, receiving node), in order of time.
    pub routes: BTreeMap<RouteKey, Vec<RouteSeen>>,
    /// When each router first had a complete matrix.
    pub complete: BTreeMap<String, Duration>,
    /// One-way delays at the end as their receivers see them, by (from, to).
    pub owd: BTreeMap<(String, String), Duration>,
    /// How many routers there are.
    pub routers: usize,
    pub coins: Option<Coins>,
    /// What the ledger says of each lane that tickets settled, at the end.
    pub lanes: BTreeMap<String, LaneSettled>,
    /// What the validators say of themselves at the end, by node; `None` = no answer.
    pub ledgers: BTreeMap<String, Option<LedgerTip>>,
    /// The later of both instruments of the fabric.
    pub lateness: Vec<LatenessSummary>,
    /// What went wrong with the machinery itself.
    pub faults: Vec<String>,
}

/// One direction of a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    pub headend: String,
    /// The node that receives.
    pub target: String,
}

/// A path that a headend was seen to use from some time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSeen {
    pub at: Duration,
    pub route: Route,
    /// The headend's own words for it.
    pub reason: String,
}

/// How packets travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// As without the product.
    Default,
    /// Over these relays; none = engaged on the direct path.
    Engaged { relays: Vec<String> },
}

/// Bytes and round trips of a flow.
#[derive(Clone, Debug, Default)]
pub struct FlowLog {
    pub started: Option<Duration>,
    /// Total bytes at times, rising.
    pub bytes: Vec<(Duration, u64)>,
    /// Echoes in milliseconds.
    pub rtt_ms: Vec<(Duration, f64)>,
    /// What became of each kind of packet, where several are sent.
    pub kinds: BTreeMap<String, KindCount>,
    pub end: Option<FlowEnd>,
}

/// What became of one kind of packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCount {
    pub sent: u64,
    /// Came back as they were sent.
    pub intact: u64,
    pub damaged: u64,
}

/// How a flow ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowEnd {
    /// It lived until its time was over.
    Lived,
    Broke {
        why: String,
    },
    /// Its program is not installed.
    Skipped {
        why: String,
    },
}

/// Coins at the ledger. **Units:** base units, 10^9 to a coin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coins {
    pub before: Sums,
    pub after: Sums,
    /// By router.
    pub accounts: BTreeMap<String, AccountCoins>,
}

/// The sum of all coins, as the lab adds it up from the ledger's parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub supply: u128,
    pub total: u128,
    pub height: u64,
}

/// One router's account at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountCoins {
    pub earned: u128,
    pub applied: u128,
}

/// What tickets settled of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneSettled {
    /// Octets that have been paid for, as the lane says.
    pub settled: u64,
    /// What left the lane, as the lane says.
    pub paid: u128,
    /// Octets for which its payees held evidence just before the routers ended.
    pub held: u64,
    /// One for each ticket, in order of height.
    pub steps: Vec<SettledStep>,
}

/// What one ticket settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledStep {
    /// The transaction.
    pub hash: String,
    /// Octets of the lane that were paid for before it, and with it.
    pub before: u64,
    pub after: u64,
    /// What it moved to payees and the infrastructure account, base units.
    pub moved: u128,
}

/// Where a validator is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerTip {
    pub height: u64,
    pub state_root: String,
}

impl Route {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Self::Default => "default path".to_owned(),
            Self::Engaged { relays } if relays.is_empty() => "direct, engaged".to_owned(),
            Self::Engaged { relays } => format!("via {}", relays.join(", ")),
        }
    }

    pub fn relays(&self) -> &[String] {
        match self {
            Self::Default => &[],
            Self::Engaged { relays } => relays,
        }
    }
}

impl FlowLog {
    /// Bytes that had arrived by a time.
    pub fn bytes_at(&self, at: Duration) -> u64 {
        let after = self.bytes.partition_point(|(time, _)| *time <= at);
        after.checked_sub(1).map_or(0, |last| self.bytes[last].1)
    }

    /// Mean throughput in Mbit/s.
    pub fn mbps(&self, window: Window) -> f64 {
        let octets = self.bytes_at(window.until) - self.bytes_at(window.from);
        let seconds = (window.until - window.from).as_secs_f64();
        // Exact up to 9 petabytes: more than a lab moves.
        Duration::from_micros(octets.saturating_mul(8)).as_secs_f64() / seconds
    }

    /// Median round trip in milliseconds; `None` without an echo in the window.
    pub fn rtt_ms(&self, window: Window) -> Option<f64> {
        let within = |(at, _): &&(Duration, f64)| *at >= window.from && *at < window.until;
        let mut echoes: Vec<f64> = self.rtt_ms.iter().filter(within).map(|(_, rtt)| *rtt).collect();
        echoes.sort_by(f64::total_cmp);
        echoes.get(echoes.len() / 2).copied()
    }

    /// The longest time without a byte between the first byte and the end.
    pub fn stall_max(&self) -> Duration {
        let mut last = None;
        let mut longest = Duration::ZERO;
        let mut total = 0;
        for (at, bytes) in &self.bytes {
            if *bytes > total || last.is_none() && *bytes > 0 {
                longest = longest.max(last.map_or(Duration::ZERO, |last| *at - last));
                (last, total) = (Some(*at), *bytes);
            }
        }
        let end = self.bytes.last().map(|(at, _)| *at);
        longest.max(end.zip(last).map_or(Duration::ZERO, |(end, last)| end - last))
    }

    /// The longest time without a byte in a window, and whether any byte came in it.
    ///
    /// Bytes that were on their way at the beginning still arrive, so the first byte says little.
    pub fn silence(&self, window: Window) -> (Duration, bool) {
        let mut total = self.bytes_at(window.from);
        let mut last = window.from;
        let mut longest = Duration::ZERO;
        let mut moved = false;
        let within = |(at, _): &&(Duration, u64)| *at > window.from && *at <= window.until;
        for (at, bytes) in self.bytes.iter().filter(within).filter(|(_, bytes)| *bytes > 0) {
            if *bytes > total {
                longest = longest.max(*at - last);
                (last, total, moved) = (*at, *bytes, true);
            }
        }
        (longest.max(window.until - last), moved)
    }
}

impl Record {
    /// The path in use at a time.
    pub fn route_at(&self, key: &RouteKey, at: Duration) -> &Route {
        let seen = self.routes.get(key).map(Vec::as_slice).unwrap_or_default();
        let after = seen.partition_point(|seen| seen.at <= at);
        after.checked_sub(1).map_or(&Route::Default, |last| &seen[last].route)
    }

    /// The first time from `from` on at which the path satisfies a condition.
    pub fn route_when(
        &self,
        key: &RouteKey,
        from: Duration,
        fits: impl Fn(&Route) -> bool,
    ) -> Option<(Duration, &Route)> {
        let held = self.route_at(key, from);
        if fits(held) {
            return Some((from, held));
        }
        let seen = self.routes.get(key)?.iter().filter(|seen| seen.at >= from);
        seen.map(|seen| (seen.at, &seen.route)).find(|(_, route)| fits(route))
    }

    /// How much of a window the path led over relays.
    pub fn relayed_time(&self, key: &RouteKey, window: Window) -> Duration {
        let seen = self.routes.get(key).map(Vec::as_slice).unwrap_or_default();
        let ends = seen.iter().skip(1).map(|next| next.at).chain([window.until]);
        let within = |(seen, end): (&RouteSeen, Duration)| {
            let until = end.min(window.until);
            until.saturating_sub(seen.at.max(window.from))
        };
        let relayed = seen.iter().zip(ends).filter(|(seen, _)| !seen.route.relays().is_empty());
        relayed.map(within).sum()
    }

    /// How often the path changed.
    pub fn switches(&self, key: &RouteKey) -> usize {
        let seen = self.routes.get(key).map(Vec::as_slice).unwrap_or_default();
        let first = usize::from(seen.first().is_some_and(|first| first.route != Route::Default));
        first + seen.windows(2).filter(|pair| pair[0].route != pair[1].route).count()
    }

    /// When the next event happened after a time.
    pub fn next_event(&self, after: Duration) -> Option<Duration> {
        self.events.values().copied().filter(|at| *at > after + EVENT_GAP).min()
    }

    /// Time from an event until the headend was seen on another path, before the next event.
    pub fn failover(&self, key: &RouteKey, event: Duration) -> Option<Duration> {
        let until = self.next_event(event).unwrap_or(Duration::MAX);
        let seen = self.routes.get(key).map(Vec::as_slice).unwrap_or_default();
        let change = seen.iter().find(|seen| seen.at > event && seen.at <= until)?;
        Some(change.at - event)
    }

    /// Whether the machine was fast enough for the figures to mean anything.
    pub fn is_conclusive(&self) -> bool {
        self.lateness.iter().all(LatenessSummary::is_conclusive)
    }
}

/// Events this close together are one: a fault of several links takes several entries.
pub const EVENT_GAP: Duration = Duration::from_millis(100);
