//! JSON shapes of a validator's RPC, and the client that speaks it.
//!
//! | method and path | answer | |
//! | --- | --- | --- |
//! | GET `/v1/status` | [`Status`] | chain, height, parameters: what a client needs to sign |
//! | POST `/v1/tx` [`Submit`] | [`Submitted`] | takes a transaction, or says why not |
//! | POST `/v1/txs` [`SubmitMany`] | [`SubmittedMany`] | the same for several, each for itself |
//! | GET `/v1/tx/{hash}[?wait_ms=N]` | [`Tx`] | what became of it; waits for finality up to N ms |
//! | GET `/v1/account/{key}` | [`Account`] | balance, nonce, escrow, registration, vote |
//! | GET `/v1/lane/{id}` | [`Lane`] | one lane, also a while after it was refunded |
//! | GET `/v1/lanes[?payer=K][&payee=K]` | [`Lanes`] | lanes that exist |
//! | GET `/v1/routers` | [`Routers`] | registered routers |
//! | GET `/v1/tickets[?account=K]` | [`Tickets`] | settlements, newest first |
//! | GET `/v1/block/{height}` | [`Block`] | one block |
//! | GET `/v1/header/{height}` | [`Header`] | one header, with what its digest covers |
//! | GET `/v1/certificate/{height}` | [`Certificate`] | the proof that a block is final |
//! | GET `/v1/proof/account/{key}` | [`Proof`] | an account, and the proof of it |
//! | GET `/v1/proof/lane/{id}` | [`Proof`] | a lane, and the proof of it |
//! | GET `/v1/validators` | [`Validators`] | who finalizes, and who could |
//! | GET `/v1/listings[?account=K]` | [`Listings`] | segments that are offered |
//! | GET `/v1/leases[?account=K]` | [`Leases`] | capacity that was bought |
//! | GET `/v1/agreements[?account=K]` | [`Agreements`] | service levels that were promised |
//! | GET `/v1/quarantines[?account=K]` | [`Quarantines`] | routers that evidence confined |
//! | GET `/v1/ratings[?account=K]` | [`Ratings`] | what bonded payers say about routers |
//! | GET `/v1/supply` | [`Supply`] | where all coins are |
//! | GET `/v1/events[?from=SEQ][&kind=K]` | [`Event`] | WebSocket: one JSON text per event |
//! | GET `/metrics` | text | Prometheus |
//! | GET `/health` | [`Health`] | 200 if it takes transactions, else 503 |
//!
//! Everything that is answered is final. Every answer carries `schema`; fields are only ever added.
//! Coins are decimal strings, because a JSON number loses digits; keys and hashes are hexadecimal.

mod chain;
mod client;
mod contract;
mod convert;
mod event;
pub mod light;

use serde::{Deserialize, Serialize};

pub use self::chain::{Certificate, Header, Proof, ValidatorInfo, Validators};
pub use self::client::{LedgerClient, TX_WAIT_MS_MAX};
pub use self::contract::{
    Agreement, Agreements, Hours, Lease, Leases, Listing, Listings, PayerRecord, Quarantine,
    Quarantines, Rating, Ratings,
};
pub use self::convert::problem;
pub use self::event::{Event, Happened};
use crate::http::ApiError;

/// What a validator runs, and at which height it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `srwan.ledger.status/1`.
    pub schema: String,
    /// The chain's name, for people.
    pub chain: String,
    /// The chain's id, which every signature names.
    pub chain_id: String,
    /// Height of the last final block.
    pub height: u64,
    /// Hash of the last final block.
    pub tip: String,
    /// Digest of the state after it.
    pub state_root: String,
    /// When it was made, nanoseconds since the UNIX epoch by its proposer's clock.
    pub time_ns: u64,
    /// This validator's account.
    pub validator: String,
    /// Who finalizes, with their power.
    pub validators: Vec<Validator>,
    /// Transactions that wait for a block.
    pub pending_txs: u64,
    /// Whether transactions are taken; false while catching up and after a storage fault.
    pub accepting: bool,
    /// The committee's epoch that the next block is in.
    #[serde(default)]
    pub epoch: u64,
    /// Consensus keys of those who vote on it, ascending.
    #[serde(default)]
    pub committee: Vec<String>,
    /// Other validators that this one hears.
    #[serde(default)]
    pub peers: u32,
    /// Whether this validator is catching up with its peers.
    #[serde(default)]
    pub syncing: bool,
    /// Blocks that are known to be final but not executed here.
    #[serde(default)]
    pub behind: u64,
    /// Whether all coins add up to the supply, counted when asked.
    pub conserved: bool,
    /// The supply.
    pub supply_coins: String,
    /// The rules' parameters.
    pub params: Params,
    /// Version of the program.
    pub version: String,
}

/// One who finalizes blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validator {
    /// Its account.
    pub account: String,
    /// Its power.
    pub power: u64,
}

/// The rules' parameters that a client has to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Params {
    /// No transaction costs less.
    pub min_fee_coins: String,
    /// Part of a fee that does not depend on size.
    pub base_fee_coins: String,
    /// Part of a fee per octet of the signed transaction.
    pub byte_fee_coins: String,
    /// Part of a charge that goes to the infrastructure account, basis points.
    pub infra_bps: u16,
    /// Part of fees that goes to validators, basis points.
    pub validator_bps: u16,
    /// The least that a ticket settles while its lane is open.
    pub min_settle_bytes: u64,
    /// Blocks between a lane's closing and its refund.
    pub claim_window_blocks: u64,
    /// The longest life of a lane.
    pub lane_blocks_max: u64,
    /// What a registered router locks.
    pub router_bond_coins: String,
    /// Blocks between a router's retirement and the return of its bond.
    pub unbonding_blocks: u64,
    /// Blocks of an epoch.
    pub epoch_blocks: u64,
}

/// A transaction to take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// The signed transaction: borsh, base64 with padding.
    pub tx: String,
}

/// Transactions that one call may hand in.
pub const SUBMIT_MANY_MAX: usize = 256;

/// Several transactions to take, at most [`SUBMIT_MANY_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitMany {
    /// Signed transactions: borsh, base64 with padding; those of one account by their nonces.
    pub txs: Vec<String>,
}

/// What became of several transactions that were handed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubmittedMany {
    /// `srwan.ledger.submitted-many/1`.
    pub schema: String,
    /// One for each, in their order.
    pub txs: Vec<Taken>,
}

/// Whether one of them was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// Its name, if it was.
    pub hash: Option<String>,
    /// Why not, if it was not.
    pub problem: Option<ApiError>,
}

/// A transaction that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// `srwan.ledger.submitted/1`.
    pub schema: String,
    /// Its name, to ask for what became of it.
    pub hash: String,
}

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TxStatus {
    /// Taken, not in a block yet.
    Pending,
    /// Final: it did what it asked.
    Applied,
    /// Final: it did nothing but pay its fee; see `problem`.
    Rejected,
    /// Final: it did nothing at all; see `problem`.
    Refused,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tx {
    /// `srwan.ledger.tx/1`.
    pub schema: String,
    /// Its name.
    pub hash: String,
    /// How far it is.
    pub status: TxStatus,
    /// The block that it is in.
    pub height: Option<u64>,
    /// What it paid.
    pub fee_coins: String,
    /// What it did, if it was applied.
    pub effect: Option<Effect>,
    /// Why it did nothing, if it was rejected or refused.
    pub problem: Option<ApiError>,
}

/// What an applied transaction did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the same fields as srwan_ledger::outcome::Effect, as text")]
pub enum Effect {
    Transferred {
        to: String,
        coins: String,
    },
    EscrowAdded {
        coins: String,
    },
    EscrowWithdrawn {
        coins: String,
    },
    LaneOpened {
        lane: String,
        cap_coins: String,
    },
    LaneRaised {
        lane: String,
        coins: String,
    },
    LaneClosing {
        lane: String,
        until_height: u64,
    },
    Settled {
        settlement: Settlement,
    },
    RouterRegistered {
        bond_coins: String,
    },
    RouterRetired {
        until_height: u64,
    },
    RouterSlashed {
        account: String,
        reward_coins: String,
        burned_coins: String,
    },
    Voted,
    ValidatorJoined {
        validator: String,
        address: String,
        bond_coins: String,
    },
    ValidatorUpdated {
        validator: String,
        address: String,
        bond_coins: String,
    },
    ValidatorLeft {
        validator: String,
        until_height: u64,
    },
    ValidatorSlashed {
        validator: String,
        account: String,
        reward_coins: String,
        burned_coins: String,
    },
    NodeKeyRotated {
        node_key: String,
        overlap_until_height: u64,
    },
    NodeKeyRevoked {
        node_key: String,
    },
    Approved {
        validator: String,
        parameter: String,
        value: u64,
    },
    /// A contract did something, named here.
    Contract {
        what: String,
    },
}

/// What one ticket moved out of its lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The lane.
    pub lane: String,
    /// Octets that were settled before.
    pub settled_before_bytes: u64,
    /// Octets that are settled with it.
    pub settled_bytes: u64,
    /// The charge for the difference.
    pub charge_coins: String,
    /// The infrastructure account's part.
    pub infra_coins: String,
    /// The payees' parts, in the order of the path.
    pub shares: Vec<Share>,
}

/// A payee's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Who.
    pub account: String,
    /// How much.
    pub coins: String,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `srwan.ledger.account/1`.
    pub schema: String,
    /// Its key.
    pub account: String,
    /// Free coins.
    pub balance_coins: String,
    /// The nonce that the next transaction in a block must carry.
    pub nonce: u64,
    /// The nonce to sign next: behind those that wait for a block.
    pub next_nonce: u64,
    /// Coins in its escrow that no lane has.
    pub escrow_free_coins: String,
    /// Coins in its lanes.
    pub lanes_coins: String,
    /// Lanes that it pays.
    pub lanes: u32,
    /// Shares that it got from tickets so far.
    pub earned_coins: String,
    /// Charges that its lanes paid so far.
    pub applied_coins: String,
    /// Its registered router.
    pub router: Option<Router>,
    /// Its vote.
    pub vote: Option<Vote>,
}

/// A registered router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Router {
    /// Its account.
    pub account: String,
    /// Its handshake key.
    pub node_key: String,
    /// City.
    pub city: String,
    /// Country, two letters.
    pub country: String,
    /// Autonomous system.
    pub asn: u32,
    /// `public`, `premium` or `private`.
    pub class: String,
    /// Coins per 10^9 octets, or `inf`.
    pub price_coins_per_gb: String,
    /// What it locked.
    pub bond_coins: String,
    /// `active`, `unbonding` or `slashed`.
    pub phase: String,
}

/// All registered routers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routers {
    /// `srwan.ledger.routers/1`.
    pub schema: String,
    /// In the order of their accounts.
    pub routers: Vec<Router>,
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Whose group.
    pub leader: String,
    /// What it weighs in this epoch.
    pub weight_coins: String,
}

/// Where a lane is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LanePhase {
    /// Serves traffic.
    Open,
    /// Settles what was signed before.
    Closing,
    /// Was refunded.
    Closed,
}

/// One lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// `srwan.ledger.lane/1`.
    pub schema: String,
    /// Its name.
    pub lane: String,
    /// Who pays.
    pub payer: String,
    /// The path that it pays.
    pub path: String,
    /// Relays in the order of the path, then the endpoint.
    pub payees: Vec<Payee>,
    /// Base units (10^-9 coin) per 10^6 octets.
    pub price_base_per_mb: u64,
    /// The most it can pay.
    pub cap_coins: String,
    /// The octets that the cap pays for.
    pub cap_bytes: u64,
    /// What is left for the fees of tickets.
    pub fee_reserve_coins: String,
    /// Last height at which it is open.
    pub expiry_height: u64,
    /// Where in its life.
    pub phase: LanePhase,
    /// Last height at which a ticket is taken, once it is closing.
    pub until_height: Option<u64>,
    /// Octets that have been paid for.
    pub settled_bytes: u64,
    /// What payees and the infrastructure account got.
    pub paid_coins: String,
}

/// Who gets a share of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payee {
    /// Who.
    pub account: String,
    /// Of the sum of weights.
    pub weight: u32,
}

/// Lanes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lanes {
    /// `srwan.ledger.lanes/1`.
    pub schema: String,
    /// In the order of their names.
    pub lanes: Vec<Lane>,
    /// Whether there are more than were answered.
    pub truncated: bool,
}

/// One settlement in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The transaction.
    pub hash: String,
    /// The block.
    pub height: u64,
    /// Who pays.
    pub payer: String,
    /// Who submitted it.
    pub submitter: String,
    /// What it moved.
    pub settlement: Settlement,
}

/// Settlements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tickets {
    /// `srwan.ledger.tickets/1`.
    pub schema: String,
    /// Newest first.
    pub tickets: Vec<Ticket>,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// `srwan.ledger.block/1`.
    pub schema: String,
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: String,
    /// The block before.
    pub parent: String,
    /// The state that it starts from.
    pub state_root: String,
    /// Its proposer's clock, nanoseconds since the UNIX epoch.
    pub time_ns: u64,
    /// Who made it.
    pub proposer: String,
    /// Who finalized the parent.
    pub voters: Vec<String>,
    /// Its transactions.
    pub txs: Vec<String>,
    /// All of it: borsh, base64 with padding.
    pub bytes: String,
}

/// Where all coins are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// `srwan.ledger.supply/1`.
    pub schema: String,
    /// At this height.
    pub height: u64,
    /// What genesis made.
    pub supply_coins: String,
    /// Sum of all below.
    pub total_coins: String,
    /// Whether the two are equal.
    pub conserved: bool,
    /// In free balances.
    pub accounts_coins: String,
    /// In escrows, free for lanes.
    pub escrows_coins: String,
    /// In lanes.
    pub lanes_coins: String,
    /// In routers' bonds.
    pub bonds_coins: String,
    /// In vote groups, by rounding.
    pub groups_coins: String,
    /// The infrastructure account.
    pub infra_coins: String,
    /// For validators, not paid yet.
    pub validators_coins: String,
    /// For voters, not paid yet.
    pub dividends_coins: String,
    /// Left of the subsidy.
    pub subsidy_coins: String,
    /// Given to no one.
    pub treasury_coins: String,
    /// Out of use.
    pub burned_coins: String,
}

/// Whether a validator works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, `syncing` or `failed`.
    pub status: String,
    /// Height of the last final block.
    pub height: u64,
    /// Blocks that are known to be final but not executed here.
    #[serde(default)]
    pub behind: u64,
}
