//! `srwan sim failover`

use crate::exit::Exit;
use crate::output::Output;
use anyhow::Context;
use clap::{Args, value_parser};
use serde::Serialize;
use srwan_sim::failover::calm::{self, Moves, Trouble};
use srwan_sim::failover::deaths::{self, Death, Times};
use srwan_sim::failover::pulses::{self, Rates};
use std::fmt::Write;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// Arguments of `sim failover`.
#[derive(Args)]
pub struct Failover {
    /// Deaths of each kind.
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=100_000))]
    deaths: u32,
    /// Hours of virtual time in which nothing dies; each is twelve hours of one way.
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u32).range(1..=1_000))]
    hours: u32,
    /// Seed of every draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Aims of the product: what the figures are held against.
const P50_MAX_MS: f64 = 300.0;
const P99_MAX_MS: f64 = 1_000.0;
const FALSE_PER_HOUR_MAX: f64 = 1.0;
const SWITCHES_PER_HOUR_MAX: f64 = 2.0;
const PULSE_KBPS_MAX: f64 = 32.0;

/// Routers of a full group, and how long their pulses are counted: thirty rounds at the product's interval.
const GROUP: u8 = 100;
const PULSES_FOR: Duration = Duration::from_secs(300);

/// Everything that was measured.
#[derive(Serialize)]
struct Report {
    schema: &'static str,
    seed: u64,
    deaths: Vec<DeathFigures>,
    calm: Vec<CalmFigures>,
    pulses: PulseFigures,
    aims_met: bool,
}

#[derive(Serialize)]
struct DeathFigures {
    death: &'static str,
    background_jitter: bool,
    count: u32,
    unanswered: u32,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Absent where no aim is set.
    aim_met: Option<bool>,
}

#[derive(Serialize)]
struct CalmFigures {
    trouble: &'static str,
    way_hours: f64,
    false_failovers_per_hour: f64,
    switches_per_hour: f64,
    aim_met: bool,
}

#[derive(Serialize)]
struct PulseFigures {
    routers: u8,
    mean_kbps: f64,
    most_kbps: f64,
    aim_met: bool,
}

/// One simulation of several that know nothing of each other.
#[derive(Clone, Copy)]
enum Task {
    Deaths(deaths::Order),
    Calm(calm::Order),
    Pulses,
}

enum Done {
    Deaths(deaths::Order, Times),
    Calm(calm::Order, Moves),
    Pulses(Rates),
}

impl Failover {
    /// Simulates and prints.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let done = all(self.tasks(), self.seed, output)?;
        let report = self.report(&done);
        output.answer(&report, text)?;
        Ok(if report.aims_met { Exit::Ok } else { Exit::Findings })
    }

    fn tasks(&self) -> Vec<Task> {
        let seed = self.seed;
        let length = Duration::from_secs(3_600) * self.hours;
        let calm = |trouble| Task::Calm(calm::Order { trouble, length, seed });
        let mut tasks = vec![Task::Pulses];
        for death in [Death::Blackout, Death::Part] {
            for jitter in [false, true] {
                tasks.push(Task::Deaths(deaths::Order { death, jitter, count: self.deaths, seed }));
            }
        }
        tasks.extend([calm(Trouble::Loss), calm(Trouble::Jitter)]);
        tasks
    }

    fn report(&self, done: &[Done]) -> Report {
        let mut report = Report {
            schema: "srwan.sim.failover/1",
            seed: self.seed,
            deaths: Vec::new(),
            calm: Vec::new(),
            pulses: pulse_figures(Rates::default()),
            aims_met: false,
        };
        for one in done {
            match one {
                Done::Deaths(order, times) => report.deaths.push(death_figures(*order, times)),
                Done::Calm(order, moves) => report.calm.push(calm_figures(*order, *moves)),
                Done::Pulses(rates) => report.pulses = pulse_figures(*rates),
            }
        }
        let deaths = report.deaths.iter().all(|one| one.aim_met != Some(false));
        let calm = report.calm.iter().all(|one| one.aim_met);
        report.aims_met = deaths && calm && report.pulses.aim_met;
        report
    }
}

/// Does all tasks, as many at once as there are processors, and keeps their order.
fn all(tasks: Vec<Task>, seed: u64, output: Output) -> anyhow::Result<Vec<Done>> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(tasks.len());
    let (todo, done) = (Mutex::new(tasks.into_iter().enumerate()), Mutex::new(Vec::new()));
    let next = || todo.lock().ok().and_then(|mut todo| todo.next());
    let work = || -> anyhow::Result<()> {
        while let Some((at, task)) = next() {
            let result = task.run(seed)?;
            output.progress(&format!("done: {}", result.name()));
            done.lock().ok().context("another simulation failed")?.push((at, result));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut joined = threads.into_iter().map(|thread| thread.join());
        joined.try_for_each(|end| end.map_err(|_| anyhow::anyhow!("a simulation failed"))?)
    })?;
    let mut done = done.into_inner().ok().context("a simulation failed")?;
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, done)| done).collect())
}

impl Task {
    fn run(self, seed: u64) -> anyhow::Result<Done> {
        Ok(match self {
            Self::Deaths(order) => Done::Deaths(order, deaths::run(order)?),
            Self::Calm(order) => Done::Calm(order, calm::run(order)?),
            Self::Pulses => Done::Pulses(pulses::run(GROUP, PULSES_FOR, seed)),
        })
    }
}

impl Done {
    fn name(&self) -> String {
        match self {
            Self::Deaths(order, _) => {
                let jitter = if order.jitter { ", jitter" } else { "" };
                format!("deaths by {}{jitter}", death_word(order.death))
            }
            Self::Calm(order, _) => format!("calm hours, {}", trouble_word(order.trouble)),
            Self::Pulses(_) => "pulses".to_owned(),
        }
    }
}

fn death_word(death: Death) -> &'static str {
    match death {
        Death::Blackout => "blackout",
        Death::Part => "30 % loss",
    }
}

fn trouble_word(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Loss => "5 % loss everywhere",
        Trouble::Jitter => "jitter of 5 ms everywhere",
    }
}

fn death_figures(order: deaths::Order, times: &Times) -> DeathFigures {
    let ms = |per_mille| times.quantile(per_mille).as_secs_f64() * 1e3;
    let (p50_ms, p99_ms, max_ms) = (ms(500), ms(990), ms(1_000));
    let is_met = p50_ms <= P50_MAX_MS && p99_ms <= P99_MAX_MS && times.unanswered == 0;
    DeathFigures {
        death: death_word(order.death),
        background_jitter: order.jitter,
        count: order.count,
        unanswered: times.unanswered,
        p50_ms,
        p99_ms,
        max_ms,
        aim_met: (order.death == Death::Blackout).then_some(is_met),
    }
}

fn calm_figures(order: calm::Order, moves: Moves) -> CalmFigures {
    let (failovers, switches) = (moves.failovers_per_hour(), moves.switches_per_hour());
    let aim_met = match order.trouble {
        Trouble::Loss => failovers <= FALSE_PER_HOUR_MAX,
        Trouble::Jitter => switches <= SWITCHES_PER_HOUR_MAX,
    };
    CalmFigures {
        trouble: trouble_word(order.trouble),
        way_hours: moves.way_hours,
        false_failovers_per_hour: failovers,
        switches_per_hour: switches,
        aim_met,
    }
}

fn pulse_figures(rates: Rates) -> PulseFigures {
    let (mean_kbps, most_kbps) = (rates.mean / 1e3, rates.most / 1e3);
    PulseFigures { routers: GROUP, mean_kbps, most_kbps, aim_met: most_kbps <= PULSE_KBPS_MAX }
}

fn text(report: &Report) -> String {
    let mut out =
        String::from("death of the path in use     jitter  count  lost     p50     p99     max\n");
    let mut add = |line: String| writeln!(out, "{line}").expect("a String takes everything");
    for one in &report.deaths {
        let jitter = if one.background_jitter { "5 ms" } else { "0.3 ms" };
        add(format!(
            "{:28} {jitter:>6} {:>6} {:>5} {:>4.0} ms {:>4.0} ms {:>4.0} ms  {}",
            one.death,
            one.count,
            one.unanswered,
            one.p50_ms,
            one.p99_ms,
            one.max_ms,
            aim(one.aim_met)
        ));
    }
    for one in &report.calm {
        add(format!(
            "{}: {:.2} false failovers/h, {:.2} switches/h over {:.0} h of one way  {}",
            one.trouble,
            one.false_failovers_per_hour,
            one.switches_per_hour,
            one.way_hours,
            aim(Some(one.aim_met))
        ));
    }
    let pulses = &report.pulses;
    add(format!(
        "pulses in a group of {}: {:.1} kbit/s in the mean, {:.1} kbit/s at most  {}",
        pulses.routers,
        pulses.mean_kbps,
        pulses.most_kbps,
        aim(Some(pulses.aim_met))
    ));
    out
}

fn aim(is_met: Option<bool>) -> &'static str {
    match is_met {
        Some(true) => "aim met",
        Some(false) => "AIM MISSED",
        None => "",
    }
}
