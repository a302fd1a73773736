//! Addresses: every node of a scenario has one, and none is anybody else's.

use std::collections::BTreeSet;

use srwan_lab::plan::Plan;
use srwan_lab::scenario::{NodeName, Scenario};

const MINIMAL: &str = r#"
[scenario]
name = "two"
duration_s = 10

[ledger]
validators = 4

[[node]]
name = "a"
role = "router"
city = "London"

[[node]]
name = "b"
role = "router"
city = "Newark"

[[node]]
name = "web"
role = "web"
behind = "b"
"#;

fn address(plan: &Plan, name: &str) -> String {
    plan.address(&NodeName::new(name).unwrap()).unwrap().to_string()
}

#[test]
fn sites_stand_on_the_internet_and_hosts_behind_them() {
    let plan = Plan::new(Scenario::parse(MINIMAL).unwrap());
    assert_eq!(address(&plan, "b"), "198.18.2.1");
    assert_eq!(address(&plan, "web"), "198.19.2.10");
}

#[test]
fn validators_have_addresses_of_their_own() {
    let plan = Plan::new(Scenario::parse(MINIMAL).unwrap());
    assert_eq!(address(&plan, "ledger-1"), "198.18.251.1");
    assert_eq!(address(&plan, "ledger-2"), "198.18.244.1");
    assert_eq!(address(&plan, "ledger-4"), "198.18.246.1");
}

#[test]
fn every_shipped_scenario_gives_each_node_an_address_of_its_own() {
    for (name, text) in srwan_lab::scenario::shipped() {
        let plan = Plan::new(Scenario::parse(text).unwrap());
        let nodes = &plan.scenario.nodes;
        let addresses: BTreeSet<String> =
            nodes.iter().map(|node| address(&plan, node.name.as_str())).collect();
        assert_eq!(addresses.len(), nodes.len(), "{name}");
    }
}
