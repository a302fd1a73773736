//! What validators' transactions do: joining, leaving, convictions, and approvals of parameters.

use crate::amount::Amount;
use crate::apply::{after, sum};
use crate::canary::{self, Canary};
use crate::equivocation::Equivocation;
use crate::governance::Change;
use crate::outcome::{Effect, Event};
use crate::rejection::Rejection;
use crate::state::State;
use crate::tx::Tx;
use crate::validator::{Committee, Consent, Join, Validator, ValidatorAction, ValidatorPhase};
use srwan_wire::id::{AccountKey, Height, ValidatorKey};
use srwan_wire::receipt::Signed;

/// Power of a validator that joined: that of one who begins a ledger and says nothing else.
const POWER_JOINED: u64 = 1;

/// What a conviction takes from a bond, and when the rest comes back.
#[derive(Clone, Copy)]
pub(crate) struct Slash {
    pub reward: Amount,
    pub burned: Amount,
    pub until: Height,
}

impl State {
    /// What a validator's transaction would do.
    pub(crate) fn check_validator(
        &self,
        tx: &Tx,
        action: &ValidatorAction,
        height: Height,
    ) -> Result<Effect, Rejection> {
        match action {
            ValidatorAction::Join(join) => self.check_join(tx, join),
            ValidatorAction::Update { address, bond } => {
                let (key, _) = self.validators.check_active(&tx.sender)?;
                if !bond.is_zero() {
                    self.check_spend(tx, *bond)?;
                }
                Ok(Effect::ValidatorUpdated { key, address: *address, bond: *bond })
            }
            ValidatorAction::Leave => {
                let (key, _) = self.validators.check_active(&tx.sender)?;
                if !self.validators.has_another_active() && !canary::is(Canary::LastLeaves) {
                    return Err(Rejection::LastValidator);
                }
                Ok(Effect::ValidatorLeft { key, until: self.unbonded(height) })
            }
            ValidatorAction::Report(proof) => self.check_equivocation(proof, height),
        }
    }

    fn check_join(&self, tx: &Tx, join: &Join) -> Result<Effect, Rejection> {
        match self.validators.of_account(&tx.sender).map(|(_, row)| row.phase) {
            None => {}
            Some(ValidatorPhase::Active) => return Err(Rejection::ValidatorAlready),
            Some(ValidatorPhase::Leaving { .. }) => return Err(Rejection::ValidatorLeft),
            Some(ValidatorPhase::Slashed { .. }) => return Err(Rejection::ValidatorSlashed),
        }
        if self.validators.get(&join.key).is_some() {
            return Err(Rejection::ConsensusKeyTaken);
        }
        if join.bond < self.params.validator_bond {
            let least = self.params.validator_bond;
            return Err(Rejection::BondTooLow { bond: join.bond, least });
        }
        if !join.bond.is_zero() {
            self.check_spend(tx, join.bond)?;
        }
        let body = Consent { chain: self.chain, account: tx.sender };
        let consent = Signed { body, signature: join.consent };
        let verified = consent.verify(&AccountKey(join.key.0));
        if verified.is_err() && !canary::is(Canary::NoConsent) {
            return Err(Rejection::ConsentForged);
        }
        Ok(Effect::ValidatorJoined { key: join.key, address: join.address, bond: join.bond })
    }

    fn check_equivocation(
        &self,
        proof: &Equivocation,
        height: Height,
    ) -> Result<Effect, Rejection> {
        let row = self.validators.get(&proof.key).ok_or(Rejection::NotAValidator)?;
        let until = match row.phase {
            ValidatorPhase::Active => self.unbonded(height),
            ValidatorPhase::Leaving { .. } if canary::is(Canary::SlashActiveOnly) => {
                return Err(Rejection::ValidatorLeft);
            }
            ValidatorPhase::Leaving { until } => until,
            ValidatorPhase::Slashed { .. } => return Err(Rejection::ValidatorSlashed),
        };
        proof.check(&self.chain).ok_or(Rejection::NoEquivocation)?;
        let slashed = row.bond.bps(self.params.slash_bps).expect("a part of a bond fits");
        let reward = Amount::from_base(slashed.base() / 2);
        let burned = slashed.saturating_sub(reward);
        Ok(Effect::ValidatorSlashed { key: proof.key, account: row.account, reward, burned, until })
    }

    /// When a bond comes back: not before the last committee is over that its validator can be in.
    fn unbonded(&self, height: Height) -> Height {
        let served = self.params.committee_blocks.saturating_mul(3);
        after(height, self.params.unbonding_blocks.max(served))
    }

    /// Whether `tx` may approve `change`: its sender stands behind a member of the committee.
    pub(crate) fn check_approval(
        &self,
        tx: &Tx,
        change: Change,
        height: Height,
    ) -> Result<Effect, Rejection> {
        let (member, _) = self.validators.check_active(&tx.sender)?;
        let committee = self.committee_at(height);
        if !committee.is_some_and(|it| it.0.iter().any(|other| other.key == member)) {
            return Err(Rejection::NotInCommittee);
        }
        change.applied_to(&self.params)?;
        Ok(Effect::Approved { member, change })
    }

    /// The committee that votes on the block of `height`.
    fn committee_at(&self, height: Height) -> Option<&Committee> {
        self.validators.committee(height.0.saturating_sub(1) / self.params.committee_blocks)
    }

    pub(crate) fn write_join(&mut self, account: AccountKey, key: ValidatorKey, row: Validator) {
        self.debit(account, row.bond);
        self.validators.put(key, row);
    }

    /// A validator that joins, before its bond is taken.
    pub(crate) fn joined(
        account: AccountKey,
        address: std::net::SocketAddr,
        bond: Amount,
    ) -> Validator {
        Validator { account, address, power: POWER_JOINED, bond, phase: ValidatorPhase::Active }
    }

    pub(crate) fn write_update(
        &mut self,
        account: AccountKey,
        key: ValidatorKey,
        change: impl FnOnce(Validator) -> Validator,
    ) {
        let row = *self.validators.get(&key).expect("the validator was checked");
        let changed = change(row);
        let more = changed.bond.checked_sub(row.bond).expect("an update takes nothing out");
        self.debit(account, more);
        self.validators.put(key, changed);
    }

    pub(crate) fn write_conviction(
        &mut self,
        reporter: AccountKey,
        key: ValidatorKey,
        slash: Slash,
    ) {
        let row = *self.validators.get(&key).expect("the validator was checked");
        let taken = sum(slash.reward, slash.burned);
        let bond = row.bond.checked_sub(taken).expect("a part of a bond is at most the bond");
        let phase = ValidatorPhase::Slashed { until: slash.until };
        self.validators.put(key, Validator { bond, phase, ..row });
        self.accounts.credit(reporter, slash.reward);
        self.pools.burned = sum(self.pools.burned, slash.burned);
    }

    /// Returns a validator's bond.
    pub(crate) fn return_validator_bond(&mut self, key: ValidatorKey) -> Event {
        let row = *self.validators.get(&key).expect("a due validator exists");
        match row.phase {
            ValidatorPhase::Active | ValidatorPhase::Leaving { .. } => self.validators.remove(&key),
            ValidatorPhase::Slashed { .. } => {
                self.validators.put(key, Validator { bond: Amount::ZERO, ..row });
            }
        }
        self.accounts.credit(row.account, row.bond);
        Event::BondReturned { account: row.account, amount: row.bond }
    }

    /// At the end of a consensus epoch: fixes the committee of the one after the next.
    pub(crate) fn end_committee(&mut self, height: Height, events: &mut Vec<Event>) {
        let blocks = self.params.committee_blocks;
        if !height.0.is_multiple_of(blocks) {
            return;
        }
        let ended = (height.0 / blocks).saturating_sub(1);
        let votes = self.votes.weights();
        self.validators.fix_committee(ended, self.params.committee_max, &votes);
        let epoch = ended.saturating_add(2);
        let members =
            self.validators.committee(epoch).map_or(0, |it| crate::lane::wide(it.0.len()));
        events.push(Event::CommitteeFixed { epoch, members });
    }

    /// At the end of a dividend epoch: changes the parameters that enough members agree on.
    pub(crate) fn end_approvals(&mut self, height: Height, events: &mut Vec<Event>) {
        let committee = self.committee_at(height).cloned().unwrap_or_default();
        for change in self.approvals.take_decided(&committee) {
            if let Ok(params) = change.applied_to(&self.params) {
                self.params = params;
                events.push(Event::ParameterChanged(change));
            }
        }
    }
}
