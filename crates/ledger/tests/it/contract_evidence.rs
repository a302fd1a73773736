//! Quarantine, ratings and the review of tickets: evidence acts, offices do not.

use srwan_ledger::contract::quarantine::{
    HeadendReport, HeadendReportBody, QuarantineEvidence, QuarantinePhase, ReportVerdict,
};
use srwan_ledger::contract::rejection::ContractRejection as Why;
use srwan_ledger::contract::{ContractAction, ContractEffect};
use srwan_ledger::outcome::Outcome;
use srwan_ledger::rejection::Rejection;
use srwan_ledger::router::Contradiction;
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::Action;
use srwan_wire::id::{Height, LaneId, Octets};
use srwan_wire::receipt::{Delivery, LinkCounters, LinkStatement, LinkStatementBody, Receipt};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::Timestamp;

use crate::contract_world::{hours, offer};
use crate::world::{GB, World, coins, key, secret};

const MB: u64 = 1_000_000;

fn report(world: &World, by: u8, subject: u8, verdict: ReportVerdict) -> HeadendReport {
    let body = HeadendReportBody {
        chain: world.state.chain(),
        reporter: key(by),
        subject: key(subject),
        verdict,
        height: world.state.next_height(),
        expected: 10,
        actual: 90,
    };
    HeadendReport::new(body, &secret(by))
}

fn reports(world: &World, by: &[u8], subject: u8, verdict: ReportVerdict) -> Vec<HeadendReport> {
    by.iter().map(|by| report(world, *by, subject, verdict)).collect()
}

fn accuse(world: &World, by: &[u8], subject: u8) -> ContractAction {
    let reports = reports(world, by, subject, ReportVerdict::Misbehaves);
    let evidence = QuarantineEvidence::Reports(reports);
    ContractAction::Quarantine { subject: key(subject), evidence }
}

/// Persons 2 to 5 have bonded routers; claim windows of 6 and quarantines of 12 blocks.
fn routers() -> World {
    let params = srwan_ledger::genesis::Params {
        claim_window_blocks: 6,
        unbonding_blocks: 12,
        ..crate::world::quick_params()
    };
    let mut world = World::from(&crate::world::genesis(params));
    (2..=5).for_each(|person| world.register(person));
    world
}

#[test]
fn three_bonded_headends_quarantine_a_router_and_time_frees_it() {
    let mut world = routers();
    let listing = world.list(5, offer());
    let lease = world.buy(1, listing, hours(0, 1), 1);
    let before = world.balance(1);
    let effect = world.agree(1, accuse(&world, &[2, 3, 4], 5));
    let ContractEffect::Quarantined { strikes: 1, .. } = effect else { panic!("{effect:?}") };

    // The lease is broken, the listing suspended, and no lane may name the router.
    assert!(world.state.contracts().lease(&lease).is_none());
    assert!(world.balance(1).base() + 10_000_000 > before.base() + coins(1).base() * 9 / 10);
    let ask = world.ask_lease(listing, hours(0, 1), 1);
    world.declines(1, ask, Why::SellerQuarantined);
    world.must(1, Action::EscrowAdd { amount: coins(200) });
    let open = world.ask(&[2, 5]);
    let why = Rejection::Contract(Why::PayeeQuarantined { index: 1 });
    world.rejects(1, Action::LaneOpen(open), why);
    world.declines(1, accuse(&world, &[2, 3, 4], 5), Why::QuarantinedAlready);

    let phase = |world: &World| world.state.contracts().quarantine(&key(5)).unwrap().phase;
    world.blocks(12);
    assert!(matches!(phase(&world), QuarantinePhase::Parole { .. }));
    world.lane(&[2, 5], coins(100));
    world.blocks(6);
    assert_eq!(phase(&world), QuarantinePhase::Free);
}

#[test]
fn no_office_can_quarantine_without_evidence() {
    let mut world = routers();
    let evidence = |reports| QuarantineEvidence::Reports(reports);
    let subject = key(5);
    let quarantine = |evidence| ContractAction::Quarantine { subject, evidence };
    let weak = |count| Why::EvidenceTooWeak { count, needed: 3 };
    // Person 10 is all of the validators.
    world.declines(10, quarantine(evidence(Vec::new())), weak(0));
    world.declines(10, quarantine(QuarantineEvidence::Flags), weak(0));
    world.declines(10, accuse(&world, &[2, 3], 5), weak(2));
    world.declines(10, accuse(&world, &[2, 3, 3], 5), Why::ReporterTwice);
    world.declines(10, accuse(&world, &[2, 3, 5], 5), Why::ReporterTwice);
    world.declines(10, accuse(&world, &[2, 3, 10], 5), Why::ReporterUnbonded { index: 2 });

    let misbehaves = |world: &World| reports(world, &[2, 3, 4], 5, ReportVerdict::Misbehaves);
    let mut forged = misbehaves(&world);
    forged[1] = HeadendReport::new(forged[1].body, &secret(10));
    world.declines(10, quarantine(evidence(forged)), Why::ReportForged { index: 1 });
    let mut praise = misbehaves(&world);
    praise[0] = report(&world, 2, 5, ReportVerdict::Behaves);
    world.declines(10, quarantine(evidence(praise)), Why::ReportForeign { index: 0 });
    let mut future = misbehaves(&world);
    let body = HeadendReportBody { height: Height(1_000), ..future[2].body };
    future[2] = HeadendReport::new(body, &secret(4));
    world.declines(10, quarantine(evidence(future)), Why::ReportStale { index: 2 });
    let old = misbehaves(&world);
    world.blocks(6);
    world.declines(10, quarantine(evidence(old)), Why::ReportStale { index: 0 });
    assert!(world.state.contracts().quarantine(&key(5)).is_none());
}

#[test]
fn parole_needs_time_and_witnesses_and_old_reports_do_not_count_again() {
    let mut world = routers();
    let accusation = accuse(&world, &[2, 3, 4], 5);
    world.agree(1, accusation.clone());
    let since = world.state.height().0;
    let plea = |world: &World| ContractAction::Parole {
        reports: reports(world, &[2, 3, 4], 5, ReportVerdict::Behaves),
    };
    world.declines(2, plea(&world), Why::NotQuarantined);
    let from = Height(since + 6);
    world.declines(5, plea(&world), Why::ParoleTooEarly { from });
    while world.state.next_height() < from {
        world.blocks(1);
    }
    let alone = ContractAction::Parole { reports: Vec::new() };
    world.declines(5, alone, Why::EvidenceTooWeak { count: 0, needed: 3 });
    world.agree(5, plea(&world));
    world.declines(1, accusation, Why::ReportStale { index: 0 });
    // Fresh evidence in parole costs twice the time.
    let effect = world.agree(1, accuse(&world, &[2, 3, 4], 5));
    let ContractEffect::Quarantined { until, strikes: 2, .. } = effect else { panic!() };
    assert_eq!(until.0, world.state.height().0 + 24);
}

fn statement(reporter: u8, peer: u8, seq: u64, out: u64, r#in: u64) -> LinkStatementBody {
    LinkStatementBody {
        chain: World::new().state.chain(),
        reporter: key(reporter),
        peer: key(peer),
        boot_time: Timestamp::from_nanos(1),
        boot_nonce: 1,
        seq,
        counters: LinkCounters {
            out_octets: Octets(out),
            in_octets: Octets(r#in),
            total_traffic_in: Octets(r#in),
            total_traffic_out: Octets(out),
        },
    }
}

#[test]
fn a_contradiction_quarantines_once_per_boot() {
    let mut world = World::new();
    (2..=5).for_each(|person| world.register(person));
    let said = |out| LinkStatement::new(statement(5, 2, 1, out, 0), &secret(5));
    let proof = Box::new(Contradiction { left: said(1), right: said(2) });
    let accuse = |subject| ContractAction::Quarantine {
        subject: key(subject),
        evidence: QuarantineEvidence::Contradiction(proof.clone()),
    };
    world.declines(1, accuse(4), Why::ReportForeign { index: 0 });
    world.agree(1, accuse(5));
    world.blocks(5);
    assert!(!world.state.contracts().is_confined(&key(5)));
    world.declines(1, accuse(5), Why::EvidenceSpent);
}

/// A ticket by relay 2 on a lane of person 1 over 2 and 3, where sent and received differ.
fn ticket(world: &World, lane: LaneId, octets: u64, seq: u64, link: (u64, u64)) -> Ticket {
    let sign = |body: LinkStatementBody, by: AccountSecret| LinkStatement::new(body, &by);
    let statements = vec![
        sign(statement(2, 3, seq, link.0, 0), secret(2)),
        sign(statement(3, 2, seq, 0, link.1), secret(3)),
    ];
    let plain = world.ticket(lane, 3, octets);
    let payer = world.state.lane(&lane).unwrap().payer;
    let payer = (1..=10).find(|person| key(*person) == payer).unwrap();
    Ticket {
        receipt: Receipt::new(world.receipt(lane, octets), &secret(payer)),
        delivery: Delivery::new(world.delivery(lane, octets), &secret(3)),
        statements,
        ..plain
    }
}

fn bonded_lane() -> (World, LaneId) {
    let mut world = World::new();
    (2..=3).for_each(|person| world.register(person));
    let lane = world.lane(&[2, 3], coins(100));
    (world, lane)
}

#[test]
fn a_ticket_without_both_ends_statements_is_refused_with_the_reason() {
    let (mut world, lane) = bonded_lane();
    let full = ticket(&world, lane, 100 * MB, 1, (0, 0));
    let why = Rejection::Contract(Why::EvidenceMissing);
    let bare = Ticket { statements: Vec::new(), ..full.clone() };
    world.rejects(2, Action::Ticket(bare.clone()), why);
    let half = Ticket { statements: full.statements[..1].to_vec(), ..full.clone() };
    world.rejects(3, Action::Ticket(half), why);
    // The payer is beside neither: a neighbour that withholds its word cannot stop the payment.
    world.settle(1, bare);
}

#[test]
fn where_two_ends_disagree_the_lower_figure_is_paid_and_both_are_flagged() {
    let (mut world, lane) = bonded_lane();
    world.register(1);
    world.settle(3, ticket(&world, lane, 100 * MB, 1, (500 * MB, 500 * MB)));
    // Relay 2 says that it sent 900 MB more, its neighbour that it received 300 MB more.
    let lie = ticket(&world, lane, GB, 2, (1_400 * MB, 800 * MB));
    let settlement = world.settle(3, lie);
    // The base was taken when nothing was settled.
    assert_eq!(settlement.settled, Octets(300 * MB));
    let contracts = world.state.contracts();
    for router in [2, 3] {
        let record = contracts.rating(&key(router)).unwrap().payers[&key(1)];
        assert_eq!((record.consistent, record.contradicting), (1, 1), "{router}");
        assert!(!record.fees.is_zero() && record.flagged.is_some());
    }
    let stale = ticket(&world, lane, GB, 1, (1_500 * MB, 1_500 * MB));
    let why = Rejection::Contract(Why::StatementStale { index: 0 });
    world.rejects(3, Action::Ticket(stale), why);
    // Later statements that agree pay the rest.
    let settled = world.settle(3, ticket(&world, lane, GB, 3, (1_600 * MB, 1_590 * MB))).settled;
    assert_eq!(settled, Octets(GB));
}

#[test]
fn statements_that_agree_on_less_than_the_receipt_bound_the_payment_too() {
    let (mut world, lane) = bonded_lane();
    world.settle(2, ticket(&world, lane, 100 * MB, 1, (500 * MB, 500 * MB)));
    let settlement = world.settle(2, ticket(&world, lane, GB, 2, (700 * MB, 700 * MB)));
    let slack = (64 << 20) + 200 * MB / 8;
    assert_eq!(settlement.settled, Octets(200 * MB + slack));
    // Nothing was flagged, and an unbonded payer rates no one.
    assert!(world.state.contracts().rating(&key(2)).is_none());
}

#[test]
fn a_rating_counts_bonded_payers_and_not_volume() {
    let score = |payers: &[u8], octets: u64| {
        let mut world = World::new();
        (1..=3).chain([4, 5]).for_each(|person| world.register(person));
        for payer in payers {
            world.must(*payer, Action::EscrowAdd { amount: coins(500) });
            let open = srwan_ledger::lane::LaneOpen { cap: coins(500), ..world.ask(&[2, 3]) };
            let (lane, tx) = world.author(*payer).lane_open(world.nonce(*payer), open);
            assert!(matches!(world.run(tx).outcome, Outcome::Applied(_)));
            world.settle(3, ticket(&world, lane, octets, 1, (0, 0)));
        }
        world.state.contracts().rating(&key(2)).unwrap().score()
    };
    assert_eq!(score(&[1], 10 * MB), 200);
    assert_eq!(score(&[1], 40 * GB), 200, "a thousand times the volume, the same word");
    assert_eq!(score(&[1, 4, 5], 10 * MB), 428);
}

#[test]
fn a_coalition_gains_nothing_by_dealing_with_itself_whatever_share_it_owns() {
    // Payer and the first `owned` of three payees are one owner; nobody else pays them.
    for owned in 0..=3_u8 {
        for octets in [10 * MB, GB, 9 * GB] {
            for subsidy in [0, 1_000] {
                let genesis = srwan_ledger::genesis::Genesis {
                    subsidy: coins(subsidy),
                    ..crate::world::genesis(crate::world::quick_params())
                };
                let mut world = World::from(&genesis);
                let owners: Vec<u8> = [1].into_iter().chain((0..owned).map(|i| i + 2)).collect();
                let wealth = |world: &World| -> u64 {
                    owners.iter().map(|person| world.wealth(*person)).sum()
                };
                let before = wealth(&world);
                let lane = world.lane(&[2, 3, 4], coins(100));
                world.settle(1, world.ticket(lane, 4, octets));
                world.must(1, Action::LaneClose { lane });
                world.blocks(8);
                let after = wealth(&world);
                assert!(after < before, "{owned} of 3, {octets} octets: {before} -> {after}");
                assert!(world.state.contracts().rating(&key(2)).is_none());
            }
        }
    }
}
