//! What a group's reporter tells the controller: the rows of the matrix as their measurers signed them.
//!
//! The reporter signs the report, so it can be asked about it; it did not make the rows and cannot
//! change them, only leave some out. Path observations are the reporter's word alone.
//! This module does not judge a report: that is `srwan-ditex`.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::id::{AccountKey, GroupId, NodeId};
use crate::oam::PathObservation;
use crate::pulse::{Row, SignedRow};
use crate::roster::MEMBERS_MAX;
use crate::sign::{self, AccountSecret, Signature};
use crate::time::Timestamp;

/// What the reporter's signature on a report speaks about.
pub const REPORT_DOMAIN: &str = "srwan report v1";

/// Paths one report may tell of: four in use per member of a full group.
pub const REPORT_PATHS_MAX: usize = 400;

/// Largest encoded report: 100 rows of 99 cells at 20 octets each, and the paths at 64.
pub const REPORT_OCTETS_MAX: usize = 256 * 1024;

/// The state of a group as one of its members holds it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Report {
    /// Which group.
    pub group: GroupId,
    /// Who reports.
    pub reporter: NodeId,
    /// Sequence number of the roster that the reporter works on.
    pub roster_seq: u64,
    /// By the reporter's clock; rises with every report of one reporter.
    pub issued: Timestamp,
    /// The newest row of each member that the reporter holds, its own included; one per measurer.
    pub rows: Vec<ReportRow>,
    /// Paths that lately carried traffic, as their hops measured them (the extraordinary paths, W30).
    pub paths: Vec<ReportPath>,
}

/// One signed row, as its measurer's canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ReportRow {
    /// [`Row::to_bytes`].
    pub bytes: Vec<u8>,
    /// The measurer's signature over them.
    pub signature: Signature,
}

/// One path in use, and who measured it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ReportPath {
    /// The hop at which the delay was measured.
    pub observer: NodeId,
    /// What it measured.
    pub observation: PathObservation,
}

impl From<&SignedRow> for ReportRow {
    fn from(row: &SignedRow) -> Self {
        Self { bytes: row.row.to_bytes(), signature: row.signature }
    }
}

impl ReportRow {
    /// Reads the row; `None` if the bytes are none. The signature is not looked at.
    #[must_use]
    pub fn open(&self) -> Option<SignedRow> {
        let row = Row::from_bytes(&self.bytes).ok()?;
        Some(SignedRow { row, signature: self.signature })
    }
}

impl Report {
    /// Signs the canonical bytes with the reporter's account key.
    ///
    /// # Panics
    /// Never: writing to memory cannot fail.
    #[must_use]
    pub fn sign(&self, reporter: &AccountSecret) -> SignedReport {
        let bytes = borsh::to_vec(self).expect("writing to a Vec cannot fail");
        let signature = reporter.sign(REPORT_DOMAIN, &bytes);
        SignedReport { bytes, signature }
    }

    /// Reads a report and checks its bounds.
    ///
    /// # Errors
    /// [`ReportBytesError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ReportBytesError> {
        if bytes.len() > REPORT_OCTETS_MAX {
            return Err(ReportBytesError::Malformed);
        }
        let report: Self = borsh::from_slice(bytes).map_err(|_| ReportBytesError::Malformed)?;
        if report.rows.len() > MEMBERS_MAX || report.paths.len() > REPORT_PATHS_MAX {
            return Err(ReportBytesError::Malformed);
        }
        Ok(report)
    }
}

/// The bytes of a report with its reporter's signature over exactly those bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedReport {
    /// Canonical borsh encoding of a [`Report`].
    pub bytes: Vec<u8>,
    /// Signature of the reporter's account key in [`REPORT_DOMAIN`].
    pub signature: Signature,
}

impl SignedReport {
    /// Verifies the signature against the account that the roster names for the reporter.
    ///
    /// # Errors
    /// [`ReportBytesError::BadSignature`].
    pub fn verify(&self, reporter: &AccountKey) -> Result<(), ReportBytesError> {
        sign::verify(REPORT_DOMAIN, &self.bytes, reporter, &self.signature)
            .map_err(|_| ReportBytesError::BadSignature)
    }
}

/// Why bytes are not a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportBytesError {
    /// Not the encoding of a report within its bounds.
    #[error("not the encoding of a report")]
    Malformed,
    /// Not signed by the reporter.
    #[error("the signature is not the reporter's")]
    BadSignature,
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::pulse::{ErrorEstimate, RowHeader};

    #[test]
    fn a_report_carries_rows_that_still_verify() {
        let secret = AccountSecret::from_seed(&[4; 32]);
        let header = RowHeader {
            measurer: NodeId::new(3).unwrap(),
            seq: 1,
            measured: Timestamp::from_nanos(5),
            interval_ms: 10_000,
            clock: ErrorEstimate::new(true, Duration::from_millis(1)),
            clock_epoch: 0,
        };
        let row = Row::new(header, Vec::new()).unwrap().sign(&secret);
        let report = Report {
            group: GroupId(1),
            reporter: NodeId::new(3).unwrap(),
            roster_seq: 1,
            issued: Timestamp::from_nanos(6),
            rows: vec![ReportRow::from(&row)],
            paths: Vec::new(),
        };
        let mut signed = report.sign(&secret);
        assert_eq!(signed.verify(&secret.public()), Ok(()));
        let read = Report::decode(&signed.bytes).unwrap();
        assert_eq!(read, report);
        assert_eq!(read.rows[0].open().unwrap().verify(&secret.public()), Ok(()));
        signed.bytes[0] ^= 1;
        assert_eq!(signed.verify(&secret.public()), Err(ReportBytesError::BadSignature));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_a_report_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            if let Ok(report) = Report::decode(&bytes) {
                for row in &report.rows {
                    let _ = row.open();
                }
            }
        }
    }
}
