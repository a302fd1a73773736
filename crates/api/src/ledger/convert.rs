//! From the ledger's types to their JSON shapes, and back where a client needs it.

use super::{
    Account, Block, Effect, Lane, LanePhase, Params, Payee, Router, Settlement, Share, Supply,
};
use crate::http::ApiError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use srwan_ledger::amount::{Amount, ParseAmountError};
use srwan_ledger::fee::FeeSchedule;
use srwan_ledger::rejection::Rejection;
use srwan_ledger::router::RouterPhase;
use srwan_ledger::state::State;
use srwan_ledger::{block, genesis, lane, outcome, router, ticket};
use srwan_wire::id::{AccountKey, LaneId};
use srwan_wire::receipt::Price;
use srwan_wire::roster::Class;

/// HTTP status of a transaction that cannot be taken: well-formed, but against the rules.
const UNPROCESSABLE: u16 = 422;

/// A rejection as every srwan program shows errors.
#[must_use]
pub fn problem(rejection: &Rejection) -> ApiError {
    ApiError::new(UNPROCESSABLE, rejection.code(), "the transaction has no effect")
        .why(rejection.to_string())
        .fix(rejection.fix())
}

impl Params {
    /// The parameters of the rules, as text.
    #[must_use]
    pub fn of(params: &genesis::Params) -> Self {
        Self {
            min_fee_coins: params.fees.min_fee.to_string(),
            base_fee_coins: params.fees.base_fee.to_string(),
            byte_fee_coins: params.fees.byte_fee.to_string(),
            infra_bps: params.infra_bps,
            validator_bps: params.validator_bps,
            min_settle_bytes: params.min_settle.0,
            claim_window_blocks: params.claim_window_blocks,
            lane_blocks_max: params.lane_blocks_max,
            router_bond_coins: params.router_bond.to_string(),
            unbonding_blocks: params.unbonding_blocks,
            epoch_blocks: params.epoch_blocks,
        }
    }

    /// The price list of transactions, for signing.
    ///
    /// **Errors:** the validator's answer has something else than coins.
    pub fn fee_schedule(&self) -> Result<FeeSchedule, ParseAmountError> {
        Ok(FeeSchedule {
            min_fee: Amount::parse_coins(&self.min_fee_coins)?,
            base_fee: Amount::parse_coins(&self.base_fee_coins)?,
            byte_fee: Amount::parse_coins(&self.byte_fee_coins)?,
        })
    }
}

impl Settlement {
    /// What a ticket moved, as text.
    #[must_use]
    pub fn of(settlement: &ticket::Settlement) -> Self {
        let share = |(account, share): &(AccountKey, Amount)| Share {
            account: account.to_string(),
            coins: share.to_string(),
        };
        Self {
            lane: settlement.lane.to_string(),
            settled_before_bytes: settlement.settled_before.0,
            settled_bytes: settlement.settled.0,
            charge_coins: settlement.charge.to_string(),
            infra_coins: settlement.infra.to_string(),
            shares: settlement.shares.iter().map(share).collect(),
        }
    }
}

impl Effect {
    /// What a transaction did, as text.
    #[must_use]
    pub fn of(effect: &outcome::Effect) -> Self {
        use outcome::Effect as Did;
        match effect {
            Did::Transferred { to, amount } => {
                Self::Transferred { to: to.to_string(), coins: amount.to_string() }
            }
            Did::EscrowAdded { amount } => Self::EscrowAdded { coins: amount.to_string() },
            Did::EscrowWithdrawn { amount } => Self::EscrowWithdrawn { coins: amount.to_string() },
            Did::LaneOpened { lane, open } => {
                Self::LaneOpened { lane: lane.to_string(), cap_coins: open.cap.to_string() }
            }
            Did::LaneRaised { lane, amount } => {
                Self::LaneRaised { lane: lane.to_string(), coins: amount.to_string() }
            }
            Did::LaneClosing { lane, until } => {
                Self::LaneClosing { lane: lane.to_string(), until_height: until.0 }
            }
            Did::Settled(settlement) => Self::Settled { settlement: Settlement::of(settlement) },
            Did::RouterRegistered { registration: _, bond } => {
                Self::RouterRegistered { bond_coins: bond.to_string() }
            }
            Did::RouterRetired { until } => Self::RouterRetired { until_height: until.0 },
            Did::RouterSlashed { account, reward, burned, until: _ } => Self::RouterSlashed {
                account: account.to_string(),
                reward_coins: reward.to_string(),
                burned_coins: burned.to_string(),
            },
            Did::Voted(_) => Self::Voted,
            Did::ValidatorJoined { key, address, bond } => Self::ValidatorJoined {
                validator: key.to_string(),
                address: address.to_string(),
                bond_coins: bond.to_string(),
            },
            Did::ValidatorUpdated { key, address, bond } => Self::ValidatorUpdated {
                validator: key.to_string(),
                address: address.to_string(),
                bond_coins: bond.to_string(),
            },
            Did::ValidatorLeft { key, until } => {
                Self::ValidatorLeft { validator: key.to_string(), until_height: until.0 }
            }
            Did::ValidatorSlashed { key, account, reward, burned, until: _ } => {
                Self::ValidatorSlashed {
                    validator: key.to_string(),
                    account: account.to_string(),
                    reward_coins: reward.to_string(),
                    burned_coins: burned.to_string(),
                }
            }
            Did::NodeKeyRotated { to, until } => {
                Self::NodeKeyRotated { node_key: to.to_string(), overlap_until_height: until.0 }
            }
            Did::NodeKeyRevoked { key } => Self::NodeKeyRevoked { node_key: key.to_string() },
            Did::Approved { member, change } => Self::Approved {
                validator: member.to_string(),
                parameter: format!("{:?}", change.parameter),
                value: change.value,
            },
            Did::Contract(effect) => Self::Contract { what: effect.kind().to_owned() },
        }
    }
}

impl Lane {
    /// A lane, as text.
    #[must_use]
    pub fn of(id: &LaneId, lane: &lane::Lane) -> Self {
        let payee = |payee: &lane::Payee| Payee {
            account: payee.account.to_string(),
            weight: payee.weight,
        };
        let (phase, until_height) = match lane.phase {
            lane::LanePhase::Open => (LanePhase::Open, None),
            lane::LanePhase::Closing { until } => (LanePhase::Closing, Some(until.0)),
        };
        Self {
            schema: "srwan.ledger.lane/1".to_owned(),
            lane: id.to_string(),
            payer: lane.payer.to_string(),
            path: lane.open.path.to_string(),
            payees: lane.open.payees.iter().map(payee).collect(),
            price_base_per_mb: lane.open.price.0,
            cap_coins: lane.open.cap.to_string(),
            cap_bytes: lane.octets_max().0,
            fee_reserve_coins: lane.open.fee_reserve.to_string(),
            expiry_height: lane.open.expiry.0,
            phase,
            until_height,
            settled_bytes: lane.settled.0,
            paid_coins: lane.paid.to_string(),
        }
    }
}

impl Router {
    /// A registered router, as text.
    #[must_use]
    pub fn of(account: &AccountKey, router: &router::Router) -> Self {
        let said = &router.registration;
        Self {
            account: account.to_string(),
            node_key: said.node_key.to_string(),
            city: said.location.city.clone(),
            country: said.location.country.clone(),
            asn: said.asn,
            class: class_name(said.class).to_owned(),
            price_coins_per_gb: price_text(said.price),
            bond_coins: router.bond.to_string(),
            phase: phase_name(router.phase).to_owned(),
        }
    }
}

impl Block {
    /// A block, as text.
    #[must_use]
    pub fn of(block: &block::Block) -> Self {
        let header = &block.header;
        let bytes = borsh::to_vec(block).expect("writing to a Vec does not fail");
        Self {
            schema: "srwan.ledger.block/1".to_owned(),
            height: header.height.0,
            hash: header.hash().to_string(),
            parent: header.parent.to_string(),
            state_root: header.state_root.to_string(),
            time_ns: header.time.as_nanos(),
            proposer: header.proposer.to_string(),
            voters: header.voters.iter().map(ToString::to_string).collect(),
            txs: block.txs.iter().map(|tx| tx.body.hash().to_string()).collect(),
            bytes: STANDARD.encode(bytes),
        }
    }
}

impl Supply {
    /// Where all coins are, as text.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let supply = state.supply();
        let pools = supply.pools;
        let coins =
            |base: u128| Amount::from_u128(base).map_or_else(String::new, |a| a.to_string());
        let total = coins(supply.total);
        let supply_coins = state.supply_total().to_string();
        Self {
            schema: "srwan.ledger.supply/1".to_owned(),
            height: state.height().0,
            conserved: total == supply_coins,
            supply_coins,
            total_coins: total,
            accounts_coins: coins(supply.accounts),
            escrows_coins: coins(supply.escrows),
            lanes_coins: coins(supply.lanes),
            bonds_coins: coins(supply.bonds + supply.validator_bonds),
            groups_coins: coins(supply.groups),
            infra_coins: pools.infra.to_string(),
            validators_coins: pools.validators.to_string(),
            dividends_coins: pools.dividends.to_string(),
            subsidy_coins: pools.subsidy.to_string(),
            treasury_coins: pools.treasury.to_string(),
            burned_coins: pools.burned.to_string(),
        }
    }
}

impl Account {
    /// The free balance.
    ///
    /// **Errors:** the validator's answer has something else than coins.
    pub fn balance(&self) -> Result<Amount, ParseAmountError> {
        Amount::parse_coins(&self.balance_coins)
    }

    /// What the escrow has free for lanes.
    ///
    /// **Errors:** the validator's answer has something else than coins.
    pub fn escrow_free(&self) -> Result<Amount, ParseAmountError> {
        Amount::parse_coins(&self.escrow_free_coins)
    }
}

/// Coins per GB of a price in base units per MB.
fn price_text(price: Price) -> String {
    if !price.is_finite() {
        return "inf".to_owned();
    }
    let per_gb = Amount::from_base(price.0).fraction(MB_PER_GB, 1);
    per_gb.map_or_else(|| "inf".to_owned(), |amount| amount.to_string())
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Public => "public",
        Class::Premium => "premium",
        Class::Private => "private",
    }
}

fn phase_name(phase: RouterPhase) -> &'static str {
    match phase {
        RouterPhase::Active => "active",
        RouterPhase::Unbonding { .. } => "unbonding",
        RouterPhase::Slashed { .. } => "slashed",
    }
}

/// Decimal: 10^9 octets over 10^6 octets.
const MB_PER_GB: u64 = 1_000;
