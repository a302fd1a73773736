//! Whether forecasts and exploration beat plain rules on data that they have not seen (W78, W84).
//!
//! Forecasts: each rule says, at each sample of a labelled series, what the next will be; it is
//! judged by the mean distance. A seasonal rule learns the hour of the week in the first half of a
//! series; whether it is *used* in the second half is decided by the last third of the first half
//! alone, where it has to beat every plain rule. Exploration: a bandit that sees only what it tries
//! against the rule that ranks by the whole matrix.

use std::collections::BTreeMap;

use srwan_control::{Preference, SegmentWatch};
use srwan_wire::time::Owd;

use crate::score::detection::{count, median};
use crate::score::input::{Slices, Trace};
use crate::score::paths::{Protocol, Replay, Rule};
use crate::score::table::{Table, millis, ratio};

const HOUR_S: u64 = 3_600;
const HOURS_OF_WEEK: u64 = 168;

/// Values whose median is the plain "past median".
const PAST: usize = 32;

/// How many values' weight the mean over the whole train part has in an hour with few values.
const PRIOR: i64 = 30;

/// A forecast that is off by more counts as this: a single wild sample is nobody's fault.
/// **Units:** nanoseconds.
const OFF_MAX_NS: i64 = 200_000_000;

/// What forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forecast {
    Last,
    Ewma,
    PastMedian,
    SinceChange,
    HourOfWeek,
}

const FORECASTS: [(&str, Forecast); 5] = [
    ("last value", Forecast::Last),
    ("EWMA 0.3", Forecast::Ewma),
    ("past median", Forecast::PastMedian),
    ("mean since the last change (srwan)", Forecast::SinceChange),
    ("hour of week + EWMA", Forecast::HourOfWeek),
];

/// The rules that a learned one has to beat.
const PLAIN: [usize; 3] = [0, 1, 2];

/// What all rules know at a moment.
struct Known {
    watch: SegmentWatch,
    past: Vec<i64>,
    ewma: i64,
    /// EWMA of what is left after the hour's mean is taken away.
    rest: i64,
    hours: BTreeMap<u64, (i64, i64)>,
    total: (i64, i64),
}

impl Known {
    fn new() -> Self {
        let watch = SegmentWatch::default();
        let (past, hours) = (Vec::new(), BTreeMap::new());
        Self { watch, past, ewma: 0, rest: 0, hours, total: (0, 0) }
    }

    fn add(&mut self, epoch: u64, value: i64, learns: bool) {
        let rest = value - self.hour(epoch);
        let is_first = self.past.is_empty();
        self.ewma = if is_first { value } else { self.ewma + (value - self.ewma) * 3 / 10 };
        self.rest = if is_first { rest } else { self.rest + (rest - self.rest) * 3 / 10 };
        self.watch.arrived(Owd::from_nanos(value));
        self.past.push(value);
        if learns {
            let hour = self.hours.entry(hour_of_week(epoch)).or_default();
            *hour = (hour.0 + value, hour.1 + 1);
            self.total = (self.total.0 + value, self.total.1 + 1);
        }
    }

    /// Mean of an hour of the week, drawn to the mean of all if few values are known.
    fn hour(&self, epoch: u64) -> i64 {
        let mean = self.total.0.checked_div(self.total.1).unwrap_or(0);
        let (sum, values) = self.hours.get(&hour_of_week(epoch)).copied().unwrap_or((0, 0));
        (sum + mean * PRIOR) / (values + PRIOR)
    }

    fn say(&self, rule: Forecast, epoch: u64) -> Option<i64> {
        let last = *self.past.last()?;
        Some(match rule {
            Forecast::Last => last,
            Forecast::Ewma => self.ewma,
            Forecast::PastMedian => {
                median(self.past[self.past.len().saturating_sub(PAST)..].to_vec())
            }
            Forecast::SinceChange => self.watch.estimate()?.expected.as_nanos(),
            Forecast::HourOfWeek => self.hour(epoch) + self.rest,
        })
    }
}

fn hour_of_week(epoch: u64) -> u64 {
    epoch / HOUR_S % HOURS_OF_WEEK
}

/// Sum of distances of each forecast and how many there were.
#[derive(Clone, Copy, Debug, Default)]
struct Off {
    sums: [i128; 5],
    forecasts: i128,
}

/// Distances in the part that decides who is used, and in the part that judges.
fn replay(trace: &Trace) -> (Off, Off) {
    let mut known = Known::new();
    let half = trace.samples.len() / 2;
    let learned = half * 2 / 3;
    let (mut deciding, mut judging) = (Off::default(), Off::default());
    for (step, (epoch, rtt)) in trace.samples.iter().enumerate() {
        let Some(value) = rtt.map(|rtt| rtt.as_nanos()) else { continue };
        let off = if step < half { &mut deciding } else { &mut judging };
        if step >= learned {
            off.add(&known, *epoch, value);
        }
        known.add(*epoch, value, step < learned);
    }
    (deciding, judging)
}

impl Off {
    fn add(&mut self, known: &Known, epoch: u64, value: i64) {
        for (sum, (_, rule)) in self.sums.iter_mut().zip(FORECASTS) {
            let Some(said) = known.say(rule, epoch) else { return };
            *sum += i128::from((said - value).abs().min(OFF_MAX_NS));
        }
        self.forecasts += 1;
    }

    fn plus(mut self, other: Self) -> Self {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, more)| *sum += more);
        self.forecasts += other.forecasts;
        self
    }

    fn best_plain(&self) -> usize {
        *PLAIN.iter().min_by_key(|at| self.sums[**at]).expect("there are plain rules")
    }

    fn mean(&self, sum: i128) -> String {
        millis(sum / self.forecasts.max(1))
    }
}

/// Forecasts of the next sample.
#[must_use]
pub fn score_forecasts(traces: &[Trace]) -> Table {
    let note = "Atlas series, forecast of the next sample in the second half of each series; the \
                hour of the week is learned in the first two thirds of the first half; a rule is \
                admitted for a series if it beats last value, EWMA and past median in the rest of \
                the first half, else the best of these is used";
    let heads = ["forecast", "mean distance, ms of RTT", "series in which it is admitted"];
    let mut table = Table::new("learning-forecasts", note, &heads);
    let replayed: Vec<(Off, Off)> = traces.iter().map(replay).collect();
    let judged = replayed.iter().fold(Off::default(), |sum, (_, judging)| sum.plus(*judging));
    for (at, (name, _)) in FORECASTS.iter().enumerate() {
        let admits =
            |(deciding, _): &&(Off, Off)| deciding.sums[at] < deciding.sums[deciding.best_plain()];
        let admitted = replayed.iter().filter(admits).count();
        let shown = if PLAIN.contains(&at) { "plain".to_owned() } else { admitted.to_string() };
        table.row(&[(*name).to_owned(), judged.mean(judged.sums[at]), shown]);
    }
    for (name, learned) in [
        ("best plain rule, chosen before", None),
        ("srwan if admitted", Some(3)),
        ("hour of week if admitted", Some(4)),
    ] {
        let used = |deciding: &Off| {
            let plain = deciding.best_plain();
            learned.filter(|at| deciding.sums[*at] < deciding.sums[plain]).unwrap_or(plain)
        };
        let sum = replayed.iter().map(|(deciding, judging)| judging.sums[used(deciding)]).sum();
        table.row(&[name.to_owned(), judged.mean(sum), format!("of {}", traces.len())]);
    }
    table
}

/// Relays that the bandit knows per pair, beside the default path: those that were best at first.
const ARMS: usize = 4;

/// One decision in so many tries an arm in turn.
const EXPLORES_EVERY: usize = 5;

/// What a bandit knows of the ways of one pair.
#[derive(Clone, Debug, Default)]
struct Bandit {
    arms: Vec<(Option<usize>, i64, i64)>,
    decisions: usize,
}

impl Bandit {
    /// An arm that was never tried, else mostly the one with the least mean, else one in turn.
    fn pick(&mut self) -> usize {
        self.decisions += 1;
        let untried = self.arms.iter().position(|arm| arm.2 == 0);
        let in_turn = self.decisions / EXPLORES_EVERY % self.arms.len().max(1);
        let explores = self.decisions.is_multiple_of(EXPLORES_EVERY);
        let mean = |arm: &(Option<usize>, i64, i64)| arm.1 / arm.2.max(1);
        let least = self.arms.iter().enumerate().min_by_key(|(at, arm)| (mean(arm), *at));
        untried.unwrap_or(if explores { in_turn } else { least.map_or(0, |(at, _)| at) })
    }
}

/// Exploration by a bandit that measures only the way it takes.
#[must_use]
pub fn score_bandit(slices: &Slices) -> Table {
    let note = "Seattle, each decision judged six slices later: a bandit per pair (the default \
                path and the 4 relays that were best in the first slice; one decision in 5 \
                explores) against rules that rank by the whole matrix; it would be used if its \
                mean delay were below the past median's and below that of never leaving the \
                default path";
    let heads = ["rule", "mean delay, ms of RTT/2", "of the default path's"];
    let mut table = Table::new("learning-bandit", note, &heads);
    let direct = mean_delay(slices, Rule::Direct);
    let rows = [
        ("default path", direct),
        ("past median", mean_delay(slices, Rule::PastMedian)),
        ("srwan, direct-first", mean_delay(slices, Rule::Srwan(Preference::DirectFirst))),
        ("bandit", bandit_delay(slices)),
    ];
    for (name, (sum, decisions)) in rows {
        let share = ratio(sum * direct.1, direct.0 * decisions.max(1));
        table.row(&[name.to_owned(), millis(sum / decisions.max(1)), share]);
    }
    table
}

fn mean_delay(slices: &Slices, rule: Rule) -> (i128, i128) {
    let mut sum = (0, 0);
    Replay::new(slices, Protocol::SEATTLE).run(rule, |outcome| {
        sum = (sum.0 + i128::from(outcome.chosen), sum.1 + 1);
    });
    sum
}

fn bandit_delay(slices: &Slices) -> (i128, i128) {
    let n = slices.nodes;
    let mut bandits: Vec<Bandit> =
        (0..n * n).map(|pair| bandit(&slices.rows[0], n, pair)).collect();
    let protocol = Protocol::SEATTLE;
    let mut sum = (0_i128, 0_i128);
    let mut at = 0;
    while let Some(later) = slices.rows.get(at + protocol.ahead) {
        for pair in (0..n * n).filter(|pair| pair / n != pair % n) {
            let bandit = &mut bandits[pair];
            let picked = bandit.pick();
            let Some(arm) = bandit.arms.get_mut(picked) else { continue };
            let took = way(later, n, pair, arm.0);
            *arm = (arm.0, arm.1 + took, arm.2 + 1);
            if at + 1 >= protocol.known_min {
                sum = (sum.0 + i128::from(took), sum.1 + count(1));
            }
        }
        at += protocol.every;
    }
    sum
}

fn bandit(first: &[i64], n: usize, pair: usize) -> Bandit {
    let relays = (0..n).filter(|relay| *relay != pair / n && *relay != pair % n);
    let mut ways: Vec<(i64, usize)> =
        relays.map(|relay| (way(first, n, pair, Some(relay)), relay)).collect();
    ways.sort_unstable();
    let relays = ways.into_iter().take(ARMS).map(|(_, relay)| (Some(relay), 0, 0));
    Bandit { arms: core::iter::once((None, 0, 0)).chain(relays).collect(), decisions: 0 }
}

fn way(slice: &[i64], n: usize, pair: usize, relay: Option<usize>) -> i64 {
    match relay {
        None => slice[pair] / 2,
        Some(relay) => (slice[pair / n * n + relay] + slice[relay * n + pair % n]) / 2,
    }
}
