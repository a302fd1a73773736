//! What happens on the ledger, as `GET /v1/events` tells it: one JSON text message per event.

use serde::{Deserialize, Serialize};

use super::TxStatus;

/// One thing that happened. The same on every validator: `seq` counts from genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// One more than that of the event before.
    pub seq: u64,
    /// The block in which it happened.
    pub height: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happened {
    /// A transaction is final.
    Tx {
        /// Its name.
        hash: String,
        /// Who sent it.
        sender: String,
        /// What became of it; never pending.
        status: TxStatus,
        /// Why it did nothing, if it did nothing.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        code: Option<String>,
    },
    /// A ticket settled.
    Settled {
        /// The lane.
        lane: String,
        /// Octets that are settled with it.
        settled_bytes: u64,
        /// The charge for the difference.
        charge_coins: String,
    },
    /// Something that the end of the block did to someone's coins.
    Rule {
        /// Which rule, in one word.
        rule: String,
        /// The account, the lane, the epoch, or the parameter and its value.
        subject: String,
        /// How much, if coins moved.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        coins: Option<String>,
    },
    /// A block is final and executed; the last event of its height.
    Block {
        /// The ledger's name of it.
        hash: String,
        /// Its transactions.
        txs: u32,
        /// The state after it.
        state_root: String,
    },
}
