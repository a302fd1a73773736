//! How well changes are detected: alarms against labels that a person set.
//!
//! An alarm names the step at which the change began. It is right if a label stands within three
//! steps of that, and each label can be found once only. Traces alternate between the train half,
//! on which the detector's constants were chosen, and the test half.

use srwan_control::{Quantity, SegmentWatch};

use crate::score::input::Trace;
use crate::score::table::{Table, ratio};

/// Steps that an alarm may be away from its label.
pub const WITHIN: usize = 3;

/// An alarm: when it was raised, and when it says the change began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Step at which it was raised.
    pub raised: usize,
    /// Step at which the change began.
    pub began: usize,
}

/// How alarms and labels met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Alarms with a label of their own.
    pub right: i128,
    /// Alarms.
    pub alarms: i128,
    /// Labels.
    pub labels: i128,
}

impl Hits {
    /// Matches alarms with labels one to one, both in order of time: the first label within reach
    /// of the first alarm, and so on, which matches as many as any way can.
    #[must_use]
    pub fn of(alarms: &[usize], labels: &[usize]) -> Self {
        let mut left = alarms.iter().copied().peekable();
        let mut right = 0;
        for label in labels {
            while left.peek().is_some_and(|at| at + WITHIN < *label) {
                left.next();
            }
            if left.peek().is_some_and(|at| *at <= label + WITHIN) {
                left.next();
                right += 1;
            }
        }
        Self { right, alarms: count(alarms.len()), labels: count(labels.len()) }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            right: self.right + other.right,
            alarms: self.alarms + other.alarms,
            labels: self.labels + other.labels,
        }
    }

    /// Harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> String {
        ratio(2 * self.right, self.alarms + self.labels)
    }
}

/// The alarms of production's detector: delay alone, since the labels are about delay.
#[must_use]
pub fn alarms(trace: &Trace) -> Vec<Alarm> {
    let mut watch = SegmentWatch::default();
    let mut found = Vec::new();
    for (raised, (_, rtt)) in trace.samples.iter().enumerate() {
        let shown = match rtt {
            Some(rtt) => watch.arrived(*rtt)[0],
            None => watch.lost(),
        };
        if let Some(change) = shown.filter(|change| change.quantity == Quantity::Delay) {
            let ago = usize::try_from(change.pulses_ago).expect("a trace fits in memory");
            found.push(Alarm { raised, began: raised.saturating_sub(ago) });
        }
    }
    found
}

/// The table: production's detector beside two plain rules.
#[must_use]
pub fn score(traces: &[Trace]) -> Table {
    let note = "Labelled Atlas series: an alarm is right within 3 samples of a label, one to one; \
                train = traces 1, 3, 5 .., test = traces 2, 4, 6 .. of the file";
    let heads = ["rule", "part", "precision", "recall", "F1", "alarms", "labels"];
    let mut table = Table::new("detection", note, &heads);
    let detector = |trace: &Trace| alarms(trace).iter().map(|alarm| alarm.began).collect();
    let late = |trace: &Trace| alarms(trace).iter().map(|alarm| alarm.raised).collect();
    let mad = |trace: &Trace| runs(trace, beyond_mad, MAD_WINDOW, MAD_RUN);
    let mad_began = |trace: &Trace| starts(&mad(trace), MAD_RUN);
    let fifth = |trace: &Trace| runs(trace, beyond_fifth, FIFTH_WINDOW, 1);
    add(&mut table, "srwan, where the change began", traces, &detector);
    add(&mut table, "srwan, when the alarm came", traces, &late);
    add(&mut table, "median + 6 MAD, 4 in a row, where it began", traces, &mad_began);
    add(&mut table, "median + 6 MAD, 4 in a row, when it came", traces, &mad);
    add(&mut table, "20 % off the median", traces, &fifth);
    table
}

fn add(table: &mut Table, rule: &str, traces: &[Trace], find: &dyn Fn(&Trace) -> Vec<usize>) {
    let hits: Vec<Hits> = traces.iter().map(|t| Hits::of(&find(t), &t.labels)).collect();
    let sum = |half: Option<usize>| {
        let chosen = hits.iter().enumerate().filter(|(at, _)| half.is_none_or(|h| at % 2 == h));
        chosen.fold(Hits::default(), |sum, (_, hits)| sum.plus(*hits))
    };
    for (part, half) in [("train", Some(0)), ("test", Some(1)), ("whole", None)] {
        let all = sum(half);
        let (precision, recall) = (ratio(all.right, all.alarms), ratio(all.right, all.labels));
        let (alarms, labels) = (all.alarms.to_string(), all.labels.to_string());
        let cells = [rule.to_owned(), part.to_owned(), precision, recall, all.f1(), alarms, labels];
        table.row(&cells);
    }
}

/// Samples of the plain rules' medians: 32 gives the first its best F1 of 16, 32, 64 and 128
/// within a hundredth; the second has the same.
const MAD_WINDOW: usize = 32;
const FIFTH_WINDOW: usize = 32;

/// Samples in a row that the first rule waits for: of 1 to 4 the best.
const MAD_RUN: usize = 4;

/// Samples before a plain rule says anything.
const PLAIN_MIN: usize = 8;

/// Steps at which a plain rule has been true `run` times in a row.
fn runs(trace: &Trace, rule: fn(&[i64], i64) -> bool, window: usize, run: usize) -> Vec<usize> {
    let mut past: Vec<i64> = Vec::new();
    let mut streak = 0;
    let mut found = Vec::new();
    for (step, (_, rtt)) in trace.samples.iter().enumerate() {
        let Some(value) = rtt.map(|rtt| rtt.as_nanos()) else { continue };
        let from = past.len().saturating_sub(window);
        let is_off = past.len() >= PLAIN_MIN && rule(&past[from..], value);
        streak = if is_off { streak + 1 } else { 0 };
        if streak == run {
            found.push(step);
        }
        past.push(value);
    }
    found
}

fn starts(raised: &[usize], run: usize) -> Vec<usize> {
    raised.iter().map(|step| step.saturating_sub(run - 1)).collect()
}

fn beyond_mad(past: &[i64], value: i64) -> bool {
    let middle = median(past.to_vec());
    let deviation = median(past.iter().map(|v| (v - middle).abs()).collect());
    (value - middle).abs() > 6 * deviation
}

fn beyond_fifth(past: &[i64], value: i64) -> bool {
    let middle = median(past.to_vec());
    (value - middle).abs() * 5 > middle
}

/// The lower median; zero of nothing.
#[must_use]
pub fn median(mut values: Vec<i64>) -> i64 {
    if values.is_empty() {
        return 0;
    }
    let at = (values.len() - 1) / 2;
    *values.select_nth_unstable(at).1
}

pub(crate) fn count(items: usize) -> i128 {
    i128::try_from(items).expect("what is counted fits in memory")
}
