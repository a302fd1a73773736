//! One drawn value of each action of a contract.

use srwan_ledger::contract::ContractAction;
use srwan_ledger::contract::listing::{Buy, LeaseTerms, Offer, Rate, Site};
use srwan_ledger::contract::order::{Leg, Order, OrderSpec};
use srwan_ledger::contract::quarantine::{
    HeadendReport, HeadendReportBody, QuarantineEvidence, ReportVerdict,
};
use srwan_ledger::contract::sla::{Bound, Measurement, MeasurementBody, SlaClaim, SlaTerms};
use srwan_ledger::contract::window::{Interval, OffsetChange, Span, UtcSeconds, Weekly, Window};
use srwan_ledger::hash::{LeaseId, ListingId, SlaId};
use srwan_ledger::router::Contradiction;
use srwan_wire::id::{Height, PathHash};
use srwan_wire::receipt::Signed;

use super::draw::Draw;
use super::exercise::{genesis, secret};
use super::samples::{amount, lane_open, person, statement};

pub fn any(draw: &mut Draw) -> ContractAction {
    match draw.below(13) {
        0 => ContractAction::List(offer(draw)),
        1 => ContractAction::Unlist { listing: ListingId(draw.array()) },
        2 => ContractAction::Buy(Buy {
            listing: ListingId(draw.array()),
            terms: terms(draw),
            price_max: amount(draw),
        }),
        3 => ContractAction::Order(order(draw)),
        4 => ContractAction::LaneOpen { lease: LeaseId(draw.array()), open: lane_open(draw) },
        5 => ContractAction::Break { lease: LeaseId(draw.array()) },
        6 => ContractAction::PseudonymBond,
        7 => ContractAction::PseudonymRetire,
        8 => ContractAction::PseudonymReport(Box::new(contradiction(draw))),
        9 => ContractAction::SlaOpen(sla(draw)),
        10 => ContractAction::SlaClaim(claim(draw)),
        11 => ContractAction::Quarantine {
            subject: secret(person(draw)).public(),
            evidence: evidence(draw),
        },
        _ => ContractAction::Parole { reports: (0..3).map(|_| report(draw)).collect() },
    }
}

fn site(draw: &mut Draw) -> Site {
    Site(["chicago", "new york", "boston", ""][usize::try_from(draw.below(4)).unwrap()].to_owned())
}

fn offer(draw: &mut Draw) -> Offer {
    Offer {
        from: site(draw),
        to: site(draw),
        route: PathHash(draw.array()),
        rate: Rate(draw.word()),
        mbps: draw.below(1_000),
        mbps_min: draw.below(10),
        weight: draw.below(10),
        delay_ns_max: draw.word(),
        window: if draw.chance() { Window::Always } else { Window::Weekly(weekly(draw)) },
        settle_blocks_max: u64::from(draw.below(1_000)),
    }
}

fn weekly(draw: &mut Draw) -> Weekly {
    let minute = |draw: &mut Draw| u16::try_from(draw.below(2_000)).unwrap();
    let span = |draw: &mut Draw| Span { start_minute: minute(draw), end_minute: minute(draw) };
    let change = |draw: &mut Draw| OffsetChange {
        at: UtcSeconds(draw.word()),
        offset_minutes: i16::try_from(draw.below(1_600)).unwrap() - 800,
    };
    Weekly {
        days: u8::try_from(draw.below(256)).unwrap(),
        spans: (0..draw.below(3)).map(|_| span(draw)).collect(),
        offsets: (0..draw.below(3)).map(|_| change(draw)).collect(),
    }
}

fn terms(draw: &mut Draw) -> LeaseTerms {
    let interval = Interval { start: UtcSeconds(draw.word()), end: UtcSeconds(draw.word()) };
    let height = |draw: &mut Draw| Height(u64::from(draw.below(100)));
    LeaseTerms { interval, mbps: draw.below(1_000), start: height(draw), settle: height(draw) }
}

fn order(draw: &mut Draw) -> Order {
    let legs = (0..draw.below(3)).map(|_| Leg { from: site(draw), to: site(draw) }).collect();
    let (terms, delay_ns_max, budget) = (terms(draw), draw.word(), amount(draw));
    let route = |draw: &mut Draw| (0..draw.below(3)).map(|_| ListingId(draw.array())).collect();
    let routes = (0..draw.below(3)).map(|_| route(draw)).collect();
    Order { spec: OrderSpec { legs, terms, delay_ns_max, budget }, routes }
}

fn contradiction(draw: &mut Draw) -> Contradiction {
    Contradiction { left: statement(draw), right: statement(draw) }
}

fn sla(draw: &mut Draw) -> SlaTerms {
    SlaTerms {
        customer: secret(person(draw)).public(),
        subject: draw.array(),
        bound: if draw.chance() { Bound::Delay(draw.word()) } else { Bound::Loss(draw.word()) },
        observers: (0..draw.below(4)).map(|_| secret(person(draw)).public()).collect(),
        quorum: u8::try_from(draw.below(4)).unwrap(),
        period_blocks: u64::from(draw.below(100)),
        payout: amount(draw),
        funds: amount(draw),
        until: Height(u64::from(draw.below(1_000))),
    }
}

fn claim(draw: &mut Draw) -> SlaClaim {
    let (sla, period) = (SlaId(draw.array()), draw.word());
    let measurement = |draw: &mut Draw| {
        let chain = genesis().chain_id();
        let body = MeasurementBody { chain, sla, period, value: draw.word() };
        let observer = u8::try_from(draw.below(4)).unwrap();
        Measurement { observer, said: Signed::new(body, &secret(person(draw))) }
    };
    SlaClaim { sla, period, measurements: (0..draw.below(3)).map(|_| measurement(draw)).collect() }
}

fn evidence(draw: &mut Draw) -> QuarantineEvidence {
    match draw.below(3) {
        0 => QuarantineEvidence::Contradiction(Box::new(contradiction(draw))),
        1 => QuarantineEvidence::Flags,
        _ => QuarantineEvidence::Reports((0..draw.below(5)).map(|_| report(draw)).collect()),
    }
}

fn report(draw: &mut Draw) -> HeadendReport {
    let reporter = person(draw);
    let verdict = if draw.chance() { ReportVerdict::Behaves } else { ReportVerdict::Misbehaves };
    let body = HeadendReportBody {
        chain: genesis().chain_id(),
        reporter: secret(reporter).public(),
        subject: secret(person(draw)).public(),
        verdict,
        height: Height(u64::from(draw.below(10))),
        expected: draw.word(),
        actual: draw.word(),
    };
    HeadendReport::new(body, &secret(reporter))
}
