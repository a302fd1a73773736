//! The paid side: lanes of others that this router serves as relay or endpoint.
//!
//! ```text
//!   set-up             ledger shows it        LaneEnd, expiry or silence           grace over
//!  ----------> Looking ---------------> Serving ----------------------> Ended ------------------> forgotten
//! ```
//!
//! A lane is served up to *receipts + credit*, never beyond its cap. The endpoint signs what it delivers; every payee
//! keeps the best receipt and the best delivery, on disk before it acknowledges them, and may settle them.

use super::credit::CreditBook;
use super::{Evidence, LaneFact, PayAction, ServedTerms, Terms};
use srwan_wire::canary::{self, Canary};
use srwan_wire::id::{AccountKey, ChainId, LaneId, LaneLabel, NodeId, Octets, path_hash};
use srwan_wire::oam::{LaneAnswer, LaneSetup, LaneVerdict, Oam, ReceiptAck};
use srwan_wire::receipt::{Delivery, DeliveryBody, LinkStatement, Price, Receipt, Signed};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Lanes served at once; one set-up more is refused. 100 members with 16 lanes each.
pub const SERVED_LANES_MAX: usize = 1_600;

/// Between two deliveries that the endpoint signs while traffic flows. Short against the receipt step of a stranger at
/// 100 Mbit/s (84 ms a MiB), so that evidence keeps up; long against the 50 us that a signature costs.
const DELIVERY_EVERY: Duration = Duration::from_millis(200);

/// A lane without traffic for this long is settled if it holds more than the ledger's least ticket.
const IDLE_SETTLE: Duration = Duration::from_secs(5);

/// A lane is settled each time that this many octets are unsettled (economics, "Lane", 6).
const TICKET_OCTETS: u64 = 1_000_000_000;

/// Least octets that the ledger settles while a lane is open (economics, `min_settle`).
const SETTLE_OCTETS_MIN: u64 = 10_000_000;

/// A payee that is not the endpoint waits this long for the endpoint's ticket before it hands in its own.
const RELAY_PATIENCE: Duration = Duration::from_secs(2);

/// An ended lane keeps its packets for this long (they may still be under way) before it is no longer served.
const END_SERVE: Duration = Duration::from_secs(1);

/// An ended lane is forgotten after this.
const FORGET: Duration = Duration::from_secs(60);

/// A served lane without traffic is looked up again this often: a payer that restarted closes it there.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A lookup that the ledger did not answer is repeated after this.
const LOOKUP_RETRY: Duration = Duration::from_millis(500);

/// All lanes that this router serves.
pub struct Payee {
    me: NodeId,
    account: AccountSecret,
    chain: ChainId,
    price: Option<Price>,
    credit: CreditBook,
    lanes: BTreeMap<LaneId, ServedLane>,
    draining: bool,
    out: VecDeque<PayAction>,
}

/// One served lane, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedView {
    /// The lane.
    pub lane: LaneId,
    /// The label of its packets.
    pub label: LaneLabel,
    /// Headend, relays, endpoint.
    pub path: Vec<NodeId>,
    /// Whether this router is the endpoint.
    pub is_endpoint: bool,
    /// Whether packets are served.
    pub serving: bool,
    /// Price and cap.
    pub terms: Terms,
    /// Octets counted here.
    pub octets: Octets,
    /// Octets of the best receipt.
    pub receipt: Octets,
    /// Octets of the best delivery.
    pub delivered: Octets,
    /// Octets settled on the ledger.
    pub settled: Octets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Looking { asked: Instant },
    Serving,
    Ended { since: Instant, served: bool },
}

struct ServedLane {
    setup: LaneSetup,
    endpoint_account: AccountKey,
    phase: Phase,
    receipt: Option<Receipt>,
    receipt_stored: bool,
    delivery: Option<Delivery>,
    statements: Vec<LinkStatement>,
    octets: Octets,
    grew_at: Instant,
    delivered_at: Option<Instant>,
    settled: Octets,
    asked_to_settle: Octets,
    looked_up_at: Instant,
    told_stalled: bool,
}

/// Who takes part in a lane, as the signed roster says.
#[derive(Clone, Copy, Debug)]
pub struct Parties {
    /// The headend's account, which must be the payer.
    pub headend: AccountKey,
    /// The endpoint's account, which signs deliveries.
    pub endpoint: AccountKey,
}

impl Payee {
    /// A payee that serves nothing; `price` is `None` for a router that only measures (W94).
    #[must_use]
    pub fn new(me: NodeId, account: AccountSecret, chain: ChainId, price: Option<Price>) -> Self {
        let (credit, lanes, out) = (CreditBook::default(), BTreeMap::new(), VecDeque::new());
        Self { me, account, chain, price, credit, lanes, draining: false, out }
    }

    /// The chain became known.
    pub fn set_chain(&mut self, chain: ChainId) {
        self.chain = chain;
    }

    /// A headend asks to serve a lane. `parties` is `None` if the roster does not list them.
    pub fn handle_setup(
        &mut self,
        from: NodeId,
        setup: &LaneSetup,
        parties: Option<Parties>,
        now: Instant,
    ) {
        if let Some(lane) = self.lanes.get(&setup.lane) {
            let verdict = self.repeat_verdict(lane, setup);
            return self.answer(from, setup, verdict);
        }
        match parties.filter(|p| self.acceptable(from, setup, p)) {
            Some(parties) => self.look_up(setup, &parties, now),
            None => self.answer(from, setup, LaneVerdict::Refused),
        }
    }

    /// What the ledger shows of a lane; `None` = it does not show it (yet).
    pub fn handle_fact(&mut self, id: LaneId, fact: Option<&LaneFact>, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(fact) = fact else {
            let (to, setup) = (lane.setup.headend, lane.setup.clone());
            return self.answer(to, &setup, LaneVerdict::NotFinal);
        };
        lane.settled = lane.settled.max(fact.settled);
        match lane.phase {
            Phase::Looking { .. } => self.judge(id, fact),
            Phase::Serving if !fact.open => {
                lane.phase = Phase::Ended { since: now, served: true };
                lane.delivered_at = None;
            }
            Phase::Serving | Phase::Ended { .. } => {}
        }
    }

    /// The payer's receipt; kept if it says more than the one held.
    pub fn handle_receipt(&mut self, receipt: &Receipt) {
        let Some(lane) = self.lanes.get_mut(&receipt.body.lane) else { return };
        let octets = receipt.body.octets;
        let is_same_news = canary::is(Canary::ReceiptAgain);
        let is_held =
            |h: &&Receipt| h.body.octets > octets || h.body.octets == octets && !is_same_news;
        if let Some(held) = lane.receipt.as_ref().filter(is_held) {
            if lane.receipt_stored {
                let ack = ReceiptAck { lane: held.body.lane, octets: held.body.octets };
                self.out.push_back(lane.to_headend(self.me, Oam::ReceiptAck(ack)));
            }
            return;
        }
        if receipt_fits(receipt, &lane.setup, self.chain)
            && receipt.verify(&lane.setup.payer).is_ok()
        {
            lane.receipt = Some(*receipt);
            lane.receipt_stored = false;
            self.store(receipt.body.lane);
            self.raise(receipt.body.lane);
        }
    }

    /// The evidence of a lane is on disk: now the payer may be told.
    pub fn handle_stored(&mut self, id: LaneId, octets: Octets) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if lane.receipt.as_ref().is_some_and(|r| r.body.octets == octets) && !lane.receipt_stored {
            lane.receipt_stored = true;
            let ack = Oam::ReceiptAck(ReceiptAck { lane: id, octets });
            self.out.push_back(lane.to_headend(self.me, ack));
        }
    }

    /// The endpoint's delivery; kept if the endpoint signed it and it says more than the one held.
    pub fn handle_delivery(&mut self, delivery: &Delivery) {
        let Some(lane) = self.lanes.get_mut(&delivery.body.lane) else { return };
        let news = lane.delivery.as_ref().is_none_or(|d| d.body.octets < delivery.body.octets);
        let fits = delivery.body.chain == self.chain && delivery.body.path == lane.setup.path;
        if news && fits && delivery.verify(&lane.endpoint_account).is_ok() {
            lane.delivery = Some(*delivery);
            self.store(delivery.body.lane);
        }
    }

    /// The payer ends the lane.
    pub fn handle_end(&mut self, from: NodeId, id: LaneId, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&id).filter(|l| l.setup.headend == from) else {
            return;
        };
        if !matches!(lane.phase, Phase::Ended { .. }) {
            lane.phase = Phase::Ended { since: now, served: true };
            lane.delivered_at = None;
        }
    }

    /// The ledger settled a ticket of this lane up to `octets`.
    pub fn handle_settled(&mut self, id: LaneId, octets: Octets) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if octets > lane.settled {
            lane.settled = octets;
            let payer = lane.setup.payer;
            self.credit.settled(payer);
            self.raise(id);
        }
    }

    /// The data plane ran into the end of a lane's allowance: the payer is told, so that it leaves the path.
    pub fn handle_exhausted(&mut self, label: LaneLabel) {
        let found =
            self.lanes.values().find(|l| l.setup.label == label && l.phase == Phase::Serving);
        let Some(lane) = found else { return };
        let (to, setup) = (lane.setup.headend, lane.setup.clone());
        self.answer(to, &setup, LaneVerdict::Stalled);
    }

    /// Takes no more lanes and settles those at hand.
    pub fn drain(&mut self, now: Instant) {
        self.draining = true;
        for lane in self.lanes.values_mut().filter(|l| l.phase == Phase::Serving) {
            lane.phase = Phase::Ended { since: now, served: true };
            lane.delivered_at = None;
        }
    }

    /// Does what time asks for. `counted` tells how many octets the data plane counted under a label; `statements`
    /// gives the link statements of the links beside this router on a path.
    pub fn tick(
        &mut self,
        now: Instant,
        counted: impl Fn(LaneLabel) -> Octets,
        statements: impl Fn(&LaneSetup) -> Vec<LinkStatement>,
    ) {
        let ids: Vec<_> = self.lanes.keys().copied().collect();
        for id in ids {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.count(counted(lane.setup.label), now);
            lane.statements = statements(&lane.setup);
            self.deliver(id, now);
            self.settle_if_due(id, now);
            self.age(id, now);
        }
    }

    /// The evidence of every lane, for a router that is leaving.
    #[must_use]
    pub fn all_evidence(&self) -> Vec<Evidence> {
        self.lanes
            .values()
            .filter_map(ServedLane::evidence)
            .filter(|e| e.octets() > Octets(0))
            .collect()
    }

    /// Whether a lane holds evidence for more than the ledger settled.
    #[must_use]
    pub fn has_unsettled(&self) -> bool {
        let open = |lane: &ServedLane| lane.evidence().is_some_and(|e| e.octets() > lane.settled);
        self.lanes.values().any(open)
    }

    /// All lanes, for people.
    pub fn views(&self) -> impl Iterator<Item = ServedView> + '_ {
        self.lanes.iter().map(|(id, lane)| lane.view(*id, self.me))
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<PayAction> {
        self.out.pop_front()
    }

    fn acceptable(&self, from: NodeId, setup: &LaneSetup, parties: &Parties) -> bool {
        let path = path_hash(setup.headend, setup.relays.as_slice(), setup.endpoint);
        !self.draining
            && self.lanes.len() < SERVED_LANES_MAX
            && from == setup.headend
            && setup.payer == parties.headend
            && setup.path == path
            && self.place_fits(setup)
            && self.price.is_some_and(|asked| Price(setup.price) >= asked)
            && !self.lanes.values().any(|lane| lane.setup.label == setup.label)
    }

    /// Whether the neighbours that the set-up names are those that its relays imply.
    fn place_fits(&self, setup: &LaneSetup) -> bool {
        let mut nodes = vec![setup.headend];
        nodes.extend(setup.relays.as_slice());
        nodes.push(setup.endpoint);
        let Some(at) = nodes.iter().skip(1).position(|n| *n == self.me).map(|i| i + 1) else {
            return false;
        };
        nodes[at - 1] == setup.previous && nodes.get(at + 1).copied() == setup.next
    }

    fn look_up(&mut self, setup: &LaneSetup, parties: &Parties, now: Instant) {
        let lane = ServedLane {
            setup: setup.clone(),
            endpoint_account: parties.endpoint,
            phase: Phase::Looking { asked: now },
            receipt: None,
            receipt_stored: false,
            delivery: None,
            statements: Vec::new(),
            octets: Octets(0),
            grew_at: now,
            delivered_at: None,
            settled: Octets(0),
            asked_to_settle: Octets(0),
            looked_up_at: now,
            told_stalled: false,
        };
        self.lanes.insert(setup.lane, lane);
        self.out.push_back(PayAction::Lookup(setup.lane));
    }

    fn judge(&mut self, id: LaneId, fact: &LaneFact) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let (to, setup) = (lane.setup.headend, lane.setup.clone());
        if !fact_fits(fact, &setup, &self.account.public()) {
            self.lanes.remove(&id);
            return self.answer(to, &setup, LaneVerdict::Refused);
        }
        lane.phase = Phase::Serving;
        let credit = self.credit.of(&setup.payer);
        let terms = ServedTerms {
            label: setup.label,
            previous: setup.previous,
            next: setup.next,
            allowed: credit.min(terms_of(&setup).cap_octets()),
        };
        self.out.push_back(PayAction::Install(terms));
        self.answer(to, &setup, LaneVerdict::Serving { credit, counted: Octets(0) });
    }

    fn repeat_verdict(&self, lane: &ServedLane, setup: &LaneSetup) -> LaneVerdict {
        match lane.phase {
            _ if lane.setup != *setup => LaneVerdict::Refused,
            Phase::Looking { .. } => LaneVerdict::NotFinal,
            Phase::Serving => {
                LaneVerdict::Serving { credit: self.credit.of(&setup.payer), counted: lane.octets }
            }
            Phase::Ended { .. } => LaneVerdict::Refused,
        }
    }

    fn answer(&mut self, to: NodeId, setup: &LaneSetup, verdict: LaneVerdict) {
        let answer = LaneAnswer { label: setup.label, lane: setup.lane, verdict };
        let via = way_back(setup, self.me, setup.headend);
        self.out.push_back(PayAction::Send { to, via, oam: Oam::LaneAnswer(answer) });
    }

    fn store(&mut self, id: LaneId) {
        if let Some(evidence) = self.lanes.get(&id).and_then(ServedLane::evidence) {
            self.out.push_back(PayAction::Store(evidence));
        }
    }

    fn raise(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.told_stalled = false;
        let receipt = lane.receipt.as_ref().map_or(0, |r| r.body.octets.0);
        let credit = self.credit.of(&lane.setup.payer).0;
        let cap = terms_of(&lane.setup).cap_octets().0;
        let allowed = Octets(receipt.saturating_add(credit).min(cap));
        self.out.push_back(PayAction::Raise { label: lane.setup.label, allowed });
    }

    /// The endpoint signs what it delivered, at most every `DELIVERY_EVERY`.
    fn deliver(&mut self, id: LaneId, now: Instant) {
        let (me, chain) = (self.me, self.chain);
        let Some(lane) = self.lanes.get_mut(&id).filter(|l| l.setup.endpoint == me) else { return };
        let news = lane.delivery.as_ref().map_or(Octets(0), |d| d.body.octets) < lane.octets;
        if !news || lane.delivered_at.is_some_and(|at| now.since(at) < DELIVERY_EVERY) {
            return;
        }
        let body = DeliveryBody { chain, lane: id, path: lane.setup.path, octets: lane.octets };
        let delivery = Signed::new(body, &self.account);
        lane.delivery = Some(delivery);
        lane.delivered_at = Some(now);
        let setup = &lane.setup;
        let hops = setup.relays.as_slice().iter().copied().chain([setup.headend]);
        let send =
            |to| PayAction::Send { to, via: way_back(setup, me, to), oam: Oam::Delivery(delivery) };
        self.out.extend(hops.map(send));
        self.store(id);
    }

    fn settle_if_due(&mut self, id: LaneId, now: Instant) {
        let me = self.me;
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(evidence) = lane.evidence() else { return };
        let paid_or_asked = lane.settled.max(lane.asked_to_settle);
        let is_again = canary::is(Canary::SettleAgain);
        let paid_or_asked = if is_again { Octets(0) } else { paid_or_asked };
        let open = evidence.octets().0.saturating_sub(paid_or_asked.0);
        if open > 0 && lane.settle_due(open, lane.setup.endpoint == me, now) {
            lane.asked_to_settle = evidence.octets();
            self.out.push_back(PayAction::Settle(evidence));
        }
    }

    fn age(&mut self, id: LaneId, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        match lane.phase {
            Phase::Looking { asked } if now.since(asked) > FORGET => {
                self.lanes.remove(&id);
            }
            Phase::Looking { asked } if now.since(asked) >= LOOKUP_RETRY => {
                lane.phase = Phase::Looking { asked: now };
                self.out.push_back(PayAction::Lookup(id));
            }
            Phase::Serving if lane.is_forgotten(now) => {
                lane.looked_up_at = now;
                self.out.push_back(PayAction::Lookup(id));
            }
            Phase::Looking { .. } | Phase::Serving => {}
            Phase::Ended { since, served: true } if now.since(since) >= END_SERVE => {
                lane.phase = Phase::Ended { since, served: false };
                self.out.push_back(PayAction::Remove(lane.setup.label));
            }
            Phase::Ended { since, .. } if now.since(since) > FORGET => {
                self.lanes.remove(&id);
            }
            Phase::Ended { .. } => {}
        }
    }
}

impl ServedLane {
    fn to_headend(&self, me: NodeId, oam: Oam) -> PayAction {
        let to = self.setup.headend;
        PayAction::Send { to, via: way_back(&self.setup, me, to), oam }
    }

    fn evidence(&self) -> Option<Evidence> {
        let (receipt, delivery) = (self.receipt?, self.delivery);
        let statements = self.statements.clone();
        Some(Evidence { lane: self.setup.lane, receipt, delivery, statements })
    }

    /// Takes a later count; a lane that is no longer served keeps its last one.
    fn count(&mut self, octets: Octets, now: Instant) {
        if octets > self.octets {
            self.octets = octets;
            self.grew_at = now;
        }
    }

    /// A lane without traffic whose payer may be gone: the ledger knows whether it was closed.
    fn is_forgotten(&self, now: Instant) -> bool {
        now.since(self.grew_at) >= LOOK_AGAIN && now.since(self.looked_up_at) >= LOOK_AGAIN
    }

    fn settle_due(&self, open: u64, is_endpoint: bool, now: Instant) -> bool {
        let patience = if is_endpoint { Duration::ZERO } else { RELAY_PATIENCE };
        match self.phase {
            Phase::Looking { .. } => false,
            Phase::Serving => {
                let idle = now.since(self.grew_at) >= IDLE_SETTLE + patience;
                open >= TICKET_OCTETS || (idle && open >= SETTLE_OCTETS_MIN)
            }
            Phase::Ended { since, .. } => now.since(since) >= END_SERVE + patience,
        }
    }

    fn view(&self, id: LaneId, me: NodeId) -> ServedView {
        let mut path = vec![self.setup.headend];
        path.extend(self.setup.relays.as_slice());
        path.push(self.setup.endpoint);
        ServedView {
            lane: id,
            label: self.setup.label,
            path,
            is_endpoint: self.setup.endpoint == me,
            serving: self.phase == Phase::Serving,
            terms: terms_of(&self.setup),
            octets: self.octets,
            receipt: self.receipt.as_ref().map_or(Octets(0), |r| r.body.octets),
            delivered: self.delivery.as_ref().map_or(Octets(0), |d| d.body.octets),
            settled: self.settled,
        }
    }
}

/// The relays from `me` back to `to`, both on the path of `setup`.
fn way_back(setup: &LaneSetup, me: NodeId, to: NodeId) -> Vec<NodeId> {
    let relays = setup.relays.as_slice();
    let mine = relays.iter().position(|n| *n == me).unwrap_or(relays.len());
    let start = relays.iter().position(|n| *n == to).map_or(0, |at| at + 1);
    relays.get(start..mine).unwrap_or_default().iter().rev().copied().collect()
}

fn terms_of(setup: &LaneSetup) -> Terms {
    Terms { price: Price(setup.price), cap: setup.cap }
}

fn receipt_fits(receipt: &Receipt, setup: &LaneSetup, chain: ChainId) -> bool {
    let body = &receipt.body;
    body.chain == chain
        && body.path == setup.path
        && body.price == Price(setup.price)
        && body.expiry == setup.expiry
}

fn fact_fits(fact: &LaneFact, setup: &LaneSetup, me: &AccountKey) -> bool {
    fact.open
        && fact.payer == setup.payer
        && fact.path == setup.path
        && fact.terms == terms_of(setup)
        && fact.expiry == setup.expiry
        && fact.payees.contains(me)
        && fact.payees.len() == setup.relays.as_slice().len() + 1
}
