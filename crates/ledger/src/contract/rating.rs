//! Ratings: what bonded payers' tickets say about a router, with links to the evidence.
//!
//! Every row is recomputable from the blocks: each payer's entry names the transaction that last
//! changed it. A payer counts once whatever it pays, and only if it is bonded itself and burned
//! fees: traffic between keys of one owner raises nothing (promise T8). The infrastructure
//! account's part is no fee here, because its owner gets it back.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::hash::TxHash;
use crate::table::Holds;
use srwan_wire::id::{AccountKey, Height};

/// Payers that one rating remembers; one more replaces the one that was silent longest.
pub const PAYERS_MAX: usize = 64;
/// Score of a router about which every payer agrees, had it infinitely many.
pub const SCORE_MAX: u64 = 1_000;
/// Payers' worth of doubt that every router begins with, so that one payer alone moves little.
const PRIOR: u64 = 4;

/// What one payer's tickets say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PayerRecord {
    /// Ticket fees that were burned in settlements with this router.
    pub fees: Amount,
    /// Tickets in which both ends of each of its links agreed.
    pub consistent: u32,
    /// Tickets in which they did not.
    pub contradicting: u32,
    /// The last ticket that contradicted.
    pub flagged: Option<Height>,
    /// The transaction that changed this last.
    pub evidence: TxHash,
    /// When.
    pub height: Height,
}

/// What bonded payers say about a router.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Rating {
    /// By payer; at most [`PAYERS_MAX`].
    pub payers: BTreeMap<AccountKey, PayerRecord>,
}

impl Holds for Rating {
    fn held(&self) -> Amount {
        Amount::ZERO
    }
}

/// What one settled ticket says about one router.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// Whose ticket.
    pub payer: AccountKey,
    /// What the ticket cost.
    pub fee: Amount,
    /// Whether the ends of its links disagreed.
    pub is_flagged: bool,
    /// The ticket's transaction.
    pub evidence: TxHash,
    /// When.
    pub height: Height,
}

impl Rating {
    /// Takes a ticket of a bonded payer into account.
    pub fn note(&mut self, finding: &Finding) {
        self.make_room(&finding.payer);
        let (evidence, height) = (finding.evidence, finding.height);
        let record = self.payers.entry(finding.payer).or_insert(PayerRecord {
            fees: Amount::ZERO,
            consistent: 0,
            contradicting: 0,
            flagged: None,
            evidence,
            height,
        });
        record.fees = record.fees.checked_add(finding.fee).unwrap_or(record.fees);
        (record.evidence, record.height) = (evidence, height);
        if finding.is_flagged {
            record.contradicting = record.contradicting.saturating_add(1);
            record.flagged = Some(height);
        } else {
            record.consistent = record.consistent.saturating_add(1);
        }
    }

    /// 0 to [`SCORE_MAX`]: the part of payers that are content, with some doubt added.
    #[must_use]
    pub fn score(&self) -> u64 {
        let says = |record: &&PayerRecord| !record.fees.is_zero();
        let all = crate::lane::wide(self.payers.values().filter(says).count());
        let is_content = |record: &&PayerRecord| record.consistent > record.contradicting;
        let content = self.payers.values().filter(says).filter(is_content).count();
        SCORE_MAX * crate::lane::wide(content) / (all + PRIOR)
    }

    /// Payers with a ticket that contradicted after `after`.
    pub fn flagged_after(&self, after: Height) -> impl Iterator<Item = &AccountKey> {
        let is_fresh = move |record: &PayerRecord| record.flagged.is_some_and(|at| at > after);
        self.payers.iter().filter(move |(_, record)| is_fresh(record)).map(|(payer, _)| payer)
    }

    fn make_room(&mut self, payer: &AccountKey) {
        if self.payers.len() < PAYERS_MAX || self.payers.contains_key(payer) {
            return;
        }
        let oldest = self.payers.iter().min_by_key(|(key, record)| (record.height, **key));
        if let Some(oldest) = oldest.map(|(key, _)| *key) {
            self.payers.remove(&oldest);
        }
    }
}
