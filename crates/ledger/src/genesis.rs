//! How a ledger begins: its name, who holds what, and the parameters of its rules.
//!
//! The canonical bytes of a [`Genesis`] name the chain; two ledgers that differ in one unit of one
//! account have different names, and nothing signed for one is valid on the other.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::amount::{Amount, BPS_WHOLE, SUPPLY_MAX};
use crate::canary::{self, Canary};
use crate::fee::{FeeSchedule, SUBSIDY_BLOCKS_DEFAULT};
use srwan_wire::id::{AccountKey, ChainId, Octets, ValidatorKey};

/// Octets of a chain's name.
pub const CHAIN_NAME_OCTETS_MAX: usize = 64;

/// Validators a ledger may begin with: what the engine is planned for.
pub const VALIDATORS_MAX: usize = 100;

/// Everything that the first block starts from.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Genesis {
    /// Shown to people.
    pub chain: String,
    /// All coins there will ever be.
    pub supply: Amount,
    /// Who begins with what.
    pub accounts: BTreeMap<AccountKey, Amount>,
    /// What the subsidy account begins with; the part of the supply that is nobody's goes to the
    /// treasury.
    pub subsidy: Amount,
    /// Who makes blocks final. May be empty: then the validators' part of fees waits.
    pub validators: BTreeMap<ValidatorKey, GenesisValidator>,
    /// The rules' parameters.
    pub params: Params,
}

/// A validator that a ledger begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct GenesisValidator {
    /// Who is paid, and gets the bond when it leaves.
    pub account: AccountKey,
    /// Where its peers reach it.
    pub address: SocketAddr,
    /// Its part of the fees, and its word on parameters, relative to the others.
    pub power: u64,
    /// What is locked for it out of the supply, besides what `accounts` has.
    pub bond: Amount,
}

/// The numbers in the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Params {
    /// What transactions cost.
    pub fees: FeeSchedule,
    /// Part of each lane's charge that goes to the infrastructure account. **Units:** basis points.
    pub infra_bps: u16,
    /// Part of a block's fees that goes to its validators. **Units:** basis points.
    pub validator_bps: u16,
    /// The least that a ticket settles while its lane is open: against dust.
    pub min_settle: Octets,
    /// Blocks between a lane's closing and its refund, in which payees may still claim.
    pub claim_window_blocks: u64,
    /// The longest life of a lane, in blocks.
    pub lane_blocks_max: u64,
    /// What a registered router locks.
    pub router_bond: Amount,
    /// Blocks between a router's retirement and the return of its bond: longer than evidence lives.
    pub unbonding_blocks: u64,
    /// Part of a bond that a contradiction costs. **Units:** basis points.
    pub slash_bps: u16,
    /// Blocks of an epoch: votes are weighed and dividends paid at its end.
    pub epoch_blocks: u64,
    /// K: the vote groups that get dividends.
    pub paid_groups: u16,
    /// The most a group's leader may take. **Units:** basis points.
    pub commission_bps_max: u16,
    /// N: blocks over which the subsidy is released.
    pub subsidy_blocks: u64,
    /// Blocks of a consensus epoch: at its end the committee after the next one is fixed.
    pub committee_blocks: u64,
    /// The most validators in a committee.
    pub committee_max: u16,
    /// What a validator locks at least.
    pub validator_bond: Amount,
}

impl Params {
    /// The parameters of the design, for blocks of two seconds.
    pub const DEFAULT: Self = Self {
        fees: FeeSchedule::DEFAULT,
        infra_bps: 1_000,
        validator_bps: 2_500,
        min_settle: Octets(10_000_000),
        // 7 days: how long a router may be cut off and still be paid (promise I27).
        claim_window_blocks: 302_400,
        // 30 days: a payer's cap is never locked for longer without a word of its own.
        lane_blocks_max: 1_296_000,
        router_bond: Amount::from_base(1_000_000_000_000),
        // 14 days: twice the claim window, so that evidence outlives every lane it speaks of.
        unbonding_blocks: 604_800,
        slash_bps: 500,
        epoch_blocks: 600,
        paid_groups: 32,
        commission_bps_max: 2_000,
        subsidy_blocks: SUBSIDY_BLOCKS_DEFAULT,
        // 20 minutes of two-second blocks: long beside starting an engine, short beside unbonding.
        committee_blocks: 600,
        committee_max: 100,
        // Ten times a router's: a validator answers for everyone's coins.
        validator_bond: Amount::from_base(10_000_000_000_000),
    };

    /// Checks that every value is one that the rules can work with.
    ///
    /// **Errors:** [`GenesisError::OutOfRange`] for the first that is not.
    pub fn check(&self) -> Result<(), GenesisError> {
        let whole = u64::from(BPS_WHOLE);
        // A ticket's fee may not be able to eat the supply: byte_fee * 1 MB has to stay payable.
        let fee_max = SUPPLY_MAX.base() / 1_000_000;
        let ranges: [(&'static str, u64, u64, u64); 18] = [
            ("min_fee", self.fees.min_fee.base(), 0, fee_max),
            ("base_fee", self.fees.base_fee.base(), 0, fee_max),
            ("byte_fee", self.fees.byte_fee.base(), 0, fee_max),
            ("infra_bps", u64::from(self.infra_bps), 0, whole),
            ("validator_bps", u64::from(self.validator_bps), 0, whole),
            ("min_settle_octets", self.min_settle.0, 0, 1_000_000_000),
            ("claim_window_blocks", self.claim_window_blocks, 1, BLOCKS_MAX),
            ("lane_blocks_max", self.lane_blocks_max, 1, BLOCKS_MAX),
            ("router_bond", self.router_bond.base(), 0, SUPPLY_MAX.base()),
            ("unbonding_blocks", self.unbonding_blocks, self.claim_window_blocks, BLOCKS_MAX),
            ("slash_bps", u64::from(self.slash_bps), 0, whole),
            ("epoch_blocks", self.epoch_blocks, 1, BLOCKS_MAX),
            ("paid_groups", u64::from(self.paid_groups), 1, 1_000),
            ("commission_bps_max", u64::from(self.commission_bps_max), 0, 2_000),
            ("subsidy_blocks", self.subsidy_blocks, 1, BLOCKS_MAX),
            ("committee_blocks", self.committee_blocks, 2, BLOCKS_MAX),
            ("committee_max", u64::from(self.committee_max), 1, 100),
            ("validator_bond", self.validator_bond.base(), 0, SUPPLY_MAX.base()),
        ];
        for (name, value, lowest, highest) in ranges {
            if (value < lowest || value > highest) && !canary::is(Canary::NoBounds) {
                return Err(GenesisError::OutOfRange { name, value, lowest, highest });
            }
        }
        Ok(())
    }
}

impl Default for Params {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Genesis {
    /// The name of the chain that begins like this.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        let bytes = borsh::to_vec(self).expect("writing to a Vec does not fail");
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"srwan genesis v1\0");
        hasher.update(&bytes);
        ChainId(*hasher.finalize().as_bytes())
    }

    /// Checks that the parts fit the supply and the parameters their ranges.
    ///
    /// **Errors:** [`GenesisError`]; nothing can begin from such a genesis.
    pub fn check(&self) -> Result<(), GenesisError> {
        if self.chain.is_empty() || self.chain.len() > CHAIN_NAME_OCTETS_MAX {
            return Err(GenesisError::BadName);
        }
        if self.supply > SUPPLY_MAX && !canary::is(Canary::SupplyUnbounded) {
            return Err(GenesisError::SupplyTooLarge);
        }
        if self.validators.len() > VALIDATORS_MAX {
            return Err(GenesisError::TooManyValidators);
        }
        if self.validators.values().any(|first| first.power == 0) {
            return Err(GenesisError::PowerlessValidator);
        }
        if self.validators.values().any(|first| first.power > POWER_MAX) {
            return Err(GenesisError::PowerTooLarge);
        }
        self.treasury()?;
        self.params.check()
    }

    /// What is left of the supply for the treasury.
    ///
    /// **Errors:** [`GenesisError::SupplyExceeded`] if the parts are more than the supply.
    pub fn treasury(&self) -> Result<Amount, GenesisError> {
        let bonds = self.validators.values().map(|first| first.bond);
        let parts = self.accounts.values().copied().chain(bonds).chain([self.subsidy]);
        Amount::checked_sum(parts)
            .and_then(|given| self.supply.checked_sub(given))
            .ok_or(GenesisError::SupplyExceeded)
    }
}

/// Why nothing can begin from a genesis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// No name, or one that does not fit a line.
    #[error("the chain's name must have 1 to {CHAIN_NAME_OCTETS_MAX} octets")]
    BadName,
    /// More than the arithmetic is proved for.
    #[error("the supply is more than {SUPPLY_MAX} coins")]
    SupplyTooLarge,
    /// Accounts, bonds and subsidy together hold more than there is.
    #[error("the accounts, the validators' bonds and the subsidy hold more than the supply")]
    SupplyExceeded,
    /// More than the engine is planned for.
    #[error("more than {VALIDATORS_MAX} validators")]
    TooManyValidators,
    /// A validator that could never count.
    #[error("a validator has no power")]
    PowerlessValidator,
    /// A validator whose power does not fit the sums.
    #[error("a validator has more power than {POWER_MAX}")]
    PowerTooLarge,
    /// A parameter that the rules cannot work with.
    #[error("{name} is {value}, must be {lowest} to {highest}")]
    OutOfRange {
        /// Which one.
        name: &'static str,
        /// What it is.
        value: u64,
        /// The least it may be.
        lowest: u64,
        /// The most it may be.
        highest: u64,
    },
}

/// The most power of one validator: so that the sum over a committee, times three, fits 64 bits.
pub const POWER_MAX: u64 = 1_000_000_000_000;

/// The longest period of a parameter: 200 years of two-second blocks, far from any overflow of a
/// height.
const BLOCKS_MAX: u64 = 3_153_600_000;
