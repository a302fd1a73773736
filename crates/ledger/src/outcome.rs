//! What became of a transaction, and what a block did besides.

use borsh::{BorshDeserialize, BorshSerialize};
use std::net::SocketAddr;

use crate::amount::Amount;
use crate::contract::{ContractEffect, ContractEvent};
use crate::governance::Change;
use crate::hash::{StateRoot, TxHash};
use crate::lane::{Lane, LaneOpen};
use crate::rejection::Rejection;
use crate::router::Registration;
use crate::ticket::Settlement;
use crate::vote::VoteAction;
use srwan_wire::id::{AccountKey, Height, LaneId, NodeKey, ValidatorKey};

/// What became of one transaction in one block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TxReceipt {
    /// Which transaction.
    pub hash: TxHash,
    /// In which block.
    pub height: Height,
    /// What it paid; nothing if it was refused.
    pub fee: Amount,
    /// What it did.
    pub outcome: Outcome,
}

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Outcome {
    /// What it asked for.
    Applied(Effect),
    /// Nothing, but its nonce is used and its fee is paid.
    Rejected(Rejection),
    /// Nothing at all.
    Refused(Rejection),
}

/// What an applied transaction did, with every number that follows from the rules.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Effect {
    /// Coins went to another account.
    Transferred {
        /// To whom.
        to: AccountKey,
        /// How much.
        amount: Amount,
    },
    /// Coins went from the account to its escrow.
    EscrowAdded {
        /// How much.
        amount: Amount,
    },
    /// Coins went from the escrow to its account.
    EscrowWithdrawn {
        /// How much.
        amount: Amount,
    },
    /// A lane was funded.
    LaneOpened {
        /// Its name.
        lane: LaneId,
        /// What was asked for.
        open: LaneOpen,
    },
    /// A lane's cap was raised.
    LaneRaised {
        /// Which.
        lane: LaneId,
        /// By how much.
        amount: Amount,
    },
    /// A lane's claim window began.
    LaneClosing {
        /// Which.
        lane: LaneId,
        /// Last height at which a ticket is taken.
        until: Height,
    },
    /// A lane paid.
    Settled(Settlement),
    /// A router was registered, or changed.
    RouterRegistered {
        /// What it says.
        registration: Registration,
        /// What it locked with this transaction.
        bond: Amount,
    },
    /// A router's bond began to unbond.
    RouterRetired {
        /// When it comes back.
        until: Height,
    },
    /// A router was convicted.
    RouterSlashed {
        /// Whose.
        account: AccountKey,
        /// To the reporter.
        reward: Amount,
        /// To the burned account.
        burned: Amount,
        /// When the rest of the bond comes back.
        until: Height,
    },
    /// A vote changed.
    Voted(VoteAction),
    /// A validator joined; it may be in the committee of the epoch after the next.
    ValidatorJoined {
        /// Its consensus key.
        key: ValidatorKey,
        /// Where its peers reach it.
        address: SocketAddr,
        /// What it locked.
        bond: Amount,
    },
    /// A validator changed.
    ValidatorUpdated {
        /// Its consensus key.
        key: ValidatorKey,
        /// Where its peers reach it.
        address: SocketAddr,
        /// What it locked besides.
        bond: Amount,
    },
    /// A validator leaves the next committees.
    ValidatorLeft {
        /// Its consensus key.
        key: ValidatorKey,
        /// When its bond comes back.
        until: Height,
    },
    /// A validator was convicted.
    ValidatorSlashed {
        /// Its consensus key.
        key: ValidatorKey,
        /// Whose it is.
        account: AccountKey,
        /// To the reporter.
        reward: Amount,
        /// To the burned account.
        burned: Amount,
        /// When the rest of the bond comes back.
        until: Height,
    },
    /// A router has another node key.
    NodeKeyRotated {
        /// The key from now on.
        to: NodeKey,
        /// Last height at which the one before is accepted.
        until: Height,
    },
    /// A node key is invalid.
    NodeKeyRevoked {
        /// Which.
        key: NodeKey,
    },
    /// A member of the committee approves a parameter.
    Approved {
        /// Its consensus key.
        member: ValidatorKey,
        /// Which, and what it shall be.
        change: Change,
    },
    /// A contract did something.
    Contract(Box<ContractEffect>),
}

/// What the end of a block did.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Event {
    /// A lane's claim window began because the lane expired.
    LaneExpired {
        /// Which.
        lane: LaneId,
        /// Last height at which a ticket is taken.
        until: Height,
    },
    /// A lane's claim window ended; what was left went back to the payer's escrow.
    LaneRefunded {
        /// Which.
        id: LaneId,
        /// As it last was.
        lane: Lane,
        /// How much.
        refund: Amount,
        /// What rounding had left over, to the infrastructure account.
        carry: Amount,
    },
    /// A bond came back.
    BondReturned {
        /// To whom.
        account: AccountKey,
        /// How much.
        amount: Amount,
    },
    /// A validator was paid.
    ValidatorPaid {
        /// Who.
        account: AccountKey,
        /// How much.
        amount: Amount,
    },
    /// A contract did something by itself.
    Contract(ContractEvent),
    /// A voter was paid.
    DividendPaid {
        /// Who.
        account: AccountKey,
        /// How much.
        amount: Amount,
    },
    /// The committee of an epoch is fixed.
    CommitteeFixed {
        /// Which epoch.
        epoch: u64,
        /// How many are in it.
        members: u64,
    },
    /// A parameter has another value from the next block on.
    ParameterChanged(Change),
}

/// All that a block did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOutcome {
    /// One per transaction, same order.
    pub receipts: Vec<TxReceipt>,
    /// What the end of the block did, in order.
    pub events: Vec<Event>,
    /// The state after it.
    pub root: StateRoot,
}
