//! The paying side: lanes that this router opened for paths of its own.
//!
//! ```text
//!            ledger: open           each hop serves            not wanted / cap used
//!  Opening ---------------> SetUp ------------------> Ready ---------------------------> Ending -> closed
//!     |  refused              |  refused, 10 s silent    |  a hop stalls                    ^
//!     +-----------------------+----------> dropped       +--> Stalled ---------------------+
//! ```
//!
//! A ready lane whose path is no longer wanted rests for a while instead of ending: a lane that ends keeps its cap from
//! the escrow until its claim window is over, days later, and a path that was left is often the next to be taken.
//!
//! Receipts run one step ahead of the traffic, so that payees at the end of a long path always hold one for what
//! arrives. That exposes nothing: what is paid is the lesser of the receipt and the endpoint's delivery.

mod resting;
mod stall;

use super::shortfall::Shortfall;
use super::{Hop, LaneFact, LanePhase, LaneRequest, PathKey, PayAction, Terms};
use srwan_wire::id::{
    AccountKey, ChainId, Height, LaneId, LaneLabel, NodeId, Octets, PathHash, path_hash,
};
use srwan_wire::oam::{LaneAnswer, LaneSetup, LaneVerdict, Oam, ReceiptAck, Relays};
use srwan_wire::receipt::{
    Delivery, RECEIPT_STEP, RECEIPT_STEP_STRANGER, Receipt, ReceiptBody, Signed,
};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Lanes that this router pays for at once. Each holds coins; 72 covers 16 endpoints with an active and a standby
/// path, each with a successor, and eight lanes that rest.
pub const PAID_LANES_MAX: usize = 72;

/// Between two set-up messages to a hop that did not answer: about one intercontinental round trip.
const SETUP_RETRY: Duration = Duration::from_millis(200);

/// A ready lane asks its hops again this often, so that a hop that restarted and knows the lane no more is noticed
/// before much traffic is lost in it.
const KEEP_ASKING: Duration = Duration::from_secs(1);

/// A hop of a ready lane that did not answer for this long has stopped serving it.
const SILENT_HOP: Duration = Duration::from_secs(4);

/// A hop that did not agree by then refuses: long enough for a slow ledger to show the lane to it.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two sendings of a receipt that was not acknowledged.
const RECEIPT_RETRY: Duration = Duration::from_millis(250);

/// Receipts should lie at least this far apart: fast traffic gets larger steps, up to [`RECEIPT_STEP`], so that signing
/// and checking do not cost the packet threads more the faster it is. At 4 Gbit/s it is 50 a second, before 430.
const RECEIPT_PACE: Duration = Duration::from_millis(20);

/// What is left of a cap when its lane is left: traffic of 20 Mbit/s between two looks at it, and many times the
/// largest packet. **Units:** octets; a small lane leaves an eighth.
const CAP_REST: u64 = 256 * 1024;

/// After the end of a lane its payees have this long to hand in tickets before the payer closes it.
const END_GRACE: Duration = Duration::from_secs(3);

/// A refused path is not asked for again before this has passed.
const REFUSED_HOLD: Duration = Duration::from_secs(10);

/// A successor is opened when this share of the cap is used: three quarters.
const ROLLOVER_NUM: u64 = 3;
const ROLLOVER_DEN: u64 = 4;

/// All lanes that this router pays for.
pub struct Payer {
    me: NodeId,
    account: AccountSecret,
    chain: ChainId,
    lanes: BTreeMap<LaneLabel, PaidLane>,
    refused: BTreeMap<PathKey, Instant>,
    out: VecDeque<PayAction>,
    ticked: Instant,
}

/// One lane, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidView {
    /// The path.
    pub path: PathKey,
    /// The lane on the ledger, once it is open.
    pub lane: Option<LaneId>,
    /// The label of its packets.
    pub label: LaneLabel,
    /// How far it is.
    pub phase: LanePhase,
    /// Price and cap.
    pub terms: Terms,
    /// Octets covered by the newest receipt.
    pub receipt: Octets,
    /// Octets covered by the endpoint's newest delivery.
    pub delivered: Octets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    SetUp { since: Instant },
    Ready,
    Stalled,
    Ending { since: Instant },
}

struct PaidLane {
    path: PathKey,
    hash: PathHash,
    hops: Vec<HopState>,
    terms: Terms,
    phase: Phase,
    lane: Option<LaneId>,
    expiry: Height,
    asked_at: Option<Instant>,
    receipt: Option<Receipt>,
    receipt_sent_at: Option<Instant>,
    signed_at: Instant,
    /// Octets between two receipts at the present rate; the base is [`PaidLane::step`].
    stride: u64,
    delivered: Octets,
    /// Cap of the lane that is to follow this one. **Units:** base.
    successor_cap: u64,
    shortfall: Shortfall,
    /// Since when nobody wants its path.
    rests_since: Option<Instant>,
}

struct HopState {
    hop: Hop,
    credit: Option<Octets>,
    counted: Octets,
    acked: Octets,
    answered_at: Instant,
}

impl Payer {
    /// A payer without lanes.
    #[must_use]
    pub fn new(me: NodeId, account: AccountSecret, chain: ChainId) -> Self {
        let (lanes, refused, out) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        Self { me, account, chain, lanes, refused, out, ticked: Instant::ZERO }
    }

    /// The chain became known.
    pub fn set_chain(&mut self, chain: ChainId) {
        self.chain = chain;
    }

    /// Makes sure that a lane for the path exists or is on its way. `label` names it if it has to be opened.
    pub fn want(&mut self, label: LaneLabel, hops: &[Hop], terms: Terms, now: Instant) {
        let Some(path) = path_of(hops) else { return };
        match self.usable(&path) {
            Some((label, lane)) if lane.phase == Phase::Ready => {
                self.wake(label);
                self.out.push_back(PayAction::Phase { path, label, phase: LanePhase::Ready });
            }
            Some(_) => {}
            None => self.open(label, path, hops, terms, now),
        }
    }

    /// Ends every lane: the router is leaving.
    pub fn end_all(&mut self, now: Instant) {
        for lane in self.lanes.values_mut() {
            lane.end(now, &mut self.out);
        }
        self.lanes.retain(|_, lane| lane.lane.is_some());
    }

    /// The ledger shows the lane that was asked for under `label`.
    pub fn handle_opened(&mut self, label: LaneLabel, id: LaneId, fact: &LaneFact, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&label) else {
            self.out.push_back(PayAction::Close(id));
            return;
        };
        lane.lane = Some(id);
        lane.expiry = fact.expiry;
        lane.phase = Phase::SetUp { since: now };
    }

    /// The ledger did not open the lane that was asked for under `label`.
    pub fn handle_open_failed(&mut self, label: LaneLabel, now: Instant) {
        self.refuse(label, now);
    }

    /// A hop answered a set-up.
    pub fn handle_answer(&mut self, from: NodeId, answer: &LaneAnswer, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&answer.label).filter(|l| l.lane == Some(answer.lane))
        else {
            return;
        };
        let Some(hop) = lane.hops.iter_mut().find(|h| h.hop.node == from) else { return };
        match answer.verdict {
            LaneVerdict::Serving { counted, .. } if counted < hop.counted => {
                self.stall(answer.label, now);
            }
            LaneVerdict::Serving { credit, counted } => {
                (hop.credit, hop.counted, hop.answered_at) = (Some(credit), counted, now);
                self.check_ready(answer.label, now);
            }
            LaneVerdict::NotFinal => {}
            LaneVerdict::Refused => self.refuse(answer.label, now),
            LaneVerdict::Stalled => self.stall(answer.label, now),
        }
    }

    /// A hop holds a receipt.
    pub fn handle_ack(&mut self, from: NodeId, ack: &ReceiptAck) {
        let mut hops = self.hops_of(ack.lane);
        if let Some(hop) = hops.find(|h| h.hop.node == from) {
            hop.acked = hop.acked.max(ack.octets);
        }
    }

    /// The endpoint said what it delivered; taken only if the endpoint signed it.
    pub fn handle_delivery(&mut self, delivery: &Delivery) {
        let found = self.lanes.values_mut().find(|l| l.lane == Some(delivery.body.lane));
        let Some(lane) = found else { return };
        let Some(endpoint) = lane.hops.last().map(|h| h.hop.account) else { return };
        if delivery.body.octets > lane.delivered && delivery.verify(&endpoint).is_ok() {
            lane.delivered = delivery.body.octets;
        }
    }

    /// Does what time asks for. `sent` tells how many octets the data plane sent under a label.
    pub fn tick(&mut self, now: Instant, sent: impl Fn(LaneLabel) -> Octets) {
        self.forgive_pause(now);
        self.refused.retain(|_, until| *until > now);
        let labels: Vec<_> = self.lanes.keys().copied().collect();
        for label in labels {
            self.tick_lane(label, sent(label), now);
        }
    }

    /// The label that pays for a path, if its lane is ready.
    #[must_use]
    pub fn ready_label(&self, path: &PathKey) -> Option<LaneLabel> {
        let ready = |lane: &PaidLane| lane.phase == Phase::Ready && lane.path == *path;
        self.lanes.iter().find(|(_, lane)| ready(lane)).map(|(label, _)| *label)
    }

    /// Paths whose lane is so far used that a successor should be opened, with its terms: twice the cap, so that a lane
    /// that stands by locks little and busy traffic needs few lanes; half of what the escrow could not fund.
    #[must_use]
    pub fn wearing_out(&self, sent: impl Fn(LaneLabel) -> Octets) -> Vec<(PathKey, Terms)> {
        let worn = |label: LaneLabel, lane: &PaidLane| {
            sent(label).0 / ROLLOVER_NUM >= lane.terms.cap_octets().0 / ROLLOVER_DEN
        };
        let has_successor = |path: &PathKey| {
            self.lanes
                .values()
                .any(|l| l.path == *path && matches!(l.phase, Phase::Opening | Phase::SetUp { .. }))
        };
        self.lanes
            .iter()
            .filter(|(label, lane)| lane.phase == Phase::Ready && worn(**label, lane))
            .filter(|(_, lane)| lane.rests().is_none())
            .filter(|(_, lane)| {
                !has_successor(&lane.path) && !self.refused.contains_key(&lane.path)
            })
            .map(|(_, lane)| (lane.path.clone(), Terms { cap: lane.successor_cap, ..lane.terms }))
            .collect()
    }

    /// Opens a second lane for a path whose lane is nearly used up.
    pub fn succeed(&mut self, label: LaneLabel, hops: &[Hop], terms: Terms, now: Instant) {
        if let Some(path) = path_of(hops) {
            self.open(label, path, hops, terms, now);
        }
    }

    /// Whether `label` is taken.
    #[must_use]
    pub fn uses(&self, label: LaneLabel) -> bool {
        self.lanes.contains_key(&label)
    }

    /// All lanes, for people.
    pub fn views(&self) -> impl Iterator<Item = PaidView> + '_ {
        self.lanes.iter().map(|(label, lane)| lane.view(*label))
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<PayAction> {
        self.out.pop_front()
    }

    fn usable(&self, path: &PathKey) -> Option<(LaneLabel, &PaidLane)> {
        let usable = |lane: &PaidLane| {
            lane.path == *path && !matches!(lane.phase, Phase::Ending { .. } | Phase::Stalled)
        };
        self.lanes.iter().find(|(_, lane)| usable(lane)).map(|(label, lane)| (*label, lane))
    }

    fn open(&mut self, label: LaneLabel, path: PathKey, hops: &[Hop], terms: Terms, _now: Instant) {
        if self.lanes.len() >= PAID_LANES_MAX || self.refused.contains_key(&path) {
            self.out.push_back(PayAction::Phase { path, label, phase: LanePhase::Refused });
            return;
        }
        let hash = path_hash(self.me, &path.relays, path.endpoint);
        let payees = hops.iter().map(|h| h.account).collect();
        self.out.push_back(PayAction::Open(LaneRequest { label, path: hash, payees, terms }));
        self.out.push_back(PayAction::Phase {
            path: path.clone(),
            label,
            phase: LanePhase::Opening,
        });
        self.lanes.insert(label, PaidLane::new(path, hash, hops, terms));
    }

    fn check_ready(&mut self, label: LaneLabel, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&label) else { return };
        let agreed = lane.hops.iter().all(|h| h.credit.is_some());
        if agreed && matches!(lane.phase, Phase::SetUp { .. }) {
            lane.phase = Phase::Ready;
            lane.sign_ahead(Octets(0), (self.chain, &self.account), now);
            let path = lane.path.clone();
            self.retire_predecessors(&path, label);
            self.out.push_back(PayAction::Phase { path, label, phase: LanePhase::Ready });
        }
    }

    /// A lane that became ready replaces the nearly used one of the same path, which ends at once.
    fn retire_predecessors(&mut self, path: &PathKey, successor: LaneLabel) {
        for (label, lane) in &mut self.lanes {
            if *label != successor && lane.path == *path && lane.phase == Phase::Ready {
                lane.phase = Phase::Stalled;
            }
        }
    }

    fn refuse(&mut self, label: LaneLabel, now: Instant) {
        let Some(lane) = self.lanes.remove(&label) else { return };
        if let Some(id) = lane.lane {
            self.out.push_back(PayAction::Close(id));
        }
        self.refused.insert(lane.path.clone(), now + REFUSED_HOLD);
        let mut same_path = self.lanes.values_mut().filter(|l| l.path == lane.path);
        if let Some(predecessor) = same_path.find(|l| l.phase == Phase::Ready) {
            predecessor.successor_cap = (lane.terms.cap / 2).max(1);
            return;
        }
        self.out.push_back(PayAction::Phase { path: lane.path, label, phase: LanePhase::Refused });
    }

    fn stall(&mut self, label: LaneLabel, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&label) else { return };
        if lane.phase != Phase::Ready {
            return;
        }
        let (path, rests) = (lane.path.clone(), lane.rests().is_some());
        lane.end(now, &mut self.out);
        if !rests {
            self.out.push_back(PayAction::Phase { path, label, phase: LanePhase::Stalled });
        }
    }

    fn drop_never_opened(&mut self, path: &PathKey) {
        self.lanes.retain(|_, lane| lane.path != *path || lane.lane.is_some());
    }

    fn hops_of(&mut self, id: LaneId) -> impl Iterator<Item = &mut HopState> {
        let lanes = self.lanes.values_mut().filter(move |lane| lane.lane == Some(id));
        lanes.flat_map(|lane| lane.hops.iter_mut())
    }

    fn tick_lane(&mut self, label: LaneLabel, sent: Octets, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&label) else { return };
        let loses = lane.phase == Phase::Ready && lane.loses(sent, now);
        match lane.phase {
            Phase::Opening => {}
            Phase::SetUp { since } if now.since(since) > SETUP_TIMEOUT => self.refuse(label, now),
            Phase::SetUp { .. } => {
                lane.ask_hops((self.me, self.account.public()), label, &mut self.out, now)
            }
            Phase::Ready if loses || lane.is_used_up(sent) || lane.has_silent_hop(now) => {
                self.stall(label, now);
            }
            Phase::Ready if lane.has_rested(now) => self.stall(label, now),
            Phase::Ready => {
                if let Some(allowed) = lane.sign_ahead(sent, (self.chain, &self.account), now) {
                    self.out.push_back(PayAction::Raise { label, allowed });
                }
                lane.send_receipt(&mut self.out, now);
                lane.ask_hops((self.me, self.account.public()), label, &mut self.out, now);
            }
            Phase::Stalled => lane.end(now, &mut self.out),
            Phase::Ending { since } if now.since(since) > END_GRACE => self.close(label),
            Phase::Ending { .. } => {
                lane.send_receipt(&mut self.out, now);
                lane.send_end(&mut self.out, now);
            }
        }
    }

    fn close(&mut self, label: LaneLabel) {
        if let Some(id) = self.lanes.remove(&label).and_then(|lane| lane.lane) {
            self.out.push_back(PayAction::Close(id));
        }
    }
}

impl PaidLane {
    fn new(path: PathKey, hash: PathHash, hops: &[Hop], terms: Terms) -> Self {
        let state = |hop: &Hop| HopState {
            hop: *hop,
            credit: None,
            counted: Octets(0),
            acked: Octets(0),
            answered_at: Instant::ZERO,
        };
        Self {
            path,
            hash,
            hops: hops.iter().map(state).collect(),
            terms,
            phase: Phase::Opening,
            lane: None,
            expiry: Height(0),
            asked_at: None,
            receipt: None,
            receipt_sent_at: None,
            signed_at: Instant::ZERO,
            stride: 0,
            delivered: Octets(0),
            successor_cap: terms.cap.saturating_mul(2),
            shortfall: Shortfall::default(),
            rests_since: None,
        }
    }

    fn view(&self, label: LaneLabel) -> PaidView {
        PaidView {
            path: self.path.clone(),
            lane: self.lane,
            label,
            phase: match self.phase {
                Phase::Opening | Phase::SetUp { .. } => LanePhase::Opening,
                Phase::Ready => LanePhase::Ready,
                Phase::Stalled => LanePhase::Stalled,
                Phase::Ending { .. } => LanePhase::Ending,
            },
            terms: self.terms,
            receipt: self.receipt.as_ref().map_or(Octets(0), |r| r.body.octets),
            delivered: self.delivered,
        }
    }

    /// Asks the hops that have not agreed yet; all of them once the lane is ready.
    fn ask_hops(
        &mut self,
        (me, payer): (NodeId, AccountKey),
        label: LaneLabel,
        out: &mut VecDeque<PayAction>,
        now: Instant,
    ) {
        let is_ready = self.phase == Phase::Ready;
        if !due(self.asked_at, if is_ready { KEEP_ASKING } else { SETUP_RETRY }, now) {
            return;
        }
        self.asked_at = Some(now);
        let Some(lane) = self.lane else { return };
        let Some(relays) = Relays::new(self.path.relays.clone()) else { return };
        for index in (0..self.hops.len()).filter(|i| is_ready || self.hops[*i].credit.is_none()) {
            let setup = LaneSetup {
                label,
                lane,
                payer,
                path: self.hash,
                previous: index.checked_sub(1).map_or(me, |before| self.hops[before].hop.node),
                next: self.hops.get(index + 1).map(|h| h.hop.node),
                headend: me,
                endpoint: self.path.endpoint,
                relays: relays.clone(),
                price: self.terms.price.0,
                cap: self.terms.cap,
                expiry: self.expiry,
            };
            out.push_back(self.send(index, Oam::LaneSetup(setup)));
        }
    }

    /// Octets between two receipts: small steps as long as any payee still treats us as a stranger.
    fn step(&self) -> u64 {
        let trusted = self.hops.iter().all(|h| h.credit.is_some_and(|c| c >= RECEIPT_STEP));
        if trusted { RECEIPT_STEP.0 } else { RECEIPT_STEP_STRANGER.0 }
    }

    /// Whether so little of the cap is left that packets would soon be dropped: this router drops the one that goes
    /// beyond the cap, so `sent` itself never reaches it.
    fn is_used_up(&self, sent: Octets) -> bool {
        let cap = self.terms.cap_octets().0;
        sent.0.saturating_add(CAP_REST.min(cap / 8)) >= cap
    }

    /// Whether too little of what was sent arrives, for too long.
    fn loses(&mut self, sent: Octets, now: Instant) -> bool {
        self.shortfall.judge(sent, self.delivered, now)
    }

    fn has_silent_hop(&self, now: Instant) -> bool {
        self.hops.iter().any(|h| now.since(h.answered_at) > SILENT_HOP)
    }

    /// Signs the next receipt if the traffic came close to the last one; returns up to where it may go on.
    fn sign_ahead(
        &mut self,
        sent: Octets,
        (chain, account): (ChainId, &AccountSecret),
        now: Instant,
    ) -> Option<Octets> {
        let lane = self.lane?;
        let step = self.step().max(self.stride);
        let wanted = (sent.0 / step).saturating_add(2).saturating_mul(step);
        let octets = Octets(wanted.min(self.terms.cap_octets().0));
        if self.receipt.as_ref().is_some_and(|r| r.body.octets >= octets) {
            return None;
        }
        self.pace(step, now);
        let (path, price, expiry) = (self.hash, self.terms.price, self.expiry);
        let body = ReceiptBody { chain, lane, path, octets, price, expiry };
        self.receipt = Some(Signed::new(body, account));
        self.receipt_sent_at = None;
        Some(octets)
    }

    /// Receipts that follow too closely are farther apart from here on; those that do not, come closer again.
    fn pace(&mut self, step: u64, now: Instant) {
        let apart = now.since(self.signed_at);
        self.signed_at = now;
        if apart < RECEIPT_PACE {
            self.stride = step.saturating_mul(2).min(RECEIPT_STEP.0);
        } else if apart > RECEIPT_PACE * 4 {
            self.stride = step / 2;
        }
    }

    fn send_receipt(&mut self, out: &mut VecDeque<PayAction>, now: Instant) {
        let Some(receipt) = &self.receipt else { return };
        if !due(self.receipt_sent_at, RECEIPT_RETRY, now) {
            return;
        }
        self.receipt_sent_at = Some(now);
        let behind = self.hops.iter().enumerate().filter(|(_, h)| h.acked < receipt.body.octets);
        out.extend(behind.map(|(index, _)| self.send(index, Oam::Receipt(*receipt))));
    }

    fn end(&mut self, now: Instant, out: &mut VecDeque<PayAction>) {
        if matches!(self.phase, Phase::Ending { .. }) {
            return;
        }
        self.phase = Phase::Ending { since: now };
        self.asked_at = None;
        self.send_end(out, now);
    }

    /// Says that the lane is over, again and again until it is closed: nobody acknowledges it.
    fn send_end(&mut self, out: &mut VecDeque<PayAction>, now: Instant) {
        let Some(lane) = self.lane.filter(|_| due(self.asked_at, RECEIPT_RETRY, now)) else {
            return;
        };
        self.asked_at = Some(now);
        out.extend((0..self.hops.len()).map(|index| self.send(index, Oam::LaneEnd(lane))));
    }

    /// A message to the hop at `index`, over the hops before it.
    fn send(&self, index: usize, oam: Oam) -> PayAction {
        PayAction::Send {
            to: self.hops[index].hop.node,
            via: self.path.relays[..index].to_vec(),
            oam,
        }
    }
}

fn due(last: Option<Instant>, every: Duration, now: Instant) -> bool {
    last.is_none_or(|at| now.since(at) >= every)
}

fn path_of(hops: &[Hop]) -> Option<PathKey> {
    let (endpoint, relays) = hops.split_last()?;
    Some(PathKey { relays: relays.iter().map(|h| h.node).collect(), endpoint: endpoint.node })
}
