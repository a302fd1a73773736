//! The rows that a member holds, and the matrix that they make.
//!
//! Row j comes from j alone. A cell that was not measured within three intervals of its measurer is
//! unknown, which is not zero. The raw cells are for ranking; what is shown to people has the clock
//! offset removed, with a bound.

use core::time::Duration;
use std::collections::BTreeMap;

use srwan_wire::canary::{self, Canary};
use srwan_wire::id::NodeId;
use srwan_wire::pulse::{ErrorEstimate, Loss, SignedRow};
use srwan_wire::time::{Instant, Owd};

use crate::clock::{Bounded, ClockPair};
use crate::config::AGE_INTERVALS_MAX;

/// One cell as it was measured, not older than three intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Delay by the two clocks: contains the offset between them.
    pub raw: Owd,
    /// Variation of the delay.
    pub jitter: Duration,
    /// Share of pulses lost.
    pub loss: Loss,
    /// Time since the last pulse that it rests on.
    pub age: Duration,
}

/// One cell as it is shown: with the clock offset removed as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownCell {
    /// As measured.
    pub cell: Cell,
    /// One-way delay with its bound; `None` if nothing bounds the offset of the two clocks.
    pub delay: Option<Bounded>,
}

/// The one-way delays between the members of a group, as last measured.
///
/// - **Shape:** `n * n`, row = sender, column = receiver, both in the order of `members`; the
///   diagonal is unknown.
/// - **Units:** see [`Cell`]. `None` = not measured within three intervals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatrixView {
    /// The members, ascending.
    pub members: Vec<NodeId>,
    cells: Vec<Option<ShownCell>>,
}

impl MatrixView {
    /// The cell of the path from the member at index `from` to the one at index `to`.
    #[must_use]
    pub fn at(&self, from: usize, to: usize) -> Option<&ShownCell> {
        let n = self.members.len();
        if from >= n || to >= n {
            return None;
        }
        self.cells.get(from * n + to)?.as_ref()
    }

    /// The cell of the path from `from` to `to`.
    #[must_use]
    pub fn between(&self, from: NodeId, to: NodeId) -> Option<&ShownCell> {
        let index = |node| self.members.binary_search(&node).ok();
        self.at(index(from)?, index(to)?)
    }

    /// How many cells are known.
    #[must_use]
    pub fn known(&self) -> usize {
        self.cells.iter().flatten().count()
    }

    /// Whether every pair of members has a known cell in both directions.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let n = self.members.len();
        self.known() == n * n.saturating_sub(1)
    }
}

/// A row as held, with the time by this node's clock at which it came.
#[derive(Clone, Debug)]
pub(crate) struct HeldRow {
    pub(crate) signed: SignedRow,
    pub(crate) arrived: Instant,
}

/// All rows that this node holds of others, and its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matrix {
    rows: BTreeMap<NodeId, HeldRow>,
    /// Cells of a sender whose clock started anew are unknown in rows that came before this.
    renewed: BTreeMap<NodeId, Instant>,
}

impl Matrix {
    /// Takes a row; an older one of the same clock epoch than is held is left out.
    pub(crate) fn insert(&mut self, signed: SignedRow, arrived: Instant) {
        let measurer = signed.row.measurer;
        if let Some(held) = self.rows.get(&measurer) {
            let same_epoch = held.signed.row.clock_epoch == signed.row.clock_epoch
                || canary::is(Canary::BootIgnored);
            if same_epoch && signed.row.seq < held.signed.row.seq {
                return;
            }
            if !same_epoch {
                // The others measured this node's old clock until its first pulse of the new one
                // reached them.
                self.renewed.insert(measurer, arrived + signed.row.interval());
            }
        }
        self.rows.insert(measurer, HeldRow { signed, arrived });
    }

    pub(crate) fn row(&self, measurer: NodeId) -> Option<&HeldRow> {
        self.rows.get(&measurer)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &HeldRow> {
        self.rows.values()
    }

    pub(crate) fn retain(&mut self, is_member: impl Fn(NodeId) -> bool) {
        self.rows.retain(|node, _| is_member(*node));
        self.renewed.retain(|node, _| is_member(*node));
    }

    /// The row's measurer was heard within three of its intervals.
    pub(crate) fn is_fresh(&self, measurer: NodeId, now: Instant) -> bool {
        self.rows.get(&measurer).is_some_and(|held| held.is_fresh(now))
    }

    /// Whether the measurer was heard within `intervals` of its intervals.
    pub(crate) fn heard_within(&self, measurer: NodeId, intervals: u32, now: Instant) -> bool {
        let limit = |held: &HeldRow| held.signed.row.interval() * intervals;
        self.rows.get(&measurer).is_some_and(|held| now.since(held.arrived) <= limit(held))
    }

    pub(crate) fn cell(&self, from: NodeId, to: NodeId, now: Instant) -> Option<Cell> {
        let held = self.rows.get(&to)?;
        let cell = held.signed.row.cell(from)?;
        if self.renewed.get(&from).is_some_and(|renewed| held.arrived < *renewed) {
            return None;
        }
        let sender_interval = self.rows.get(&from).unwrap_or(held).signed.row.interval();
        let age = cell.age(sender_interval) + now.since(held.arrived);
        let limit = sender_interval.max(held.signed.row.interval()) * AGE_INTERVALS_MAX;
        (age <= limit || canary::is(Canary::StaleRows)).then(|| Cell {
            raw: cell.raw(),
            jitter: cell.jitter(),
            loss: cell.loss(),
            age,
        })
    }

    pub(crate) fn clock_of(&self, node: NodeId) -> Option<ErrorEstimate> {
        self.rows.get(&node).map(|held| held.signed.row.clock)
    }
}

impl HeldRow {
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        now.since(self.arrived) <= self.signed.row.interval() * AGE_INTERVALS_MAX
    }
}

/// Builds the shown matrix from a way to look cells and clocks up.
pub(crate) fn show(
    members: Vec<NodeId>,
    cell: impl Fn(NodeId, NodeId) -> Option<Cell>,
    clock: impl Fn(NodeId) -> Option<ErrorEstimate>,
) -> MatrixView {
    let shown = |from: NodeId, to: NodeId| {
        let forward = cell(from, to)?;
        let pair = ClockPair {
            forward: Some(forward.raw),
            reverse: cell(to, from).map(|cell| cell.raw),
            estimates: [from, to].map(|node| clock(node).unwrap_or(UNKNOWN_CLOCK)),
        };
        let delay = pair.offset().map(|offset| offset.correct(forward.raw));
        Some(ShownCell { cell: forward, delay })
    };
    let pairs = members.iter().flat_map(|from| members.iter().map(move |to| (*from, *to)));
    let cells = pairs.map(|(from, to)| if from == to { None } else { shown(from, to) }).collect();
    MatrixView { members, cells }
}

/// A clock of which nothing is known: not synchronised.
const UNKNOWN_CLOCK: ErrorEstimate = ErrorEstimate::from_bits(0x3fff);
