//! Every seeded bug of a router is noticed by the swarm, and by the promise that it breaks.
//!
//! `cargo test -p srwan-sim --test canary -- --nocapture` prints the table. A bug is switched on for
//! this thread alone; the same seeds must be clean while it is off.

use srwan_sim::judge::Promise;
use srwan_sim::swarm::{self, Character};
use srwan_wire::canary::{Canary, choose};
use std::ops::Range;

/// A bug, what kind of seed has to find it, within how many seeds, and the promises that it breaks.
struct Case {
    number: u8,
    canary: Canary,
    character: Character,
    seeds: Range<u64>,
    breaks: &'static [Promise],
}

macro_rules! cases {
    ($($number:literal $canary:ident: $character:ident $seeds:expr, $($promise:ident)|+;)*) => {
        &[$(Case {
            number: $number,
            canary: Canary::$canary,
            character: Character::$character,
            seeds: $seeds,
            breaks: &[$(Promise::$promise),+],
        }),*]
    };
}

/// Numbers are those of the design's list of canaries.
const CASES: &[Case] = cases![
    1 WindowTooWide: Replay 0..3, Once | Forgery;
    2 CountsForged: Storm 0..8, Forgery;
    3 SegmentsStay: Death 0..2, Loop;
    4 ListedTwice: Insider 0..3, Loop;
    5 CookieForAll: Flood 0..3, Forgery | Amplifier;
    6 ReceiptAgain: Ledger 0..6, Claim;
    7 SettleAgain: Death 0..4, Claim;
    11 NoHysteresis: Equal 0..3, Flapping;
    12 StaleRows: Storm 0..8, Stale;
    13 BootIgnored: Death 0..8, Claim | Liveness;
    16 StandbySilent: Equal 0..4, Failover;
];

/// The first seed that breaks a promise, and the first promise that it breaks.
fn first_broken(case: &Case) -> Option<(u64, Promise)> {
    case.seeds.clone().find_map(|seed| {
        let report = swarm::run_as(seed, case.character);
        report.violations.first().map(|violation| (seed, violation.promise))
    })
}

fn notice(case: &Case) -> Result<String, String> {
    choose(None);
    if let Some((seed, promise)) = first_broken(case) {
        return Err(format!("{:?} is off, and seed {seed} breaks {promise:?}", case.canary));
    }
    choose(Some(case.canary));
    let found = first_broken(case);
    choose(None);
    match found {
        Some((seed, promise)) if case.breaks.contains(&promise) => {
            Ok(format!("{:>2} {:?}: {promise:?}, seed {seed}", case.number, case.canary))
        }
        other => Err(format!("{:>2} {:?}: {other:?}", case.number, case.canary)),
    }
}

#[test]
fn every_seeded_bug_is_noticed_by_the_promise_that_it_breaks() {
    let mut missed = Vec::new();
    for case in CASES {
        match notice(case) {
            Ok(line) => println!("{line}"),
            Err(line) => missed.push(line),
        }
    }
    assert!(missed.is_empty(), "not noticed:\n{}", missed.join("\n"));
}
