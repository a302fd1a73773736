//! Every reason why a transaction does not do what it asks, each with its code.
//!
//! The first group *refuses*: nothing changes, the transaction may be sent again. All others
//! *reject*: the transaction is in a block, its nonce is used and its fee is paid. docs/ledger.md
//! lists both with what to do about them.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::Amount;
use crate::contract::rejection::ContractRejection;
use srwan_wire::id::{Height, Octets};

/// Why a transaction was refused or rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, thiserror::Error)]
#[allow(missing_docs, reason = "each variant and its fields are said by its error text")]
pub enum Rejection {
    // Refused: the state is as it was.
    #[error("the transaction is for another ledger")]
    WrongChain,
    #[error("the signature does not verify")]
    BadSignature,
    #[error("the transaction was valid up to height {valid_until}")]
    Expired { valid_until: Height },
    #[error("the account's next nonce is {expected}, the transaction has {got}")]
    WrongNonce { expected: u64, got: u64 },
    #[error("the transaction has {size_octets} octets, at most {max_octets} are taken")]
    TooLarge { size_octets: u64, max_octets: u64 },
    #[error("the fee is {offered} coins, this transaction costs {required}")]
    FeeTooLow { offered: Amount, required: Amount },
    #[error("a ticket pays exactly {required} coins, because the lane may pay it")]
    FeeNotExact { required: Amount },
    #[error("the account has {available} coins and cannot pay the fee of {fee}")]
    FeeUnaffordable { available: Amount, fee: Amount },

    // Rejected: nonce and fee are used.
    #[error("the amount is zero")]
    AmountZero,
    #[error("the account has {balance} coins, {needed} are needed")]
    BalanceTooLow { balance: Amount, needed: Amount },
    #[error("the escrow has {free} free coins, {needed} are needed")]
    EscrowTooLow { free: Amount, needed: Amount },

    #[error("a lane has 1 to {max} payees, not {count}")]
    PayeeCount { count: u64, max: u64 },
    #[error("an account is twice among the payees")]
    PayeeTwice,
    #[error("the payer is among the payees")]
    PayerIsPayee,
    #[error("all weights are zero")]
    NoWeight,
    #[error("the price is zero or infinite")]
    PriceOutOfRange,
    #[error("payee {index} is registered as never for sale")]
    PayeeNotForSale { index: u64 },
    #[error("the lane must expire at a height from {lowest} to {highest}, not {got}")]
    ExpiryOutOfRange { lowest: Height, highest: Height, got: Height },
    #[error("the payer has {max} lanes already")]
    TooManyLanes { max: u64 },
    #[error("there is no such lane; it may have been closed and refunded")]
    NoSuchLane,
    #[error("only the lane's payer may do this")]
    NotThePayer,
    #[error("the lane is closing")]
    LaneNotOpen,

    #[error("only the lane's payer and payees may settle it")]
    NotAParty,
    #[error("the receipt's {field} is not that of the lane")]
    ReceiptMismatch { field: Field },
    #[error("the receipt is not signed by the lane's payer")]
    ReceiptForged,
    #[error("the delivery's {field} is not that of the lane")]
    DeliveryMismatch { field: Field },
    #[error("the delivery is not signed by the lane's endpoint")]
    DeliveryForged,
    #[error("{count} link statements, at most {max} are taken")]
    TooManyStatements { count: u64, max: u64 },
    #[error("link statement {index} is not of two parties of this lane on this ledger")]
    StatementForeign { index: u64 },
    #[error("link statement {index} is not signed by its reporter")]
    StatementForged { index: u64 },
    #[error("two link statements of the ticket contradict each other")]
    StatementsContradict,
    #[error("{claimed} octets are claimed and {settled} were settled already")]
    NothingToSettle { claimed: Octets, settled: Octets },
    #[error(
        "{unsettled} octets are less than the least settlement of {min} while the lane is open"
    )]
    BelowMinSettle { unsettled: Octets, min: Octets },

    #[error("the location has impossible coordinates, country code or city name")]
    BadLocation,
    #[error("the node key belongs to another account")]
    NodeKeyTaken,
    #[error("the account has no registered router")]
    NotRegistered,
    #[error("the router is retired; its bond has not been returned yet")]
    RouterRetired,
    #[error("the router was slashed; its account cannot register again")]
    RouterSlashed,
    #[error("the two statements do not contradict each other")]
    NoContradiction,
    #[error("the node key was revoked")]
    NodeKeyRevoked,
    #[error("the router has this node key already")]
    NodeKeySame,
    #[error("the router has no such node key, or it is not accepted any more")]
    NotANodeKey,
    #[error("two node keys may overlap for at most {max} blocks, not {got}")]
    OverlapTooLong { got: u64, max: u64 },

    #[error("no validator has this key or account")]
    NotAValidator,
    #[error("the account stands behind a validator already")]
    ValidatorAlready,
    #[error("the validator has left; its bond has not been returned yet")]
    ValidatorLeft,
    #[error("the validator was slashed; its key and account cannot join again")]
    ValidatorSlashed,
    #[error("the consensus key belongs to another account")]
    ConsensusKeyTaken,
    #[error("the consensus key did not sign that this account may use it")]
    ConsentForged,
    #[error("the bond is {bond} coins, at least {least} are needed")]
    BondTooLow { bond: Amount, least: Amount },
    #[error("the last validator cannot leave")]
    LastValidator,
    #[error("the votes do not prove that this validator contradicted itself")]
    NoEquivocation,
    #[error("only a member of the present committee may approve a parameter")]
    NotInCommittee,
    #[error("the parameter would be {got}, must be {lowest} to {highest}")]
    ParameterOutOfRange { got: u64, lowest: u64, highest: u64 },

    #[error("the account votes already")]
    AlreadyVotes,
    #[error("the account does not vote")]
    DoesNotVote,
    #[error("there is no such vote group")]
    NoSuchGroup,
    #[error("only the leader of a vote group may do this")]
    NotALeader,
    #[error("the leader leaves last, the group has {members} more members")]
    GroupHasMembers { members: u64 },
    #[error("the commission is at most {max_bps} basis points")]
    CommissionTooHigh { max_bps: u16 },

    #[error(transparent)]
    Contract(#[from] ContractRejection),
}

/// Which field of a receipt or delivery differs from its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Field {
    /// The ledger.
    Chain,
    /// The lane.
    Lane,
    /// The path.
    Path,
    /// The price: a lane's price never changes, another price is another lane.
    Price,
    /// The expiry height.
    Expiry,
}

impl core::fmt::Display for Field {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Chain => "chain",
            Self::Lane => "lane",
            Self::Path => "path",
            Self::Price => "price",
            Self::Expiry => "expiry",
        })
    }
}

impl Rejection {
    /// The stable code of this reason, as people and programs see it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongChain => "SRW-L101",
            Self::BadSignature => "SRW-L102",
            Self::Expired { .. } => "SRW-L103",
            Self::WrongNonce { .. } => "SRW-L104",
            Self::TooLarge { .. } => "SRW-L105",
            Self::FeeTooLow { .. } => "SRW-L106",
            Self::FeeNotExact { .. } => "SRW-L107",
            Self::FeeUnaffordable { .. } => "SRW-L108",
            Self::AmountZero => "SRW-L201",
            Self::BalanceTooLow { .. } => "SRW-L202",
            Self::EscrowTooLow { .. } => "SRW-L203",
            Self::PayeeCount { .. } => "SRW-L301",
            Self::PayeeTwice => "SRW-L302",
            Self::PayerIsPayee => "SRW-L303",
            Self::NoWeight => "SRW-L304",
            Self::PriceOutOfRange => "SRW-L305",
            Self::PayeeNotForSale { .. } => "SRW-L306",
            Self::ExpiryOutOfRange { .. } => "SRW-L307",
            Self::TooManyLanes { .. } => "SRW-L308",
            Self::NoSuchLane => "SRW-L309",
            Self::NotThePayer => "SRW-L310",
            Self::LaneNotOpen => "SRW-L311",
            Self::NotAParty => "SRW-L401",
            Self::ReceiptMismatch { .. } => "SRW-L402",
            Self::ReceiptForged => "SRW-L403",
            Self::DeliveryMismatch { .. } => "SRW-L404",
            Self::DeliveryForged => "SRW-L405",
            Self::TooManyStatements { .. } => "SRW-L406",
            Self::StatementForeign { .. } => "SRW-L407",
            Self::StatementForged { .. } => "SRW-L408",
            Self::StatementsContradict => "SRW-L409",
            Self::NothingToSettle { .. } => "SRW-L410",
            Self::BelowMinSettle { .. } => "SRW-L411",
            Self::BadLocation => "SRW-L501",
            Self::NodeKeyTaken => "SRW-L502",
            Self::NotRegistered => "SRW-L503",
            Self::RouterRetired => "SRW-L504",
            Self::RouterSlashed => "SRW-L505",
            Self::NoContradiction => "SRW-L506",
            Self::NodeKeyRevoked => "SRW-L507",
            Self::NodeKeySame => "SRW-L508",
            Self::NotANodeKey => "SRW-L509",
            Self::OverlapTooLong { .. } => "SRW-L510",
            Self::NotAValidator => "SRW-L521",
            Self::ValidatorAlready => "SRW-L522",
            Self::ValidatorLeft => "SRW-L523",
            Self::ValidatorSlashed => "SRW-L524",
            Self::ConsensusKeyTaken => "SRW-L525",
            Self::ConsentForged => "SRW-L526",
            Self::BondTooLow { .. } => "SRW-L527",
            Self::LastValidator => "SRW-L528",
            Self::NoEquivocation => "SRW-L529",
            Self::NotInCommittee => "SRW-L531",
            Self::ParameterOutOfRange { .. } => "SRW-L532",
            Self::AlreadyVotes => "SRW-L601",
            Self::DoesNotVote => "SRW-L602",
            Self::NoSuchGroup => "SRW-L603",
            Self::NotALeader => "SRW-L604",
            Self::GroupHasMembers { .. } => "SRW-L605",
            Self::CommissionTooHigh { .. } => "SRW-L606",
            Self::Contract(why) => why.code(),
        }
    }

    /// What the sender can do about it.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::WrongChain => "take the chain id from GET /v1/status and sign again",
            Self::BadSignature => "sign with the key of the sending account",
            Self::Expired { .. } => "sign again with a later height",
            Self::WrongNonce { .. } => "take the nonce from GET /v1/account/{key} and sign again",
            Self::TooLarge { .. } => "send less evidence, or split the transaction",
            Self::FeeTooLow { .. } | Self::FeeNotExact { .. } => "pay the fee that is named",
            Self::FeeUnaffordable { .. } | Self::BalanceTooLow { .. } => "fund the account",
            Self::AmountZero => "name an amount above zero",
            Self::EscrowTooLow { .. } => "add coins to the escrow, or ask for a smaller cap",
            Self::PayeeCount { .. } | Self::PayeeTwice | Self::PayerIsPayee => {
                "name each relay and the endpoint once, and not the payer"
            }
            Self::NoWeight => "give at least one payee a weight; 1 for all in the public class",
            Self::PriceOutOfRange => "use the price that the relays quoted",
            Self::PayeeNotForSale { .. } => "choose a path without this router",
            Self::ExpiryOutOfRange { .. } => "choose an expiry within the heights named",
            Self::TooManyLanes { .. } => "close lanes that are not used",
            Self::NoSuchLane => "open a lane, and wait until it is final",
            Self::NotThePayer | Self::NotAParty => "sign with an account of this lane",
            Self::LaneNotOpen => "open another lane",
            Self::ReceiptMismatch { .. } | Self::ReceiptForged => {
                "send the payer's latest receipt of this lane"
            }
            Self::DeliveryMismatch { .. } | Self::DeliveryForged => {
                "send the endpoint's latest delivery of this lane"
            }
            Self::TooManyStatements { .. }
            | Self::StatementForeign { .. }
            | Self::StatementForged { .. } => "send only statements of the links of this path",
            Self::StatementsContradict => "report the contradiction in a transaction of its own",
            Self::NothingToSettle { .. } => "nothing to do: it has been paid",
            Self::BelowMinSettle { .. } => "wait for more traffic, or until the lane closes",
            Self::BadLocation => "correct the location in the router's configuration",
            Self::NodeKeyTaken => "register the node key that belongs to this account",
            Self::NotRegistered => "register the router first",
            Self::RouterRetired => "wait until the bond has been returned",
            Self::RouterSlashed => "use another account",
            Self::NoContradiction => "compare two statements of one reporter, peer and boot",
            Self::NodeKeyRevoked | Self::NodeKeySame => "make another node key",
            Self::NotANodeKey => "name a node key that the router uses",
            Self::OverlapTooLong { .. } => "choose a shorter overlap",
            Self::NotAValidator => "join with ValidatorJoin, or name an existing validator",
            Self::ValidatorAlready => "update the validator, or use another account",
            Self::ValidatorLeft => "wait until the bond has been returned",
            Self::ValidatorSlashed => "use another account and another consensus key",
            Self::ConsensusKeyTaken => "make another consensus key",
            Self::ConsentForged => "sign with the consensus key for this ledger and account",
            Self::BondTooLow { .. } => "lock at least the bond that is named",
            Self::LastValidator => "leave after another validator has joined",
            Self::NoEquivocation => "send two contradicting votes of one key, ledger and view",
            Self::NotInCommittee => "wait until the validator is in the committee",
            Self::ParameterOutOfRange { .. } => "choose a value within the range named",
            Self::AlreadyVotes => "leave the present vote group first",
            Self::DoesNotVote => "join a vote group first",
            Self::NoSuchGroup => "name the leader of an existing vote group",
            Self::NotALeader => "sign with the leader's account",
            Self::GroupHasMembers { .. } => "wait until all members have left",
            Self::CommissionTooHigh { .. } => "ask for a lower commission",
            Self::Contract(why) => why.fix(),
        }
    }
}
