//! One turn of one way: every figure that it gives, one after the other.

mod cpu;
mod echo;
mod small;
mod streams;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::contender::{Standing, Way};
use crate::figures::{Figures, Metric};
use crate::testbed::TestBed;

pub use echo::{Echo, RoundTrips};
pub use small::open as open_datagrams;
pub use streams::{run as streams, start_server};

/// How long each measure takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Whole seconds of each run of TCP streams, as iperf3 has them.
    pub streams_s: u32,
    /// Small packets.
    pub small: Duration,
    /// Paired echoes.
    pub echo: Duration,
}

impl Times {
    /// With three rounds of all contenders on two cores: nine minutes.
    pub const FULL: Self = Self {
        streams_s: 2,
        small: Duration::from_millis(1_000),
        echo: Duration::from_millis(600),
    };
    /// To see that everything works.
    pub const QUICK: Self =
        Self { streams_s: 1, small: Duration::from_millis(500), echo: Duration::from_millis(300) };
}

/// What else belongs to a turn.
pub struct Turn<'a> {
    pub times: Times,
    /// Plain forwarding, which the echoes are paired with.
    pub plain: &'a Standing,
    /// Whether one stream is also measured with all offloads off.
    pub bare: bool,
}

/// Makes packets go this way, and waits until they arrive.
pub fn prepare(bed: &TestBed, standing: &Standing) -> Result<()> {
    if let Some(switch) = &standing.switch {
        switch(bed)?;
    }
    let echo = Echo::open(bed, standing)?;
    bed.wait_until(|| echo.round_trip().is_some()).context("no packet comes through")
}

/// Takes all figures of one way.
///
/// **Errors:** a measure failed, or the packets did not go that way all the time.
pub fn measure(bed: &TestBed, standing: &Standing, turn: &Turn) -> Result<Figures> {
    let witness = || standing.witness.as_ref().map(|witness| witness(bed)).transpose();
    let before = witness()?;
    let figures = take(bed, standing, turn)?;
    let after = witness()?;
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    anyhow::ensure!(before == after, "the path changed during the turn: {before}; then {after}");
    Ok(figures)
}

fn take(bed: &TestBed, standing: &Standing, turn: &Turn) -> Result<Figures> {
    let mut figures = idle(bed, standing, turn)?;
    figures.extend(one_stream(bed, standing, turn)?);
    figures.extend(four_streams(bed, standing, turn)?);
    let many = streams::run(bed, standing, (turn.times.streams_s, 64), || {})?;
    figures.insert(Metric::Flows64, many.gbps());
    figures.insert(Metric::Small, small::kpps(bed, standing, turn.times.small)?);
    if !standing.daemons.all.is_empty() {
        figures.insert(Metric::Memory, cpu::peak_mib(&standing.daemons.all));
    }
    if turn.bare {
        figures.insert(Metric::Tcp1Bare, bare(bed, standing, turn)?);
    }
    Ok(figures)
}

fn idle(bed: &TestBed, standing: &Standing, turn: &Turn) -> Result<Figures> {
    let (ours, plain) = (Echo::open(bed, standing)?, Echo::open(bed, turn.plain)?);
    let (mut through, mut beside) = (RoundTrips::default(), RoundTrips::default());
    let end = Instant::now() + turn.times.echo;
    while Instant::now() < end {
        through.add(ours.round_trip());
        beside.add(plain.round_trip());
    }
    anyhow::ensure!(through.count() > 0, "no echo came back");
    let added = |percent| (through.us(percent) - beside.us(percent)) / 2.0;
    Ok(Figures::from([(Metric::AddedP50, added(50)), (Metric::AddedP99, added(99))]))
}

fn one_stream(bed: &TestBed, standing: &Standing, turn: &Turn) -> Result<Figures> {
    let machine = cpu::machine_seconds()?;
    let daemons = cpu::seconds_of(&standing.daemons.all);
    let relay = standing.daemons.relay.filter(|_| standing.way == Way::Relay);
    let relaying = cpu::seconds_of(relay.as_slice());
    let flow = streams::run(bed, standing, (turn.times.streams_s, 1), || {})?;
    let per_gbit = |seconds: f64| seconds / flow.gbit.max(f64::EPSILON);
    let mut figures = Figures::from([
        (Metric::Tcp1, flow.gbps()),
        (Metric::CpuMachine, per_gbit(cpu::machine_seconds()? - machine)),
    ]);
    if !standing.daemons.all.is_empty() {
        let used = cpu::seconds_of(&standing.daemons.all) - daemons;
        figures.insert(Metric::CpuDaemons, per_gbit(used));
    }
    if relay.is_some() {
        let used = cpu::seconds_of(relay.as_slice()) - relaying;
        figures.insert(Metric::CpuRelay, per_gbit(used));
    }
    Ok(figures)
}

fn four_streams(bed: &TestBed, standing: &Standing, turn: &Turn) -> Result<Figures> {
    let echo = Echo::open(bed, standing)?;
    let mut loaded = RoundTrips::default();
    let flow = streams::run(bed, standing, (turn.times.streams_s, 4), || {
        loaded.add(echo.round_trip());
        thread::sleep(ECHO_PAUSE);
    })?;
    let mut figures = Figures::from([(Metric::Tcp4, flow.gbps())]);
    if loaded.count() > 0 {
        figures.insert(Metric::LoadedP50, loaded.us(50));
        figures.insert(Metric::LoadedP99, loaded.us(99));
    }
    Ok(figures)
}

fn bare(bed: &TestBed, standing: &Standing, turn: &Turn) -> Result<f64> {
    standing.topology.set_offloads(bed, false)?;
    let flow = streams::run(bed, standing, (turn.times.streams_s, 1), || {});
    standing.topology.set_offloads(bed, true)?;
    Ok(flow?.gbps())
}

/// Between two echoes under load: 500 a second are too few to be a load themselves.
const ECHO_PAUSE: Duration = Duration::from_millis(2);
