//! Several paths at once: which ones, and which of them at a moment.

use srwan_control::{Cause, ControlEvent, Rule, SpreadConfig, SpreadMode};
use srwan_wire::id::NodeId;
use srwan_wire::oam::Relays;

use crate::world::{Link, MS, Plan, SECOND, World, node};

/// Six routers; 1 sends to 6: directly in 40 ms, over 2 in 44, over 3 in 48, over 4 in 52, over 5 in 80 ms.
fn six(plan: &Plan) -> World {
    let mut world = World::new(plan, |from, to| match (from.min(to), from.max(to)) {
        (1, 6) => Link::of_ms(40),
        (1, 5) | (5, 6) => Link::of_ms(40),
        (1, relay) => Link::of_ms(20 + 2 * (u64::from(relay) - 1)),
        (relay, 6) => Link::of_ms(20 + 2 * (u64::from(relay) - 1)),
        _ => Link::of_ms(30),
    });
    world.interest(1, 6);
    world
}

fn chosen(mode: SpreadMode, paths: u8) -> SpreadConfig {
    SpreadConfig { mode, paths, explicit: Vec::new() }
}

fn explicit(mode: SpreadMode, paths: &[(&[u32], u8)]) -> SpreadConfig {
    let relays = |raw: &[u32]| Relays::new(raw.iter().map(|r| node(*r)).collect()).unwrap();
    let explicit = paths.iter().map(|(raw, weight)| (relays(raw), *weight)).collect();
    SpreadConfig { mode, paths: 2, explicit }
}

fn spread(world: &mut World, config: Option<SpreadConfig>) {
    let now = world.instant();
    world.control_mut(1).set_spread(node(6), config, now);
}

/// First relays (0: none) and weights of the paths that share the traffic, as the node was last told.
fn shares(world: &World) -> Vec<(u32, u8)> {
    let told = world.events.iter().rev().find_map(|(_, of, event)| match event {
        ControlEvent::SpreadChange(change) if *of == node(1) => Some(&change.paths),
        _ => None,
    });
    let first = |relays: &[NodeId]| relays.first().map_or(0, |relay| relay.get());
    told.map_or(vec![], |paths| paths.iter().map(|p| (first(&p.relays), p.weight)).collect())
}

fn settled(config: SpreadConfig, plan: &Plan) -> World {
    let mut world = six(plan);
    spread(&mut world, Some(config));
    world.run_for(20 * SECOND);
    world
}

#[test]
fn the_default_path_and_the_best_relays_share_the_traffic() {
    let world = settled(chosen(SpreadMode::Flows, 3), &Plan::new(6));
    assert_eq!(shares(&world), [(0, 1), (2, 1), (3, 1)]);
    assert_eq!(world.switches(1), [], "no path is left for another");
    let candidates = world.control(1).candidates(node(6), world.instant());
    let rule = |relays: &[NodeId]| candidates.iter().find(|c| c.relays == relays).unwrap().rule;
    assert_eq!(rule(&[]), Rule::Shares { weight: 1, of: 3 });
    assert_eq!(rule(&[node(2)]), Rule::Shares { weight: 1, of: 3 });
    let decision = world.control(1).decisions(node(6)).last().unwrap();
    assert_eq!(decision.cause, Cause::Shares);
}

#[test]
fn paths_that_are_written_out_have_their_weights() {
    let paths: &[(&[u32], u8)] = &[(&[5], 1), (&[2, 3], 4)];
    let world = settled(explicit(SpreadMode::Flows, paths), &Plan::new(6));
    assert_eq!(shares(&world), [(5, 1), (2, 4)]);
}

#[test]
fn a_path_that_dies_is_left_out_within_a_second_and_comes_back() {
    let mut world = settled(chosen(SpreadMode::Flows, 2), &Plan::new(6));
    assert_eq!(shares(&world), [(0, 1), (2, 1)]);
    world.change(2, 6, |link| link.up = false);
    let took = world.run_until(2 * SECOND, |world| shares(world) == [(0, 1)]);
    assert!(took.is_some_and(|took| took <= SECOND), "{took:?}");
    world.run_for(5 * SECOND);
    assert_eq!(shares(&world), [(0, 1), (3, 1)], "another path takes the place");
    world.change(1, 6, |link| link.up = false);
    let took = world.run_until(2 * SECOND, |world| !shares(world).contains(&(0, 1)));
    assert!(took.is_some_and(|took| took <= SECOND), "{took:?}");
    world.change(1, 6, |link| link.up = true);
    world.run_for(5 * SECOND);
    assert!(shares(&world).contains(&(0, 1)));
}

#[test]
fn when_no_path_is_left_the_default_one_has_the_traffic() {
    let mut world = settled(explicit(SpreadMode::Flows, &[(&[2], 1), (&[3], 1)]), &Plan::new(6));
    assert_eq!(shares(&world).len(), 2);
    world.change(2, 6, |link| link.up = false);
    world.change(3, 6, |link| link.up = false);
    world.run_for(2 * SECOND);
    assert_eq!(shares(&world), []);
    world.change(2, 6, |link| link.up = true);
    world.run_for(60 * SECOND);
    assert_eq!(shares(&world), [(2, 1)]);
}

#[test]
fn packets_take_turns_only_on_paths_of_equal_delay() {
    let mut world =
        settled(explicit(SpreadMode::Packets, &[(&[], 1), (&[2], 1), (&[5], 1)]), &Plan::new(6));
    assert_eq!(shares(&world), [(0, 1), (2, 1)], "over router 5 it takes twice as long");
    world.change(1, 2, |link| link.delay_ns += 30 * MS);
    world.run_for(5 * SECOND);
    assert_eq!(shares(&world), [(0, 1), (2, 1)], "34 ms of difference are borne");
    world.change(1, 2, |link| link.delay_ns += 20 * MS);
    world.run_for(5 * SECOND);
    assert_eq!(shares(&world), [(0, 1)]);
    world.change(1, 2, |link| link.delay_ns -= 20 * MS);
    world.run_for(5 * SECOND);
    assert_eq!(shares(&world), [(0, 1)], "what was left out must be nearer to come back");
    world.change(1, 2, |link| link.delay_ns -= 30 * MS);
    world.run_for(40 * SECOND);
    assert_eq!(shares(&world), [(0, 1), (2, 1)]);
}

#[test]
fn copies_take_paths_without_a_common_autonomous_system() {
    let plan = Plan { asns: [(2, 7), (3, 7), (4, 8), (5, 0)].into(), ..Plan::new(6) };
    let copies = explicit(SpreadMode::Copies, &[]);
    let world = settled(SpreadConfig { paths: 4, ..copies }, &plan);
    assert_eq!(shares(&world), [(0, 1), (2, 1), (4, 1), (5, 1)], "2 and 3 are of one system");
    let world = settled(chosen(SpreadMode::Flows, 4), &plan);
    assert_eq!(shares(&world), [(0, 1), (2, 1), (3, 1), (4, 1)]);
}

#[test]
fn a_path_that_loses_packets_carries_copies_and_no_flows() {
    for (mode, expected) in [(SpreadMode::Flows, 1), (SpreadMode::Copies, 2)] {
        let mut world = settled(chosen(mode, 2), &Plan::new(6));
        world.change(2, 6, |link| link.loss_ppm = 150_000);
        world.run_for(20 * SECOND);
        assert_eq!(shares(&world).len(), expected, "{mode:?}");
    }
}

#[test]
fn a_pin_takes_precedence_and_the_rule_goes_on_without_it() {
    let mut world = settled(chosen(SpreadMode::Flows, 2), &Plan::new(6));
    let now = world.instant();
    world.control_mut(1).pin(node(6), &[node(4)], now).unwrap();
    world.run_for(5 * SECOND);
    assert_eq!(shares(&world), []);
    assert_eq!(world.switches(1).last().unwrap().1.active, Some(vec![node(4)]));
    let now = world.instant();
    world.control_mut(1).unpin(node(6), now);
    world.run_for(5 * SECOND);
    assert_eq!(world.switches(1).last().unwrap().1.active, None);
    assert_eq!(shares(&world), [(0, 1), (2, 1)]);
}

#[test]
fn a_rule_that_is_withdrawn_leaves_one_path_to_judgement() {
    let mut world = settled(chosen(SpreadMode::Flows, 3), &Plan::new(6));
    spread(&mut world, None);
    world.run_for(10 * SECOND);
    assert_eq!(shares(&world), []);
    assert_eq!(world.control(1).standby(node(6)), Some(&[node(2)][..]));
    world.change(1, 6, |link| link.up = false);
    world.run_for(2 * SECOND);
    assert_eq!(world.switches(1).last().unwrap().1.active, Some(vec![node(2)]));
}

#[test]
fn numbers_of_paths_never_reach_those_of_groups() {
    let mut world = six(&Plan::new(6));
    let mut highest = 0;
    for round in 0..100 {
        let relay = 2 + round % 3;
        let paths: &[(&[u32], u8)] = &[(&[relay], 1), (&[5, relay], 1)];
        spread(&mut world, Some(explicit(SpreadMode::Flows, paths)));
        world.run_for(3 * SECOND);
        let told = world.events.iter().filter_map(|(_, _, event)| match event {
            ControlEvent::SpreadChange(change) => change.paths.iter().map(|p| p.path.0).max(),
            _ => None,
        });
        highest = highest.max(told.max().unwrap_or(0));
        world.events.clear();
    }
    assert!((120..0x80).contains(&highest), "{highest}");
}
