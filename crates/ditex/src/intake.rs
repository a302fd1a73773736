//! Taking in reports: every row in them is judged by itself, and the newest of each router is kept.
//!
//! Any member may report, the elected reporter does. Two reports of one round do no harm and lose
//! nothing: rows are merged, so a second report counts only for the rows in which it is newer (a
//! reporter that leaves rows out is made up for by the next one). Rounds are counted by the
//! controller's clock, because a reporter with a wrong clock could otherwise shut out the others.

use core::time::Duration;

use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::pulse::SignedRow;
use srwan_wire::report::{Report, ReportBytesError, ReportPath, ReportRow, SignedReport};
use srwan_wire::time::{Owd, Timestamp};

use crate::answer::Health;
use crate::exchange::Exchange;
use crate::matrix::{HeldRow, STALE_AFTER_INTERVALS};
use crate::rating::Evidence;
use crate::record::{Change, Quarantine, QuarantineCause, RouterRecord, RowRecord};
use crate::segment::Segment;

/// What a report brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// The round it counts for.
    pub round: u64,
    /// Whether it is the first of its round.
    pub first_of_round: bool,
    /// Rows newer than the ones held.
    pub rows_new: usize,
    /// Rows as old as the ones held, or older.
    pub rows_known: usize,
    /// Rows not signed by a member of the group, or unreadable.
    pub rows_refused: usize,
    /// Paths compared with the sum of their cells.
    pub paths_compared: usize,
}

/// Why a report is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Unreadable, or not signed by its reporter.
    #[error(transparent)]
    Bytes(#[from] ReportBytesError),
    /// The reporter is not a member of the group in good standing.
    #[error("router {0} is not a reporting member of group {1}")]
    NotMember(NodeId, GroupId),
    /// The reporter has already sent a later one, and its own row in this one is not new either.
    #[error("the reporter has sent a later report")]
    Stale {
        /// The time in the last accepted one.
        last: Timestamp,
    },
}

/// A residual beyond this is no path's: a clock was set between the path's measurement and the
/// cells'. **Units:** nanoseconds; three seconds, after which no probe is waited for.
const RESIDUAL_NS_MAX: u64 = 3_000_000_000;

/// Part of a group that evidence may keep out at once: one in this many. More means that the
/// evidence, not the routers, is bad.
const QUARANTINED_SHARE: usize = 3;

impl Exchange {
    /// Takes in a report.
    ///
    /// # Errors
    /// [`ReportError`]; nothing has changed. A bad row is counted, and spoils no other.
    pub fn handle_report(
        &mut self,
        signed: &SignedReport,
        now: Timestamp,
    ) -> Result<Intake, ReportError> {
        let report = Report::decode(&signed.bytes)?;
        self.check_reporter(&report, signed, now)?;
        self.reporters.insert(report.reporter, report.issued);
        let round = self.round_at(now);
        let first_of_round = self.rounds.insert(report.group, round) != Some(round);
        let mut intake = Intake { round, first_of_round, ..Intake::default() };
        self.take_rows(&report, &mut intake, now);
        if first_of_round {
            self.count_round(report.group, now);
        }
        self.take_paths(&report, &mut intake, now);
        self.judge(report.group, now);
        if intake.rows_new > 0 {
            self.reported.insert(report.group, (report.reporter, now));
        }
        Ok(intake)
    }

    fn round_at(&self, now: Timestamp) -> u64 {
        let interval = u64::try_from(self.config.pulse_interval.as_nanos()).unwrap_or(u64::MAX);
        now.as_nanos() / interval.max(1)
    }

    fn check_reporter(
        &self,
        report: &Report,
        signed: &SignedReport,
        now: Timestamp,
    ) -> Result<(), ReportError> {
        let record = self
            .active(report.reporter, report.group)
            .ok_or(ReportError::NotMember(report.reporter, report.group))?;
        signed.verify(&record.member.account_key)?;
        match self.reporters.get(&report.reporter) {
            Some(last) if *last >= report.issued && !self.has_news_of_itself(report, now) => {
                Err(ReportError::Stale { last: *last })
            }
            _ => Ok(()),
        }
    }

    /// Says whether the reporter's own row in the report is newer than the one held: then the
    /// report is no replay, whatever its clock says (it may have gone back).
    fn has_news_of_itself(&self, report: &Report, now: Timestamp) -> bool {
        let mut rows = report.rows.iter().filter_map(ReportRow::open);
        rows.any(|row| {
            row.row.measurer == report.reporter
                && self.matrix.is_news(&row.row, now)
                && self.is_members(&row, report.group)
        })
    }

    /// A member of the group that is not quarantined.
    fn active(&self, node: NodeId, group: GroupId) -> Option<&RouterRecord> {
        let record = self.routers.get(&node)?;
        (record.group == group && record.quarantine.is_none()).then_some(record)
    }

    fn take_rows(&mut self, report: &Report, intake: &mut Intake, now: Timestamp) {
        let mut fresh = Vec::new();
        for row in &report.rows {
            let Some(row) = row.open().filter(|row| self.is_members(row, report.group)) else {
                intake.rows_refused += 1;
                continue;
            };
            let measurer = row.row.measurer;
            let (reporter, round) = (report.reporter, intake.round);
            if self.matrix.offer(HeldRow { row, received: now, reporter, round }) {
                intake.rows_new += 1;
                self.note_heard(measurer, now);
                fresh.push(measurer);
            } else {
                intake.rows_known += 1;
            }
        }
        // Only after all rows are in: a segment's figures need both directions.
        fresh.into_iter().for_each(|measurer| self.record_row(measurer, now));
    }

    fn is_members(&self, row: &SignedRow, group: GroupId) -> bool {
        let record = self.active(row.row.measurer, group);
        record.is_some_and(|record| row.verify(&record.member.account_key).is_ok())
    }

    /// A new row shows that its measurer is up, and so is everybody whom it heard lately.
    fn note_heard(&mut self, measurer: NodeId, now: Timestamp) {
        self.seen.insert(measurer, now);
        let Some(held) = self.matrix.row(measurer) else { return };
        let interval = held.row.row.interval();
        let cells = held.row.row.cells().iter();
        let heard: Vec<(NodeId, Timestamp)> =
            cells.map(|cell| (cell.from(), before(now, cell.age(interval)))).collect();
        for (node, at) in heard.into_iter().filter(|(node, _)| self.routers.contains_key(node)) {
            let seen = self.seen.entry(node).or_insert(at);
            *seen = (*seen).max(at);
        }
    }

    fn record_row(&mut self, measurer: NodeId, now: Timestamp) {
        let Some(held) = self.matrix.row(measurer).cloned() else { return };
        let Some(z) = self.routers.get(&measurer) else { return };
        let from = held.row.row.cells().iter().filter_map(|cell| self.routers.get(&cell.from()));
        let segments: Vec<Segment> =
            from.filter(|a| a.group == z.group).filter_map(|a| self.segment(a, z, now)).collect();
        self.changes.push_back(Change::Row(Box::new(RowRecord { held, segments })));
    }

    fn count_round(&mut self, group: GroupId, now: Timestamp) {
        let Some(entry) = self.groups.get(&group) else { return };
        for node in entry.members.clone() {
            let seen = self.health(node, now) == Health::Up;
            self.ratings.add_round(node, seen);
        }
    }

    fn take_paths(&mut self, report: &Report, intake: &mut Intake, now: Timestamp) {
        for path in &report.paths {
            if let Some(evidence) = self.compare(report, path, now) {
                intake.paths_compared += 1;
                self.ratings.add_evidence(&Evidence { round: intake.round, ..evidence });
            }
        }
    }

    /// Compares a path's measured delay with the sum of its cells; `None` if it has no relay
    /// before the observer, or not every cell is known.
    fn compare(&self, report: &Report, path: &ReportPath, now: Timestamp) -> Option<Evidence> {
        let observation = &path.observation;
        let all = observation.relays.as_slice();
        let relays: Vec<NodeId> =
            all.iter().copied().take_while(|relay| *relay != path.observer).collect();
        let ends_here = relays.len() < all.len() || path.observer == observation.endpoint;
        if relays.is_empty() || !ends_here {
            return None;
        }
        let mut hops = vec![observation.headend];
        hops.extend(&relays);
        hops.push(path.observer);
        let legs = || hops.iter().zip(hops.iter().skip(1));
        if !hops.iter().all(|node| self.active(*node, report.group).is_some()) {
            return None;
        }
        let expected_raw =
            legs().try_fold(Owd::ZERO, |sum, (a, z)| Some(sum + self.matrix.raw(*a, *z)?))?;
        let fresh = self.config.pulse_interval * STALE_AFTER_INTERVALS;
        let expected = legs().try_fold(Duration::ZERO, |sum, (a, z)| {
            let figures = self.matrix.figures(*a, *z, now).filter(|f| f.age <= fresh)?;
            sum.checked_add(figures.owd?.to_duration()?)
        })?;
        let residual_ns = (observation.owd - expected_raw).as_nanos();
        if residual_ns.unsigned_abs() > RESIDUAL_NS_MAX {
            return None;
        }
        Some(Evidence {
            round: 0,
            at: now,
            reporter: report.reporter,
            headend: observation.headend,
            relays,
            observer: path.observer,
            residual_ns,
            expected,
        })
    }

    /// Quarantines whom the evidence is enough against.
    fn judge(&mut self, group: GroupId, now: Timestamp) {
        if !self.config.quarantine_by_evidence {
            return;
        }
        let Some(members) = self.groups.get(&group).map(|entry| entry.members.clone()) else {
            return;
        };
        let active = |node: &NodeId| self.active(*node, group).is_some();
        let kept_out = members.iter().filter(|node| !active(node)).count();
        let verdicts: Vec<(NodeId, QuarantineCause)> = members
            .iter()
            .filter(|node| active(node))
            .filter_map(|node| Some((*node, self.ratings.rating(*node)?.verdict()?)))
            .collect();
        let room = (members.len() / QUARANTINED_SHARE).saturating_sub(kept_out);
        for (node, cause) in verdicts.into_iter().take(room) {
            let reason = "paths through it are slower than its cells say".to_owned();
            // The roster without one of its members is valid if the roster with it was.
            let _ = self.set_quarantine(node, Some(Quarantine { cause, reason, since: now }), now);
        }
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let nanos = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
    Timestamp::from_nanos(now.as_nanos().saturating_sub(nanos))
}
