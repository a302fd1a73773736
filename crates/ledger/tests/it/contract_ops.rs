//! Random actions of contracts for the conservation test, sensible more often than not.

use proptest::prelude::*;
use srwan_ledger::contract::ContractAction;
use srwan_ledger::contract::listing::{Buy, LeaseTerms, Offer, Rate};
use srwan_ledger::contract::quarantine::{
    HeadendReport, HeadendReportBody, QuarantineEvidence, ReportVerdict,
};
use srwan_ledger::contract::sla::{Bound, Measurement, MeasurementBody, SlaClaim, SlaTerms};
use srwan_wire::id::Height;
use srwan_wire::receipt::Signed;

use crate::contract_world::{hours, offer};
use crate::world::{World, base, coins, key, secret};

/// An action of a contract; indices name what stands, in the order of rows.
#[derive(Clone, Debug)]
pub enum ContractOp {
    List { rate: u64, mbps: u32 },
    Unlist { listing: usize },
    Buy { listing: usize, hour: u64, mbps: u32, blocks: u64 },
    Break { lease: usize },
    Pseudonym,
    Retire,
    Promise { customer: u8, payout: u64, funds: u64, blocks: u64 },
    Claim { sla: usize },
    Accuse { subject: u8 },
}

pub fn contract_op() -> impl Strategy<Value = ContractOp> {
    let rate = prop_oneof![6 => Just(1_000_000), 1 => any::<u64>(), 1 => Just(u64::MAX)];
    let funds = prop_oneof![1_u64..100_000_000_000, any::<u64>()];
    prop_oneof![
        3 => (rate, 0_u32..200).prop_map(|(rate, mbps)| ContractOp::List { rate, mbps }),
        1 => (0_usize..3).prop_map(|listing| ContractOp::Unlist { listing }),
        9 => (0_usize..3, 0_u64..4, 0_u32..60, 0_u64..6).prop_map(
            |(listing, hour, mbps, blocks)| ContractOp::Buy { listing, hour, mbps, blocks }
        ),
        1 => (0_usize..3).prop_map(|lease| ContractOp::Break { lease }),
        3 => Just(ContractOp::Pseudonym),
        1 => Just(ContractOp::Retire),
        3 => (1_u8..=5, 1_u64..1_000_000_000, funds, 0_u64..8).prop_map(
            |(customer, payout, funds, blocks)| {
                ContractOp::Promise { customer, payout, funds, blocks }
            }
        ),
        3 => (0_usize..3).prop_map(|sla| ContractOp::Claim { sla }),
        1 => (1_u8..=5).prop_map(|subject| ContractOp::Accuse { subject }),
    ]
}

/// The operation as an action; `None` if it names what does not stand.
pub fn contract_action(world: &World, op: &ContractOp) -> Option<ContractAction> {
    let (contracts, height) = (world.state.contracts(), world.state.next_height().0);
    let listing = |index: usize| contracts.listings().nth(index).map(|(id, _)| *id);
    Some(match op {
        ContractOp::List { rate, mbps } => {
            ContractAction::List(Offer { rate: Rate(*rate), mbps: *mbps, ..offer() })
        }
        ContractOp::Unlist { listing: index } => {
            ContractAction::Unlist { listing: listing(*index)? }
        }
        ContractOp::Buy { listing: index, hour, mbps, blocks } => ContractAction::Buy(Buy {
            listing: listing(*index)?,
            terms: LeaseTerms {
                interval: hours(*hour, hour + 2),
                mbps: *mbps,
                start: Height(height),
                settle: Height(height + blocks),
            },
            price_max: coins(5_000),
        }),
        ContractOp::Break { lease } => {
            ContractAction::Break { lease: contracts.leases().nth(*lease).map(|(id, _)| *id)? }
        }
        ContractOp::Pseudonym => ContractAction::PseudonymBond,
        ContractOp::Retire => ContractAction::PseudonymRetire,
        ContractOp::Promise { customer, payout, funds, blocks } => {
            ContractAction::SlaOpen(SlaTerms {
                customer: key(*customer),
                subject: [0; 32],
                bound: Bound::Loss(10),
                observers: vec![key(7), key(8)],
                quorum: 2,
                period_blocks: 2,
                payout: base(*payout),
                funds: base(*funds),
                until: Height(height + blocks),
            })
        }
        ContractOp::Claim { sla } => {
            let (id, row) = contracts.slas().nth(*sla)?;
            let period = row.period_at(Height(height));
            let body = MeasurementBody { chain: world.state.chain(), sla: *id, period, value: 11 };
            let said = |observer: u8| Measurement {
                observer,
                said: Signed::new(body, &secret(observer + 7)),
            };
            let measurements = vec![said(0), said(1)];
            ContractAction::SlaClaim(SlaClaim { sla: *id, period, measurements })
        }
        ContractOp::Accuse { subject } => accuse(world, *subject),
    })
}

fn accuse(world: &World, subject: u8) -> ContractAction {
    let report = |reporter: u8| {
        let body = HeadendReportBody {
            chain: world.state.chain(),
            reporter: key(reporter),
            subject: key(subject),
            verdict: ReportVerdict::Misbehaves,
            height: world.state.height(),
            expected: 0,
            actual: 1,
        };
        HeadendReport::new(body, &secret(reporter))
    };
    let others = (1..=5).filter(|reporter| *reporter != subject);
    let routers = others.filter(|reporter| world.state.router(&key(*reporter)).is_some());
    let evidence = QuarantineEvidence::Reports(routers.map(report).collect());
    ContractAction::Quarantine { subject: key(subject), evidence }
}
