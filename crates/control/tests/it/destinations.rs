//! Destinations without a router: which egress is asked, and when traffic goes over it.

use core::time::Duration;

use srwan_control::{DestinationEvent, Place, Suits, suits};
use srwan_wire::id::NodeId;
use srwan_wire::roster::Location;

use crate::world::{Link, Plan, SECOND, World, node};

fn place(asn: u32, city: &str, lat_e6: i32, lon_e6: i32) -> Place {
    let location = Location { city: city.into(), country: "GB".into(), lat_e6, lon_e6 };
    Place { asn, location }
}

#[test]
fn the_tuple_prefers_asn_then_metro_then_distance() {
    let destination = place(65_000, "London", 51_500_000, -100_000);
    let same_asn_far = suits(&place(65_000, "Sydney", -33_900_000, 151_200_000), &destination);
    let same_city = suits(&place(1, "London", 0, 0), &destination);
    let suburb = suits(&place(1, "Croydon", 51_370_000, -100_000), &destination);
    let paris = suits(&place(1, "Paris", 48_860_000, 2_350_000), &destination);
    let tokyo = suits(&place(1, "Tokyo", 35_680_000, 139_690_000), &destination);
    let nowhere = suits(&Place::default(), &destination);
    assert!(
        same_asn_far < suburb
            && suburb < same_city
            && same_city < paris
            && paris < tokyo
            && tokyo < nowhere
    );
    assert_eq!(nowhere, Suits::Unknown);
    let Suits::Distance { km } = paris else { panic!("{paris:?}") };
    assert!((340..350).contains(&km), "London to Paris is 344 km, not {km}");
}

/// A world whose destinations answer as `rtts` says (ms; 0 = this node, otherwise the egress),
/// until told otherwise.
struct Outside {
    world: World,
    rtts: Vec<(u32, Option<u64>)>,
    seen: usize,
}

impl Outside {
    fn new() -> Self {
        let plan = Plan { egresses: [2, 3].into(), ..Plan::new(4) };
        let mut world = World::new(&plan, |_, _| Link::of_ms(10));
        world.run_for(5 * SECOND);
        let now = world.instant();
        let destination = "203.0.113.0/24".parse().unwrap();
        let address = "203.0.113.9".parse().unwrap();
        assert!(world.control_mut(1).watch_destination(
            destination,
            address,
            Place::default(),
            now
        ));
        let rtts = vec![(0, Some(50)), (2, Some(40)), (3, Some(45))];
        Self { world, rtts, seen: 0 }
    }

    fn rtt(&self, of: u32) -> Option<Duration> {
        let (_, ms) = self.rtts.iter().find(|(who, _)| *who == of)?;
        ms.map(Duration::from_millis)
    }

    /// Runs on, answering every request to measure as a shell would.
    fn run_for(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.world.run_for(SECOND / 10);
            let now = self.world.instant();
            let fresh = self.world.destination_events[self.seen..].to_vec();
            self.seen = self.world.destination_events.len();
            for (who, event) in fresh {
                match event {
                    DestinationEvent::Measure { destination, .. } => {
                        let rtt = self.rtt(0);
                        let own = srwan_control::RttSource::Own;
                        self.world.control_mut(1).handle_destination_rtt(
                            own,
                            &destination,
                            rtt,
                            now,
                        );
                    }
                    DestinationEvent::MeasureFor { asker, address } => {
                        let rtt = self.rtt(who.get());
                        self.world.control_mut(who.get()).answer_destination(asker, address, rtt);
                    }
                    DestinationEvent::Change(_) => {}
                }
            }
        }
    }

    fn set(&mut self, of: u32, ms: Option<u64>) {
        self.rtts.iter_mut().filter(|(who, _)| *who == of).for_each(|(_, rtt)| *rtt = ms);
    }

    fn choice(&self) -> Option<NodeId> {
        self.world.control(1).destination_choices().next().unwrap().1
    }
}

#[test]
fn a_destination_leaves_the_default_path_for_the_better_egress_and_returns() {
    let mut outside = Outside::new();
    outside.run_for(20);
    assert_eq!(outside.choice(), None, "20 + 40 ms are no gain over 50 ms");
    outside.set(0, Some(200));
    outside.run_for(15);
    assert_eq!(outside.choice(), Some(node(2)));
    outside.set(0, Some(50));
    outside.run_for(30);
    assert_eq!(outside.choice(), None);
}

#[test]
fn a_silent_destination_goes_over_an_egress_that_reaches_it() {
    let mut outside = Outside::new();
    outside.run_for(10);
    outside.set(0, None);
    outside.set(2, None);
    outside.run_for(8);
    assert_eq!(outside.choice(), Some(node(3)));
    outside.set(3, None);
    outside.run_for(8);
    assert_eq!(outside.choice(), None, "nobody reaches it: back to what always was");
}

#[test]
fn who_is_no_egress_is_never_asked() {
    let mut outside = Outside::new();
    outside.run_for(5);
    let asked = |raw: u32| {
        let measures =
            |event: &DestinationEvent| matches!(event, DestinationEvent::MeasureFor { .. });
        let events = &outside.world.destination_events;
        events.iter().any(|(who, event)| *who == node(raw) && measures(event))
    };
    assert!(asked(2) && asked(3) && !asked(4));
}
