//! Destinations without a router, joined to the rest of control: who is an egress, how far it is,
//! whom to ask.

use core::time::Duration;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use srwan_wire::id::NodeId;
use srwan_wire::oam::DestinationProbe;
use srwan_wire::roster::Roster;
use srwan_wire::time::Instant;

use crate::control::{Arrival, Control};
use crate::destination::{Egress, EgressCandidate, Place, RttSource};
use crate::event::{DestinationChange, DestinationEvent};
use crate::outgoing::Outgoing;

/// Requests of others to measure that wait for the node; each asker may have this many a second.
const REQUESTS_PER_SECOND: u32 = 100;

/// Events that wait: every destination's once a second, and what 99 askers may want in that time.
const DESTINATION_EVENTS_MAX: usize = 16_384;

impl Control {
    /// Keeps a destination without a router measured by pinging `address` in it; `false` if too
    /// many are watched.
    pub fn watch_destination(
        &mut self,
        destination: IpNet,
        address: IpAddr,
        place: Place,
        now: Instant,
    ) -> bool {
        self.destinations.watch(destination, (canonical(address), place), now)
    }

    /// Stops measuring a destination.
    pub fn forget_destination(&mut self, destination: &IpNet) {
        self.destinations.forget(destination);
    }

    /// A destination was measured; `None`: it did not answer.
    pub fn handle_destination_rtt(
        &mut self,
        source: RttSource,
        destination: &IpNet,
        rtt: Option<Duration>,
        now: Instant,
    ) {
        self.destinations.handle_rtt(source, destination, rtt, now);
    }

    /// This node measured an address for another member ([`DestinationEvent::MeasureFor`]): sends
    /// the answer.
    pub fn answer_destination(&mut self, asker: NodeId, address: IpAddr, rtt: Option<Duration>) {
        let rtt = rtt.map(|rtt| u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX));
        let probe = DestinationProbe { address: mapped(address), rtt, answer: true };
        self.push(Outgoing::Destination { to: asker, probe });
    }

    /// The default path and every egress for a destination, as round trips.
    #[must_use]
    pub fn destination_candidates(
        &self,
        destination: &IpNet,
        now: Instant,
    ) -> Vec<EgressCandidate> {
        self.destinations.candidates(destination, &self.egresses(now), now)
    }

    /// The egress of every watched destination; `None` is the default path.
    pub fn destination_choices(&self) -> impl Iterator<Item = (IpNet, Option<NodeId>)> {
        self.destinations.chosen()
    }

    pub(crate) fn set_places(&mut self, roster: &Roster) {
        let place = |asn, location| Place { asn, location };
        self.places = roster
            .members
            .iter()
            .filter(|member| member.egress)
            .map(|member| (member.node, place(member.asn, member.location.clone())))
            .collect();
    }

    pub(crate) fn handle_destination(
        &mut self,
        arrival: Arrival,
        probe: &DestinationProbe,
        now: Instant,
    ) {
        let address = canonical(IpAddr::V6(Ipv6Addr::from(probe.address)));
        if probe.answer {
            let rtt = probe.rtt.map(Duration::from_nanos);
            self.destinations.handle_answer(arrival.from, address, rtt, now);
        } else if self.places.contains_key(&self.me) && self.may_ask(arrival.from, now) {
            let asker = arrival.from;
            self.destination_event(DestinationEvent::MeasureFor { asker, address });
        }
    }

    pub(crate) fn run_destinations(&mut self, now: Instant) {
        if self.destinations.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        let egresses = self.egresses(now);
        let (moves, measurements) =
            self.destinations.handle_timeout(&egresses, &self.config.policy, now);
        for moved in moves {
            self.destination_event(DestinationEvent::Change(DestinationChange {
                destination: moved.destination,
                egress: moved.egress,
                previous: moved.previous,
                at: now,
            }));
        }
        for wanted in measurements {
            match wanted.source {
                RttSource::Own => self.destination_event(DestinationEvent::Measure {
                    destination: wanted.destination,
                    address: wanted.address,
                }),
                RttSource::Egress(to) => {
                    let address = mapped(wanted.address);
                    let probe = DestinationProbe { address, rtt: None, answer: false };
                    self.push(Outgoing::Destination { to, probe });
                }
            }
        }
    }

    /// The next thing that a destination asks of the node; drained after [`Control::poll_event`].
    pub fn poll_destination_event(&mut self) -> Option<DestinationEvent> {
        self.destination_events.pop_front()
    }

    fn destination_event(&mut self, event: DestinationEvent) {
        if self.destination_events.len() == DESTINATION_EVENTS_MAX {
            self.destination_events.pop_front();
        }
        self.destination_events.push_back(event);
    }

    /// Bounds what one member can make this node ping.
    fn may_ask(&mut self, asker: NodeId, now: Instant) -> bool {
        let Some(member) = self.members.get_mut(&asker) else { return false };
        let (since, count) = &mut member.requests;
        if now.since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= REQUESTS_PER_SECOND
    }

    /// Members that deliver to the outside, with the round trip to each.
    fn egresses(&self, now: Instant) -> Vec<Egress> {
        let others = self.places.iter().filter(|(node, _)| **node != self.me);
        let usable = others.filter(|(node, _)| !self.quarantined.contains(node));
        let egress = |(node, place): (&NodeId, &Place)| Egress {
            node: *node,
            place: place.clone(),
            round_trip: self.round_trip_to(*node, now),
        };
        usable.map(egress).collect()
    }

    /// Forth over the path in use (else directly), back directly: clock offsets cancel.
    fn round_trip_to(&self, node: NodeId, now: Instant) -> Option<Duration> {
        let watched = self.endpoints.get(&node);
        let measured = watched.and_then(|w| w.active_figures(&self.config.policy, now));
        let forth = match measured {
            Some(figures) => figures.forward,
            None => self.cell(self.me, node, now)?.raw,
        };
        let back = self.cell(node, self.me, now)?.raw;
        (forth + back).to_duration()
    }
}

/// IPv4 as IPv4-mapped IPv6, as it goes on the wire.
fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
