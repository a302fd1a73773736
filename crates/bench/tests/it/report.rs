//! What a report says of runs.

use std::collections::BTreeMap;

use srwan_bench::contender::{CONTENDERS, Contender, Way};
use srwan_bench::figures::{Figures, Metric};
use srwan_bench::measure::Times;
use srwan_bench::net::Options;
use srwan_bench::report::{Report, Run, State};

fn run(name: &str, turns: &[(Way, &[f64])]) -> Run {
    let contender = Contender::named(name).unwrap();
    let figures =
        |gbps: &f64| Figures::from([(Metric::Tcp1, *gbps), (Metric::CpuDaemons, 1.0 / gbps)]);
    let turns = turns.iter().map(|(way, rates)| (*way, rates.iter().map(figures).collect()));
    let turns: BTreeMap<_, _> = turns.collect();
    Run { contender, version: None, state: State::Measured, turns, failures: BTreeMap::new() }
}

fn report(runs: Vec<Run>) -> Report {
    let options = Options {
        rounds: 3,
        contenders: Vec::new(),
        ways: Vec::new(),
        quick: true,
        no_offload: false,
        keep_logs: false,
        programs: None,
    };
    Report::new(&options, Times::QUICK, runs)
}

#[test]
fn contenders_have_names_of_their_own_and_programs_have_installations() {
    let names: std::collections::BTreeSet<_> = CONTENDERS.iter().map(|c| c.name).collect();
    assert_eq!(names.len(), CONTENDERS.len());
    let programs = CONTENDERS.iter().flat_map(|contender| contender.programs);
    for program in programs {
        assert!(program.install.contains("install "), "{program:?}");
    }
}

#[test]
fn ratios_are_of_medians_and_of_the_same_way() {
    let report = report(vec![
        run("forwarding", &[(Way::Plain, &[9.0, 10.0, 20.0])]),
        run("srwan", &[(Way::Direct, &[7.0]), (Way::Relay, &[4.0, 5.0, 6.0])]),
        run("gotatun", &[(Way::Direct, &[1.0]), (Way::Relay, &[0.5])]),
    ]);
    let times = |name, way, metric| {
        report.figure(name, way, metric).unwrap().srwan_times_better.map(|x| x.round())
    };
    assert_eq!(times("gotatun", Way::Relay, Metric::Tcp1), Some(10.0));
    assert_eq!(times("gotatun", Way::Direct, Metric::Tcp1), Some(7.0));
    assert_eq!(times("gotatun", Way::Relay, Metric::CpuDaemons), Some(10.0));
    assert_eq!(times("srwan", Way::Relay, Metric::Tcp1), None);
    let plain = report.figure("forwarding", Way::Plain, Metric::Tcp1).unwrap();
    assert_eq!(plain.srwan_times_better, Some(0.5));
    assert_eq!((plain.spread.min, plain.spread.max), (9.0, 20.0));
}

#[test]
fn aims_are_reached_missed_or_not_known() {
    let report = report(vec![
        run("forwarding", &[(Way::Plain, &[10.0])]),
        run("srwan", &[(Way::Relay, &[4.0])]),
        run("gotatun", &[(Way::Relay, &[0.4])]),
    ]);
    let aim = |what: &str| report.aims.iter().find(|aim| aim.what.contains(what)).unwrap();
    assert_eq!(aim("one stream, over gotatun's chain").is_reached, Some(true));
    assert_eq!(aim("one stream, over kernel forwarding").is_reached, Some(false));
    assert_eq!(aim("nebula").is_reached, None);
}

#[test]
fn a_missing_contender_is_told_with_its_installation() {
    let mut absent = run("nebula", &[]);
    absent.state = State::NotInstalled { fix: "apt-get install nebula".to_owned() };
    let mut failed = run("tinc", &[]);
    failed.state = State::Failed { why: "no packet comes through".to_owned() };
    let told = serde_json::to_value(report(vec![absent])).unwrap();
    assert_eq!(told["schema"], "srwan.bench-net/1");
    assert_eq!(told["contenders"][0]["state"], "not-installed");
    assert_eq!(told["contenders"][0]["fix"], "apt-get install nebula");
    assert!(!report(vec![failed]).is_whole());
}
