//! Worlds whose only purpose is to be run for a measured time; whoever has a clock measures.

use crate::net::Link;
use crate::world::{World, WorldConfig};
use std::time::Duration;

/// What happened in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Everything that is in the audit hash: arrivals, sendings, timers, blocks, deliveries.
    pub events: u64,
    /// Packets that hosts sent.
    pub packets: u64,
    /// Packets that arrived.
    pub arrived: u64,
    /// Virtual time that passed.
    pub virtual_time: Duration,
}

/// Two sites whose traffic goes over a relay that is paid: each packet is sealed, tagged, relayed, billed and opened.
pub struct Busy {
    world: World,
}

/// Until the path over the relay is engaged.
const WARM_UP: Duration = Duration::from_secs(25);

/// Between two packets: at 1,000 octets half a Gbit/s.
const PACKET_EVERY: Duration = Duration::from_micros(16);

impl Busy {
    /// A world that is warm.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut world = World::new(&WorldConfig::new(3), seed);
        world.link(0, 1, Link::with_owd_ms(30));
        world.link(1, 2, Link::with_owd_ms(30));
        world.link(0, 2, Link::with_owd_ms(200));
        world.run(WARM_UP);
        Self { world }
    }

    /// Sends so many packets of so many octets of payload.
    pub fn run(&mut self, packets: u32, payload: usize) -> Ran {
        let (events, start) = (self.world.audit.events(), self.world.now());
        let payload = vec![7; payload];
        let mut arrived = 0;
        for _ in 0..packets {
            self.world.host_sends(0, 2, &payload);
            self.world.run(PACKET_EVERY);
            arrived += self.world.delivered.len();
            self.world.delivered.clear();
        }
        Ran {
            events: self.world.audit.events() - events,
            packets: u64::from(packets),
            arrived: u64::try_from(arrived).unwrap_or(u64::MAX),
            virtual_time: self.world.now().since(start),
        }
    }
}
