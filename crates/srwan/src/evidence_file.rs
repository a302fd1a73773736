//! Evidence files (`srwan.evidence/1`): what people read beside what was signed, and the way to the checked form.
//!
//! Signed transactions are base64 of their borsh bytes. Everything else in a file is there to be read, and
//! [`srwan_ledger::evidence`] refuses a file in which it is not what was signed. Heights only say where to look.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use srwan_api::http::ApiError;
use srwan_api::ledger::{Payee as ShownPayee, Share};
use srwan_ledger::amount::Amount;
use srwan_ledger::evidence::{ClaimedTicket, LaneEvidence, Payout, ShownLane, Step as Checked};
use srwan_ledger::lane::Payee;
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::{AccountKey, ChainId, LaneId, Octets, PathHash};
use srwan_wire::receipt::Price;
use std::io::Read;
use std::path::Path;

use crate::problem::code;

/// Name and version of the form.
pub const SCHEMA: &str = "srwan.evidence/1";

/// Largest file that is read: 100,000 tickets with all their link statements have about 600 MB.
const FILE_OCTETS_MAX: u64 = 1 << 30;

/// An evidence file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EvidenceFile {
    /// [`SCHEMA`].
    pub schema: String,
    /// The ledger's name, for people.
    pub chain: String,
    /// The ledger.
    pub chain_id: String,
    /// Its lanes that settled something.
    pub lanes: Vec<LaneFile>,
}

/// One lane in an evidence file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaneFile {
    /// Its name.
    pub lane: String,
    /// Who pays.
    pub payer: String,
    /// Its path.
    pub path: String,
    /// Base units (10^-9 coin) per 10^6 octets.
    pub price_base_per_mb: u64,
    /// The infrastructure account's part, basis points.
    pub infra_bps: u16,
    /// Relays in the order of the path, then the endpoint.
    pub payees: Vec<ShownPayee>,
    /// The block of the opening.
    pub opening_height: u64,
    /// The opening transaction.
    pub opening: String,
    /// What followed, in the order of the ledger.
    pub steps: Vec<StepFile>,
}

/// One transaction after the opening.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StepFile {
    /// The payer raised the cap.
    Raise {
        /// Its block.
        height: u64,
        /// The transaction.
        tx: String,
    },
    /// A party settled.
    Ticket(Box<TicketFile>),
}

/// A ticket and what is said to have come of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TicketFile {
    /// Its block.
    pub height: u64,
    /// The transaction.
    pub tx: String,
    /// What the payer signed for, since the lane was opened.
    pub receipt_bytes: u64,
    /// What the endpoint signed for, since the lane was opened.
    pub delivery_bytes: u64,
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
    /// What rounding has left in the lane since it was opened.
    pub carry_coins: String,
}

impl EvidenceFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or it is no evidence.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        use anyhow::Context;
        let cannot = || format!("cannot read {}", path.display());
        let file = std::fs::File::open(path).with_context(cannot)?;
        let mut octets = Vec::new();
        file.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets).with_context(cannot)?;
        if u64::try_from(octets.len()).unwrap_or(u64::MAX) > FILE_OCTETS_MAX {
            return Err(bad("the file", "it is larger than any evidence").into());
        }
        let read: Self = serde_json::from_slice(&octets)
            .map_err(|error| bad(&path.display().to_string(), &error.to_string()))?;
        if read.schema != SCHEMA {
            let why = format!("its schema is {:?}, not {SCHEMA:?}", read.schema);
            return Err(bad(&path.display().to_string(), &why).into());
        }
        Ok(read)
    }

    /// Each lane's evidence in the form that is checked.
    ///
    /// # Errors
    /// A field is no key, no number of coins, or no transaction.
    pub fn lanes(&self) -> Result<Vec<LaneEvidence>, ApiError> {
        let chain = ChainId::from_hex(&self.chain_id).ok_or_else(|| no_key("chain_id"))?;
        self.lanes.iter().map(|lane| lane.checked(chain)).collect()
    }
}

impl LaneFile {
    fn checked(&self, chain: ChainId) -> Result<LaneEvidence, ApiError> {
        let payees = self.payees.iter().map(|payee| {
            let account = account("payees", &payee.account)?;
            Ok(Payee { account, weight: payee.weight })
        });
        Ok(LaneEvidence {
            chain,
            infra_bps: self.infra_bps,
            shown: ShownLane {
                id: LaneId::from_hex(&self.lane).ok_or_else(|| no_key("lane"))?,
                payer: account("payer", &self.payer)?,
                path: PathHash::from_hex(&self.path).ok_or_else(|| no_key("path"))?,
                price: Price(self.price_base_per_mb),
                payees: payees.collect::<Result<_, ApiError>>()?,
            },
            opening: transaction(&self.opening)?,
            steps: self.steps.iter().map(StepFile::checked).collect::<Result<_, _>>()?,
        })
    }
}

impl StepFile {
    fn checked(&self) -> Result<Checked, ApiError> {
        Ok(match self {
            Self::Raise { tx, height: _ } => Checked::Raise(Box::new(transaction(tx)?)),
            Self::Ticket(ticket) => Checked::Ticket(Box::new(ticket.checked()?)),
        })
    }
}

impl TicketFile {
    fn checked(&self) -> Result<ClaimedTicket, ApiError> {
        let share = |share: &Share| {
            Ok((account("shares", &share.account)?, coins("shares", &share.coins)?))
        };
        Ok(ClaimedTicket {
            tx: transaction(&self.tx)?,
            receipt: Octets(self.receipt_bytes),
            delivery: Octets(self.delivery_bytes),
            payout: Payout {
                settled_before: Octets(self.settled_before_bytes),
                settled: Octets(self.settled_bytes),
                charge: coins("charge_coins", &self.charge_coins)?,
                infra: coins("infra_coins", &self.infra_coins)?,
                shares: self.shares.iter().map(share).collect::<Result<_, ApiError>>()?,
                carry: coins("carry_coins", &self.carry_coins)?,
            },
        })
    }
}

/// A signed transaction as text.
pub fn encoded(tx: &SignedTx) -> String {
    STANDARD.encode(borsh::to_vec(tx).expect("writing to memory cannot fail"))
}

fn transaction(text: &str) -> Result<SignedTx, ApiError> {
    let read = STANDARD.decode(text).ok().and_then(|octets| borsh::from_slice(&octets).ok());
    read.ok_or_else(|| bad("a transaction", "it is not base64 of a signed transaction"))
}

fn account(field: &str, text: &str) -> Result<AccountKey, ApiError> {
    AccountKey::from_hex(text).ok_or_else(|| no_key(field))
}

fn coins(field: &str, text: &str) -> Result<Amount, ApiError> {
    Amount::parse_coins(text).map_err(|error| bad(field, &error.to_string()))
}

fn no_key(field: &str) -> ApiError {
    bad(field, "it is not 64 hexadecimal digits")
}

fn bad(what: &str, why: &str) -> ApiError {
    ApiError::new(0, code::NO_EVIDENCE, format!("{what} cannot be read as evidence"))
        .why(why)
        .fix("export it again: srwan ticket export --all -o FILE")
}
