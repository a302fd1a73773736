//! What the end of a block does with contracts, without anyone asking.

use super::ContractEvent;
use super::pseudonym::{Pseudonym, PseudonymPhase};
use super::store::Due;
use crate::amount::Amount;
use crate::hash::{LeaseId, SlaId};
use crate::outcome::Event;
use crate::state::State;
use srwan_wire::id::{AccountKey, Height};

impl State {
    pub(crate) fn end_contracts(&mut self, height: Height, events: &mut Vec<Event>) {
        for due in self.contracts.due_by(height) {
            let event = match due {
                Due::Lease(id) => self.settle_lease(id),
                Due::Sla(id) => self.end_sla(id),
                Due::Pseudonym(account) => self.return_pseudonym(account),
                Due::Quarantine(account) => {
                    let phase = self.move_quarantine(account, height);
                    ContractEvent::QuarantineMoved { account, phase }
                }
            };
            events.push(Event::Contract(event));
        }
    }

    fn settle_lease(&mut self, id: LeaseId) -> ContractEvent {
        let lease = self.contracts.lease(&id).expect("a due lease exists").clone();
        let split = lease.split(lease.terms.settle);
        self.end_lease(id, split);
        ContractEvent::LeaseSettled { id, lease, split }
    }

    fn end_sla(&mut self, id: SlaId) -> ContractEvent {
        let sla = self.contracts.sla(&id).expect("a due agreement exists").clone();
        self.contracts.remove_sla(&id);
        self.accounts.credit(sla.provider, sla.left);
        ContractEvent::SlaEnded { id, provider: sla.provider, rest: sla.left }
    }

    fn return_pseudonym(&mut self, account: AccountKey) -> ContractEvent {
        let row = *self.contracts.pseudonym(&account).expect("a due pseudonym exists");
        match row.phase {
            PseudonymPhase::Active | PseudonymPhase::Unbonding { .. } => {
                self.contracts.remove_pseudonym(&account);
            }
            PseudonymPhase::Slashed { .. } => {
                self.contracts.put_pseudonym(account, Pseudonym { bond: Amount::ZERO, ..row });
            }
        }
        self.accounts.credit(account, row.bond);
        ContractEvent::PseudonymReturned { account, amount: row.bond }
    }
}
