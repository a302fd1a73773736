//! The body of a pulse: when it was sent, what its sender measured, and what paths it lately saw.
//!
//! The row is sent whole, or as its difference from a row that the receiver said it holds, so a
//! lost pulse never makes the next one unreadable. Whole or not, the signature covers the whole row
//! ([`Row::to_bytes`]), so a receiver can hand it on and nobody on the way can change it.
//!
//! ```text
//!  0   1  version (4 bits) = 1 | 0 whole row, 1 difference
//!  1   2  error estimate (STAMP)
//!  3   8  sent, ns by the sender's clock
//! 11   2  clock epoch
//!  .   v  seq towards this receiver | interval in ms | the receiver's row that is held (0 none)
//!  .   v  row seq | ns from the row's signing to `sent`
//!  .      whole:       count, origin, per cell: node distance, delay - origin, jitter, loss, age
//!         difference:  base row seq, gone nodes, added cells, kept count, two bitmaps,
//!                      delay changes, quality changes
//!  .  64  signature of the row
//!  .      observations: count, then headend, relays, endpoint, raw delay, throughput
//! ```
//! `v` is a LEB128 number; delays are zigzag-coded steps of 20 us. About 290 octets on average for
//! a group of 100 (the bound is 304: 32 kbit/s per router, 99 pulses in 10 s, 100 octets of packet
//! around each).
//!
//! **Source:** docs/protocol.md "Pulse"; the roles are STAMP's (RFC 8762), without its fixed
//! layout.

mod row;
mod varint;

pub use self::row::{
    AGE_STEPS_PER_INTERVAL, CELLS_MAX, DELAY_STEP_NS, ErrorEstimate, Loss, Measured, ROW_DOMAIN,
    Row, RowCell, RowHeader, SignedRow,
};
use self::row::{read_cells, write_cells};
use self::varint::{Reader, write_count, write_varint, write_zigzag};
use crate::id::NodeId;
use crate::oam::{PathObservation, Relays};
use crate::sid::RELAYS_MAX;
use crate::sign::Signature;
use crate::time::{Owd, Timestamp};

/// Version of the layout.
const VERSION: u8 = 2;

/// Most observations in one pulse: each is about 20 octets, and paths in use are few.
pub const OBSERVATIONS_MAX: usize = 8;

/// A pulse as it stands on the wire: the row may still need its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// When it was sent, by the sender's clock.
    pub sent: Timestamp,
    /// How well that clock is known.
    pub clock: ErrorEstimate,
    /// See [`Row::clock_epoch`].
    pub clock_epoch: u32,
    /// Counts the pulses from this sender to this receiver: gaps are losses.
    pub seq: u32,
    /// How often the sender pulses, in milliseconds.
    pub interval_ms: u32,
    /// The newest whole row of the receiver that the sender holds; zero if none.
    pub holds: u32,
    /// The number of the row that this pulse tells.
    pub row_seq: u32,
    /// From the row's signing to `sent`, in nanoseconds.
    pub row_age_ns: u64,
    /// The row's cells.
    pub coding: RowCoding,
    /// Signature of the whole row.
    pub signature: Signature,
    /// Paths that lately ended at the sender.
    pub observations: Vec<PathObservation>,
}

/// How a pulse tells its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowCoding {
    /// All cells, ascending; readable by itself.
    Whole(Vec<RowCell>),
    /// What changed since a row that the receiver holds.
    Difference(RowDifference),
}

/// The changes that turn a base row into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowDifference {
    base: u32,
    gone: Vec<NodeId>,
    added: Vec<RowCell>,
    kept: Vec<Edit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edit {
    step_change: i64,
    quality: Option<[u8; 3]>,
}

/// Why bytes are no pulse, or a pulse tells no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PulseError {
    /// The bytes end too early.
    #[error("the pulse is cut short")]
    Truncated,
    /// Out of order, out of range, not in shortest form, or left over.
    #[error("the pulse is malformed")]
    Malformed,
    /// The row is a difference from a row that the caller does not hold: wait for a whole one.
    #[error("the row is a difference from row {0}, which is not held")]
    UnknownBase(u32),
}

impl RowCoding {
    /// All cells of `row`.
    #[must_use]
    pub fn whole(row: &Row) -> Self {
        Self::Whole(row.cells().to_vec())
    }

    /// What changed from `base` to `row`.
    #[must_use]
    pub fn difference(base: &Row, row: &Row) -> Self {
        let absent = |other: &Row, node: NodeId| other.cell(node).is_none();
        let gone = base.cells().iter().map(RowCell::from).filter(|n| absent(row, *n)).collect();
        let added = row.cells().iter().filter(|c| absent(base, c.from())).copied().collect();
        let kept = base
            .cells()
            .iter()
            .filter_map(|old| row.cell(old.from()).map(|new| Edit::between(old, new)))
            .collect();
        Self::Difference(RowDifference { base: base.seq, gone, added, kept })
    }

    /// How many octets of a pulse this takes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut out = Vec::new();
        self.write(&mut out);
        out.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Whole(cells) => write_cells(out, cells),
            Self::Difference(difference) => write_difference(out, difference),
        }
    }

    /// The number of the row that the reader must hold, if any.
    #[must_use]
    pub const fn base(&self) -> Option<u32> {
        match self {
            Self::Whole(_) => None,
            Self::Difference(difference) => Some(difference.base),
        }
    }
}

impl Edit {
    fn between(old: &RowCell, new: &RowCell) -> Self {
        let quality = (old.quality() != new.quality()).then_some(new.quality());
        Self { step_change: new.steps().wrapping_sub(old.steps()), quality }
    }
}

impl RowDifference {
    fn apply(&self, base: &Row) -> Result<Vec<RowCell>, PulseError> {
        let mut cells: Vec<RowCell> =
            base.cells().iter().filter(|c| !self.gone.contains(&c.from())).copied().collect();
        let all_gone_were_there = cells.len() + self.gone.len() == base.cells().len();
        if !all_gone_were_there || cells.len() != self.kept.len() {
            return Err(PulseError::Malformed);
        }
        for (cell, edit) in cells.iter_mut().zip(&self.kept) {
            *cell = cell.edited(edit.step_change, edit.quality);
        }
        cells.extend_from_slice(&self.added);
        cells.sort_by_key(RowCell::from);
        Ok(cells)
    }
}

impl Pulse {
    /// The row that this pulse of `measurer` tells; `base` is the row that [`RowCoding::base`]
    /// names, if held.
    ///
    /// # Errors [`PulseError::UnknownBase`] if the base is missing, [`PulseError::Malformed`] if
    /// the difference does not fit it.
    pub fn signed_row(
        &self,
        measurer: NodeId,
        base: Option<&Row>,
    ) -> Result<SignedRow, PulseError> {
        let cells = match &self.coding {
            RowCoding::Whole(cells) => cells.clone(),
            RowCoding::Difference(difference) => {
                let held = base.filter(|row| row.seq == difference.base);
                difference.apply(held.ok_or(PulseError::UnknownBase(difference.base))?)?
            }
        };
        let measured = Timestamp::from_nanos(self.sent.as_nanos().saturating_sub(self.row_age_ns));
        let header = RowHeader {
            measurer,
            seq: self.row_seq,
            measured,
            interval_ms: self.interval_ms,
            clock: self.clock,
            clock_epoch: self.clock_epoch,
        };
        Ok(SignedRow { row: Row::new(header, cells)?, signature: self.signature })
    }

    /// The encoded body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let kind = u8::from(self.coding.base().is_some());
        out.push(VERSION << 4 | kind);
        out.extend_from_slice(&self.clock.bits().to_be_bytes());
        out.extend_from_slice(&self.sent.as_nanos().to_be_bytes());
        out.extend_from_slice(&self.clock_epoch.to_be_bytes());
        for number in [self.seq, self.interval_ms, self.holds, self.row_seq] {
            write_varint(&mut out, u64::from(number));
        }
        write_varint(&mut out, self.row_age_ns);
        self.coding.write(&mut out);
        out.extend_from_slice(&self.signature.0);
        write_observations(&mut out, &self.observations);
        out
    }

    /// Reads one body, which must be the whole of `bytes`.
    ///
    /// # Errors
    /// [`PulseError::Truncated`] or [`PulseError::Malformed`]; never needs a base row.
    pub fn decode(bytes: &[u8]) -> Result<Self, PulseError> {
        let mut reader = Reader(bytes);
        let first = reader.octet()?;
        let is_difference = match (first >> 4, first & 0x0f) {
            (VERSION, 0) => false,
            (VERSION, 1) => true,
            _ => return Err(PulseError::Malformed),
        };
        let pulse = Self {
            clock: ErrorEstimate::from_bits(u16::from_be_bytes(reader.array()?)),
            sent: Timestamp::from_nanos(u64::from_be_bytes(reader.array()?)),
            clock_epoch: u32::from_be_bytes(reader.array()?),
            seq: reader.varint32()?,
            interval_ms: reader.varint32()?,
            holds: reader.varint32()?,
            row_seq: reader.varint32()?,
            row_age_ns: reader.varint()?,
            coding: read_coding(&mut reader, is_difference)?,
            signature: Signature(reader.array()?),
            observations: read_observations(&mut reader)?,
        };
        if reader.0.is_empty() { Ok(pulse) } else { Err(PulseError::Malformed) }
    }
}

fn read_coding(reader: &mut Reader<'_>, is_difference: bool) -> Result<RowCoding, PulseError> {
    if is_difference {
        Ok(RowCoding::Difference(read_difference(reader)?))
    } else {
        Ok(RowCoding::Whole(read_cells(reader)?))
    }
}

fn write_difference(out: &mut Vec<u8>, difference: &RowDifference) {
    write_varint(out, u64::from(difference.base));
    write_count(out, difference.gone.len());
    let mut previous = 0;
    for node in &difference.gone {
        write_varint(out, u64::from(node.get() - previous));
        previous = node.get();
    }
    write_cells(out, &difference.added);
    write_count(out, difference.kept.len());
    write_bitmap(out, difference.kept.iter().map(|edit| edit.step_change != 0));
    write_bitmap(out, difference.kept.iter().map(|edit| edit.quality.is_some()));
    let changes = difference.kept.iter().map(|edit| edit.step_change).filter(|change| *change != 0);
    changes.for_each(|change| write_zigzag(out, change));
    let qualities = difference.kept.iter().filter_map(|edit| edit.quality);
    qualities.for_each(|quality| out.extend_from_slice(&quality));
}

fn read_difference(reader: &mut Reader<'_>) -> Result<RowDifference, PulseError> {
    let base = reader.varint32()?;
    let mut gone = Vec::new();
    let mut previous = 0;
    for _ in 0..reader.count(CELLS_MAX)? {
        let node = reader.node_after(previous)?;
        previous = node.get();
        gone.push(node);
    }
    let added = read_cells(reader)?;
    let count = reader.count(CELLS_MAX)?;
    let moved = read_bitmap(reader, count)?;
    let judged = read_bitmap(reader, count)?;
    let mut kept = Vec::with_capacity(count);
    for has_moved in moved {
        let step_change = if has_moved { reader.zigzag()? } else { 0 };
        if has_moved && step_change == 0 {
            return Err(PulseError::Malformed);
        }
        kept.push(Edit { step_change, quality: None });
    }
    for (edit, is_judged) in kept.iter_mut().zip(judged) {
        edit.quality = if is_judged { Some(reader.array()?) } else { None };
    }
    Ok(RowDifference { base, gone, added, kept })
}

fn write_bitmap(out: &mut Vec<u8>, bits: impl Iterator<Item = bool>) {
    let mut octet = 0_u8;
    let mut used = 0_u32;
    for bit in bits {
        octet |= u8::from(bit) << used;
        used += 1;
        if used == 8 {
            out.push(octet);
            (octet, used) = (0, 0);
        }
    }
    if used > 0 {
        out.push(octet);
    }
}

/// Reads `count` bits; the unused ones of the last octet must be zero.
fn read_bitmap(reader: &mut Reader<'_>, count: usize) -> Result<Vec<bool>, PulseError> {
    let octets = reader.slice(count.div_ceil(8))?;
    let mut bits: Vec<bool> =
        octets.iter().flat_map(|octet| (0..8).map(move |at| octet >> at & 1 == 1)).collect();
    if bits.split_off(count).contains(&true) {
        return Err(PulseError::Malformed);
    }
    Ok(bits)
}

fn write_observations(out: &mut Vec<u8>, observations: &[PathObservation]) {
    write_count(out, observations.len());
    for seen in observations {
        write_varint(out, u64::from(seen.headend.get()));
        write_count(out, seen.relays.as_slice().len());
        seen.relays.as_slice().iter().for_each(|relay| write_varint(out, u64::from(relay.get())));
        write_varint(out, u64::from(seen.endpoint.get()));
        write_zigzag(out, seen.owd.as_nanos());
        write_varint(out, seen.throughput);
    }
}

fn read_observations(reader: &mut Reader<'_>) -> Result<Vec<PathObservation>, PulseError> {
    let count = reader.count(OBSERVATIONS_MAX)?;
    (0..count).map(|_| read_observation(reader)).collect()
}

fn read_observation(reader: &mut Reader<'_>) -> Result<PathObservation, PulseError> {
    let headend = reader.node()?;
    let relay_count = reader.count(RELAYS_MAX)?;
    let relays = (0..relay_count).map(|_| reader.node()).collect::<Result<Vec<_>, _>>()?;
    Ok(PathObservation {
        headend,
        relays: Relays::new(relays).ok_or(PulseError::Malformed)?,
        endpoint: reader.node()?,
        owd: Owd::from_nanos(reader.zigzag()?),
        throughput: reader.varint()?,
    })
}

#[cfg(test)]
mod tests;
