//! Scenario files of the lab, run in virtual time: they meet the same expectations, the same way each time.

use srwan_scenario::{Scenario, shipped};
use srwan_sim::story::{Story, Told, page};
use std::time::Duration;

fn shipped_text(name: &str) -> &'static str {
    shipped().iter().find(|(shipped, _)| *shipped == name).unwrap().1
}

fn tell(text: &str, seed: u64) -> Told {
    let scenario = Scenario::parse(text).unwrap();
    let mut story = Story::new(&scenario, seed).unwrap();
    while story.run(Duration::MAX) {}
    story.finish()
}

fn check(name: &str) {
    let scenario = Scenario::parse(shipped_text(name)).unwrap();
    let told = tell(shipped_text(name), scenario.seed);
    let failed: Vec<String> = told.verdicts.iter().map(|verdict| format!("{verdict:?}")).collect();
    assert!(told.holds(), "{name}:\n{}\nreplay: srwan sim run {name}", failed.join("\n"));
}

#[test]
fn small_meets_its_expectations() {
    check("small");
}

#[test]
fn path_death_meets_its_expectations() {
    check("path-death");
}

#[test]
fn asymmetric_meets_its_expectations() {
    check("asymmetric");
}

#[test]
fn skewed_meets_its_expectations() {
    check("skewed");
}

#[test]
fn chain6_meets_its_expectations() {
    check("chain6");
}

#[test]
fn world_meets_its_expectations() {
    check("world");
}

#[test]
fn isolated_meets_its_expectations() {
    check("isolated");
}

#[test]
fn router_dies_meets_its_expectations() {
    check("router-dies");
}

#[test]
fn an_expectation_that_does_not_hold_fails_the_story() {
    let text = shipped_text("isolated").replace("mbps_min = 5", "mbps_min = 500");
    assert!(!tell(&text, 8).holds());
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_one_another() {
    let audit = |seed| tell(shipped_text("isolated"), seed).audit;
    assert_eq!(audit(8), audit(8));
    assert_ne!(audit(8), audit(9));
}

#[test]
fn what_only_processes_have_is_refused_with_its_code() {
    for name in ["kills", "validators4", "mtu-1280", "one-ended", "two-paths"] {
        let scenario = Scenario::parse(shipped_text(name)).unwrap();
        let refusal = Story::new(&scenario, 1).err().unwrap();
        assert_eq!(refusal.code, "SRW-S001", "{name}");
    }
}

#[test]
fn a_page_shows_paths_verdicts_and_nothing_from_elsewhere() {
    let told = tell(shipped_text("isolated"), 8);
    let page = page::html(&told, 8, "0");
    assert!(page.contains("<svg") && page.contains("via r") && page.contains("relay-earned"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
}
