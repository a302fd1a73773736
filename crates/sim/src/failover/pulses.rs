//! What the routers of a group send only to know its matrix.

use crate::net::{IP_UDP_OCTETS, Link};
use crate::world::{World, WorldConfig};
use srwan_control::PULSE_INTERVAL_DEFAULT;
use std::time::Duration;

/// Meeting one another, whole rows, first differences: all of it costs once.
const WARM_UP: Duration = Duration::from_secs(60);

/// What one router sends, IP and UDP headers included. **Units:** bits a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Mean over all routers.
    pub mean: f64,
    /// The router that sends most.
    pub most: f64,
}

/// Measures a group without hosts at the product's pulse interval, for so long.
#[must_use]
pub fn run(routers: u8, length: Duration, seed: u64) -> Rates {
    let interval = PULSE_INTERVAL_DEFAULT;
    let config =
        WorldConfig { pulse_interval: interval, sites: Vec::new(), ..WorldConfig::new(routers) };
    let mut world = World::new(&config, seed);
    let count = usize::from(routers);
    for a in 0..count {
        for b in a + 1..count {
            // Delays between 5 and 104 ms and some jitter: rows change as on the Internet.
            let spread = u64::try_from((a * 37 + b * 61) % 100).unwrap_or(0);
            let jitter = Duration::from_millis(2);
            world.link(a, b, Link { jitter, ..Link::with_owd_ms(5 + spread) });
        }
    }
    world.run(WARM_UP);
    let before: Vec<u64> = (0..count).map(|router| sent_octets(&world, router)).collect();
    // What routers tell their shells is of no interest here, and would fill the memory.
    for _ in 0..length.as_secs() {
        world.run(Duration::from_secs(1));
        world.log.clear();
    }
    let seconds = length.as_secs_f64();
    let rate = |(router, before): (usize, &u64)| {
        let octets = sent_octets(&world, router) - before;
        // One bit a second is a microsecond of a second: exact, and without a cast.
        Duration::from_micros(octets * 8).as_secs_f64() * 1e6 / seconds
    };
    let rates: Vec<f64> = before.iter().enumerate().map(rate).collect();
    Rates {
        mean: rates.iter().sum::<f64>() / f64::from(routers),
        most: rates.iter().copied().fold(0.0, f64::max),
    }
}

fn sent_octets(world: &World, router: usize) -> u64 {
    let header = u64::try_from(IP_UDP_OCTETS).unwrap_or(0);
    let meters = world.view(router).peers.into_iter().map(|peer| peer.meter.link_out);
    meters.map(|count| count.octets + count.packets * header).sum()
}
