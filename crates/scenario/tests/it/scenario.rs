//! Reading scenario files: what is shipped, what is refused and how, and any bytes at all.

use std::time::Duration;

use proptest::prelude::*;
use srwan_scenario::{Action, Probability, Role, Scenario, cities};

const MINIMAL: &str = r#"
[scenario]
name = "two"
duration_s = 10

[[node]]
name = "a"
role = "router"
city = "London"

[[node]]
name = "b"
role = "router"
city = "Newark"

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
until_s = 9
"#;

fn with(more: &str) -> String {
    format!("{MINIMAL}\n{more}")
}

/// Line (if known) and text of the error must both say this.
fn refused(text: &str, line: Option<usize>, says: &str) {
    let error = Scenario::parse(text).expect_err("must be refused");
    assert_eq!(error.line, line, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

fn line_in(text: &str, needle: &str) -> Option<usize> {
    text.lines().position(|line| line.contains(needle)).map(|line| line + 1)
}

#[test]
fn every_shipped_scenario_is_accepted_under_its_name() {
    for (name, text) in srwan_scenario::shipped() {
        let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(scenario.name.as_str(), *name);
    }
}

#[test]
fn a_minimal_file_gets_services_and_measured_delays() {
    let scenario = Scenario::parse(MINIMAL).unwrap();
    let names: Vec<_> = scenario.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "host", "web", "controller", "ledger"]);
    let (a, b) = (&scenario.nodes[0], &scenario.nodes[1]);
    let owd = scenario.link_shape(a, b).owd;
    assert!(owd > Duration::from_millis(30) && owd < Duration::from_millis(45), "{owd:?}");
}

#[test]
fn validators_are_nodes_of_their_own() {
    let scenario = Scenario::parse(&with("[ledger]\nvalidators = 4\n")).unwrap();
    let ledgers: Vec<String> =
        scenario.with_role(Role::Ledger).map(|node| node.name.to_string()).collect();
    assert_eq!(ledgers, ["ledger-1", "ledger-2", "ledger-3", "ledger-4"]);
    let killed =
        with("[ledger]\nvalidators = 2\n[[event]]\nat_s = 1\ndo = \"kill\"\nnode = \"ledger-2\"");
    assert_eq!(Scenario::parse(&killed).unwrap().events.len(), 1);
}

#[test]
fn placed_validators_and_a_number_of_them_contradict_each_other() {
    let placed = |more: &str| {
        with(&format!("{more}[[node]]\nname = \"v\"\nrole = \"ledger\"\ncity = \"London\"\n"))
    };
    let scenario = Scenario::parse(&placed("")).unwrap();
    assert_eq!(scenario.with_role(Role::Ledger).count(), 1);
    let text = placed("[ledger]\nvalidators = 4\n");
    refused(&text, line_in(&text, "[ledger]"), "each is a validator");
    for count in ["0", "8"] {
        let text = with(&format!("[ledger]\nvalidators = {count}\n"));
        refused(&text, line_in(&text, "[ledger]"), "between 1 and 7");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_a_suggestion() {
    let text = with("[[link]]\na = \"a\"\nb = \"b\"\nowd = 10\n");
    refused(&text, line_in(&text, "owd = 10"), "write `owd_ms`");
    let text = with("[[node]]\nname = \"c\"\nrole = \"roter\"\n");
    refused(&text, line_in(&text, "roter"), "write `router`");
    let text = with("[[expect]]\nkind = \"matrix-complet\"\nwithin_s = 3\n");
    refused(&text, line_in(&text, "matrix-complet"), "write `matrix-complete`");
}

#[test]
fn names_that_do_not_exist_are_refused_with_a_suggestion() {
    let text = with("[[event]]\nat_s = 1\ndo = \"kill\"\nnode = \"ledgr\"\n");
    refused(&text, line_in(&text, "[[event]]"), "write `ledger`");
    let text = with("[[expect]]\nkind = \"tcp-survives\"\nflow = \"gett\"\n");
    refused(&text, line_in(&text, "[[expect]]"), "write `get`");
    let text = with("[[node]]\nname = \"c\"\nrole = \"router\"\ncity = \"Frankfort\"\n");
    refused(&text, line_in(&text, "name = \"c\"").map(|line| line - 1), "write `Frankfurt`");
    let text = with("[[link]]\na = \"host\"\nb = \"b\"\nowd_ms = 3\n");
    refused(&text, line_in(&text, "[[link]]"), "write `a`");
}

#[test]
fn figures_out_of_range_are_refused() {
    let link = |figure: &str| with(&format!("[[link]]\na = \"a\"\nb = \"b\"\n{figure}\n"));
    for (figure, says) in [
        ("loss = 1.5", "not a fraction"),
        ("loss = -0.1", "not a fraction"),
        ("owd_ms = -1", "not a time"),
        ("owd_ms = nan", "not a time"),
        ("rate_mbps = 0", "not a rate"),
        ("mtu = 500", "mtu"),
    ] {
        let text = link(figure);
        refused(&text, line_in(&text, "[[link]]"), says);
    }
}

#[test]
fn contradictions_are_refused() {
    for (more, says) in [
        ("[[event]]\nat_s = 1\ndo = \"congest\"\na = \"a\"\nb = \"b\"", "nothing to make worse"),
        ("[[event]]\nat_s = 1\ndo = \"heal\"\na = \"a\"", "which link"),
        ("[[event]]\nat_s = 1\ndo = \"cut\"", "needs `flow`"),
        ("[[event]]\nat_s = 1\ndo = \"cut\"\nflow = \"gte\"", "no router sends"),
        ("[[event]]\nat_s = 1\ndo = \"heal\"\na = \"a\"\nb = \"a\"", "itself"),
        ("[[event]]\nat_s = 11\ndo = \"fail\"\na = \"a\"\nb = \"b\"", "after the end"),
        ("[[event]]\nat_s = 1\ndo = \"kill\"\nnode = \"host\"", "no daemon"),
        ("[[node]]\nname = \"a\"\nrole = \"host\"", "two nodes"),
        (
            "[[flow]]\nname = \"x\"\nfrom = \"a\"\nto = \"b\"\nat_s = 1\nuntil_s = 2",
            "no web server",
        ),
    ] {
        let error = Scenario::parse(&with(more)).expect_err(more);
        assert!(error.to_string().contains(says), "{more}: {error}");
    }
}

#[test]
fn a_link_may_differ_by_direction() {
    let text = with("[[link]]\na = \"a\"\nb = \"b\"\nowd_ms = [80, 20]\nloss = 0.25\n");
    let scenario = Scenario::parse(&text).unwrap();
    let (a, b) = (&scenario.nodes[0], &scenario.nodes[1]);
    assert_eq!(scenario.link_shape(a, b).owd, Duration::from_millis(80));
    assert_eq!(scenario.link_shape(b, a).owd, Duration::from_millis(20));
    assert_eq!(scenario.link_shape(b, a).loss, Probability::from_fraction(0.25).unwrap());
}

#[test]
fn a_fault_of_a_node_takes_all_its_links() {
    let text = with("[[event]]\nat_s = 1\ndo = \"fail\"\nnode = \"a\"\n");
    let scenario = Scenario::parse(&text).unwrap();
    let Action::Fail { links } = &scenario.events[0].action else { panic!("not a failure") };
    assert_eq!(links.len(), 2 * 3, "b, controller and ledger, both directions");
}

#[test]
fn a_link_nobody_gave_a_delay_is_refused() {
    let text = with("[[node]]\nname = \"c\"\nrole = \"router\"\n");
    refused(&text, None, "no delay from");
}

#[test]
fn every_pair_of_cities_was_measured() {
    assert_eq!(cities::all().iter().filter(|city| city.whitepaper_region).count(), 12);
    for from in cities::all() {
        for to in cities::all() {
            let owd = cities::owd_assumed(from, to);
            assert!(owd > Duration::ZERO && owd < Duration::from_millis(300), "{from:?} {to:?}");
        }
    }
}

proptest! {
    /// Bytes cause errors, never panics.
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,200}") {
        let _ = Scenario::parse(&text);
        let _ = Scenario::parse(&with(&text));
    }

    /// Any line of a good file may be lost or doubled.
    #[test]
    fn any_damage_to_a_good_file_is_parsed_or_refused(line in 0usize..140, twice: bool) {
        let good = srwan_scenario::shipped()[0].1;
        let keep = |(at, text): (usize, &str)| match (at == line, twice) {
            (false, _) => format!("{text}\n"),
            (true, true) => format!("{text}\n{text}\n"),
            (true, false) => String::new(),
        };
        let _ = Scenario::parse(&good.lines().enumerate().map(keep).collect::<String>());
    }
}
