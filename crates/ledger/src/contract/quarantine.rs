//! Quarantine: what evidence, and only evidence, does to a router; and the way back.
//!
//! ```text
//!        evidence                  until            until
//! Free ------------> Confined ------------> Parole ------------> Free (strikes stay)
//!                      ^    | good reports    |
//!                      |    +---------------->|
//!                      +----------------------+ evidence: twice as long
//! ```
//!
//! Evidence is a contradiction of its own statements, the disagreement of link statements in
//! tickets of three bonded payers, or the signed reports of three bonded headends. No key, be it of
//! a controller or of all validators, can quarantine without: there is no such transaction.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeSet;

use super::rejection::ContractRejection;
use crate::amount::Amount;
use crate::hash::digest;
use crate::lane::wide;
use crate::router::Contradiction;
use crate::table::Holds;
use srwan_wire::id::{AccountKey, ChainId, Height};
use srwan_wire::receipt::{LinkStatementBody, Signable, Signed};

/// Distinct bonded witnesses that a quarantine or an early parole needs.
pub const WITNESSES_MIN: usize = 3;
/// Reports in one transaction.
pub const REPORTS_MAX: usize = 16;
/// A quarantine is at most 2^5 times as long as the first one.
pub const DOUBLINGS_MAX: u32 = 5;

/// What a headend says about a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ReportVerdict {
    /// Paths through it lost more than they should: expected and actual figures differ.
    Misbehaves,
    /// It forwarded as it should.
    Behaves,
}

/// A headend's word about a router. Signed by the headend's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HeadendReportBody {
    /// The ledger on which both are registered.
    pub chain: ChainId,
    /// Whose word this is.
    pub reporter: AccountKey,
    /// About whom.
    pub subject: AccountKey,
    /// What it says.
    pub verdict: ReportVerdict,
    /// When, by the ledger's clock.
    pub height: Height,
    /// What the reporter should have seen, in its own unit; for those who check.
    pub expected: u64,
    /// What it saw.
    pub actual: u64,
}

impl Signable for HeadendReportBody {
    const DOMAIN: &'static str = "srwan headend report v1";
}

/// A signed [`HeadendReportBody`].
pub type HeadendReport = Signed<HeadendReportBody>;

/// Why a router is to be quarantined.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum QuarantineEvidence {
    /// Two of its statements cannot both be true.
    Contradiction(Box<Contradiction>),
    /// Link statements disagreed in tickets of enough bonded payers: it is on the ledger already.
    Flags,
    /// Enough bonded headends say so.
    Reports(Vec<HeadendReport>),
}

/// Where a router is on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum QuarantinePhase {
    /// No lane may name it, and it sells nothing.
    Confined {
        /// Last height.
        until: Height,
    },
    /// Works like any other, but fresh evidence costs twice the time.
    Parole {
        /// Last height.
        until: Height,
    },
    /// Works like any other; the row remembers strikes and used evidence.
    Free,
}

/// What the ledger remembers of a router that was quarantined at least once.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Quarantine {
    /// Where it is on the way.
    pub phase: QuarantinePhase,
    /// How often.
    pub strikes: u32,
    /// The height of the last change by evidence: older evidence was answered by it.
    pub since: Height,
    /// Boots whose contradictions were used: each counts once.
    pub spent: BTreeSet<[u8; 32]>,
}

impl Holds for Quarantine {
    fn held(&self) -> Amount {
        Amount::ZERO
    }
}

impl Quarantine {
    /// A router that was never quarantined.
    #[must_use]
    pub const fn none() -> Self {
        let spent = BTreeSet::new();
        Self { phase: QuarantinePhase::Free, strikes: 0, since: Height(0), spent }
    }

    /// Whether lanes and leases may not name it.
    #[must_use]
    pub const fn is_confined(&self) -> bool {
        matches!(self.phase, QuarantinePhase::Confined { .. })
    }

    /// When the phase ends by itself.
    #[must_use]
    pub const fn due(&self) -> Option<Height> {
        match self.phase {
            QuarantinePhase::Confined { until } | QuarantinePhase::Parole { until } => Some(until),
            QuarantinePhase::Free => None,
        }
    }

    /// How long the next quarantine is, if the first one is `blocks`.
    #[must_use]
    pub fn next_length(&self, blocks: u64) -> u64 {
        let doublings = match self.phase {
            QuarantinePhase::Free => self.strikes.saturating_sub(1),
            QuarantinePhase::Confined { .. } | QuarantinePhase::Parole { .. } => self.strikes,
        };
        blocks.saturating_mul(1 << doublings.min(DOUBLINGS_MAX))
    }
}

/// Names the boot of a router on one link: a contradiction within it counts once.
#[must_use]
pub fn boot_of(body: &LinkStatementBody) -> [u8; 32] {
    let parts = borsh::to_vec(&(body.reporter, body.peer, body.boot_time, body.boot_nonce));
    digest("srwan boot v1", &[&parts.expect("writing to a Vec does not fail")])
}

/// What reports have to be about.
pub struct Wanted {
    /// Which ledger.
    pub chain: ChainId,
    /// About whom.
    pub subject: AccountKey,
    /// Saying what.
    pub verdict: ReportVerdict,
    /// From after this height.
    pub after: Height,
    /// From at most this height.
    pub until: Height,
}

/// Checks reports, each of a distinct reporter that `is_bonded`.
pub fn check_reports(
    reports: &[HeadendReport],
    wanted: &Wanted,
    is_bonded: impl Fn(&AccountKey) -> bool,
) -> Result<(), ContractRejection> {
    if reports.len() < WITNESSES_MIN || reports.len() > REPORTS_MAX {
        return Err(too_weak(reports.len()));
    }
    let mut seen = BTreeSet::new();
    for (index, report) in reports.iter().enumerate() {
        let (index, body) = (wide(index), &report.body);
        let is_ours = body.chain == wanted.chain
            && body.subject == wanted.subject
            && body.verdict == wanted.verdict;
        if !is_ours {
            return Err(ContractRejection::ReportForeign { index });
        }
        if body.height <= wanted.after || body.height > wanted.until {
            return Err(ContractRejection::ReportStale { index });
        }
        let verified = report.verify(&body.reporter);
        verified.map_err(|_| ContractRejection::ReportForged { index })?;
        if body.reporter == wanted.subject || !seen.insert(body.reporter) {
            return Err(ContractRejection::ReporterTwice);
        }
        if !is_bonded(&body.reporter) {
            return Err(ContractRejection::ReporterUnbonded { index });
        }
    }
    Ok(())
}

/// Too few witnesses.
pub fn too_weak(count: usize) -> ContractRejection {
    ContractRejection::EvidenceTooWeak { count: wide(count), needed: wide(WITNESSES_MIN) }
}
