//! How segments were, hour by hour, for two days.

use rusqlite::{Connection, Transaction, params};
use srwan_ditex::{RowRecord, Segment};

use super::{StoreError, signed};

/// Hours kept: today and yesterday, 475,200 rows for a full group.
const HISTORY_HOURS: i64 = 48;

/// Nanoseconds of an hour.
const HOUR_NS: u64 = 3_600_000_000_000;

/// A segment's figures over one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourRow {
    /// Hours since 1970.
    pub hour: u64,
    /// Samples with a delay.
    pub samples: u64,
    /// Microseconds.
    pub owd_us_min: i64,
    /// Microseconds.
    pub owd_us_mean: i64,
    /// Microseconds.
    pub owd_us_max: i64,
    /// Parts per million.
    pub loss_ppm_mean: u64,
}

/// Adds the segments of an accepted row to their hours, and forgets the hours that are too old.
pub fn add(to: &Transaction<'_>, row: &RowRecord) -> Result<(), StoreError> {
    let hour = signed(row.held.received.as_nanos() / HOUR_NS);
    to.prepare_cached("DELETE FROM segment_hour WHERE hour <= ?1")?
        .execute([hour - HISTORY_HOURS])?;
    row.segments.iter().try_for_each(|segment| add_segment(to, hour, segment))
}

fn add_segment(to: &Transaction<'_>, hour: i64, segment: &Segment) -> Result<(), StoreError> {
    let Some(owd) = segment.figures.owd else { return Ok(()) };
    to.prepare_cached(
        "INSERT INTO segment_hour VALUES (?1, ?2, ?3, 1, ?4, ?4, ?4, ?5)
         ON CONFLICT (hour, a, z) DO UPDATE SET
            samples = samples + 1,
            owd_us_min = min(owd_us_min, excluded.owd_us_min),
            owd_us_sum = owd_us_sum + excluded.owd_us_sum,
            owd_us_max = max(owd_us_max, excluded.owd_us_max),
            loss_ppm_sum = loss_ppm_sum + excluded.loss_ppm_sum",
    )?
    .execute(params![
        hour,
        segment.a.node.get(),
        segment.z.node.get(),
        owd.as_micros(),
        segment.figures.loss.ppm(),
    ])?;
    Ok(())
}

/// The hours of one segment, oldest first.
pub fn read(from: &Connection, a: u32, z: u32) -> Result<Vec<HourRow>, StoreError> {
    let mut statement = from.prepare_cached(
        "SELECT hour, samples, owd_us_min, owd_us_sum / samples, owd_us_max, loss_ppm_sum / samples
         FROM segment_hour WHERE a = ?1 AND z = ?2 ORDER BY hour",
    )?;
    let rows = statement.query_map([a, z], |row| {
        let natural =
            |index| row.get::<_, i64>(index).map(|value| u64::try_from(value).unwrap_or(0));
        Ok(HourRow {
            hour: natural(0)?,
            samples: natural(1)?,
            owd_us_min: row.get(2)?,
            owd_us_mean: row.get(3)?,
            owd_us_max: row.get(4)?,
            loss_ppm_mean: natural(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
