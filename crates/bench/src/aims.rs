//! What srwan aims at, as ratios from one run, and what the run gave. docs/performance.md says where the aims are from.

use serde::Serialize;

use crate::contender::{FORWARDING, SRWAN, Way};
use crate::figures::Metric;
use crate::report::Medians;

/// One aim.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Aim {
    pub what: &'static str,
    /// `at-least` or `at-most`.
    pub bound: Bound,
    pub aim: f64,
    /// What came of it; `null` if a contender is missing.
    pub got: Option<f64>,
    pub is_reached: Option<bool>,
}

/// Which side of an aim is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    AtLeast,
    AtMost,
}

use Bound::{AtLeast, AtMost};

/// All aims with what the medians say.
pub fn aims(medians: &Medians) -> Vec<Aim> {
    let aim = |(what, bound, aim, get): &(&'static str, Bound, f64, Get)| {
        let got = get(medians);
        let holds = |got: f64| match bound {
            AtLeast => got >= *aim,
            AtMost => got <= *aim,
        };
        Aim { what, bound: *bound, aim: *aim, got, is_reached: got.map(holds) }
    };
    AIMS.iter().map(aim).collect()
}

type Get = fn(&Medians) -> Option<f64>;

const AIMS: &[(&str, Bound, f64, Get)] = &[
    ("relay, one stream, over gotatun's chain", AtLeast, 10.0, |m| {
        ratio(m, (SRWAN, Way::Relay), ("gotatun", Way::Relay), Metric::Tcp1)
    }),
    ("relay, one stream, over nebula's relay", AtLeast, 12.0, |m| {
        ratio(m, (SRWAN, Way::Relay), ("nebula", Way::Relay), Metric::Tcp1)
    }),
    ("relay, one stream, over kernel forwarding", AtLeast, 0.45, |m| {
        ratio(m, (SRWAN, Way::Relay), (FORWARDING, Way::Plain), Metric::Tcp1)
    }),
    ("direct, one stream, over gotatun", AtLeast, 7.0, |m| {
        ratio(m, (SRWAN, Way::Direct), ("gotatun", Way::Direct), Metric::Tcp1)
    }),
    ("relay, one stream without offloads, over gotatun's chain", AtLeast, 1.8, |m| {
        ratio(m, (SRWAN, Way::Relay), ("gotatun", Way::Relay), Metric::Tcp1Bare)
    }),
    ("relay, 64 flows, over gotatun's chain", AtLeast, 5.0, |m| {
        ratio(m, (SRWAN, Way::Relay), ("gotatun", Way::Relay), Metric::Flows64)
    }),
    ("relay, small packets, over gotatun's chain", AtLeast, 2.0, |m| {
        ratio(m, (SRWAN, Way::Relay), ("gotatun", Way::Relay), Metric::Small)
    }),
    ("relay, CPU per Gbit, over gotatun's chain", AtMost, 0.1, |m| {
        ratio(m, (SRWAN, Way::Relay), ("gotatun", Way::Relay), Metric::CpuDaemons)
    }),
    // 37 Gbit/s of 1400-octet packets on one core, which is 300 ns for each. The process is also charged with what the
    // kernel does in its name up to B's socket, and with the acknowledgements, so this is an upper bound of the hop.
    ("relay's process in the chain, CPU per Gbit, s", AtMost, 0.027, |m| {
        m.get(SRWAN, Way::Relay, Metric::CpuRelay)
    }),
    ("relay hop alone, added delay p50, us", AtMost, 30.0, |m| hop(m, Metric::AddedP50)),
    ("relay hop alone, added delay p99, us", AtMost, 200.0, |m| hop(m, Metric::AddedP99)),
    ("pass-through, one stream, over kernel forwarding", AtLeast, 0.98, |m| {
        ratio(m, (SRWAN, Way::PassThrough), (FORWARDING, Way::Plain), Metric::Tcp1)
    }),
    ("pass-through, added delay p50, us", AtMost, 50.0, |m| {
        m.get(SRWAN, Way::PassThrough, Metric::AddedP50)
    }),
];

fn ratio(
    medians: &Medians,
    ours: (&'static str, Way),
    theirs: (&'static str, Way),
    metric: Metric,
) -> Option<f64> {
    let theirs = medians.get(theirs.0, theirs.1, metric)?;
    let ours = medians.get(ours.0, ours.1, metric)?;
    (theirs > 0.0).then(|| ours / theirs)
}

/// What a relay adds to the direct path.
fn hop(medians: &Medians, metric: Metric) -> Option<f64> {
    let relay = medians.get(SRWAN, Way::Relay, metric)?;
    Some(relay - medians.get(SRWAN, Way::Direct, metric)?)
}
