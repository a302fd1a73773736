//! Destinations without a router of their own: which egress, or none.
//!
//! There is no clock at such a destination, so everything is compared as round trips: the own round
//! trip over the default path against the round trip to an egress plus the egress's round trip to
//! the destination. The geo:ASN tuple picks which egresses are asked to measure (same ASN, then
//! same metro, then distance: W27), and orders those that measure alike. An egress is used only if
//! it lately reached the destination itself.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use ipnet::IpNet;
use srwan_wire::id::NodeId;
use srwan_wire::roster::{ASN_UNKNOWN, Location};
use srwan_wire::time::Instant;

use crate::config::PolicyConfig;

/// Destinations that are watched at a time: each costs four small packets a second.
pub const DESTINATIONS_MAX: usize = 64;

/// Egresses that are asked to measure one destination: the best three by the tuple.
const EGRESSES_MEASURED: usize = 3;

/// A destination is measured this often, from here and from each of its egresses.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// Results kept per source: the median of five is the round trip.
const RESULTS_MAX: usize = 5;

/// Results in a row without an answer after which a destination is not reached.
const MISSES: usize = 3;

/// A result older than this says nothing.
const RESULT_AGE_MAX: Duration = Duration::from_secs(5);

/// Two places within this distance are one metro.
const METRO_KM: f64 = 60.0;

/// Mean radius of the Earth (IUGG).
const EARTH_KM: f64 = 6_371.0;

/// Who measured a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RttSource {
    /// This node, over the default path.
    Own,
    /// An egress, from where it is.
    Egress(NodeId),
}

/// The geolocation:ASN tuple of a router or a destination (W26).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Autonomous system; [`ASN_UNKNOWN`] if not known.
    pub asn: u32,
    /// Where it is; empty names and zero coordinates if not known.
    pub location: Location,
}

/// How well an egress suits a destination by the tuple alone: smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suits {
    /// Same autonomous system.
    SameAsn {
        /// Distance in km.
        km: u32,
    },
    /// Same metropolitan area.
    SameMetro {
        /// Distance in km.
        km: u32,
    },
    /// Elsewhere.
    Distance {
        /// Distance in km.
        km: u32,
    },
    /// One of the two places is not known.
    Unknown,
}

/// One egress for a destination, or the default path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressCandidate {
    /// `None` is the default path.
    pub egress: Option<NodeId>,
    /// What the tuple says; `None` for the default path.
    pub suits: Option<Suits>,
    /// Round trip to the egress; zero for the default path, `None` if not known.
    pub to_egress: Option<Duration>,
    /// Round trip from there to the destination; `None` if it is not reached or was not measured.
    pub onward: Option<Duration>,
}

impl EgressCandidate {
    /// The whole round trip.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        Some(self.to_egress? + self.onward?)
    }
}

/// How an egress suits a destination.
#[must_use]
pub fn suits(egress: &Place, destination: &Place) -> Suits {
    let distance = kilometres(&egress.location, &destination.location);
    let km = distance.map_or(u32::MAX, whole_km);
    if egress.asn != ASN_UNKNOWN && egress.asn == destination.asn {
        return Suits::SameAsn { km };
    }
    let same_name = !egress.location.city.is_empty()
        && egress.location.city == destination.location.city
        && egress.location.country == destination.location.country;
    match distance {
        _ if same_name => Suits::SameMetro { km },
        Some(near) if near <= METRO_KM => Suits::SameMetro { km },
        Some(_) => Suits::Distance { km },
        None => Suits::Unknown,
    }
}

/// Great-circle distance; `None` if a place is not known.
fn kilometres(a: &Location, b: &Location) -> Option<f64> {
    let is_known = |place: &Location| (place.lat_e6, place.lon_e6) != (0, 0);
    if !is_known(a) || !is_known(b) {
        return None;
    }
    let radians = |e6: i32| (f64::from(e6) / 1e6).to_radians();
    let (lat_a, lat_b) = (radians(a.lat_e6), radians(b.lat_e6));
    let half = |x: f64, y: f64| ((x - y) / 2.0).sin().powi(2);
    let longitudes = half(radians(a.lon_e6), radians(b.lon_e6));
    let chord = half(lat_a, lat_b) + lat_a.cos() * lat_b.cos() * longitudes;
    Some(2.0 * EARTH_KM * chord.sqrt().min(1.0).asin())
}

/// Rounded up to the next kilometre; half the Earth's circumference is the most there is.
fn whole_km(km: f64) -> u32 {
    let mut low = 0_u32;
    let mut high = 20_038_u32;
    while low < high {
        let middle = low + (high - low) / 2;
        if f64::from(middle) < km { low = middle + 1 } else { high = middle }
    }
    low
}

/// The last results of one source.
#[derive(Clone, Debug, Default)]
struct Results(VecDeque<(Instant, Option<Duration>)>);

impl Results {
    fn push(&mut self, rtt: Option<Duration>, now: Instant) {
        if self.0.len() == RESULTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, rtt));
    }

    /// The median round trip; `None` if nothing is known lately or the last three all failed.
    fn round_trip(&self, now: Instant) -> Option<Duration> {
        let recent = || self.0.iter().filter(|(at, _)| now.since(*at) <= RESULT_AGE_MAX);
        if self.is_down(now) {
            return None;
        }
        let mut known: Vec<Duration> = recent().filter_map(|(_, rtt)| *rtt).collect();
        known.sort_unstable();
        known.get(known.len().saturating_sub(1) / 2).copied()
    }

    fn is_down(&self, now: Instant) -> bool {
        let mut last = self.0.iter().rev().take(MISSES);
        let is_miss = |(at, rtt): &(Instant, Option<Duration>)| {
            rtt.is_none() && now.since(*at) <= RESULT_AGE_MAX
        };
        self.0.len() >= MISSES && last.all(is_miss)
    }
}

/// One watched destination.
#[derive(Clone, Debug)]
struct Watched {
    address: IpAddr,
    place: Place,
    results: BTreeMap<RttSource, Results>,
    chosen: Option<NodeId>,
    streak: u8,
    hold_until: Instant,
}

/// A destination that goes elsewhere from this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DestinationMove {
    pub(crate) destination: IpNet,
    pub(crate) egress: Option<NodeId>,
    pub(crate) previous: Option<NodeId>,
}

/// What is to be measured: from here, or by an egress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measurement {
    pub(crate) source: RttSource,
    pub(crate) destination: IpNet,
    pub(crate) address: IpAddr,
}

/// An egress as the choice sees it.
#[derive(Clone, Debug)]
pub(crate) struct Egress {
    pub(crate) node: NodeId,
    pub(crate) place: Place,
    /// Round trip to it at this moment.
    pub(crate) round_trip: Option<Duration>,
}

/// All watched destinations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Destinations {
    watched: BTreeMap<IpNet, Watched>,
    next: Option<Instant>,
}

impl Destinations {
    /// Starts to watch a destination; `false` if too many are watched.
    pub(crate) fn watch(&mut self, destination: IpNet, at: (IpAddr, Place), now: Instant) -> bool {
        if self.watched.len() >= DESTINATIONS_MAX && !self.watched.contains_key(&destination) {
            return false;
        }
        let (address, place) = at;
        self.watched.entry(destination).or_insert_with(|| Watched {
            address,
            place,
            results: BTreeMap::new(),
            chosen: None,
            streak: 0,
            hold_until: now,
        });
        self.next = self.next.or(Some(now));
        true
    }

    pub(crate) fn forget(&mut self, destination: &IpNet) {
        self.watched.remove(destination);
        if self.watched.is_empty() {
            self.next = None;
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    pub(crate) fn handle_rtt(
        &mut self,
        source: RttSource,
        destination: &IpNet,
        rtt: Option<Duration>,
        now: Instant,
    ) {
        if let Some(watched) = self.watched.get_mut(destination) {
            watched.results.entry(source).or_default().push(rtt, now);
        }
    }

    /// An egress answered for an address.
    pub(crate) fn handle_answer(
        &mut self,
        egress: NodeId,
        address: IpAddr,
        rtt: Option<Duration>,
        now: Instant,
    ) {
        let asked = self.watched.values_mut().filter(|watched| watched.address == address);
        for watched in asked {
            let source = RttSource::Egress(egress);
            if watched.results.contains_key(&source) {
                watched.results.entry(source).or_default().push(rtt, now);
            }
        }
    }

    /// Once a second: judges every destination and says what to measure next.
    pub(crate) fn handle_timeout(
        &mut self,
        egresses: &[Egress],
        policy: &PolicyConfig,
        now: Instant,
    ) -> (Vec<DestinationMove>, Vec<Measurement>) {
        if self.next.is_none_or(|at| at > now) {
            return (Vec::new(), Vec::new());
        }
        self.next = Some(now + MEASURE_INTERVAL);
        let mut moves = Vec::new();
        let mut measurements = Vec::new();
        for (destination, watched) in &mut self.watched {
            let previous = watched.chosen;
            if watched.judge(egresses, policy, now) {
                let egress = watched.chosen;
                moves.push(DestinationMove { destination: *destination, egress, previous });
            }
            let sources = watched.sources(egresses);
            let address = watched.address;
            let destination = *destination;
            let measure = |source| Measurement { source, destination, address };
            measurements.extend(sources.into_iter().map(measure));
        }
        (moves, measurements)
    }

    /// The candidates of a destination: the default path, then egresses by round trip.
    pub(crate) fn candidates(
        &self,
        destination: &IpNet,
        egresses: &[Egress],
        now: Instant,
    ) -> Vec<EgressCandidate> {
        let watched = self.watched.get(destination);
        watched.map_or(Vec::new(), |watched| watched.candidates(egresses, now))
    }

    /// The egress of every watched destination.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = (IpNet, Option<NodeId>)> {
        self.watched.iter().map(|(destination, watched)| (*destination, watched.chosen))
    }
}

impl Watched {
    /// Chooses anew; says whether the choice changed.
    fn judge(&mut self, egresses: &[Egress], policy: &PolicyConfig, now: Instant) -> bool {
        let candidates = self.candidates(egresses, now);
        let round_trip = |egress: Option<NodeId>| {
            candidates.iter().find(|c| c.egress == egress).and_then(EgressCandidate::round_trip)
        };
        let is_alive = |c: &&EgressCandidate| c.round_trip().is_some() && c.egress != self.chosen;
        let Some(best) = candidates.iter().filter(is_alive).min_by_key(|c| c.round_trip()) else {
            return self.give_up(round_trip(self.chosen).is_none(), now);
        };
        let (Some(present), Some(offered)) = (round_trip(self.chosen), best.round_trip()) else {
            // Until the default path is known to be silent it is not left.
            let is_lost = self.chosen.is_some() || self.is_silent(now);
            return is_lost && self.take(best.egress, policy, now);
        };
        let is_return = best.egress.is_none();
        let percent = present * u32::from(policy.gain_min_percent) / 100;
        let needed = policy.gain_min.max(percent);
        let is_better =
            if is_return { offered <= present + needed / 2 } else { offered + needed < present };
        self.streak = if is_better { self.streak.saturating_add(1) } else { 0 };
        let is_due = self.streak >= policy.windows && now >= self.hold_until;
        is_due && self.take(best.egress, policy, now)
    }

    /// Nothing else is alive: a lost egress is given up for the default path.
    fn give_up(&mut self, is_lost: bool, now: Instant) -> bool {
        self.streak = 0;
        if is_lost && self.chosen.is_some() {
            self.chosen = None;
            self.hold_until = now;
            return true;
        }
        false
    }

    fn take(&mut self, egress: Option<NodeId>, policy: &PolicyConfig, now: Instant) -> bool {
        self.chosen = egress;
        self.streak = 0;
        self.hold_until = now + policy.hold_down;
        true
    }

    fn is_silent(&self, now: Instant) -> bool {
        self.results.get(&RttSource::Own).is_some_and(|results| results.is_down(now))
    }

    fn candidates(&self, egresses: &[Egress], now: Instant) -> Vec<EgressCandidate> {
        let onward = |source| self.results.get(&source).and_then(|results| results.round_trip(now));
        let own = EgressCandidate {
            egress: None,
            suits: None,
            to_egress: Some(Duration::ZERO),
            onward: onward(RttSource::Own),
        };
        let mut others: Vec<EgressCandidate> = egresses
            .iter()
            .map(|egress| EgressCandidate {
                egress: Some(egress.node),
                suits: Some(suits(&egress.place, &self.place)),
                to_egress: egress.round_trip,
                onward: onward(RttSource::Egress(egress.node)),
            })
            .collect();
        others.sort_by_key(|c| (c.round_trip().is_none(), c.round_trip(), c.suits, c.egress));
        core::iter::once(own).chain(others).collect()
    }

    /// Who measures: this node, the egress in use, and the best few by the tuple that can be
    /// reached.
    fn sources(&mut self, egresses: &[Egress]) -> Vec<RttSource> {
        let reachable = egresses.iter().filter(|egress| egress.round_trip.is_some());
        let mut by_tuple: Vec<(Suits, Option<Duration>, NodeId)> = reachable
            .map(|egress| (suits(&egress.place, &self.place), egress.round_trip, egress.node))
            .collect();
        by_tuple.sort_unstable();
        let asked = by_tuple.into_iter().take(EGRESSES_MEASURED).map(|(.., node)| node);
        let mut nodes: Vec<NodeId> = asked.chain(self.chosen).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let egresses = nodes.into_iter().map(RttSource::Egress);
        let sources: Vec<RttSource> = core::iter::once(RttSource::Own).chain(egresses).collect();
        self.results.retain(|source, _| sources.contains(source));
        for source in &sources {
            self.results.entry(*source).or_default();
        }
        sources
    }
}
