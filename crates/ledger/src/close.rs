//! What the end of a block does: lanes and bonds that are due, the block's fees, epochs, the root.

use crate::amount::Amount;
use crate::apply::{after, sum};
use crate::dividend::distribute;
use crate::fee::{SubsidySchedule, by_largest_remainder, split};
use crate::lane::{LanePhase, Lanes};
use crate::outcome::Event;
use crate::router::{Router, RouterPhase};
use crate::state::State;
use crate::validator::Validator;
use srwan_wire::id::{AccountKey, Height, LaneId, ValidatorKey};

impl State {
    /// Ends the block of `height`; `voters` are the validators that its header names.
    ///
    /// **Panics:** if `height` is not the next one, or if coins were made or lost.
    pub fn end_block(&mut self, height: Height, voters: &[ValidatorKey]) -> Vec<Event> {
        assert!(height == self.next_height(), "blocks end in order");
        let mut events = Vec::new();
        for lane in self.lanes.due_by(height) {
            events.push(self.end_lane_phase(lane, height));
        }
        for account in self.routers.due_by(height) {
            events.push(self.return_bond(account));
        }
        for key in self.validators.due_by(height) {
            events.push(self.return_validator_bond(key));
        }
        self.split_fees(height);
        self.pay_validators(voters, &mut events);
        self.end_contracts(height, &mut events);
        if height.0.is_multiple_of(self.params.epoch_blocks) {
            self.end_epoch(&mut events);
            self.end_approvals(height, &mut events);
        }
        self.end_committee(height, &mut events);
        self.height = height;
        self.assert_conserved();
        self.seal();
        self.roots.push(self.root);
        events
    }

    fn end_lane_phase(&mut self, id: LaneId, height: Height) -> Event {
        let lane = self.lanes.get(&id).expect("a due lane exists").clone();
        match lane.phase {
            LanePhase::Open => {
                let until = after(height, self.params.claim_window_blocks);
                Lanes::close(&mut self.lanes, id, until);
                Event::LaneExpired { lane: id, until }
            }
            LanePhase::Closing { until: _ } => {
                let carry = lane.divide(lane.settled).carry;
                let left = crate::table::Holds::held(&lane);
                let refund = left.checked_sub(carry).expect("the carry is inside the lane");
                self.lanes.remove(&id);
                self.contracts.forget_lane(&id);
                self.pools.infra = sum(self.pools.infra, carry);
                self.escrows.add(lane.payer, refund);
                self.escrows.lane_removed(lane.payer);
                Event::LaneRefunded { id, lane, refund, carry }
            }
        }
    }

    fn return_bond(&mut self, account: AccountKey) -> Event {
        let router = self.routers.get(&account).expect("a due router exists").clone();
        let amount = router.bond;
        match router.phase {
            RouterPhase::Active | RouterPhase::Unbonding { .. } => self.routers.remove(&account),
            RouterPhase::Slashed { .. } => {
                self.routers.put(account, Router { bond: Amount::ZERO, ..router });
            }
        }
        self.accounts.credit(account, amount);
        Event::BondReturned { account, amount }
    }

    /// F = fees + subsidy(h), split between the validator pool and the dividend pool.
    fn split_fees(&mut self, height: Height) {
        let schedule =
            SubsidySchedule { total: self.subsidy_total, blocks: self.params.subsidy_blocks };
        let released = schedule.at(height);
        let left = self.pools.subsidy.checked_sub(released);
        self.pools.subsidy = left.expect("the schedule releases what genesis put in");
        let income = sum(core::mem::take(&mut self.pools.fees), released);
        let parts = split(income, self.params.validator_bps);
        self.pools.validators = sum(self.pools.validators, parts.validators);
        self.pools.dividends = sum(self.pools.dividends, parts.dividends);
    }

    /// Pays the validator pool to those who voted, by power. With no voter it waits.
    fn pay_validators(&mut self, voters: &[ValidatorKey], events: &mut Vec<Event>) {
        let known: Vec<Validator> =
            voters.iter().filter_map(|key| self.validators.get(key).copied()).collect();
        let powers: Vec<u64> = known.iter().map(|validator| validator.power).collect();
        let parts = by_largest_remainder(self.pools.validators, &powers);
        for (validator, amount) in known.iter().zip(parts).filter(|(_, part)| !part.is_zero()) {
            let left = self.pools.validators.checked_sub(amount);
            self.pools.validators = left.expect("the parts add up to the pool");
            self.accounts.credit(validator.account, amount);
            events.push(Event::ValidatorPaid { account: validator.account, amount });
        }
    }

    /// Pays dividends by the votes of the epoch that ends, then weighs the votes again.
    fn end_epoch(&mut self, events: &mut Vec<Event>) {
        let pool = self.pools.dividends;
        let dividend = distribute(&mut self.votes, pool, self.params.paid_groups);
        let left = pool.checked_sub(dividend.from_pool);
        self.pools.dividends = left.expect("the parts are at most the pool");
        let payments = dividend.payments.into_iter().filter(|(_, amount)| !amount.is_zero());
        for (account, amount) in payments {
            self.accounts.credit(account, amount);
            events.push(Event::DividendPaid { account, amount });
        }
        let accounts = &self.accounts;
        self.votes.start_epoch(|account| accounts.of(account).balance);
    }
}
