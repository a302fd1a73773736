//! What groupings are worth, on measured delays between hosting servers (WonderNetwork).
//!
//! Small: 120 servers in 4 groups. Grouping sees only what DITEX would hold: delays inside present
//! groups, places. What a grouping is worth is then read off the true delays, also those that it
//! never saw. Large: 10,000 routers, each of them one of the servers drawn again; delays between
//! routers are those measured between their servers.

use std::collections::{BTreeMap, BTreeSet};

use srwan_ditex::{
    Direction, GroupSummary, Placed, RegroupLimits, Standing, choose, regroup, transits,
};
use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::roster::Location;

use crate::score::detection::{count, median};
use crate::score::input::{Ping, Server};
use crate::score::table::{Table, millis, ratio};

const GROUPS: usize = 4;
const ROUNDS: u64 = 48;

/// Routers of the large case, in groups of a hundred.
const ROUTERS: usize = 10_000;
const GROUP_OF: usize = 100;

/// Two routers of the same server are so far apart, one way: half of 3 ms, about what AWS regions
/// show between hosts inside of them (the diagonal of the shipped AWS file). **Units:** nanoseconds.
const SAME_SERVER_NS: i64 = 1_500_000;

/// Pairs of the large case that are looked at.
const PAIRS: usize = 4_000;

/// Measured delays between servers, RTT/2.
struct Truth {
    n: usize,
    delays: Vec<i64>,
}

impl Truth {
    fn new(pings: &[Ping], servers: &[Server]) -> Self {
        let n = servers.len();
        let index: BTreeMap<u32, usize> =
            servers.iter().enumerate().map(|(at, server)| (server.node, at)).collect();
        let mut delays = vec![SAME_SERVER_NS; n * n];
        for ping in pings {
            if let (Some(a), Some(z)) = (index.get(&ping.source), index.get(&ping.target)) {
                delays[a * n + z] = ping.mean_ns / 2;
            }
        }
        Self { n, delays }
    }

    fn at(&self, a: usize, z: usize) -> i64 {
        self.delays[a * self.n + z]
    }

    /// Mean gain of all pairs over the best one member of `members`.
    fn gain(&self, members: &[usize], relays: &[usize]) -> (i128, i128) {
        let mut sum = (0, 0);
        for a in members {
            for z in members.iter().filter(|z| *z != a) {
                let over = relays.iter().filter(|r| *r != a && *r != z);
                let best = over.map(|r| self.at(*a, *r) + self.at(*r, *z)).min();
                let gain = best.map_or(0, |best| (self.at(*a, *z) - best).max(0));
                sum = (sum.0 + i128::from(gain), sum.1 + 1);
            }
        }
        sum
    }

    /// The same delays with one more relay allowed in the middle of every path.
    fn relayed(&self) -> Self {
        let n = self.n;
        let mut delays = self.delays.clone();
        for a in 0..n {
            for r in 0..n {
                let head = self.at(a, r);
                for z in 0..n {
                    delays[a * n + z] = delays[a * n + z].min(head + self.at(r, z));
                }
            }
        }
        Self { n, delays }
    }
}

/// Both tables.
#[must_use]
pub fn score(pings: &[Ping], servers: &[Server]) -> Vec<Table> {
    if servers.len() < GROUPS * 2 {
        return Vec::new();
    }
    let truth = Truth::new(pings, servers);
    vec![small(&truth, servers), large(&truth, servers)]
}

fn place(server: &Server) -> Direction {
    let (lat_e6, lon_e6) = server.place;
    Direction::of(&Location { lat_e6, lon_e6, ..Location::default() })
}

fn node(at: usize) -> NodeId {
    let number = u32::try_from(at + 1).expect("10,000 routers");
    NodeId::new(number).expect("counted from 1")
}

fn index(node: NodeId) -> usize {
    usize::try_from(node.get()).expect("a number of this table") - 1
}

type Groups = BTreeMap<GroupId, Vec<usize>>;

fn small(truth: &Truth, servers: &[Server]) -> Table {
    let used = servers.len() / GROUPS * GROUPS;
    let size = used / GROUPS;
    let note = format!(
        "WonderNetwork, {GROUPS} groups of {size} servers: mean gain of pairs inside a group over \
         the best single member of it; delays are RTT/2, which assumes that both ways take the \
         same; the set has no autonomous systems, so places alone are told apart; regrouping: \
         {ROUNDS} rounds of at most {} swaps, sees only delays inside present and past groups",
        RegroupLimits::default().swaps_max,
    );
    let heads =
        ["grouping", "gain, ms", "distinct countries per group", "moves per round", "moves in all"];
    let mut table = Table::new("grouping-gain", &note, &heads);
    let standings: Vec<Standing> = (0..used)
        .map(|at| Standing {
            node: node(at),
            group: GroupId(u32::try_from(at % GROUPS).expect("few groups")),
            place: place(&servers[at]),
            asn: 0,
        })
        .collect();
    let random = groups_of(&standings);
    let near = by_place(servers, used, size);
    let mut row = |name: &str, groups: &Groups, moves: &[usize]| {
        let most = moves.iter().max().map_or("-".to_owned(), ToString::to_string);
        let all = if moves.is_empty() { "-".to_owned() } else { sum(moves).to_string() };
        let gain = gain_of(truth, groups);
        table.row(&[name.to_owned(), gain, countries(servers, groups), most, all]);
    };
    row("in order of the list (random)", &random, &[]);
    row("nearest centre, in order of joining", &groups_of(&near), &[]);
    let (regrouped, moves) = rounds(truth, standings);
    row("random, then regrouped", &regrouped, &moves);
    let (regrouped, moves) = rounds(truth, near);
    row("nearest centre, then regrouped", &regrouped, &moves);
    let all: Vec<usize> = (0..used).collect();
    let flat = truth.gain(&all, &all);
    let mut cells = vec!["one flat graph of all".to_owned(), millis(flat.0 / flat.1.max(1))];
    cells.extend(["-", "-", "-"].map(str::to_owned));
    table.row(&cells);
    table
}

fn sum(moves: &[usize]) -> usize {
    moves.iter().sum()
}

fn groups_of(standings: &[Standing]) -> Groups {
    let mut groups = Groups::new();
    for (at, standing) in standings.iter().enumerate() {
        groups.entry(standing.group).or_default().push(at);
    }
    groups
}

/// Joins one after the other, as production lets routers in.
fn by_place(servers: &[Server], used: usize, size: usize) -> Vec<Standing> {
    let mut summaries: Vec<GroupSummary> = Vec::new();
    let mut standings = Vec::new();
    for (at, server) in servers.iter().enumerate().take(used) {
        let (lat_e6, lon_e6) = server.place;
        let location = Location { lat_e6, lon_e6, ..Location::default() };
        let group = choose(&summaries, &location, size).unwrap_or_else(|| {
            let group = GroupId(u32::try_from(summaries.len()).expect("few groups"));
            summaries.push(GroupSummary { group, members: 0, centre: Direction::default() });
            group
        });
        let chosen = summaries.iter_mut().find(|s| s.group == group).expect("it was chosen");
        chosen.members += 1;
        chosen.centre = chosen.centre.plus(Direction::of(&location));
        let (node, place) = (node(at), Direction::of(&location));
        standings.push(Standing { node, group, place, asn: 0 });
    }
    standings
}

/// Rounds of regrouping; how many routers each of them moved.
fn rounds(truth: &Truth, mut standings: Vec<Standing>) -> (Groups, Vec<usize>) {
    let n = standings.len();
    let (mut moves, mut seen) = (Vec::new(), vec![false; n * n]);
    for round in 0..ROUNDS {
        let group_of: Vec<GroupId> = standings.iter().map(|s| s.group).collect();
        for (pair, seen) in seen.iter_mut().enumerate() {
            *seen |= group_of[pair / n] == group_of[pair % n];
        }
        let measured = |a: NodeId, z: NodeId| {
            let (a, z) = (index(a), index(z));
            seen[a * n + z].then(|| truth.at(a, z))
        };
        let swaps = regroup(&standings, &measured, RegroupLimits::default(), round);
        for swap in &swaps {
            standings[index(swap.left.0)].group = swap.right.1;
            standings[index(swap.right.0)].group = swap.left.1;
        }
        moves.push(swaps.len() * 2);
    }
    (groups_of(&standings), moves)
}

fn gain_of(truth: &Truth, groups: &Groups) -> String {
    let gains = groups.values().map(|members| truth.gain(members, members));
    let (gain, pairs) = gains.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    millis(gain / pairs.max(1))
}

fn countries(servers: &[Server], groups: &Groups) -> String {
    let distinct = |members: &Vec<usize>| {
        let seen: BTreeSet<&str> = members.iter().map(|at| servers[*at].country.as_str()).collect();
        count(seen.len())
    };
    ratio(groups.values().map(distinct).sum(), count(groups.len()))
}

/// A generator whose numbers are the same everywhere. Source: SplitMix64 (Steele et al., 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound.max(1)).expect("a bound fits");
        usize::try_from((mixed ^ (mixed >> 31)) % bound).expect("below a usize")
    }
}

fn large(truth: &Truth, servers: &[Server]) -> Table {
    let note = format!(
        "{ROUTERS} routers, each one of the {} WonderNetwork servers drawn again (seed 1), in {} \
         groups of {GROUP_OF} as production lets them in; {PAIRS} pairs of different groups (seed \
         2); \
         optimum: the fastest path over at most three relays of one flat graph; delays are RTT/2, \
         which assumes that both ways take the same; between routers of one server 1.5 ms, half \
         of what AWS regions show inside",
        servers.len(),
        ROUTERS / GROUP_OF,
    );
    let heads = [
        "way",
        "sum of ways / sum of optima",
        "median of way / optimum",
        "p90",
        "p99",
        "within 5 %",
    ];
    let mut table = Table::new("grouping-transit", &note, &heads);
    let mut draw = Draw(1);
    let drawn: Vec<usize> = (0..ROUTERS).map(|_| draw.below(servers.len())).collect();
    let population: Vec<Server> = drawn.iter().map(|at| servers[*at].clone()).collect();
    let standings = by_place(&population, ROUTERS, GROUP_OF);
    let delay = |a: NodeId, z: NodeId| truth.at(drawn[index(a)], drawn[index(z)]);
    let placed = |at: &usize| Placed { node: node(*at), place: standings[*at].place };
    let members: BTreeMap<GroupId, Vec<Placed>> = groups_of(&standings)
        .into_iter()
        .map(|(id, members)| (id, members.iter().map(placed).collect()))
        .collect();
    let in_group = |a: NodeId, z: NodeId| {
        let is_measured = standings[index(a)].group == standings[index(z)].group;
        is_measured.then(|| delay(a, z))
    };
    let optimum = truth.relayed().relayed();
    let mut ratios = (Vec::new(), Vec::new());
    let mut sums = [0_i128; 3];
    let mut draw = Draw(2);
    while ratios.0.len() < PAIRS {
        let (a, z) = (draw.below(ROUTERS), draw.below(ROUTERS));
        let ids = (standings[a].group, standings[z].group);
        if ids.0 == ids.1 || drawn[a] == drawn[z] {
            continue;
        }
        let best = optimum.at(drawn[a], drawn[z]).max(1);
        let direct = delay(node(a), node(z));
        let (near, far) = (&members[&ids.0], &members[&ids.1]);
        let found = transits(placed(&a), placed(&z), near, far, &in_group);
        let probed = found.iter().map(|w| delay(node(a), w.relay) + delay(w.relay, node(z)));
        let permille = |delay: i64| delay.saturating_mul(1_000) / best;
        let took = probed.fold(direct, i64::min);
        let now = [took, direct, best].map(i128::from);
        sums.iter_mut().zip(now).for_each(|(sum, one)| *sum += one);
        ratios.0.push(permille(took));
        ratios.1.push(permille(direct));
    }
    table.row(&spread_of(
        "best of the direct path and 4 probed ways (srwan)",
        ratios.0,
        ratio(sums[0], sums[2]),
    ));
    table.row(&spread_of("direct, no relay", ratios.1, ratio(sums[1], sums[2])));
    table
}

fn spread_of(name: &str, mut permille: Vec<i64>, total: String) -> Vec<String> {
    let within = permille.iter().filter(|ratio| **ratio <= 1_050).count();
    let all = permille.len();
    let middle = median(permille.clone());
    permille.sort_unstable();
    let at = |percent: usize| ratio(i128::from(permille[(all - 1) * percent / 100]), 1_000);
    let shown = ratio(i128::from(middle), 1_000);
    vec![name.to_owned(), total, shown, at(90), at(99), ratio(count(within), count(all))]
}
