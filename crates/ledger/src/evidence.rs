//! Recomputes what a lane paid from signed evidence alone: no ledger, no balance, no clock.
//!
//! The evidence of a lane is its opening transaction and, in the order of the ledger, every later
//! transaction that raised its cap or settled it. [`recompute`] checks every signature, replays the
//! rule of [`crate::ticket`] over the lane's whole life, and compares each payout with what is
//! claimed. What people read in such a file (price, payees, octets) must be what was signed.
//!
//! It deliberately does not show that a block holds these transactions: that is a proof against a
//! finalized header. The infrastructure account's part is a parameter of the chain, which the file
//! states and no party of the lane signs.

use core::fmt;

use crate::amount::Amount;
use crate::lane::{Lane, LanePhase, Payee, check_open, lane_id, wide};
use crate::rejection::Rejection;
use crate::ticket::{Settlement, Signatures, Ticket, settle};
use crate::tx::{Action, SignedTx};
use srwan_wire::id::{AccountKey, ChainId, LaneId, Octets, PathHash};
use srwan_wire::receipt::Price;

/// All that is needed to recompute what one lane paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneEvidence {
    /// The ledger that all of it is for.
    pub chain: ChainId,
    /// The infrastructure account's part when the lane was opened. **Units:** basis points.
    pub infra_bps: u16,
    /// What people read about the lane.
    pub shown: ShownLane,
    /// The payer's transaction that opened the lane.
    pub opening: SignedTx,
    /// What followed, in the order of the ledger: cap raises, and tickets with their payouts.
    pub steps: Vec<Step>,
}

/// A lane as an evidence file shows it to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownLane {
    /// Its name.
    pub id: LaneId,
    /// Who pays.
    pub payer: AccountKey,
    /// Its path.
    pub path: PathHash,
    /// Its price.
    pub price: Price,
    /// Relays in the order of the path, then the endpoint.
    pub payees: Vec<Payee>,
}

/// One transaction after the opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The payer raised the cap.
    Raise(Box<SignedTx>),
    /// A party settled.
    Ticket(Box<ClaimedTicket>),
}

/// A ticket and what is said to have come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedTicket {
    /// The transaction.
    pub tx: SignedTx,
    /// What people read in the payer's receipt. **Units:** octets since the lane was opened.
    pub receipt: Octets,
    /// What people read in the endpoint's delivery. **Units:** octets since the lane was opened.
    pub delivery: Octets,
    /// What it is said to have paid.
    pub payout: Payout,
}

/// What one ticket paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// Octets that were settled before.
    pub settled_before: Octets,
    /// Octets that are settled with it.
    pub settled: Octets,
    /// The charge for the difference.
    pub charge: Amount,
    /// The infrastructure account's part of it.
    pub infra: Amount,
    /// Each payee's part of it, in the order of the lane.
    pub shares: Vec<(AccountKey, Amount)>,
    /// What rounding has left in the lane since it was opened.
    pub carry: Amount,
}

/// Why evidence does not show what it claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant and its fields are said by its error text")]
pub enum Refusal {
    #[error("{tx} is for ledger {signed}, the file is about ledger {shown}")]
    WrongChain { tx: Place, signed: ChainId, shown: ChainId },
    #[error("{tx} is not signed by its sender {sender}")]
    TxForged { tx: Place, sender: AccountKey },
    #[error("{tx} asks for something else than the file says")]
    OtherAction { tx: Place },
    #[error("no ledger would open this lane: {why}")]
    Impossible { why: Rejection },
    #[error("the opening makes lane {opened}, the file is about lane {shown}")]
    LaneDiffers { shown: LaneId, opened: LaneId },
    #[error("the file says that {shown} pays, the opening is of {signed}")]
    PayerDiffers { shown: AccountKey, signed: AccountKey },
    #[error("the file says path {shown}, the payer signed {signed}")]
    PathDiffers { shown: PathHash, signed: PathHash },
    #[error("the file says a price of {shown} per MB, the payer signed {signed}")]
    PriceDiffers { shown: Price, signed: Price },
    #[error("the file has {shown} payees, the payer signed {signed}")]
    PayeeCountDiffers { shown: u64, signed: u64 },
    #[error("the file says that hop {hop} is {shown}, the payer signed {signed}")]
    PayeeDiffers { hop: u64, shown: AccountKey, signed: AccountKey },
    #[error("the file says that hop {hop} has weight {shown}, the payer signed {signed}")]
    WeightDiffers { hop: u64, shown: u32, signed: u32 },
    #[error("{tx} is about lane {signed}, the file is about lane {shown}")]
    StepOfOtherLane { tx: Place, shown: LaneId, signed: LaneId },
    #[error("{tx} is of {sender}, who is no party of the lane that may do this")]
    StepOfStranger { tx: Place, sender: AccountKey },
    #[error("{tx} raises the cap beyond what coins can be")]
    CapOverflows { tx: Place },
    #[error("{tx}: the file says a {what} of {shown} octets, signed are {signed}")]
    OctetsDiffer { tx: Place, what: Word, shown: Octets, signed: Octets },
    #[error("{tx}: {why}")]
    Rule { tx: Place, why: Rejection },
    #[error("{tx} begins at {shown} settled octets, the tickets before it settled {replayed}")]
    TicketMissing { tx: Place, shown: Octets, replayed: Octets },
    #[error("{tx}: the file says that {shown} octets are settled, by the rule it is {computed}")]
    SettledDiffers { tx: Place, shown: Octets, computed: Octets },
    #[error("{tx}: the file says a charge of {shown} coins, by the rule it is {computed}")]
    ChargeDiffers { tx: Place, shown: Amount, computed: Amount },
    #[error("{tx}: the file says {shown} coins for infrastructure, by the rule it is {computed}")]
    InfraDiffers { tx: Place, shown: Amount, computed: Amount },
    #[error("{tx}: the file pays {shown} hops, the lane has {computed}")]
    ShareCountDiffers { tx: Place, shown: u64, computed: u64 },
    #[error("{tx}: the file says that the share of hop {hop} goes to {shown}, not to {computed}")]
    ShareOfOther { tx: Place, hop: u64, shown: AccountKey, computed: AccountKey },
    #[error("{tx}: the file says {shown} coins for hop {hop}, by the rule it is {computed}")]
    ShareDiffers { tx: Place, hop: u64, shown: Amount, computed: Amount },
    #[error("{tx}: the file says a carry of {shown} coins, by the rule it is {computed}")]
    CarryDiffers { tx: Place, shown: Amount, computed: Amount },
}

/// Which transaction of a lane's evidence: 0 is the opening, then the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("the opening"),
            step => write!(f, "step {step}"),
        }
    }
}

/// Which of the two signed counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The payer's.
    Receipt,
    /// The endpoint's.
    Delivery,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receipt => "receipt",
            Self::Delivery => "delivery",
        })
    }
}

/// Recomputes each payout of a lane, in order, and compares it with what is claimed.
///
/// **Errors:** the first thing that does not hold.
pub fn recompute(evidence: &LaneEvidence) -> Result<Vec<Payout>, Refusal> {
    let mut lane = opened(evidence)?;
    check_shown(&evidence.shown, &lane)?;
    let mut payouts = Vec::new();
    for (index, step) in evidence.steps.iter().enumerate() {
        let tx = Place(wide(index).saturating_add(1));
        match step {
            Step::Raise(raise) => raise_cap(evidence, &mut lane, tx, raise)?,
            Step::Ticket(claimed) => payouts.push(pay(evidence, &mut lane, tx, claimed)?),
        }
    }
    Ok(payouts)
}

/// The lane as its opening made it.
fn opened(evidence: &LaneEvidence) -> Result<Lane, Refusal> {
    let (tx, opening, shown) = (Place(0), &evidence.opening, &evidence.shown);
    let open = match action(evidence, tx, opening)? {
        Action::LaneOpen(open) => open.clone(),
        _ => return Err(Refusal::OtherAction { tx }),
    };
    let payer = opening.body.sender;
    if payer != shown.payer {
        return Err(Refusal::PayerDiffers { shown: shown.payer, signed: payer });
    }
    let id = lane_id(&evidence.chain, &payer, opening.body.nonce);
    if id != shown.id {
        return Err(Refusal::LaneDiffers { shown: shown.id, opened: id });
    }
    check_open(&payer, &open).map_err(|why| Refusal::Impossible { why })?;
    let (infra_bps, settled, paid) = (evidence.infra_bps, Octets(0), Amount::ZERO);
    Ok(Lane { payer, open, infra_bps, phase: LanePhase::Open, settled, paid })
}

/// What a transaction of this chain asks for, if its sender signed it.
fn action<'e>(
    evidence: &LaneEvidence,
    tx: Place,
    signed: &'e SignedTx,
) -> Result<&'e Action, Refusal> {
    let (body, shown) = (&signed.body, evidence.chain);
    if body.chain != shown {
        return Err(Refusal::WrongChain { tx, signed: body.chain, shown });
    }
    let sender = body.sender;
    signed.verify(&sender).map_err(|_| Refusal::TxForged { tx, sender })?;
    Ok(&body.action)
}

fn check_shown(shown: &ShownLane, lane: &Lane) -> Result<(), Refusal> {
    let open = &lane.open;
    if shown.path != open.path {
        return Err(Refusal::PathDiffers { shown: shown.path, signed: open.path });
    }
    if shown.price != open.price {
        return Err(Refusal::PriceDiffers { shown: shown.price, signed: open.price });
    }
    if shown.payees.len() != open.payees.len() {
        let (shown, signed) = (wide(shown.payees.len()), wide(open.payees.len()));
        return Err(Refusal::PayeeCountDiffers { shown, signed });
    }
    let hops = (1..).zip(shown.payees.iter().zip(&open.payees));
    for (hop, (shown, signed)) in hops {
        if shown.account != signed.account {
            let (shown, signed) = (shown.account, signed.account);
            return Err(Refusal::PayeeDiffers { hop, shown, signed });
        }
        if shown.weight != signed.weight {
            let (shown, signed) = (shown.weight, signed.weight);
            return Err(Refusal::WeightDiffers { hop, shown, signed });
        }
    }
    Ok(())
}

fn raise_cap(
    evidence: &LaneEvidence,
    lane: &mut Lane,
    tx: Place,
    raise: &SignedTx,
) -> Result<(), Refusal> {
    let Action::LaneRaise { lane: id, amount } = action(evidence, tx, raise)? else {
        return Err(Refusal::OtherAction { tx });
    };
    check_lane(evidence, tx, *id)?;
    let sender = raise.body.sender;
    if sender != lane.payer {
        return Err(Refusal::StepOfStranger { tx, sender });
    }
    let cap = lane.open.cap.checked_add(*amount).ok_or(Refusal::CapOverflows { tx })?;
    lane.open.cap = cap;
    Ok(())
}

fn check_lane(evidence: &LaneEvidence, tx: Place, signed: LaneId) -> Result<(), Refusal> {
    let shown = evidence.shown.id;
    if signed == shown { Ok(()) } else { Err(Refusal::StepOfOtherLane { tx, shown, signed }) }
}

fn pay(
    evidence: &LaneEvidence,
    lane: &mut Lane,
    tx: Place,
    claimed: &ClaimedTicket,
) -> Result<Payout, Refusal> {
    let Action::Ticket(ticket) = &claimed.tx.body.action else {
        return Err(Refusal::OtherAction { tx });
    };
    check_lane(evidence, tx, ticket.lane)?;
    check_octets(tx, claimed, ticket)?;
    let shown = claimed.payout.settled_before;
    if shown != lane.settled {
        return Err(Refusal::TicketMissing { tx, shown, replayed: lane.settled });
    }
    // The least settlement depends on whether the lane was closing, which changes no number.
    let settled = settle(&evidence.chain, lane, ticket, Octets(0), Signatures::Unchecked);
    let settled = settled.map_err(|why| Refusal::Rule { tx, why })?;
    // The evidence inside first: it says more than "the bundle was changed".
    action(evidence, tx, &claimed.tx)?;
    let sender = claimed.tx.body.sender;
    if !lane.is_party(&sender) {
        return Err(Refusal::StepOfStranger { tx, sender });
    }
    lane.settled = settled.settled;
    let computed = payout(settled, lane);
    compare(tx, &claimed.payout, &computed)?;
    Ok(computed)
}

fn payout(settled: Settlement, lane: &Lane) -> Payout {
    Payout {
        settled_before: settled.settled_before,
        settled: settled.settled,
        charge: settled.charge,
        infra: settled.infra,
        shares: settled.shares,
        carry: lane.divide(lane.settled).carry,
    }
}

fn check_octets(tx: Place, claimed: &ClaimedTicket, ticket: &Ticket) -> Result<(), Refusal> {
    let words = [
        (Word::Receipt, claimed.receipt, ticket.receipt.body.octets),
        (Word::Delivery, claimed.delivery, ticket.delivery.body.octets),
    ];
    match words.into_iter().find(|(_, shown, signed)| shown != signed) {
        Some((what, shown, signed)) => Err(Refusal::OctetsDiffer { tx, what, shown, signed }),
        None => Ok(()),
    }
}

fn compare(tx: Place, shown: &Payout, computed: &Payout) -> Result<(), Refusal> {
    if shown.settled != computed.settled {
        let (shown, computed) = (shown.settled, computed.settled);
        return Err(Refusal::SettledDiffers { tx, shown, computed });
    }
    if shown.charge != computed.charge {
        let (shown, computed) = (shown.charge, computed.charge);
        return Err(Refusal::ChargeDiffers { tx, shown, computed });
    }
    if shown.infra != computed.infra {
        let (shown, computed) = (shown.infra, computed.infra);
        return Err(Refusal::InfraDiffers { tx, shown, computed });
    }
    compare_shares(tx, &shown.shares, &computed.shares)?;
    if shown.carry != computed.carry {
        let (shown, computed) = (shown.carry, computed.carry);
        return Err(Refusal::CarryDiffers { tx, shown, computed });
    }
    Ok(())
}

fn compare_shares(
    tx: Place,
    shown: &[(AccountKey, Amount)],
    computed: &[(AccountKey, Amount)],
) -> Result<(), Refusal> {
    if shown.len() != computed.len() {
        let (shown, computed) = (wide(shown.len()), wide(computed.len()));
        return Err(Refusal::ShareCountDiffers { tx, shown, computed });
    }
    for (hop, (shown, computed)) in (1..).zip(shown.iter().zip(computed)) {
        if shown.0 != computed.0 {
            return Err(Refusal::ShareOfOther { tx, hop, shown: shown.0, computed: computed.0 });
        }
        if shown.1 != computed.1 {
            return Err(Refusal::ShareDiffers { tx, hop, shown: shown.1, computed: computed.1 });
        }
    }
    Ok(())
}

impl Refusal {
    /// The code that people and programs see; a broken rule of tickets has the ledger's own.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongChain { .. } => "SRW-E101",
            Self::TxForged { .. } => "SRW-E102",
            Self::OtherAction { .. } => "SRW-E103",
            Self::Impossible { .. } => "SRW-E104",
            Self::LaneDiffers { .. } => "SRW-E105",
            Self::PayerDiffers { .. } => "SRW-E106",
            Self::PathDiffers { .. } => "SRW-E107",
            Self::PriceDiffers { .. } => "SRW-E108",
            Self::PayeeCountDiffers { .. } | Self::PayeeDiffers { .. } => "SRW-E109",
            Self::WeightDiffers { .. } => "SRW-E110",
            Self::StepOfOtherLane { .. } => "SRW-E111",
            Self::StepOfStranger { .. } => "SRW-E112",
            Self::CapOverflows { .. } => "SRW-E113",
            Self::OctetsDiffer { .. } => "SRW-E114",
            Self::Rule { why, .. } => why.code(),
            Self::TicketMissing { .. } => "SRW-E115",
            Self::SettledDiffers { .. } => "SRW-E116",
            Self::ChargeDiffers { .. } => "SRW-E117",
            Self::InfraDiffers { .. } => "SRW-E118",
            Self::ShareCountDiffers { .. }
            | Self::ShareOfOther { .. }
            | Self::ShareDiffers { .. } => "SRW-E119",
            Self::CarryDiffers { .. } => "SRW-E120",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fee::FeeSchedule;
    use crate::lane::LaneOpen;
    use crate::tx::Author;
    use srwan_wire::id::Height;
    use srwan_wire::receipt::{Delivery, DeliveryBody, Receipt, ReceiptBody};
    use srwan_wire::sign::AccountSecret;

    const CHAIN: ChainId = ChainId([7; 32]);
    const PATH: PathHash = PathHash([9; 32]);
    const WEIGHTS: [u32; 3] = [3, 5, 7];

    fn secret(person: u8) -> AccountSecret {
        AccountSecret::from_seed(&[person; 32])
    }

    fn author(person: u8) -> Author {
        let fees =
            FeeSchedule { min_fee: Amount::ZERO, base_fee: Amount::ZERO, byte_fee: Amount::ZERO };
        Author::new(CHAIN, fees, secret(person))
    }

    fn ticket(lane: LaneId, octets: u64) -> Ticket {
        let (price, expiry, octets) = (Price::REFERENCE, Height(500), Octets(octets));
        let receipt = ReceiptBody { chain: CHAIN, lane, path: PATH, octets, price, expiry };
        let delivery = DeliveryBody { chain: CHAIN, lane, path: PATH, octets };
        Ticket {
            lane,
            receipt: Receipt::new(receipt, &secret(1)),
            delivery: Delivery::new(delivery, &secret(4)),
            statements: Vec::new(),
        }
    }

    fn claim(lane: LaneId, octets: u64, payout: Payout) -> Step {
        let tx = author(2).ticket(octets, ticket(lane, octets));
        let (receipt, delivery) = (Octets(octets), Octets(octets));
        Step::Ticket(Box::new(ClaimedTicket { tx, receipt, delivery, payout }))
    }

    fn raise(person: u8, lane: LaneId, base: u64) -> Step {
        Step::Raise(Box::new(author(person).lane_raise(6, lane, Amount::from_base(base))))
    }

    fn paid(range: [u64; 2], whole: [u64; 2], shares: [u64; 3], carry: u64) -> Payout {
        let payees = [2, 3, 4].map(|person| secret(person).public());
        Payout {
            settled_before: Octets(range[0]),
            settled: Octets(range[1]),
            charge: Amount::from_base(whole[0]),
            infra: Amount::from_base(whole[1]),
            shares: payees.into_iter().zip(shares.map(Amount::from_base)).collect(),
            carry: Amount::from_base(carry),
        }
    }

    /// The weighted vector of the design note, in two tickets: up to the cap, and after a raise.
    fn evidence() -> LaneEvidence {
        let payees: Vec<Payee> = [2, 3, 4]
            .into_iter()
            .zip(WEIGHTS)
            .map(|(person, weight)| Payee { account: secret(person).public(), weight })
            .collect();
        let open = LaneOpen {
            path: PATH,
            payees: payees.clone(),
            price: Price::REFERENCE,
            cap: Amount::from_base(160_000_000),
            fee_reserve: Amount::ZERO,
            expiry: Height(500),
        };
        let (id, opening) = author(1).lane_open(5, open);
        let first = paid(
            [0, 16_000_000],
            [160_000_000, 16_000_000],
            [28_800_000, 48_000_000, 67_200_000],
            0,
        );
        let second = paid(
            [16_000_000, 987_654_321],
            [9_716_543_210, 971_654_321],
            [1_748_977_777, 2_914_962_963, 4_080_948_148],
            1,
        );
        LaneEvidence {
            chain: CHAIN,
            infra_bps: 1_000,
            shown: ShownLane {
                id,
                payer: secret(1).public(),
                path: PATH,
                price: Price::REFERENCE,
                payees,
            },
            opening,
            steps: vec![
                claim(id, 17_000_000, first),
                raise(1, id, 10_000_000_000),
                claim(id, 987_654_321, second),
            ],
        }
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut LaneEvidence), code: &str) {
        let mut evidence = evidence();
        change(&mut evidence);
        let refusal = recompute(&evidence).unwrap_err();
        assert_eq!(refusal.code(), code, "{refusal}");
    }

    fn last(evidence: &mut LaneEvidence) -> &mut ClaimedTicket {
        match evidence.steps.last_mut().unwrap() {
            Step::Ticket(claimed) => claimed,
            Step::Raise(_) => panic!("the last step is a ticket"),
        }
    }

    /// What the submitter puts into its ticket, signed by the submitter.
    fn bundle(change: impl FnOnce(&mut Ticket)) -> impl FnOnce(&mut LaneEvidence) {
        |evidence| {
            let claimed = last(evidence);
            let Action::Ticket(mut ticket) = claimed.tx.body.action.clone() else { panic!() };
            change(&mut ticket);
            claimed.receipt = ticket.receipt.body.octets;
            claimed.delivery = ticket.delivery.body.octets;
            claimed.tx = author(2).ticket(9, ticket);
        }
    }

    #[test]
    fn a_lane_settled_in_two_tickets_pays_what_the_vector_says() {
        let payouts = recompute(&evidence()).unwrap();
        let of = |hop: usize| payouts.iter().map(|p| p.shares[hop].1.base()).sum::<u64>();
        assert_eq!([of(0), of(1), of(2)], [1_777_777_777, 2_962_962_963, 4_148_148_148]);
        assert_eq!(payouts.iter().map(|p| p.charge.base()).sum::<u64>(), 9_876_543_210);
        assert_eq!(payouts[1].carry, Amount::from_base(1));
    }

    #[test]
    fn what_is_shown_must_be_what_was_signed() {
        refused(|e| e.chain = ChainId([8; 32]), "SRW-E101");
        refused(|e| e.opening.body.fee = Amount::from_base(1), "SRW-E102");
        refused(|e| e.shown.id = LaneId([1; 32]), "SRW-E105");
        refused(|e| e.shown.payer = AccountKey([1; 32]), "SRW-E106");
        refused(|e| e.shown.path = PathHash([1; 32]), "SRW-E107");
        refused(|e| e.shown.price = Price(1), "SRW-E108");
        refused(|e| e.shown.payees[1].account = AccountKey([1; 32]), "SRW-E109");
        refused(|e| e.shown.payees.truncate(2), "SRW-E109");
        refused(|e| e.shown.payees[2].weight = 8, "SRW-E110");
        refused(|e| last(e).receipt = Octets(5), "SRW-E114");
        refused(|e| last(e).delivery = Octets(5), "SRW-E114");
    }

    #[test]
    fn what_is_claimed_must_follow_from_the_rule() {
        refused(|e| last(e).payout.settled = Octets(1), "SRW-E116");
        refused(|e| last(e).payout.charge = Amount::ZERO, "SRW-E117");
        refused(|e| last(e).payout.infra = Amount::ZERO, "SRW-E118");
        refused(|e| e.infra_bps = 900, "SRW-E118");
        refused(|e| last(e).payout.shares[0].1 = Amount::ZERO, "SRW-E119");
        refused(|e| last(e).payout.shares[0].0 = AccountKey([1; 32]), "SRW-E119");
        refused(|e| last(e).payout.shares.truncate(2), "SRW-E119");
        refused(|e| last(e).payout.carry = Amount::ZERO, "SRW-E120");
    }

    #[test]
    fn a_missing_ticket_and_a_missing_raise_are_noticed() {
        refused(|e| drop(e.steps.remove(0)), "SRW-E115");
        refused(|e| drop(e.steps.remove(1)), "SRW-L410");
        refused(|e| e.steps.swap(0, 1), "SRW-E116");
    }

    #[test]
    fn a_submitter_cannot_change_what_others_signed() {
        refused(bundle(|t| t.receipt.body.octets.0 += 1), "SRW-L403");
        refused(bundle(|t| t.receipt.body.price.0 += 1), "SRW-L402");
        refused(bundle(|t| t.delivery.body.octets.0 += 1), "SRW-L405");
        refused(bundle(|t| t.delivery.body.path = PathHash([1; 32])), "SRW-L404");
        refused(|e| last(e).tx.body.nonce += 1, "SRW-E102");
    }

    #[test]
    fn steps_are_of_this_lane_and_its_parties() {
        let stranger = |e: &mut LaneEvidence| {
            let Action::Ticket(ticket) = last(e).tx.body.action.clone() else { panic!() };
            last(e).tx = author(6).ticket(0, ticket);
        };
        refused(stranger, "SRW-E112");
        let lane = evidence().shown.id;
        refused(|e| e.steps[1] = raise(1, LaneId([1; 32]), 1), "SRW-E111");
        refused(|e| e.steps[1] = raise(2, lane, 1), "SRW-E112");
        refused(|e| e.steps[1] = raise(1, lane, u64::MAX), "SRW-E113");
        refused(|e| e.opening = author(1).lane_close(5, lane), "SRW-E103");
    }
}
