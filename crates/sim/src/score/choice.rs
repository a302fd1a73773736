//! Path choice as tables: how much of the possible gain is had, and whether anybody is harmed.

use srwan_control::Preference;

use crate::score::detection::{count, median};
use crate::score::input::Slices;
use crate::score::paths::{Gain, Outcome, Protocol, Replay, Rule, gain, groups};
use crate::score::table::{Table, millis, ratio};

const RULES: [(&str, Rule); 6] = [
    ("srwan, fastest", Rule::Srwan(Preference::Fastest)),
    ("srwan, direct-first", Rule::Srwan(Preference::DirectFirst)),
    ("srwan, cheapest", Rule::Srwan(Preference::Cheapest)),
    ("past median", Rule::PastMedian),
    ("last value", Rule::LastValue),
    ("EWMA 0.3", Rule::Ewma),
];

/// The rules that are judged by harm, too: the preferences and the best plain rule.
const HARM_RULES: usize = 4;

/// Share of the gain that an oracle would have, group by group.
#[must_use]
pub fn score_gain(slices: &Slices) -> Table {
    let groups = groups(slices.nodes);
    let size = groups.first().map_or(0, Vec::len);
    let note = format!(
        "PlanetLab, {} groups of {size} of {} nodes, each decision judged by the next slice: share \
         of the gain of an oracle that takes the best of the direct path and all paths over one \
         relay; delays are RTT/2, which assumes that both ways take the same; train = group 0, \
         test = all others",
        groups.len(),
        slices.nodes,
    );
    let mut heads = vec!["rule".to_owned()];
    heads.extend((0..groups.len()).map(|group| format!("group {group}")));
    heads.extend(["test", "moves per 100 decisions"].map(str::to_owned));
    let mut table = Table::new("choice-gain", &note, &[]);
    table.columns = heads;
    let parts: Vec<Slices> = groups.iter().map(|group| slices.of(group)).collect();
    for (name, rule) in RULES {
        let gains: Vec<Gain> =
            parts.iter().map(|part| gain(part, Protocol::PLANETLAB, rule)).collect();
        table.row(&gain_row(name, &gains));
    }
    table
}

fn gain_row(name: &str, gains: &[Gain]) -> Vec<String> {
    let share = |gains: &[Gain]| {
        let gained = gains.iter().map(|gain| gain.gained).sum();
        ratio(gained, gains.iter().map(|gain| gain.possible).sum())
    };
    let mut cells = vec![name.to_owned()];
    cells.extend(gains.iter().map(|gain| share(core::slice::from_ref(gain))));
    cells.push(share(gains.get(1..).unwrap_or(&[])));
    let moves: i128 = gains.iter().map(|gain| gain.moves).sum();
    cells.push(ratio(moves * 100, gains.iter().map(|gain| gain.decisions).sum()));
    cells
}

/// A delay above this is an outage for people. **Units:** nanoseconds of half a round trip.
const OUTAGE_NS: i64 = 1_500_000_000;

/// What a policy did to a pair, beside what the direct path did.
#[derive(Clone, Debug, Default)]
struct Pair {
    chosen: Vec<i64>,
    direct: Vec<i64>,
}

/// Whether choosing harms on machines of people, whose delays are noise for the most part.
#[must_use]
pub fn score_harm(slices: &Slices) -> Table {
    let note = "Seattle, each decision judged six slices later, when every row was measured anew: \
                delay = RTT/2, which assumes that both ways take the same; anomaly = more than \
                20 % above the median of the pair's direct path in that half; outage = RTT above \
                3 s; train = decisions in the first half of the slices, test = in the second";
    let heads = [
        "rule",
        "half",
        "median",
        "median direct",
        "anomalies",
        "anomalies direct",
        "outages",
        "outages direct",
        "pairs slower in the median by > 5 ms",
        "moves per 100 decisions",
    ];
    let mut table = Table::new("choice-harm", note, &heads);
    for (name, rule) in RULES.into_iter().take(HARM_RULES) {
        for row in harm_rows(name, slices, rule) {
            table.row(&row);
        }
    }
    table
}

/// What a rule did in one half of the slices.
#[derive(Clone, Debug, Default)]
struct Half {
    pairs: Vec<Pair>,
    moves: i128,
    decisions: i128,
}

fn harm_rows(name: &str, slices: &Slices, rule: Rule) -> [Vec<String>; 2] {
    let n = slices.nodes;
    let pairs = vec![Pair::default(); n * n];
    let mut halves = [(); 2].map(|()| Half { pairs: pairs.clone(), ..Half::default() });
    Replay::new(slices, Protocol::SEATTLE).run(rule, |outcome: Outcome| {
        let half = &mut halves[usize::from(outcome.at >= slices.rows.len() / 2)];
        let pair = &mut half.pairs[outcome.pair.0 * n + outcome.pair.1];
        pair.chosen.push(outcome.chosen);
        pair.direct.push(outcome.direct);
        half.moves += i128::from(outcome.moved);
        half.decisions += 1;
    });
    let [train, test] = &halves;
    [train.row(name, "train"), test.row(name, "test")]
}

impl Half {
    fn row(&self, name: &str, part: &str) -> Vec<String> {
        let harm = self.pairs.iter().fold(Harm::default(), |harm, pair| harm.plus(pair));
        let all = |pick: fn(&Pair) -> &Vec<i64>| {
            millis(i128::from(median(self.pairs.iter().flat_map(pick).copied().collect())))
        };
        vec![
            name.to_owned(),
            part.to_owned(),
            all(|pair| &pair.chosen),
            all(|pair| &pair.direct),
            ratio(harm.anomalies[0], self.decisions),
            ratio(harm.anomalies[1], self.decisions),
            ratio(harm.outages[0], self.decisions),
            ratio(harm.outages[1], self.decisions),
            ratio(harm.pairs_slower, harm.pairs),
            ratio(self.moves * 100, self.decisions),
        ]
    }
}

/// Counts of bad moments: on the chosen path, on the direct one.
#[derive(Clone, Copy, Debug, Default)]
struct Harm {
    anomalies: [i128; 2],
    outages: [i128; 2],
    pairs: i128,
    pairs_slower: i128,
}

/// A pair is slower if its median is by more than this: the resolution of the set.
/// **Units:** nanoseconds of half a round trip.
const SLOWER_NS: i64 = 5_000_000;

impl Harm {
    fn plus(mut self, pair: &Pair) -> Self {
        if pair.direct.is_empty() {
            return self;
        }
        let usual = median(pair.direct.clone());
        let limit = usual + usual / 5;
        for (at, values) in [&pair.chosen, &pair.direct].into_iter().enumerate() {
            self.anomalies[at] += count(values.iter().filter(|v| **v > limit).count());
            self.outages[at] += count(values.iter().filter(|v| **v > OUTAGE_NS).count());
        }
        self.pairs += 1;
        let is_slower = median(pair.chosen.clone()) > usual + SLOWER_NS;
        self.pairs_slower += i128::from(is_slower);
        self
    }
}
