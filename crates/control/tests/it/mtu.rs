//! How large packets may be on each path: found, lost, and found again.

use srwan_control::ControlEvent;
use srwan_wire::id::NodeId;

use crate::world::{Link, MS, Plan, SECOND, World, node};

/// Four routers; 1 sends to 4, directly in 40 ms, over 2 in 60 ms, over 3 in 64 ms.
fn four() -> World {
    let mut world = World::new(&Plan::new(4), |from, to| match (from.min(to), from.max(to)) {
        (1, 4) => Link::of_ms(40),
        (1, relay) => Link::of_ms(26 + u64::from(relay) * 2),
        _ => Link::of_ms(30),
    });
    world.interest(1, 4);
    world
}

/// What router 1 was last told of the path over `relays` to router 4.
fn told(world: &World, relays: &[u32]) -> Option<u16> {
    let wanted: Vec<NodeId> = relays.iter().map(|raw| node(*raw)).collect();
    world.events.iter().rev().find_map(|(_, of, event)| match event {
        ControlEvent::InnerMtu { endpoint, relays, octets }
            if (*of, *endpoint) == (node(1), node(4)) && *relays == wanted =>
        {
            Some(*octets)
        }
        _ => None,
    })
}

#[test]
fn paths_of_usual_links_carry_the_usual_packets_before_they_carry_any_traffic() {
    let mut world = four();
    world.run_for(10 * SECOND);
    assert_eq!(told(&world, &[]), Some(1_380));
    assert_eq!(told(&world, &[2]), Some(1_380));
    let candidates = world.control(1).candidates(node(4), world.instant());
    let standby = candidates.iter().find(|c| c.relays == [node(2)]).unwrap();
    assert_eq!(standby.inner_mtu, Some(1_380));
}

#[test]
fn a_link_in_the_middle_that_shrinks_is_noticed_within_three_seconds_in_use() {
    let mut world = four();
    world.run_for(10 * SECOND);
    world.change(1, 4, |link| link.delay_ns = 300 * MS);
    world.run_for(10 * SECOND);
    assert!(world.switches(1).iter().any(|(_, change)| change.active == Some(vec![node(2)])));
    world.change(2, 4, |link| link.mtu = 1_280);
    let took = world.run_until(10 * SECOND, |world| told(world, &[2]) == Some(1_160));
    assert!(took.is_some_and(|took| took <= 3 * SECOND), "{took:?}");
    world.run_for(15 * SECOND);
    let found = told(&world, &[2]).unwrap();
    let best = 1_280 - 28 - 48;
    assert!(found <= best && best - found < 16, "{found} of {best}");
    assert_eq!(told(&world, &[]), Some(1_380), "the other path is as it was");
}

#[test]
fn loss_is_not_taken_for_a_black_hole() {
    let mut world = four();
    world.run_for(10 * SECOND);
    world.change(1, 4, |link| link.loss_ppm = 200_000);
    let before = world.events.len();
    world.run_for(600 * SECOND);
    let lower = world.events[before..].iter().filter(|(_, of, event)| {
        *of == node(1)
            && matches!(event, ControlEvent::InnerMtu { relays, octets, .. }
                if relays.is_empty() && *octets < 1_380)
    });
    assert!(lower.count() <= 2, "the direct path loses one packet in five and carries all sizes");
}

#[test]
fn a_refusal_of_the_own_interface_lowers_the_paths_over_that_neighbour_only() {
    let mut world = four();
    world.run_for(10 * SECOND);
    world.change(1, 2, |link| link.mtu = 1_400);
    let now = world.instant();
    world.control_mut(1).handle_refused(node(2), 1_380 + 48, now);
    world.run_for(10 * SECOND);
    let found = told(&world, &[2]).unwrap();
    assert!((1_309..=1_324).contains(&found), "{found} of 1324");
    assert_eq!(told(&world, &[]), Some(1_380));
}

#[test]
fn a_path_that_carries_no_usual_packets_is_never_used() {
    let mut world = four();
    world.change(2, 4, |link| link.mtu = 1_000);
    world.run_for(30 * SECOND);
    assert_eq!(world.control(1).standby(node(4)), Some(&[node(3)][..]));
}

#[test]
fn the_way_of_answers_is_asked_too_while_there_are_any() {
    let mut world = four();
    world.run_for(5 * SECOND);
    world.change(1, 3, |link| link.mtu = 1_300);
    for _ in 0..20 {
        let now = world.instant();
        world.control_mut(3).note_return(node(1), now);
        world.run_for(SECOND);
    }
    let found = world.events.iter().rev().find_map(|(_, of, event)| match event {
        ControlEvent::InnerMtu { endpoint, octets, .. } if *of == node(3) => {
            Some((*endpoint, *octets))
        }
        _ => None,
    });
    let best = 1_300 - 28 - 40;
    let (endpoint, octets) = found.expect("router 3 is told");
    assert_eq!(endpoint, node(1));
    assert!(octets <= best && best - octets < 16, "{octets} of {best}");
}
