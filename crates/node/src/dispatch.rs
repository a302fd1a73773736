//! Control messages, to whom they concern.

use crate::node::Node;
use crate::pay::payee::Parties;
use srwan_control::Arrival;
use srwan_wire::id::NodeId;
use srwan_wire::oam::{LaneSetup, Oam, ProbePurpose, Reflection};
use srwan_wire::time::Instant;

impl Node {
    /// An opened control message. A malformed one is from a peer that is not what the roster says: it is forgotten.
    pub(crate) fn dispatch(&mut self, from: NodeId, relayed: bool, message: &[u8], now: Instant) {
        let Ok(oam) = Oam::decode(message) else {
            self.settling.count_malformed();
            return;
        };
        match oam {
            Oam::Reflection(reflection) if reflection.purpose == ProbePurpose::Ping => {
                self.take_ping(from, &reflection, now);
            }
            Oam::Pulse(_)
            | Oam::Probe(_)
            | Oam::PaddedProbe(_)
            | Oam::Reflection(_)
            | Oam::Destination(_) => {
                let arrival = Arrival { from, relayed, at: now };
                self.control.handle_oam(arrival, &oam, now);
            }
            Oam::LaneSetup(setup) => self.take_setup(from, &setup, now),
            Oam::LaneAnswer(answer) => self.payer.handle_answer(from, &answer, now),
            Oam::Receipt(receipt) => self.payee.handle_receipt(&receipt),
            Oam::Delivery(delivery) => {
                self.payer.handle_delivery(&delivery);
                self.payee.handle_delivery(&delivery);
            }
            Oam::ReceiptAck(ack) => self.payer.handle_ack(from, &ack),
            Oam::LaneEnd(lane) => self.payee.handle_end(from, lane, now),
            Oam::LinkStatement(statement) => {
                if let Some(member) = self.members.get(&from) {
                    self.statements.handle(from, &member.account_key, &statement);
                }
            }
            Oam::Reflexive(_) => {}
        }
    }

    fn take_ping(&mut self, from: NodeId, reflection: &Reflection, now: Instant) {
        self.pings.handle(from, reflection, self.config.clock.at(now));
    }

    fn take_setup(&mut self, from: NodeId, setup: &LaneSetup, now: Instant) {
        let account = |node: NodeId| self.members.get(&node).map(|m| m.account_key);
        let parties = account(setup.headend)
            .zip(account(setup.endpoint))
            .map(|(headend, endpoint)| Parties { headend, endpoint });
        self.payee.handle_setup(from, setup, parties, now);
    }
}
