//! Expectations are judged from the record alone: each kind holds, fails and says its figures.

use std::time::Duration;

use srwan_scenario::judge::{Outcome, coins_from, coins_text, judge, route_key};
use srwan_scenario::record::{
    AccountCoins, Coins, FlowEnd, FlowLog, LaneSettled, LedgerTip, Record, Route, RouteSeen,
    SettledStep, Sums,
};
use srwan_scenario::{Scenario, Way, Window};

fn scenario(expect: &str) -> Scenario {
    let text = format!(
        r#"
[scenario]
name = "judge"
duration_s = 60
link = {{ owd_ms = 10 }}
node = []
[[node]]
name = "a"
role = "router"
[[node]]
name = "b"
role = "router"
[[node]]
name = "c"
role = "router"
[[node]]
name = "host"
role = "host"
behind = "a"
[[node]]
name = "web"
role = "web"
behind = "b"
[[flow]]
name = "get"
from = "host"
to = "web"
at_s = 1
until_s = 50
[[event]]
at_s = 10
do = "fail"
a = "a"
b = "b"
[[event]]
at_s = 11
do = "cut"
label = "cut"
flow = "get"
[[expect]]
{expect}
"#
    );
    Scenario::parse(&text.replace("node = []\n", "")).unwrap()
}

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// 1 MB a second from 1 s to 50 s with silence from 10 to 12 s; via c from 10.4 s, back at 30 s.
fn record() -> Record {
    let mut record = Record { routers: 2, ..Record::default() };
    record.events.insert("fail".into(), s(10.0));
    record.events.insert("cut".into(), s(29.6));
    let mut log =
        FlowLog { started: Some(s(1.0)), end: Some(FlowEnd::Lived), ..FlowLog::default() };
    for second in (1..=50u32).filter(|second| !(11..12).contains(second)) {
        log.bytes.push((s(f64::from(second)), u64::from(second) * 1_000_000));
        log.rtt_ms.push((s(f64::from(second)), f64::from(second)));
    }
    record.flows.insert("get".into(), log);
    let key = route_key(&scenario("kind = \"coins-conserved\""), "get", Way::Bulk).unwrap();
    let via = Route::Engaged { relays: vec!["c".into()] };
    let seen = |at, route| RouteSeen { at: s(at), route, reason: "why".into() };
    record.routes.insert(key, vec![seen(10.4, via), seen(30.0, Route::Default)]);
    record.complete.insert("a".into(), s(2.0));
    record.complete.insert("b".into(), s(3.5));
    record.owd.insert(("a".into(), "b".into()), Duration::from_micros(10_700));
    let sums = |height| Sums { supply: 5_000_000_000, total: 5_000_000_000, height };
    let accounts = [("c".to_owned(), AccountCoins { earned: 1_500_000_000, applied: 0 })].into();
    record.coins = Some(Coins { before: sums(3), after: sums(9), accounts });
    record
}

fn check(expect: &str, outcome: Outcome, says: &str) {
    let verdicts = judge(&scenario(expect), &record());
    assert_eq!(verdicts[0].outcome, outcome, "{}", verdicts[0].figures);
    assert!(verdicts[0].figures.contains(says), "{}", verdicts[0].figures);
}

#[test]
fn each_kind_holds_or_fails_by_its_figures() {
    use Outcome::{Failed, Held};
    check("kind = \"matrix-complete\"\nwithin_s = 4", Held, "2 of 2 routers, the last at 3.50s");
    check("kind = \"matrix-complete\"\nwithin_s = 3", Failed, "3.50s");
    let relays = |within| {
        format!(
            "kind = \"uses-relays\"\nflow = \"get\"\nafter = \"fail\"\nwithin_s = {within}\nvia = [\"c\"]"
        )
    };
    check(&relays(0.5), Held, "via c 0.40s after fail");
    check(&relays(0.3), Failed, "0.40s");
    check("kind = \"uses-relays\"\nflow = \"get\"\nwithin_s = 50\nrelays_min = 2", Failed, "never");
    check("kind = \"uses-default\"\nflow = \"get\"\nwithin_s = 0", Held, "default path 0.00s");
    check(
        "kind = \"tcp-survives\"\nflow = \"get\"\nstall_max_s = 2",
        Held,
        "longest silence 2.00s",
    );
    check(
        "kind = \"tcp-survives\"\nflow = \"get\"\nstall_max_s = 1",
        Failed,
        "longest silence 2.00s",
    );
    check(
        "kind = \"flow-moves\"\nflow = \"get\"\nafter = \"fail\"\nwithin_s = 2",
        Held,
        "2.00s after",
    );
    check(
        "kind = \"flow-moves\"\nflow = \"get\"\nafter = \"fail\"\nwithin_s = 1",
        Failed,
        "2.00s after",
    );
    let rate = |mbps| {
        format!(
            "kind = \"throughput\"\nflow = \"get\"\nfrom_s = 20\nuntil_s = 30\nmbps_min = {mbps}"
        )
    };
    check(&rate(7.9), Held, "8.0 Mbit/s");
    check(&rate(8.1), Failed, "8.0 Mbit/s");
    let rtt = |ms| {
        format!("kind = \"round-trip\"\nflow = \"get\"\nfrom_s = 20\nuntil_s = 30\nms_max = {ms}")
    };
    check(&rtt(25), Held, "25.0ms");
    check(&rtt(24), Failed, "25.0ms");
    check("kind = \"owd\"\nfrom = \"a\"\nto = \"b\"\nowd_ms = 10", Held, "10.7ms");
    check("kind = \"owd\"\nfrom = \"a\"\nto = \"b\"\nowd_ms = 12", Failed, "10.7ms");
    check("kind = \"owd\"\nfrom = \"b\"\nto = \"a\"\nowd_ms = 12", Failed, "unknown");
    check("kind = \"switches-at-most\"\nflow = \"get\"\ncount = 2", Held, "2 changes");
    check("kind = \"switches-at-most\"\nflow = \"get\"\ncount = 1", Failed, "2 changes");
    let failover = |p50| format!("kind = \"failover\"\nflow = \"get\"\np50_s = {p50}\nmax_s = 2");
    check(&failover(0.5), Held, "1 of 1 cuts answered, p50 0.40s, max 0.40s");
    check(&failover(0.3), Failed, "p50 0.40s");
    check("kind = \"coins-conserved\"", Held, "5 coins at height 3");
    check("kind = \"relay-earned\"", Held, "c 1.5 coins");
    check("kind = \"relay-earned\"\nnode = \"b\"", Failed, "nobody");
}

#[test]
fn lost_coins_and_broken_flows_are_seen() {
    let mut lost = record();
    lost.coins.as_mut().unwrap().after.total -= 1;
    let verdicts = judge(&scenario("kind = \"coins-conserved\""), &lost);
    assert_eq!(verdicts[0].outcome, Outcome::Failed);
    let mut broken = record();
    broken.flows.get_mut("get").unwrap().end = Some(FlowEnd::Broke { why: "reset".into() });
    let verdicts = judge(&scenario("kind = \"tcp-survives\"\nflow = \"get\""), &broken);
    assert_eq!(verdicts[0].outcome, Outcome::Failed);
    let mut skipped = record();
    let why = "curl is not installed".into();
    skipped.flows.get_mut("get").unwrap().end = Some(FlowEnd::Skipped { why });
    let verdicts = judge(&scenario("kind = \"tcp-survives\"\nflow = \"get\""), &skipped);
    assert_eq!(verdicts[0].outcome, Outcome::Skipped);
}

/// One lane that two tickets settled to 20 MB for 2 coins, all that its payees had evidence for.
fn settled() -> Record {
    let step = |hash: &str, before, after| SettledStep {
        hash: hash.into(),
        before,
        after,
        moved: 1_000_000_000,
    };
    let lane = LaneSettled {
        settled: 20_000_000,
        paid: 2_000_000_000,
        held: 21_000_000,
        steps: vec![step("a", 0, 10_000_000), step("b", 10_000_000, 20_000_000)],
    };
    let mut record = record();
    record.lanes.insert("lane".into(), lane);
    record
}

#[test]
fn every_octet_is_settled_once_or_the_verdict_says_which_was_not() {
    let judged = |change: &dyn Fn(&mut LaneSettled)| {
        let mut record = settled();
        record.lanes.values_mut().for_each(change);
        judge(&scenario("kind = \"settled-once\""), &record).remove(0)
    };
    let held = judged(&|_| ());
    assert_eq!(held.outcome, Outcome::Held);
    assert!(held.figures.contains("2 tickets of 1 lanes settled 20000000 bytes for 2 coins"));
    type Change<'a> = &'a dyn Fn(&mut LaneSettled);
    let wrong: [(Change<'_>, &str); 6] = [
        (&|lane| lane.steps[1].before = 9_000_000, "settled 9000000..20000000 after 10000000"),
        (&|lane| lane.steps.truncate(1), "tickets reach 10000000 bytes"),
        (&|lane| lane.steps[1].moved += 1, "the lane paid 2 coins"),
        (&|lane| lane.held = 30_000_000, "evidence for 30000000 bytes"),
        (&|lane| lane.steps[1].hash = "a".into(), "2 tickets"),
        (&|lane| *lane = LaneSettled::default(), "0 tickets"),
    ];
    for (change, says) in wrong {
        let verdict = judged(change);
        assert_eq!(verdict.outcome, Outcome::Failed, "{says}");
        assert!(verdict.figures.contains(says), "{}", verdict.figures);
    }
}

#[test]
fn validators_agree_only_at_one_height_with_one_state() {
    let judged = |second: Option<(u64, &str)>| {
        let tip = |(height, root): (u64, &str)| LedgerTip { height, state_root: root.into() };
        let mut record = record();
        record.ledgers.insert("ledger-1".into(), Some(tip((7, "aa"))));
        record.ledgers.insert("ledger-2".into(), second.map(tip));
        judge(&scenario("kind = \"ledgers-agree\""), &record).remove(0)
    };
    let agreed = judged(Some((7, "aa")));
    assert_eq!(agreed.outcome, Outcome::Held);
    assert_eq!(agreed.figures, "2 validators: height 7 state aa");
    assert_eq!(judged(Some((7, "bb"))).outcome, Outcome::Failed);
    assert_eq!(judged(Some((6, "aa"))).outcome, Outcome::Failed);
    assert_eq!(judged(None).figures, "no answer from ledger-2");
    let nobody = judge(&scenario("kind = \"ledgers-agree\""), &record()).remove(0);
    assert_eq!(nobody.outcome, Outcome::Failed);
}

#[test]
fn silence_counts_to_the_end_and_throughput_over_nothing_is_zero() {
    let mut log = FlowLog::default();
    assert_eq!(log.stall_max(), Duration::ZERO);
    log.bytes = vec![(s(1.0), 0), (s(2.0), 10), (s(3.0), 20), (s(9.0), 20)];
    assert_eq!(log.stall_max(), s(6.0));
    assert_eq!(log.mbps(Window { from: s(4.0), until: s(8.0) }), 0.0);
}

#[test]
fn coins_are_read_and_written_exactly() {
    assert_eq!(coins_from("12.000000001"), Some(12_000_000_001));
    assert_eq!(coins_from("0.5"), Some(500_000_000));
    assert_eq!(coins_from("1.0000000001"), None);
    assert_eq!(coins_from("-1"), None);
    assert_eq!(coins_text(12_000_000_001), "12.000000001 coins");
    assert_eq!(coins_text(20_000_000_000), "20 coins");
}
