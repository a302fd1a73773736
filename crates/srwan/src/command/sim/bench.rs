//! `srwan sim bench`

use crate::exit::Exit;
use crate::output::Output;
use clap::Args;
use serde_json::json;
use srwan_sim::bench::{Busy, Ran};
use srwan_sim::pulses::Pulses;
use srwan_sim::swarm;
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

/// Arguments of `sim bench`.
#[derive(Args)]
pub struct Bench {
    /// Packets that are sent over a relay.
    #[arg(long, default_value_t = 100_000)]
    packets: u32,
    /// Octets of payload of each.
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Groups of 100 routers at pulse level.
    #[arg(long, default_value_t = 10)]
    groups: u32,
}

/// Seeds of the swarm that are timed.
const SEEDS: u64 = 10;

impl Bench {
    /// Measures on one core, the groups at pulse level on all, and prints.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let mut busy = Busy::new(1);
        let begun = Instant::now();
        let ran = busy.run(self.packets, self.payload);
        let packets_s = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let events: u64 = (0..SEEDS).map(|seed| swarm::run(seed).events).sum();
        let swarm_s = begun.elapsed().as_secs_f64();
        let pulses = Pulsed::measure(self.groups, output);
        let rates = Rates { ran, packets_s, events, swarm_s, pulses };
        output.answer(&rates.json(), |_| rates.text())?;
        Ok(Exit::Ok)
    }
}

struct Rates {
    ran: Ran,
    packets_s: f64,
    events: u64,
    swarm_s: f64,
    pulses: Pulsed,
}

/// Groups at pulse level, in their steady state.
struct Pulsed {
    groups: u32,
    messages: u64,
    seconds: f64,
    is_full: bool,
}

/// Until every row is known; and how much is measured then.
const PULSE_WARM_UP: Duration = Duration::from_secs(60);
const PULSE_MEASURED: Duration = Duration::from_secs(60);

impl Pulsed {
    fn measure(groups: u32, output: Output) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let mut shares = Pulses::new(groups, 100, 1).deal(cores);
        on_a_core_each(&mut shares, PULSE_WARM_UP);
        output.progress("the groups are warm");
        let begun = Instant::now();
        let messages = on_a_core_each(&mut shares, PULSE_MEASURED);
        let seconds = begun.elapsed().as_secs_f64();
        Self { groups, messages, seconds, is_full: shares.iter().all(Pulses::is_full) }
    }

    /// Virtual seconds a second.
    fn speed(&self) -> f64 {
        PULSE_MEASURED.as_secs_f64() / self.seconds
    }
}

/// Lets `length` pass in all shares at once; how many messages arrived.
fn on_a_core_each(shares: &mut [Pulses], length: Duration) -> u64 {
    thread::scope(|scope| {
        let runs: Vec<_> = shares.iter_mut().map(|one| scope.spawn(|| one.run(length))).collect();
        runs.into_iter().map(|run| run.join().expect("a machine does not panic")).sum()
    })
}

/// The most memory that this process had. **Units:** MiB.
fn memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1_024)
}

impl Rates {
    /// Events and packets a second over the relay, and events a second of the swarm.
    fn rates(&self) -> [f64; 3] {
        let [events, packets, of_swarm] = [self.ran.events, self.ran.packets, self.events]
            .map(|count| f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        [events / self.packets_s, packets / self.packets_s, of_swarm / self.swarm_s]
    }

    fn json(&self) -> serde_json::Value {
        let [events, packets, of_swarm] = self.rates();
        json!({
            "schema": "srwan.sim.bench/1",
            "packets": self.ran.packets,
            "arrived": self.ran.arrived,
            "seconds": self.packets_s,
            "virtual_seconds": self.ran.virtual_time.as_secs_f64(),
            "events_per_second": events,
            "packets_per_second": packets,
            "pulse_routers": self.pulses.groups * 100,
            "pulse_messages": self.pulses.messages,
            "pulse_seconds": self.pulses.seconds,
            "pulse_speed": self.pulses.speed(),
            "memory_mib": memory_mib(),
            "pulse_full": self.pulses.is_full,
            "swarm_seeds": SEEDS,
            "swarm_seconds": self.swarm_s,
            "swarm_events_per_second": of_swarm,
        })
    }

    fn text(&self) -> String {
        let [events, packets, of_swarm] = self.rates();
        format!(
            "relay: {} packets in {:.2} s, {events:.0} events/s, {packets:.0} packets/s\n\
             swarm: {SEEDS} seeds in {:.2} s, {of_swarm:.0} events/s\n\
             pulses: {} routers, {} messages in {:.2} s, {:.2} x real time on all cores\n\
             memory: {} MiB at most",
            self.ran.packets,
            self.packets_s,
            self.swarm_s,
            self.pulses.groups * 100,
            self.pulses.messages,
            self.pulses.seconds,
            self.pulses.speed(),
            memory_mib().map_or("?".to_owned(), |mib| mib.to_string()),
        )
    }
}
