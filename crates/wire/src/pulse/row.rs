//! What one router measured of the others: the row of the matrix that it alone can sign.

use core::time::Duration;

use super::PulseError;
use super::varint::{Reader, write_count, write_varint, write_zigzag};
use crate::id::{AccountKey, NodeId};
use crate::roster::MEMBERS_MAX;
use crate::sign::{AccountSecret, BadSignature, Signature, verify};
use crate::time::{Owd, Timestamp};

/// Most cells of a row: everybody in the group but the measurer.
pub const CELLS_MAX: usize = MEMBERS_MAX - 1;

/// What the signature on a row speaks about.
pub const ROW_DOMAIN: &str = "srwan row v2";

/// Resolution of a delay on the wire: 20 us, a fiftieth of the millisecond that W23 asks for; one
/// octet then holds a change of 1.2 ms, two a change of 160 ms.
pub const DELAY_STEP_NS: i64 = 20_000;

/// Ages are coded in quarters of the measurer's pulse interval: a cell lives for three intervals.
pub const AGE_STEPS_PER_INTERVAL: u32 = 4;

/// A share of packets that did not arrive.
///
/// - **Units:** parts per million, `0..=1_000_000`.
/// - **Source:** RFC 7680.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loss(u32);

impl Loss {
    /// Nothing is lost.
    pub const NONE: Self = Self(0);
    /// Everything is lost.
    pub const TOTAL: Self = Self(1_000_000);

    /// The share of `lost` among `all`; none if `all` is zero.
    #[must_use]
    pub fn of(lost: u64, all: u64) -> Self {
        let share = u128::from(lost.min(all)) * 1_000_000;
        let ppm = share.checked_div(u128::from(all)).unwrap_or(0);
        Self(u32::try_from(ppm).unwrap_or(1_000_000))
    }

    /// The loss of `ppm` parts per million, at most all.
    #[must_use]
    pub fn from_ppm(ppm: u32) -> Self {
        Self(ppm.min(1_000_000))
    }

    /// Parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// The loss of two links in a row, if they lose independently: `1 - (1 - a)(1 - b)`.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        let kept = u64::from(1_000_000 - self.0) * u64::from(1_000_000 - next.0) / 1_000_000;
        Self(1_000_000 - u32::try_from(kept).unwrap_or(1_000_000))
    }
}

/// How well a clock is known: the error estimate of a STAMP packet.
///
/// - **Shape:** bit 15 `S` (synchronised), bit 14 zero, bits 13..8 scale, bits 7..0 multiplier;
///   the error is `multiplier * 2^(scale - 32)` seconds.
/// - **Source:** RFC 4656 section 4.1.2, used by RFC 8762 section 4.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorEstimate(u16);

impl ErrorEstimate {
    /// The estimate with at least this error.
    #[must_use]
    pub fn new(synchronised: bool, error: Duration) -> Self {
        let fraction = (error.as_nanos() << 32).div_ceil(1_000_000_000).max(1);
        let scale = (128 - fraction.leading_zeros()).saturating_sub(8).min(0x3f);
        let multiplier = (fraction.div_ceil(1_u128 << scale)).min(0xff);
        let bits = (scale << 8) | u32::try_from(multiplier).unwrap_or(0xff);
        let sync = if synchronised { 0x8000 } else { 0 };
        Self(sync | u16::try_from(bits).unwrap_or(0x3fff))
    }

    /// The estimate with these 16 bits.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// All 16 bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the clock follows an external source of UTC.
    #[must_use]
    pub const fn synchronised(self) -> bool {
        self.0 & 0x8000 != 0
    }

    /// How far the clock may be off.
    #[must_use]
    pub fn error(self) -> Duration {
        let multiplier = u128::from(self.0 & 0xff);
        let nanos = ((multiplier << ((self.0 >> 8) & 0x3f)) * 1_000_000_000) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What was measured from one sender, before it is rounded for the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// One-way delay by the two clocks.
    pub raw: Owd,
    /// Variation of the delay.
    pub jitter: Duration,
    /// Share of pulses that did not arrive.
    pub loss: Loss,
    /// How long ago the last pulse arrived, in [`AGE_STEPS_PER_INTERVAL`] parts of an interval.
    pub age_steps: u8,
}

/// One cell of a row: from one sender to the measurer, as rounded for the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowCell {
    from: NodeId,
    steps: i64,
    quality: [u8; 3],
}

impl RowCell {
    /// The cell for `from`, rounded to the wire's resolution.
    #[must_use]
    pub fn new(from: NodeId, measured: Measured) -> Self {
        let half = DELAY_STEP_NS / 2;
        let steps = measured.raw.as_nanos().saturating_add(half).div_euclid(DELAY_STEP_NS);
        let quality =
            [encode_jitter(measured.jitter), encode_loss(measured.loss), measured.age_steps];
        Self { from, steps, quality }
    }

    /// The sender that was measured.
    #[must_use]
    pub const fn from(&self) -> NodeId {
        self.from
    }

    /// The one-way delay by the two clocks: contains the offset of the measurer's clock over the
    /// sender's.
    #[must_use]
    pub const fn raw(&self) -> Owd {
        Owd::from_nanos(self.steps.saturating_mul(DELAY_STEP_NS))
    }

    /// Variation of the delay, rounded down by at most 1/16.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        decode_jitter(self.quality[0])
    }

    /// Share of pulses lost.
    #[must_use]
    pub fn loss(&self) -> Loss {
        Loss::from_ppm(u32::from(self.quality[1]) * 1_000_000 / 255)
    }

    /// How old the last sample was when the row was signed, given the sender's pulse interval.
    #[must_use]
    pub fn age(&self, interval: Duration) -> Duration {
        interval * u32::from(self.quality[2]) / AGE_STEPS_PER_INTERVAL
    }

    /// The same in [`AGE_STEPS_PER_INTERVAL`] parts of an interval.
    #[must_use]
    pub const fn age_steps(&self) -> u8 {
        self.quality[2]
    }

    pub(super) const fn steps(&self) -> i64 {
        self.steps
    }

    pub(super) const fn quality(&self) -> [u8; 3] {
        self.quality
    }

    pub(super) fn edited(&self, step_change: i64, quality: Option<[u8; 3]>) -> Self {
        Self {
            from: self.from,
            steps: self.steps.wrapping_add(step_change),
            quality: quality.unwrap_or(self.quality),
        }
    }
}

/// Jitter is coded as a small float of 10 us steps: four bits of mantissa, so never more than 1/16
/// off.
fn encode_jitter(jitter: Duration) -> u8 {
    let steps = u64::try_from(jitter.as_micros() / 10).unwrap_or(u64::MAX);
    if steps < 16 {
        return u8::try_from(steps).unwrap_or(15);
    }
    let shift = steps.ilog2() - 4;
    if shift > 14 {
        return u8::MAX;
    }
    let mantissa = (steps >> shift) & 0x0f;
    u8::try_from(u64::from(shift + 1) << 4 | mantissa).unwrap_or(u8::MAX)
}

fn decode_jitter(code: u8) -> Duration {
    let mantissa = u64::from(code & 0x0f);
    let steps = match code >> 4 {
        0 => mantissa,
        exponent => (16 + mantissa) << (exponent - 1),
    };
    Duration::from_micros(steps * 10)
}

/// Loss is coded in 255ths; a loss that rounds to none is still one.
fn encode_loss(loss: Loss) -> u8 {
    let rounded = (u64::from(loss.ppm()) * 255 + 500_000) / 1_000_000;
    let least = u64::from(loss.ppm() > 0);
    u8::try_from(rounded.max(least)).unwrap_or(u8::MAX)
}

/// The row of one measurer: what it hears from each other member.
///
/// - **Shape:** at most [`CELLS_MAX`] cells in ascending order of the sender; a sender that is not
///   listed is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who measured (the receiver of the measured pulses).
    pub measurer: NodeId,
    /// Rises with every row of a measurer within one clock epoch; zero is no row.
    pub seq: u32,
    /// When the row was signed, by the measurer's clock.
    pub measured: Timestamp,
    /// How often the measurer pulses, in milliseconds.
    pub interval_ms: u32,
    /// How well the measurer's clock is known.
    pub clock: ErrorEstimate,
    /// Drawn when the measurer's clock starts anew: delays and numbers of different epochs do not compare. When it
    /// had 16 bits, one boot in 65,536 drew that of the boot before, and its rows were taken for old (seed 13673).
    pub clock_epoch: u32,
    cells: Vec<RowCell>,
}

/// The fields of a row beside its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowHeader {
    /// See [`Row::measurer`].
    pub measurer: NodeId,
    /// See [`Row::seq`].
    pub seq: u32,
    /// See [`Row::measured`].
    pub measured: Timestamp,
    /// See [`Row::interval_ms`].
    pub interval_ms: u32,
    /// See [`Row::clock`].
    pub clock: ErrorEstimate,
    /// See [`Row::clock_epoch`].
    pub clock_epoch: u32,
}

impl Row {
    /// The row with these cells.
    ///
    /// # Errors [`PulseError::Malformed`] if there are too many cells, or they are not in ascending
    /// order of the sender.
    pub fn new(header: RowHeader, cells: Vec<RowCell>) -> Result<Self, PulseError> {
        let ascending = cells.is_sorted_by(|a, b| a.from < b.from);
        if cells.len() > CELLS_MAX || !ascending {
            return Err(PulseError::Malformed);
        }
        Ok(Self {
            measurer: header.measurer,
            seq: header.seq,
            measured: header.measured,
            interval_ms: header.interval_ms,
            clock: header.clock,
            clock_epoch: header.clock_epoch,
            cells,
        })
    }

    /// The cells in ascending order of the sender.
    #[must_use]
    pub fn cells(&self) -> &[RowCell] {
        &self.cells
    }

    /// The cell of this sender.
    #[must_use]
    pub fn cell(&self, from: NodeId) -> Option<&RowCell> {
        let index = self.cells.binary_search_by(|cell| cell.from.cmp(&from)).ok()?;
        self.cells.get(index)
    }

    /// How often the measurer pulses.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.interval_ms))
    }

    /// The canonical bytes: what the measurer signs and the reporter hands to the controller.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + self.cells.len() * 8);
        write_varint(&mut out, u64::from(self.measurer.get()));
        write_varint(&mut out, u64::from(self.seq));
        out.extend_from_slice(&self.measured.as_nanos().to_be_bytes());
        write_varint(&mut out, u64::from(self.interval_ms));
        out.extend_from_slice(&self.clock.bits().to_be_bytes());
        out.extend_from_slice(&self.clock_epoch.to_be_bytes());
        write_cells(&mut out, &self.cells);
        out
    }

    /// Reads what [`Row::to_bytes`] wrote, which must be the whole of `bytes`.
    ///
    /// # Errors [`PulseError`] for whatever is cut short, out of order, not in its shortest form or
    /// left over.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PulseError> {
        let mut reader = Reader(bytes);
        let header = RowHeader {
            measurer: reader.node()?,
            seq: reader.varint32()?,
            measured: Timestamp::from_nanos(u64::from_be_bytes(reader.array()?)),
            interval_ms: reader.varint32()?,
            clock: ErrorEstimate(u16::from_be_bytes(reader.array()?)),
            clock_epoch: u32::from_be_bytes(reader.array()?),
        };
        let cells = read_cells(&mut reader)?;
        if !reader.0.is_empty() {
            return Err(PulseError::Malformed);
        }
        Self::new(header, cells)
    }

    /// Signs the row with its measurer's account key.
    #[must_use]
    pub fn sign(self, measurer: &AccountSecret) -> SignedRow {
        let signature = measurer.sign(ROW_DOMAIN, &self.to_bytes());
        SignedRow { row: self, signature }
    }
}

/// A row with its measurer's signature: who carries it further can leave it out, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRow {
    /// The row.
    pub row: Row,
    /// The measurer's signature in [`ROW_DOMAIN`] over [`Row::to_bytes`].
    pub signature: Signature,
}

impl SignedRow {
    /// Checks the signature. A member that got the row from its measurer over their session need
    /// not.
    ///
    /// # Errors
    /// [`BadSignature`] if another key signed, or the row was changed.
    pub fn verify(&self, measurer: &AccountKey) -> Result<(), BadSignature> {
        verify(ROW_DOMAIN, &self.row.to_bytes(), measurer, &self.signature)
    }
}

pub(super) fn write_cells(out: &mut Vec<u8>, cells: &[RowCell]) {
    write_count(out, cells.len());
    let origin = cells.first().map_or(0, RowCell::steps);
    if !cells.is_empty() {
        write_zigzag(out, origin);
    }
    let mut previous = 0;
    for cell in cells {
        write_varint(out, u64::from(cell.from.get() - previous));
        previous = cell.from.get();
        write_zigzag(out, cell.steps.wrapping_sub(origin));
        out.extend_from_slice(&cell.quality);
    }
}

pub(super) fn read_cells(reader: &mut Reader<'_>) -> Result<Vec<RowCell>, PulseError> {
    let count = reader.count(CELLS_MAX)?;
    let mut cells = Vec::with_capacity(count);
    let origin = if count == 0 { 0 } else { reader.zigzag()? };
    let mut previous = 0;
    for at in 0..count {
        let from = reader.node_after(previous)?;
        previous = from.get();
        let distance = reader.zigzag()?;
        if at == 0 && distance != 0 {
            return Err(PulseError::Malformed);
        }
        let steps = origin.wrapping_add(distance);
        cells.push(RowCell { from, steps, quality: reader.array()? });
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_estimate_is_never_smaller_than_the_error() {
        for micros in [0, 1, 7, 500, 1_000, 123_456, 10_000_000] {
            let error = Duration::from_micros(micros);
            let estimate = ErrorEstimate::new(true, error);
            assert!(estimate.synchronised());
            assert!(estimate.error() + Duration::from_nanos(1) >= error, "{micros} us");
            assert!(
                estimate.error() <= error + error / 100 + Duration::from_nanos(1),
                "{micros} us"
            );
        }
        assert!(!ErrorEstimate::new(false, Duration::ZERO).synchronised());
    }

    #[test]
    fn jitter_is_coded_within_a_sixteenth() {
        for micros in [0, 10, 150, 160, 170, 1_000, 33_330, 1_000_000, 5_000_000] {
            let jitter = Duration::from_micros(micros);
            let coded = decode_jitter(encode_jitter(jitter));
            assert!(coded <= jitter && jitter - coded <= jitter / 16 + Duration::from_micros(10));
        }
        assert_eq!(encode_jitter(Duration::from_secs(60)), u8::MAX);
    }

    #[test]
    fn loss_is_combined_as_independent() {
        let half = Loss::from_ppm(500_000);
        assert_eq!(half.then(half), Loss::from_ppm(750_000));
        assert_eq!(Loss::NONE.then(half), half);
        assert_eq!(Loss::of(3, 0), Loss::NONE);
        assert_eq!(encode_loss(Loss::from_ppm(1)), 1);
        assert_eq!(encode_loss(Loss::TOTAL), 255);
    }
}
