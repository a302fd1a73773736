//! Tickets, receipts and coins, in books of the judge's own.

use super::paths::index_of;
use super::{Judge, Promise};
use crate::header::{Header, Kind};
use crate::world::World;
use srwan_node::view::NodeView;
use srwan_node::{LedgerFact, NodeEvent};
use srwan_wire::id::LaneId;
use srwan_wire::time::Instant;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Money {
    /// Headend and label of each lane.
    lanes: BTreeMap<LaneId, (usize, u32)>,
    /// Octets of inner packets that a headend sent under a label.
    sent: BTreeMap<(usize, u32), u64>,
    /// Octets of inner packets that a router relayed under a label.
    relayed: BTreeMap<(usize, u32), u64>,
    /// What a router last had stored of a lane: octets of receipt and delivery.
    stored: BTreeMap<(usize, LaneId), (u64, u64)>,
    /// What a router knows to be settled of a lane.
    settled: BTreeMap<(usize, LaneId), u64>,
}

impl Judge {
    /// A router takes a packet of its host into a tunnel.
    pub fn wrapped(&mut self, router: usize, bytes: &[u8]) {
        let Some(header) = Header::read(bytes).filter(|h| h.lane != 0) else { return };
        let octets = u64::try_from(header.inner_len(bytes.len())).unwrap_or(u64::MAX);
        *self.money.sent.entry((router, header.lane)).or_default() += octets;
    }

    /// The ledger or the disk tells a router something.
    pub fn told(&mut self, router: usize, fact: &LedgerFact) {
        match fact {
            LedgerFact::Opened { label, lane, .. } => {
                self.money.lanes.insert(*lane, (router, label.0));
            }
            LedgerFact::Settled { lane, octets } => {
                let known = self.money.settled.entry((router, *lane)).or_default();
                *known = octets.0.max(*known);
            }
            _ => {}
        }
    }

    pub(super) fn money_started(&mut self, router: usize) {
        self.money.stored.retain(|(owner, _), _| *owner != router);
        self.money.settled.retain(|(owner, _), _| *owner != router);
    }

    pub(super) fn count_relayed(&mut self, router: usize, header: &Header, len: usize) {
        if header.kind == Kind::Data && header.lane != 0 {
            let octets = u64::try_from(header.inner_len(len)).unwrap_or(u64::MAX);
            *self.money.relayed.entry((router, header.lane)).or_default() += octets;
        }
    }

    pub(super) fn event_of_money(&mut self, router: usize, event: &NodeEvent, now: Instant) {
        match event {
            NodeEvent::Store(evidence) => {
                let delivery = evidence.delivery.map_or(0, |d| d.body.octets.0);
                let news = (evidence.receipt.body.octets.0, delivery);
                let held = self.money.stored.insert((router, evidence.lane), news);
                if held.is_some_and(|held| held.0 >= news.0 && held.1 >= news.1) {
                    let what = format!("evidence {news:?} is stored after {held:?}");
                    self.accuse(now, router, Promise::Claim, what);
                }
            }
            NodeEvent::Settle(evidence) => {
                let (lane, octets) = (evidence.lane, evidence.octets().0);
                let settled = self.money.settled.get(&(router, lane)).copied().unwrap_or(0);
                let key = self.money.lanes.get(&lane).copied();
                let sent = key.and_then(|key| self.money.sent.get(&key)).copied().unwrap_or(0);
                if octets > sent {
                    let what = format!("a ticket claims {octets} octets of {sent} sent");
                    self.accuse(now, router, Promise::Claim, what);
                }
                if octets <= settled {
                    let what = format!("a ticket claims {octets} octets, {settled} are settled");
                    self.accuse(now, router, Promise::Claim, what);
                }
            }
            _ => {}
        }
    }

    /// A relay carried no more of a lane than the lane's cap pays for.
    pub(super) fn look_at_money(&mut self, world: &World, router: usize, view: &NodeView) {
        for lane in view.served.iter().filter(|lane| lane.terms.price.0 > 0) {
            let key = (router, lane.label.0);
            let relayed = self.money.relayed.get(&key).copied().unwrap_or(0);
            let price = u128::from(lane.terms.price.0);
            let cost = u128::from(relayed) * price / 1_000_000;
            if cost > u128::from(lane.terms.cap) {
                let what = format!("{relayed} octets relayed, which cost {cost}, above the cap");
                self.accuse(world.now(), router, Promise::Unpaid, what);
            }
            let headend = lane.path.first().map(|node| index_of(*node)).unwrap_or_default();
            let sent = self.money.sent.get(&(headend, lane.label.0)).copied().unwrap_or(0);
            if lane.settled.0 > sent {
                let what = format!("{} octets are settled of {sent} sent", lane.settled.0);
                self.accuse(world.now(), router, Promise::Claim, what);
            }
        }
    }
}
