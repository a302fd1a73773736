//! Service level agreements: a provider's coins that measured violations pay to a customer.
//!
//! Time is cut in periods of so many blocks from the opening on. A period is violated when a
//! quorum of the named observers signed, for that period, a value above the bound; then the agreed
//! piece goes to the customer, once per period and without anyone's consent. At the end the rest
//! goes back to the provider. Without a violation nothing is released.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeSet;

use super::rejection::ContractRejection;
use crate::amount::Amount;
use crate::hash::{SlaId, digest};
use crate::lane::wide;
use crate::table::Holds;
use srwan_wire::id::{AccountKey, ChainId, Height};
use srwan_wire::receipt::{Signable, Signed};

/// Observers of one agreement: their measurements have to fit one transaction.
pub const OBSERVERS_MAX: usize = 9;
/// The least quorum: the word of a single observer moves nothing.
pub const QUORUM_MIN: u8 = 2;
/// Agreements of one provider: bounds what one end of block has to close for one fee payer.
pub const SLAS_PER_PROVIDER_MAX: usize = 256;

/// What must not be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Bound {
    /// One-way or round-trip delay as the parties agreed. **Units:** nanoseconds.
    Delay(u64),
    /// Loss. **Units:** parts per million.
    Loss(u64),
}

impl Bound {
    /// Whether a measured value of the same unit violates it.
    #[must_use]
    pub const fn is_violated_by(self, value: u64) -> bool {
        match self {
            Self::Delay(max) | Self::Loss(max) => value > max,
        }
    }
}

/// What a provider promises.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SlaTerms {
    /// Who is paid.
    pub customer: AccountKey,
    /// Names the circuit or path to those who measure it; the ledger only keeps it.
    pub subject: [u8; 32],
    /// What must not be exceeded.
    pub bound: Bound,
    /// Who measures: 2 to [`OBSERVERS_MAX`], neither provider nor customer.
    pub observers: Vec<AccountKey>,
    /// How many of them must agree; at least [`QUORUM_MIN`].
    pub quorum: u8,
    /// Length of a period. **Units:** blocks.
    pub period_blocks: u64,
    /// What one violated period costs.
    pub payout: Amount,
    /// What is set aside.
    pub funds: Amount,
    /// Last height of the agreement; claims are taken one period longer.
    pub until: Height,
}

impl SlaTerms {
    /// Checks the terms of an agreement that `provider` opens at `height`.
    pub fn check(
        &self,
        provider: &AccountKey,
        height: Height,
        blocks_max: u64,
    ) -> Result<(), ContractRejection> {
        let distinct: BTreeSet<_> = self.observers.iter().collect();
        let is_party = |key: &AccountKey| key == provider || *key == self.customer;
        let count = self.observers.len();
        let enough = (usize::from(QUORUM_MIN)..=OBSERVERS_MAX).contains(&count);
        if !enough || distinct.len() != count || self.observers.iter().any(is_party) {
            return Err(ContractRejection::BadObservers);
        }
        if self.quorum < QUORUM_MIN || usize::from(self.quorum) > count {
            return Err(ContractRejection::BadQuorum);
        }
        let length = self.until.0.saturating_sub(height.0);
        let is_sound = !self.payout.is_zero()
            && self.payout <= self.funds
            && (1..=blocks_max).contains(&length)
            && (1..=length).contains(&self.period_blocks)
            && self.customer != *provider;
        if is_sound { Ok(()) } else { Err(ContractRejection::BadAgreement) }
    }
}

/// An agreement that runs.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Sla {
    /// Who promised, and gets the rest.
    pub provider: AccountKey,
    /// What.
    pub terms: SlaTerms,
    /// First height of the first period.
    pub opened: Height,
    /// What is left.
    pub left: Amount,
    /// The last period that was paid. Periods are paid in ascending order.
    pub paid: Option<u64>,
}

impl Holds for Sla {
    fn held(&self) -> Amount {
        self.left
    }
}

/// What one observer saw in one period. Signed by the observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MeasurementBody {
    /// The ledger that the agreement is on.
    pub chain: ChainId,
    /// The agreement.
    pub sla: SlaId,
    /// The period, counted from zero.
    pub period: u64,
    /// What was measured, in the unit of the bound.
    pub value: u64,
}

impl Signable for MeasurementBody {
    const DOMAIN: &'static str = "srwan sla measurement v1";
}

/// A signed [`MeasurementBody`], and which of the agreement's observers signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Measurement {
    /// Index of the observer in the agreement.
    pub observer: u8,
    /// What it says.
    pub said: Signed<MeasurementBody>,
}

/// A claim that a period was violated. Anyone may send it: it pays the customer.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SlaClaim {
    /// Which agreement.
    pub sla: SlaId,
    /// Which period: the present one or the one before.
    pub period: u64,
    /// One measurement of each of enough observers.
    pub measurements: Vec<Measurement>,
}

impl Sla {
    /// The period of `height`.
    #[must_use]
    pub fn period_at(&self, height: Height) -> u64 {
        let since = height.0.saturating_sub(self.opened.0);
        since.checked_div(self.terms.period_blocks).unwrap_or(u64::MAX)
    }

    /// At the end of this block the rest goes back.
    #[must_use]
    pub fn ends(&self) -> Height {
        Height(self.terms.until.0.saturating_add(self.terms.period_blocks))
    }

    /// What `claim` releases at `height`.
    pub fn judge(
        &self,
        chain: &ChainId,
        claim: &SlaClaim,
        height: Height,
    ) -> Result<Amount, ContractRejection> {
        if self.paid.is_some_and(|paid| claim.period <= paid) {
            return Err(ContractRejection::PeriodPaid);
        }
        let mut seen = BTreeSet::new();
        for (index, measurement) in claim.measurements.iter().enumerate() {
            self.check_measurement(chain, claim, measurement, height)
                .map_err(|why| why.at(wide(index)))?;
            if !seen.insert(measurement.observer) {
                return Err(ContractRejection::ObserverTwice);
            }
        }
        if seen.len() < usize::from(self.terms.quorum) {
            let (count, needed) = (wide(seen.len()), u64::from(self.terms.quorum));
            return Err(ContractRejection::TooFewObservers { count, needed });
        }
        let payout = self.terms.payout.min(self.left);
        if payout.is_zero() { Err(ContractRejection::AgreementEmpty) } else { Ok(payout) }
    }

    fn check_measurement(
        &self,
        chain: &ChainId,
        claim: &SlaClaim,
        measurement: &Measurement,
        height: Height,
    ) -> Result<(), Flaw> {
        let body = &measurement.said.body;
        if body.chain != *chain || body.sla != claim.sla || body.period != claim.period {
            return Err(Flaw::Foreign);
        }
        let present = self.period_at(height);
        // The last blocks after `until` are for claims: no period begins in them.
        let is_within = body.period <= self.period_at(self.terms.until);
        if body.period > present || body.period.saturating_add(1) < present || !is_within {
            return Err(Flaw::Stale);
        }
        let observer = self.terms.observers.get(usize::from(measurement.observer));
        let observer = observer.ok_or(Flaw::Forged)?;
        measurement.said.verify(observer).map_err(|_| Flaw::Forged)?;
        if self.terms.bound.is_violated_by(body.value) { Ok(()) } else { Err(Flaw::Kept) }
    }
}

/// What is wrong with one measurement.
enum Flaw {
    Foreign,
    Stale,
    Forged,
    Kept,
}

impl Flaw {
    const fn at(self, index: u64) -> ContractRejection {
        match self {
            Self::Foreign => ContractRejection::MeasurementForeign { index },
            Self::Stale => ContractRejection::MeasurementStale { index },
            Self::Forged => ContractRejection::MeasurementForged { index },
            Self::Kept => ContractRejection::BoundKept { index },
        }
    }
}

/// The agreement that `provider` opens with the transaction numbered `nonce`.
#[must_use]
pub fn sla_id(chain: &ChainId, provider: &AccountKey, nonce: u64) -> SlaId {
    SlaId(digest("srwan sla v1", &[&chain.0, &provider.0, &nonce.to_le_bytes()]))
}
