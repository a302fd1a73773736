//! Parameters that validators change: who approves what, and when it takes effect.
//!
//! Each member of the committee may approve one value per parameter, and replace it. At the end of a
//! dividend epoch a value that members with more than two thirds of the committee's power approve
//! becomes the parameter, and the approvals of that parameter are forgotten. A value out of range is
//! rejected when it is proposed, and passed over if other changes put it out of range since.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::canary::{self, Canary};
use crate::genesis::{GenesisError, Params};
use crate::rejection::Rejection;
use crate::validator::Committee;
use srwan_wire::id::{Octets, ValidatorKey};

/// A parameter that may change. Those that divide time into epochs, and the subsidy's, never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Parameter {
    /// [`crate::fee::FeeSchedule::min_fee`], in base units.
    MinFee,
    /// [`crate::fee::FeeSchedule::base_fee`], in base units.
    BaseFee,
    /// [`crate::fee::FeeSchedule::byte_fee`], in base units.
    ByteFee,
    /// [`Params::infra_bps`]; of lanes opened from then on.
    InfraBps,
    /// [`Params::validator_bps`].
    ValidatorBps,
    /// [`Params::min_settle`], in octets.
    MinSettle,
    /// [`Params::claim_window_blocks`]; of lanes that close from then on.
    ClaimWindowBlocks,
    /// [`Params::lane_blocks_max`].
    LaneBlocksMax,
    /// [`Params::router_bond`], in base units.
    RouterBond,
    /// [`Params::unbonding_blocks`]; of who leaves from then on.
    UnbondingBlocks,
    /// [`Params::slash_bps`].
    SlashBps,
    /// [`Params::paid_groups`].
    PaidGroups,
    /// [`Params::commission_bps_max`].
    CommissionBpsMax,
    /// [`Params::committee_max`].
    CommitteeMax,
    /// [`Params::validator_bond`], in base units.
    ValidatorBond,
}

/// A value for a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Change {
    /// Which.
    pub parameter: Parameter,
    /// What it shall be.
    pub value: u64,
}

impl Change {
    /// `params` with this change.
    ///
    /// **Errors:** [`Rejection::ParameterOutOfRange`].
    pub fn applied_to(self, params: &Params) -> Result<Params, Rejection> {
        let mut params = *params;
        let (value, most) = (self.value, u64::from(u16::MAX));
        let out = Rejection::ParameterOutOfRange { got: value, lowest: 0, highest: most };
        let narrow = u16::try_from(value).map_err(|_| out);
        let amount = Amount::from_base(value);
        match self.parameter {
            Parameter::MinFee => params.fees.min_fee = amount,
            Parameter::BaseFee => params.fees.base_fee = amount,
            Parameter::ByteFee => params.fees.byte_fee = amount,
            Parameter::InfraBps => params.infra_bps = narrow?,
            Parameter::ValidatorBps => params.validator_bps = narrow?,
            Parameter::MinSettle => params.min_settle = Octets(value),
            Parameter::ClaimWindowBlocks => params.claim_window_blocks = value,
            Parameter::LaneBlocksMax => params.lane_blocks_max = value,
            Parameter::RouterBond => params.router_bond = amount,
            Parameter::UnbondingBlocks => params.unbonding_blocks = value,
            Parameter::SlashBps => params.slash_bps = narrow?,
            Parameter::PaidGroups => params.paid_groups = narrow?,
            Parameter::CommissionBpsMax => params.commission_bps_max = narrow?,
            Parameter::CommitteeMax => params.committee_max = narrow?,
            Parameter::ValidatorBond => params.validator_bond = amount,
        }
        match params.check() {
            Ok(()) => Ok(params),
            Err(GenesisError::OutOfRange { value: got, lowest, highest, .. }) => {
                Err(Rejection::ParameterOutOfRange { got, lowest, highest })
            }
            Err(_) => Err(out),
        }
    }
}

/// Who approves what. At most one entry per parameter and member, so at most 1,500.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Approvals(BTreeMap<(Parameter, ValidatorKey), u64>);

impl Approvals {
    /// Takes a member's approval, in the place of its earlier one.
    pub fn put(&mut self, member: ValidatorKey, change: Change) {
        self.0.insert((change.parameter, member), change.value);
    }

    /// What each member approves.
    pub fn iter(&self) -> impl Iterator<Item = (&ValidatorKey, Change)> {
        self.0.iter().map(|((parameter, key), value)| {
            let (parameter, value) = (*parameter, *value);
            (key, Change { parameter, value })
        })
    }

    /// Forgets those who are no members, then takes out the changes that enough members approve,
    /// in the order of [`Parameter`].
    pub fn take_decided(&mut self, committee: &Committee) -> Vec<Change> {
        let power = |key: &ValidatorKey| {
            let member = committee.0.binary_search_by_key(key, |member| member.key).ok()?;
            Some(u128::from(committee.0[member].power))
        };
        self.0.retain(|(_, key), _| power(key).is_some());
        let mut tallies = BTreeMap::<(Parameter, u64), u128>::new();
        for ((parameter, key), value) in &self.0 {
            *tallies.entry((*parameter, *value)).or_default() += power(key).unwrap_or(0);
        }
        let whole: u128 = committee.0.iter().map(|member| u128::from(member.power)).sum();
        let is_half = |power: u128| canary::is(Canary::HalfDecides) && 2 * power >= whole;
        let is_enough = |power: u128| 3 * power > 2 * whole || is_half(power);
        let decided = tallies.into_iter().filter(|(_, power)| is_enough(*power));
        let decided: Vec<Change> =
            decided.map(|((parameter, value), _)| Change { parameter, value }).collect();
        self.0.retain(|(parameter, _), _| decided.iter().all(|done| done.parameter != *parameter));
        decided
    }
}
