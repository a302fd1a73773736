//! What one transaction does: checked completely, then written completely.
//!
//! [`State::check`] turns an [`Action`] into the [`Effect`] that it would have, or into the reason
//! why not, and changes nothing. [`State::write`] carries an effect out and cannot fail. Between
//! the
//! two stands the fee: a transaction that was admitted pays it and uses its nonce, whether or not
//! it does what it asks.

use crate::amount::Amount;
use crate::bonding::Slash;
use crate::canary::{self, Canary};
use crate::escrow::LANES_PER_PAYER_MAX;
use crate::hash::TxHash;
use crate::lane::{Lane, LaneOpen, LanePhase, check_open, lane_id, wide};
use crate::outcome::{Effect, Outcome, TxReceipt};
use crate::rejection::Rejection;
use crate::router::{Contradiction, Registration, Router, RouterPhase};
use crate::signature::{Checked, Form, Known, Signers};
use crate::state::State;
use crate::ticket::{Limits, Settlement, Signatures, Ticket, settle_up_to};
use crate::tx::{Action, SignedTx, TX_OCTETS_MAX, Tx};
use crate::validator::{Validator, ValidatorPhase};
use srwan_wire::id::{AccountKey, Height, LaneId, Octets};

impl State {
    /// Applies a transaction in the block of `height`. Total: every transaction has an outcome.
    pub fn apply(&mut self, tx: &SignedTx, height: Height) -> TxReceipt {
        self.apply_form(tx, &Form::of(tx), height, None)
    }

    /// The same with what is known about its signatures.
    pub(crate) fn apply_form(
        &mut self,
        tx: &SignedTx,
        form: &Form,
        height: Height,
        known: Option<Known>,
    ) -> TxReceipt {
        let (outcome, fee) = match self.check_admission(tx, form, height, known) {
            Err(refusal) => (Outcome::Refused(refusal), Amount::ZERO),
            Ok(()) => self.carry_out((&tx.body, form.hash), height, known),
        };
        TxReceipt { hash: form.hash, height, fee, outcome }
    }

    /// What [`State::apply`] would do at the next height, without doing it.
    ///
    /// **Errors:** the reason for which it would be refused or rejected.
    pub fn preview(&self, tx: &SignedTx) -> Result<Effect, Rejection> {
        self.preview_checked(tx, &Checked::new())
    }

    /// The same; signatures that `checked` knows are not checked again.
    ///
    /// **Errors:** the same.
    pub fn preview_checked(&self, tx: &SignedTx, checked: &Checked) -> Result<Effect, Rejection> {
        self.preview_form(tx, &Form::of(tx), checked)
    }

    /// The same of a transaction whose form is known.
    ///
    /// **Errors:** the same.
    pub fn preview_form(
        &self,
        tx: &SignedTx,
        form: &Form,
        checked: &Checked,
    ) -> Result<Effect, Rejection> {
        let (height, known) = (self.next_height(), checked.known(form));
        self.check_admission(tx, form, height, known)?;
        let effect = self.check(&tx.body, height, known)?;
        self.fee_sources(&tx.body, Some(&effect))?;
        Ok(effect)
    }

    /// Checks what can be said about a transaction apart from its nonce and its sender's coins.
    ///
    /// **Errors:** a reason that no later state can heal.
    pub fn check_form(&self, tx: &SignedTx, height: Height) -> Result<(), Rejection> {
        self.check_bytes(tx, &Form::of(tx), height, None)
    }

    /// The same; signatures that `checked` knows are not checked again.
    ///
    /// **Errors:** the same.
    pub fn check_form_checked(
        &self,
        tx: &SignedTx,
        form: &Form,
        checked: &Checked,
    ) -> Result<(), Rejection> {
        self.check_bytes(tx, form, self.next_height(), checked.known(form))
    }

    fn check_bytes(
        &self,
        tx: &SignedTx,
        form: &Form,
        height: Height,
        known: Option<Known>,
    ) -> Result<(), Rejection> {
        let size_octets = form.size_octets;
        let body = &tx.body;
        if size_octets > TX_OCTETS_MAX {
            return Err(Rejection::TooLarge { size_octets, max_octets: TX_OCTETS_MAX });
        }
        if body.chain != self.chain {
            return Err(Rejection::WrongChain);
        }
        if height > body.valid_until {
            return Err(Rejection::Expired { valid_until: body.valid_until });
        }
        self.check_fee(body, size_octets)?;
        let is_signed = known.is_some() || form.claim(tx).is_true();
        if is_signed { Ok(()) } else { Err(Rejection::BadSignature) }
    }

    fn check_fee(&self, tx: &Tx, size_octets: u64) -> Result<(), Rejection> {
        let required = self.params.fees.required(size_octets);
        if tx.fee < required {
            return Err(Rejection::FeeTooLow { offered: tx.fee, required });
        }
        // The payer's reserve may pay for a ticket, so the submitter must not choose how much.
        if matches!(tx.action, Action::Ticket(_)) && tx.fee != required {
            return Err(Rejection::FeeNotExact { required });
        }
        Ok(())
    }

    fn check_admission(
        &self,
        tx: &SignedTx,
        form: &Form,
        height: Height,
        known: Option<Known>,
    ) -> Result<(), Rejection> {
        let expected = self.accounts.of(&tx.body.sender).nonce;
        if tx.body.nonce != expected && !canary::is(Canary::AnyNonce) {
            return Err(Rejection::WrongNonce { expected, got: tx.body.nonce });
        }
        self.check_bytes(tx, form, height, known)
    }

    fn carry_out(
        &mut self,
        (tx, name): (&Tx, TxHash),
        height: Height,
        known: Option<Known>,
    ) -> (Outcome, Amount) {
        let checked = self.check(tx, height, known);
        let sources = match self.fee_sources(tx, checked.as_ref().ok()) {
            Ok(sources) => sources,
            Err(refusal) => return (Outcome::Refused(refusal), Amount::ZERO),
        };
        self.accounts.use_nonce(tx.sender);
        let outcome = match checked {
            Ok(effect) => {
                self.note_ticket((tx, name), &effect, height);
                self.write(tx.sender, &effect, height);
                Outcome::Applied(effect)
            }
            Err(rejection) => Outcome::Rejected(rejection),
        };
        self.pay_fee(tx, sources);
        (outcome, tx.fee)
    }

    /// Who pays the fee: for a ticket that settles, the lane's reserve first, then the submitter,
    /// who may pay it from the share that the ticket brings; in all other cases the sender.
    fn fee_sources(&self, tx: &Tx, effect: Option<&Effect>) -> Result<FeeSources, Rejection> {
        let balance = self.accounts.of(&tx.sender).balance;
        let (reserve, income) = match effect {
            Some(Effect::Settled(settlement)) => {
                let lane = self.lanes.get(&settlement.lane)?;
                (lane.open.fee_reserve, settlement.share_of(&tx.sender))
            }
            Some(_) | None => (Amount::ZERO, Amount::ZERO),
        };
        let from_lane = tx.fee.min(reserve);
        let from_sender = tx.fee.saturating_sub(from_lane);
        let available = balance.checked_add(income).expect("all coins fit an amount");
        if available < from_sender {
            return Err(Rejection::FeeUnaffordable { available, fee: from_sender });
        }
        Ok(FeeSources { from_lane, from_sender })
    }

    fn pay_fee(&mut self, tx: &Tx, sources: FeeSources) {
        if canary::is(Canary::DealForNothing) {
            return;
        }
        if let Action::Ticket(ticket) = &tx.action
            && !sources.from_lane.is_zero()
        {
            self.change_lane(ticket.lane, |lane| {
                let left = lane.open.fee_reserve.checked_sub(sources.from_lane);
                lane.open.fee_reserve = left.expect("the reserve was checked");
            });
        }
        self.debit(tx.sender, sources.from_sender);
        let fees = self.pools.fees.checked_add(tx.fee);
        self.pools.fees = fees.expect("all coins fit an amount");
    }

    /// What an admitted transaction would do.
    fn check(&self, tx: &Tx, height: Height, known: Option<Known>) -> Result<Effect, Rejection> {
        match &tx.action {
            Action::Transfer { to, amount } => {
                self.check_spend(tx, *amount)?;
                Ok(Effect::Transferred { to: *to, amount: *amount })
            }
            Action::EscrowAdd { amount } => {
                self.check_spend(tx, *amount)?;
                Ok(Effect::EscrowAdded { amount: *amount })
            }
            Action::EscrowWithdraw { amount } => {
                non_zero(*amount)?;
                self.escrows.check_take(&tx.sender, *amount)?;
                Ok(Effect::EscrowWithdrawn { amount: *amount })
            }
            Action::LaneOpen(open) => self.check_lane_open(tx, open, height),
            Action::LaneRaise { lane, amount } => self.check_lane_raise(tx.sender, *lane, *amount),
            Action::LaneClose { lane } => self.check_lane_close(tx.sender, *lane, height),
            Action::Contract(action) => self.check_contract(tx, action, height),
            Action::Ticket(ticket) => self.check_ticket(tx.sender, ticket, known),
            Action::RegisterRouter(registration) => self.check_register(tx, registration),
            Action::RetireRouter => {
                self.routers.check_active(&tx.sender)?;
                Ok(Effect::RouterRetired { until: after(height, self.params.unbonding_blocks) })
            }
            Action::ReportContradiction(proof) => self.check_contradiction(proof, height),
            Action::Vote(action) => {
                self.votes.check(&tx.sender, *action, self.params.commission_bps_max)?;
                Ok(Effect::Voted(*action))
            }
            Action::Validator(action) => self.check_validator(tx, action, height),
            Action::NodeKey(action) => self.check_node_key(&tx.sender, *action, height),
            Action::Govern(change) => self.check_approval(tx, *change, height),
        }
    }

    /// Checks that the sender has `amount` besides the fee.
    pub(crate) fn check_spend(&self, tx: &Tx, amount: Amount) -> Result<(), Rejection> {
        non_zero(amount)?;
        let balance = self.accounts.of(&tx.sender).balance;
        let needed = amount.checked_add(tx.fee).unwrap_or(Amount::from_base(u64::MAX));
        if balance < needed { Err(Rejection::BalanceTooLow { balance, needed }) } else { Ok(()) }
    }

    pub(crate) fn check_lane_open(
        &self,
        tx: &Tx,
        open: &LaneOpen,
        height: Height,
    ) -> Result<Effect, Rejection> {
        check_open(&tx.sender, open)?;
        self.check_for_sale(open)?;
        self.check_not_confined(open)?;
        let (lowest, highest) = (after(height, 1), after(height, self.params.lane_blocks_max));
        if open.expiry < lowest || open.expiry > highest {
            return Err(Rejection::ExpiryOutOfRange { lowest, highest, got: open.expiry });
        }
        if self.escrows.of(&tx.sender).lanes >= LANES_PER_PAYER_MAX {
            return Err(Rejection::TooManyLanes { max: u64::from(LANES_PER_PAYER_MAX) });
        }
        self.escrows.check_take(&tx.sender, locked(open))?;
        let lane = lane_id(&self.chain, &tx.sender, tx.nonce);
        Ok(Effect::LaneOpened { lane, open: open.clone() })
    }

    /// Checks that no payee is registered as never for sale.
    fn check_for_sale(&self, open: &LaneOpen) -> Result<(), Rejection> {
        let is_unsold = |account: &AccountKey| {
            let router = self.routers.get(account);
            router.is_some_and(|router| !router.registration.price.is_finite())
        };
        match open.payees.iter().position(|payee| is_unsold(&payee.account)) {
            Some(index) => Err(Rejection::PayeeNotForSale { index: wide(index) }),
            None => Ok(()),
        }
    }

    fn check_lane_raise(
        &self,
        sender: AccountKey,
        id: LaneId,
        amount: Amount,
    ) -> Result<Effect, Rejection> {
        non_zero(amount)?;
        self.check_payers_open_lane(&sender, &id)?;
        self.escrows.check_take(&sender, amount)?;
        Ok(Effect::LaneRaised { lane: id, amount })
    }

    fn check_lane_close(
        &self,
        sender: AccountKey,
        id: LaneId,
        height: Height,
    ) -> Result<Effect, Rejection> {
        self.check_payers_open_lane(&sender, &id)?;
        let until = after(height, self.params.claim_window_blocks);
        Ok(Effect::LaneClosing { lane: id, until })
    }

    fn check_payers_open_lane(&self, sender: &AccountKey, id: &LaneId) -> Result<(), Rejection> {
        let lane = self.lanes.get(id)?;
        if lane.payer != *sender {
            return Err(Rejection::NotThePayer);
        }
        match lane.phase {
            LanePhase::Open => Ok(()),
            LanePhase::Closing { .. } => Err(Rejection::LaneNotOpen),
        }
    }

    fn check_ticket(
        &self,
        sender: AccountKey,
        ticket: &Ticket,
        known: Option<Known>,
    ) -> Result<Effect, Rejection> {
        let lane = self.lanes.get(&ticket.lane)?;
        if !lane.is_party(&sender) {
            return Err(Rejection::NotAParty);
        }
        let last = self.next_height();
        let is_last = matches!(lane.phase, LanePhase::Closing { until } if until <= last);
        if canary::is(Canary::WindowTooShort) && is_last {
            return Err(Rejection::NoSuchLane);
        }
        let is_same = known.and_then(|known| known.ticket) == Some(Signers::of(lane));
        let is_checked = is_same || (canary::is(Canary::AnySigner) && known.is_some());
        let signatures = if is_checked { Signatures::Checked } else { Signatures::Unchecked };
        let most = self.review_ticket(&sender, ticket)?.octets_max;
        let limits = Limits { least: self.params.min_settle, most };
        settle_up_to(&self.chain, lane, ticket, limits, signatures).map(Effect::Settled)
    }

    fn check_register(&self, tx: &Tx, registration: &Registration) -> Result<Effect, Rejection> {
        self.routers.check_register(&tx.sender, registration)?;
        let bond = match self.routers.get(&tx.sender) {
            Some(_) => Amount::ZERO,
            None => self.params.router_bond,
        };
        if !bond.is_zero() {
            self.check_spend(tx, bond)?;
        }
        Ok(Effect::RouterRegistered { registration: registration.clone(), bond })
    }

    fn check_contradiction(
        &self,
        proof: &Contradiction,
        height: Height,
    ) -> Result<Effect, Rejection> {
        let account = proof.check(&self.chain)?;
        let router = self.routers.check_slashable(&account)?;
        let slashed = router.bond.bps(self.params.slash_bps).expect("a part of a bond fits");
        let reward = Amount::from_base(slashed.base() / 2);
        let until = match router.phase {
            RouterPhase::Unbonding { until } | RouterPhase::Slashed { until } => until,
            RouterPhase::Active => after(height, self.params.unbonding_blocks),
        };
        Ok(Effect::RouterSlashed { account, reward, burned: slashed.saturating_sub(reward), until })
    }

    /// Does what [`State::check`] allowed.
    fn write(&mut self, sender: AccountKey, effect: &Effect, height: Height) {
        match effect {
            Effect::Transferred { to, amount } => {
                self.debit(sender, *amount);
                self.accounts.credit(*to, *amount);
                if canary::is(Canary::FlashCounts) {
                    let accounts = &self.accounts;
                    self.votes.start_epoch(|account| accounts.of(account).balance);
                }
            }
            Effect::EscrowAdded { amount } => {
                self.debit(sender, *amount);
                self.escrows.add(sender, *amount);
            }
            Effect::EscrowWithdrawn { amount } => {
                self.escrows.take(sender, *amount);
                self.accounts.credit(sender, *amount);
            }
            Effect::LaneOpened { lane, open } => self.write_lane(sender, *lane, open),
            Effect::LaneRaised { lane, amount } => {
                self.escrows.take(sender, *amount);
                self.change_lane(*lane, |lane| {
                    let cap = lane.open.cap.checked_add(*amount);
                    lane.open.cap = cap.expect("all coins fit an amount");
                });
            }
            Effect::LaneClosing { lane, until } => self.lanes.close(*lane, *until),
            Effect::Contract(effect) => self.write_contract(sender, effect, height),
            Effect::Settled(settlement) => self.write_settlement(settlement),
            Effect::RouterRegistered { registration, bond } => {
                self.write_registration(sender, registration, *bond);
            }
            Effect::RouterRetired { until } => self.write_retirement(sender, *until),
            Effect::RouterSlashed { account, reward, burned, until } => {
                let slash = Slash { reward: *reward, burned: *burned, until: *until };
                self.write_slash(sender, *account, slash);
            }
            Effect::Voted(action) => {
                let left = self.votes.write(sender, *action);
                if canary::is(Canary::VoteAtOnce) {
                    let accounts = &self.accounts;
                    self.votes.start_epoch(|account| accounts.of(account).balance);
                }
                self.pools.dividends = sum(self.pools.dividends, left);
            }
            Effect::ValidatorJoined { key, address, bond } => {
                self.write_join(sender, *key, Self::joined(sender, *address, *bond));
            }
            Effect::ValidatorUpdated { key, address, bond } => {
                let (address, more) = (*address, *bond);
                self.write_update(sender, *key, |row| Validator {
                    address,
                    bond: sum(row.bond, more),
                    ..row
                });
            }
            Effect::ValidatorLeft { key, until } => {
                let phase = ValidatorPhase::Leaving { until: *until };
                self.write_update(sender, *key, |row| Validator { phase, ..row });
            }
            Effect::ValidatorSlashed { key, account: _, reward, burned, until } => {
                let slash = Slash { reward: *reward, burned: *burned, until: *until };
                self.write_conviction(sender, *key, slash);
            }
            Effect::NodeKeyRotated { to, until } => self.write_rotation(sender, *to, *until),
            Effect::NodeKeyRevoked { key } => self.write_revocation(sender, *key),
            Effect::Approved { member, change } => self.approvals.put(*member, *change),
        }
        debug_assert!(height > self.height, "a transaction belongs to a block that is not over");
    }

    fn write_lane(&mut self, payer: AccountKey, id: LaneId, open: &LaneOpen) {
        self.escrows.take(payer, locked(open));
        self.escrows.lane_opened(payer);
        let lane = Lane {
            payer,
            open: open.clone(),
            infra_bps: if canary::is(Canary::DealForNothing) { 0 } else { self.params.infra_bps },
            phase: LanePhase::Open,
            settled: Octets(0),
            paid: Amount::ZERO,
        };
        self.lanes.put(id, lane);
    }

    fn write_settlement(&mut self, settlement: &Settlement) {
        let paid = settlement.paid();
        self.change_lane(settlement.lane, |lane| {
            lane.settled = settlement.settled;
            lane.paid = sum(lane.paid, paid);
            assert!(lane.paid <= lane.open.cap, "a lane pays at most its cap");
        });
        self.pools.infra = sum(self.pools.infra, settlement.infra);
        for (payee, share) in &settlement.shares {
            self.accounts.credit(*payee, *share);
        }
    }

    fn write_registration(&mut self, account: AccountKey, said: &Registration, bond: Amount) {
        self.debit(account, bond);
        let before = self.routers.get(&account).cloned();
        let kept = before.as_ref().map_or(Amount::ZERO, |router| router.bond);
        let router = Router {
            registration: said.clone(),
            bond: sum(kept, bond),
            phase: RouterPhase::Active,
            retiring: before.as_ref().and_then(|router| router.retiring),
            revoked: before.map_or_else(Vec::new, |router| router.revoked),
        };
        self.routers.put(account, router);
    }

    fn write_retirement(&mut self, account: AccountKey, until: Height) {
        let router = self.routers.get(&account).expect("the router was checked").clone();
        self.routers.put(account, Router { phase: RouterPhase::Unbonding { until }, ..router });
    }

    fn write_slash(&mut self, reporter: AccountKey, account: AccountKey, slash: Slash) {
        let router = self.routers.get(&account).expect("the router was checked").clone();
        let taken = sum(slash.reward, slash.burned);
        let bond = router.bond.checked_sub(taken).expect("a part of a bond is at most the bond");
        let phase = RouterPhase::Slashed { until: slash.until };
        self.routers.put(account, Router { bond, phase, ..router });
        self.accounts.credit(reporter, slash.reward);
        self.pools.burned = sum(self.pools.burned, slash.burned);
    }

    /// Takes coins that were checked to be there; a vote that they weighed loses them.
    pub(crate) fn debit(&mut self, account: AccountKey, amount: Amount) {
        if !amount.is_zero() {
            let left = self.accounts.debit(account, amount);
            if !canary::is(Canary::VotesStay) {
                self.votes.note_balance(account, left);
            }
        }
    }

    fn change_lane(&mut self, id: LaneId, change: impl FnOnce(&mut Lane)) {
        self.lanes.change(&id, change);
    }
}

/// Who pays a fee.
struct FeeSources {
    from_lane: Amount,
    from_sender: Amount,
}

/// What leaves the escrow for a lane. Saturates: more than there is cannot be taken.
fn locked(open: &LaneOpen) -> Amount {
    open.cap.checked_add(open.fee_reserve).unwrap_or(Amount::from_base(u64::MAX))
}

fn non_zero(amount: Amount) -> Result<(), Rejection> {
    if amount.is_zero() { Err(Rejection::AmountZero) } else { Ok(()) }
}

/// The height `blocks` after `height`.
pub(crate) fn after(height: Height, blocks: u64) -> Height {
    Height(height.0.saturating_add(blocks))
}

/// A sum of coins that exist, which therefore fits.
pub(crate) fn sum(left: Amount, right: Amount) -> Amount {
    left.checked_add(right).expect("all coins together fit an amount")
}
