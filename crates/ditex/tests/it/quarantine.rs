//! Who is kept out, by whom, and how it comes back.

use srwan_ditex::{
    Exchange, ExchangeConfig, JoinError, QuarantineCause, ReportError, RosterError, RouterError,
};
use srwan_wire::id::GroupId;
use srwan_wire::report::Report;
use srwan_wire::roster::Roster;

use crate::network::{
    at, controller_key, exchange, join, node, path, profile, report, request, row, sign_report,
    signed,
};

fn roster(exchange: &Exchange) -> Roster {
    exchange.roster(GroupId(1)).unwrap().open(&controller_key()).unwrap()
}

#[test]
fn a_quarantined_router_leaves_the_roster_and_the_key_changes() {
    let mut exchange = exchange(ExchangeConfig::default());
    let joined = [1, 2, 3].map(|index| join(&mut exchange, index));
    let before = roster(&exchange);
    exchange.quarantine(node(2), "complaints", at(1)).unwrap();
    let during = roster(&exchange);
    assert_eq!(during.members.iter().map(|m| m.node).collect::<Vec<_>>(), [node(1), node(3)]);
    assert_ne!(during.psk, before.psk);
    let asked = exchange.roster_for(GroupId(1), &joined[1].member_token);
    assert_eq!(asked, Err(RosterError::Quarantined("complaints".into())));
    let again = exchange.handle_join(&signed(2, request(profile(2), None, at(2))), at(2));
    assert_eq!(again, Err(JoinError::Quarantined { reason: "complaints".into() }));
    let reported = exchange.handle_report(&sign_report(&report(2, 1, &[])), at(2));
    assert_eq!(reported, Err(ReportError::NotMember(node(2), GroupId(1))));
    assert_eq!(exchange.quarantine(node(2), "", at(2)), Err(RouterError::Unchanged(node(2))));
    exchange.release(node(2), at(3)).unwrap();
    assert_eq!(roster(&exchange).members.len(), 3);
    assert!(roster(&exchange).seq > during.seq);
    assert_eq!(exchange.release(node(9), at(3)), Err(RouterError::Unknown(node(9))));
}

#[test]
fn an_operators_quarantine_has_no_parole() {
    let mut exchange = exchange(ExchangeConfig::default());
    (1..=2).for_each(|index| drop(join(&mut exchange, index)));
    exchange.quarantine(node(2), "complaints", at(1)).unwrap();
    assert_eq!(exchange.poll_timeout(), None);
    exchange.handle_timeout(at(1_000_000));
    assert_eq!(roster(&exchange).members.len(), 1);
}

/// Runs 30 rounds in which headends 1, 2 and 3 send over relays 4 and 5 to router 6, and a path
/// takes `slower` milliseconds more than its cells say.
fn run(config: ExchangeConfig, slower: impl Fn(u32) -> i64) -> Exchange {
    let mut exchange = exchange(config);
    (1..=6).for_each(|index| drop(join(&mut exchange, index)));
    for round in 0..30 {
        let seq = round + 1;
        let from_all: Vec<(u32, i64)> = (1..=3).map(|from| (from, 20)).collect();
        let rows = [
            row(1, seq, &[], true),
            row(2, seq, &[], true),
            row(3, seq, &[], true),
            row(4, seq, &from_all, true),
            row(5, seq, &from_all, true),
            row(6, seq, &[(4, 30), (5, 30)], true),
        ];
        let paths = [4, 5].into_iter().flat_map(|relay| {
            let owd = 50 + slower(relay);
            (1..=3).map(move |headend| path(headend, &[relay], 6, owd))
        });
        let report = Report { paths: paths.collect(), ..report(1, u64::from(seq), &rows) };
        let now = at(10 * u64::from(seq));
        exchange.handle_report(&sign_report(&report), now).unwrap();
    }
    exchange
}

#[test]
fn a_relay_that_is_slower_than_its_cells_is_quarantined_and_the_others_are_not() {
    let mut exchange = run(ExchangeConfig::default(), |relay| if relay == 4 { 40 } else { 0 });
    let kept_out: Vec<_> = exchange
        .routers(at(300))
        .filter_map(|view| Some((view.record.member.node, view.record.quarantine.clone()?)))
        .collect();
    let [(liar, quarantine)] = &kept_out[..] else { panic!("{kept_out:?}") };
    assert_eq!(*liar, node(4));
    assert!(matches!(quarantine.cause, QuarantineCause::Evidence { headends: 3, .. }));
    let parole = exchange.poll_timeout().unwrap();
    exchange.handle_timeout(parole);
    assert_eq!(roster(&exchange).members.len(), 6);
    assert_eq!(exchange.router(node(4), parole).unwrap().rating, None, "a clean sheet");
}

#[test]
fn an_honest_network_is_left_alone_and_rated_well() {
    let exchange = run(ExchangeConfig::default(), |_| 2);
    assert_eq!(roster(&exchange).members.len(), 6);
    let rating = exchange.router(node(4), at(300)).unwrap().rating.unwrap().clone();
    assert_eq!((rating.score(), rating.strikes()), (Some(1_000), 0));
    assert_eq!(rating.evidence().count(), 64);
}

#[test]
fn evidence_only_counts_where_the_operator_wants_it_to() {
    let config = ExchangeConfig { quarantine_by_evidence: false, ..ExchangeConfig::default() };
    let exchange = run(config, |_| 40);
    assert_eq!(roster(&exchange).members.len(), 6);
    assert!(exchange.router(node(4), at(300)).unwrap().rating.unwrap().accuracy() < 100);
}

#[test]
fn a_clock_that_was_set_is_no_evidence() {
    let exchange = run(ExchangeConfig::default(), |_| 3_600_000);
    let rating = exchange.router(node(4), at(300)).unwrap().rating.unwrap().clone();
    assert_eq!((rating.evidence().count(), roster(&exchange).members.len()), (0, 6));
}

#[test]
fn evidence_never_empties_a_group() {
    let exchange = run(ExchangeConfig::default(), |_| 40);
    assert!(roster(&exchange).members.len() >= 4, "at most a third is kept out");
}
