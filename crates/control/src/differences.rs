//! The own row in fewer octets, once for each base: a round tells it to 99 members, nearly all of which hold the same
//! base.

use srwan_wire::pulse::{Row, RowCoding};

/// A base older than this many rows is renewed, since routes and clocks drift away from it; a whole
/// row costs three differences, so this adds a thirtieth.
const BASE_DISTANCE_MAX: u32 = 64;

/// A base older than this many rows is renewed if the difference from it has grown to a fifth of a
/// whole row: the base of a young group is poor, since jitter and ages were not known yet.
const BASE_DISTANCE_MIN: u32 = 12;
const DIFFERENCE_SHARE: usize = 5;

/// The differences of one row from the bases that were asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Differences {
    row: u32,
    from: Vec<(u32, Option<RowCoding>)>,
}

impl Differences {
    /// The row as its difference from a base; `None` if the base should be renewed. Rows and bases are the own ones, so
    /// their numbers name them.
    pub(crate) fn between(&mut self, base: &Row, row: &Row) -> Option<RowCoding> {
        if self.row != row.seq {
            *self = Self { row: row.seq, from: Vec::new() };
        }
        if let Some((_, known)) = self.from.iter().find(|(seq, _)| *seq == base.seq) {
            return known.clone();
        }
        let difference = difference(base, row);
        self.from.push((base.seq, difference.clone()));
        difference
    }
}

fn difference(base: &Row, row: &Row) -> Option<RowCoding> {
    let distance = row.seq.checked_sub(base.seq)?;
    if distance > BASE_DISTANCE_MAX {
        return None;
    }
    let coding = RowCoding::difference(base, row);
    let is_large = || coding.encoded_len() * DIFFERENCE_SHARE > RowCoding::whole(row).encoded_len();
    let is_renewed = distance > BASE_DISTANCE_MIN && is_large();
    (!is_renewed).then_some(coding)
}
