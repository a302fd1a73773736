//! Garbage at full speed for two routers' ports, R's and B's, while a flow that was there before goes on over R.
//!
//! ```text
//!  X --garbage--> R, and through R's kernel to B
//!  A --flow, relayed by R--> B
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use srwan_lab::process::Running;
use srwan_lab::scenario::NodeName;
use srwan_lab::settings::ROUTER_PORT;

use crate::contender::{SCENARIO, Standing, stand_relay};
use crate::garbage::Sent;
use crate::measure;
use crate::programs::Programs;
use crate::steady::{Outcome, Steady};
use crate::strain::{Counters, resident_kib, unread};
use crate::testbed::TestBed;
use crate::topology::End;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub seconds: u64,
    pub garbage: Sent,
    pub garbage_pps: f64,
    /// The flow in as much time without garbage, at most ten seconds.
    pub quiet: Outcome,
    pub flooded: Outcome,
    /// The routers that got garbage, by name.
    pub routers: BTreeMap<String, Strained>,
    pub aims: Vec<Aim>,
}

/// One of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Strained {
    /// Packets refused while the garbage came, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Datagrams that never reached it because its socket was full.
    pub unread: u64,
    /// Octets that it handed to its host, and what the other end had sealed for it.
    pub delivered_octets: u64,
    pub sealed_octets: u64,
    pub resident_kib_before: u64,
    pub resident_kib_after: u64,
    /// The oldest that a pulse of another router ever was, when looked at once a second.
    pub pulse_age_max_s: f64,
    /// Cells of the matrix that were known at the worst moment, of six.
    pub known_cells_min: u64,
}

/// Something that must hold.
#[derive(Clone, Debug, Serialize)]
pub struct Aim {
    pub what: &'static str,
    pub figures: String,
    pub is_reached: bool,
}

impl Report {
    /// Whether all of it holds.
    pub fn holds(&self) -> bool {
        self.aims.iter().all(|aim| aim.is_reached)
    }
}

/// Sets everything up, measures, and removes it.
///
/// **Errors:** it could not be set up, or was interrupted.
pub fn run(seconds: u64, keep_logs: bool, tell: &dyn Fn(&str)) -> Result<Report> {
    let mut bed = TestBed::claim(SCENARIO, Programs::new(None), keep_logs)?;
    tell("starting controller, ledger and three routers");
    let standing = stand_relay(&mut bed)?;
    let source = NodeName::new("x")?;
    standing.topology.attach(&mut bed, &source, SOURCE)?;
    measure::prepare(&bed, &standing)?;
    Flood { bed: &bed, standing: &standing, source, seconds }.run(tell)
}

struct Flood<'a> {
    bed: &'a TestBed,
    standing: &'a Standing,
    source: NodeName,
    seconds: u64,
}

/// Readings of the routers before and during.
struct Readings {
    before: BTreeMap<End, (Counters, u64, u64)>,
    sender_before: Counters,
    pulse_age_s: BTreeMap<End, f64>,
    known: BTreeMap<End, u64>,
}

impl Flood<'_> {
    fn run(&self, tell: &dyn Fn(&str)) -> Result<Report> {
        tell("the flow alone");
        let quiet = self.flow(|| {
            thread::sleep(Duration::from_secs(self.seconds.min(QUIET_SECONDS_MAX)));
            Ok(())
        })?;
        tell(&format!("garbage for {} s", self.seconds));
        let mut readings = self.read_before()?;
        let flooded = self.flow(|| self.garbage(&mut readings))?;
        let garbage = self.sent()?;
        let routers = TARGETS
            .into_iter()
            .map(|end| Ok((end.word().to_owned(), self.strained(end, &readings)?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let garbage_pps = garbage.datagrams as f64 / self.seconds.max(1) as f64;
        let aims = aims(&garbage, &flooded, &routers);
        let (schema, seconds) = ("srwan.bench-flood/1", self.seconds);
        Ok(Report { schema, seconds, garbage, garbage_pps, quiet, flooded, routers, aims })
    }

    /// What became of a flow that went on meanwhile.
    fn flow(&self, mut meanwhile: impl FnMut() -> Result<()>) -> Result<Outcome> {
        let steady = Steady::start(self.bed, self.standing)?;
        let done = meanwhile();
        let outcome = steady.stop();
        done?;
        outcome
    }

    fn read_before(&self) -> Result<Readings> {
        let read = |end: End| {
            let counters = Counters::of(self.bed, self.standing, end)?;
            let unread = unread(self.bed, self.standing, end)?;
            Ok((end, (counters, unread, resident_kib(self.process(end)?)?)))
        };
        Ok(Readings {
            before: TARGETS.into_iter().map(read).collect::<Result<_>>()?,
            sender_before: Counters::of(self.bed, self.standing, End::A)?,
            pulse_age_s: BTreeMap::new(),
            known: BTreeMap::new(),
        })
    }

    /// Sends garbage and looks at the routers once a second meanwhile.
    fn garbage(&self, readings: &mut Readings) -> Result<()> {
        let mut running = self.start()?;
        let deadline = Instant::now() + Duration::from_secs(self.seconds) + END_WAIT;
        while running.ended().is_none() {
            anyhow::ensure!(!self.bed.is_interrupted(), "interrupted");
            anyhow::ensure!(Instant::now() < deadline, "the sender of garbage does not end");
            thread::sleep(LOOK);
            for end in TARGETS {
                let seen = Counters::of(self.bed, self.standing, end)?;
                let age = readings.pulse_age_s.entry(end).or_default();
                *age = age.max(seen.pulse_age_s);
                let known = readings.known.entry(end).or_insert(u64::MAX);
                *known = seen.known_cells.min(*known);
            }
        }
        Ok(())
    }

    fn start(&self) -> Result<Running> {
        let target = |end: End| format!("{}:{ROUTER_PORT}", end.address());
        let mut command = vec![self.bed.program(), "bench".into(), "garbage".into()];
        command.extend(["--seconds".into(), self.seconds.to_string()]);
        command.extend(TARGETS.into_iter().map(target));
        self.bed.begin(&self.source, GARBAGE, command)
    }

    fn sent(&self) -> Result<Sent> {
        let log = self.bed.folder(&self.source).join(format!("{GARBAGE}.log"));
        let text = fs::read_to_string(&log).context("the sender of garbage said nothing")?;
        serde_json::from_str(&text).with_context(|| format!("the sender of garbage: {text}"))
    }

    fn strained(&self, end: End, readings: &Readings) -> Result<Strained> {
        let (before, unread_before, kib) = &readings.before[&end];
        let after = Counters::of(self.bed, self.standing, end)?;
        let sender = Counters::of(self.bed, self.standing, End::A)?;
        let old = |reason: &String| before.drops.get(reason).copied().unwrap_or(0);
        let more = |(reason, count): (&String, &u64)| {
            let fresh = count.saturating_sub(old(reason));
            (fresh > 0).then(|| (reason.clone(), fresh))
        };
        let sealed = sender.sent_octets - readings.sender_before.sent_octets;
        Ok(Strained {
            rejected: after.drops.iter().filter_map(more).collect(),
            unread: unread(self.bed, self.standing, end)?.saturating_sub(*unread_before),
            delivered_octets: after.delivered_octets - before.delivered_octets,
            sealed_octets: if end == End::B { sealed } else { 0 },
            resident_kib_before: *kib,
            resident_kib_after: resident_kib(self.process(end)?)?,
            pulse_age_max_s: readings.pulse_age_s.get(&end).copied().unwrap_or(f64::MAX),
            known_cells_min: readings.known.get(&end).copied().unwrap_or(0),
        })
    }

    fn process(&self, end: End) -> Result<i32> {
        self.standing.daemons.routers.get(&end).copied().context("every end has a router")
    }
}

fn aims(garbage: &Sent, flow: &Outcome, routers: &BTreeMap<String, Strained>) -> Vec<Aim> {
    let every = |holds: fn(&Strained) -> bool| routers.values().all(holds);
    let list = |figure: fn(&Strained) -> String| {
        let one = |(name, router): (&String, &Strained)| format!("{name} {}", figure(router));
        routers.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let rejected: u64 = routers.values().flat_map(|router| router.rejected.values()).sum();
    let unread: u64 = routers.values().map(|router| router.unread).sum();
    let seen = rejected + unread;
    vec![
        Aim {
            what: "the flow loses less than 1 %",
            figures: format!("{:.3} % of {}", flow.lost_percent, flow.sent),
            is_reached: flow.lost_percent < LOST_PERCENT_MAX,
        },
        Aim {
            what: "nothing of the garbage is delivered",
            figures: format!(
                "{} foreign datagrams; octets: {}",
                flow.foreign,
                list(|router| format!("{} of {}", router.delivered_octets, router.sealed_octets))
            ),
            is_reached: flow.foreign == 0
                && every(|router| router.delivered_octets <= router.sealed_octets),
        },
        Aim {
            what: "memory grows by less than 1 MiB",
            figures: list(|router| {
                format!("{} -> {} KiB", router.resident_kib_before, router.resident_kib_after)
            }),
            is_reached: every(|router| {
                router.resident_kib_after < router.resident_kib_before + GROWTH_KIB_MAX
            }),
        },
        Aim {
            what: "counters tell of what was refused, the kernel's of what was not read",
            figures: format!("{rejected} and {unread} of {}", garbage.datagrams),
            is_reached: rejected > 0 && seen as f64 > COUNTED_MIN * garbage.datagrams as f64,
        },
        Aim {
            what: "the matrix keeps moving: all cells known, no pulse older than 3 s",
            figures: list(|router| {
                let (cells, age) = (router.known_cells_min, router.pulse_age_max_s);
                format!("{cells} of {CELLS}, {age:.1} s")
            }),
            is_reached: every(|router| {
                router.known_cells_min == CELLS && router.pulse_age_max_s <= PULSE_AGE_MAX_S
            }),
        },
    ]
}

const TARGETS: [End; 2] = [End::R, End::B];
/// Name of the sender's process.
const GARBAGE: &str = "garbage";
/// Site 9 of the lab's addresses, which no router has.
const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 1);
const QUIET_SECONDS_MAX: u64 = 10;
const LOOK: Duration = Duration::from_secs(1);
/// Beyond its time the sender only writes what it did.
const END_WAIT: Duration = Duration::from_secs(5);
/// The issue's.
const LOST_PERCENT_MAX: f64 = 1.0;
/// Buffers that grow once, and what an allocator rounds up.
const GROWTH_KIB_MAX: u64 = 1_024;
/// A datagram that a device's queue loses is in neither counter.
const COUNTED_MIN: f64 = 0.5;
/// Three routers, without the diagonal.
const CELLS: u64 = 6;
/// Pulses come every second; two in a row may be lost.
const PULSE_AGE_MAX_S: f64 = 3.0;
