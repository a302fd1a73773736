//! Where a noisy series has its level, and when that level moved: one series, sample by sample.
//!
//! A level has moved when six of the last seven samples, the first and the last among them, lie on
//! one side of it, all further away than the series usually moves. Six, not three: queues fill and
//! drain within a few samples, routes stay. The first of the seven is where the change began, so
//! the alarm comes six samples late and names the right one.
//!
//! The scale is the lower-middle of the differences of consecutive samples, which a change of level
//! does not touch, beside the deviations from the level on either side of the change. The figures
//! are fitted on the train half of the labelled Atlas series (docs/routing.md, "Detection").
//!
//! Bounded memory, no allocation, integers only.

/// Samples before the last few that make the level: two hours at 4 minutes, five minutes at 10 s.
const LEVEL_OF: usize = 32;

/// Differences that make the scale.
const SCALE_OF: usize = 32;

/// Samples that decide, and how many of them must lie beyond.
pub(crate) const DECIDING: usize = 7;
const BEYOND_MIN: usize = 6;

/// Samples of a level before it can be left.
const LEVEL_MIN: usize = 3;

/// Share of the differences below the scale, in percent.
const SCALE_PERCENT: usize = 40;

/// How many times the scale is beyond, in halves: 2.5 times.
const SCALE_HALVES: i64 = 5;

/// A small ring of the last `N` values.
#[derive(Clone, Copy, Debug)]
struct Ring<const N: usize> {
    values: [i64; N],
    len: usize,
    next: usize,
}

impl<const N: usize> Ring<N> {
    const fn new() -> Self {
        Self { values: [0; N], len: 0, next: 0 }
    }

    fn push(&mut self, value: i64) {
        self.values[self.next] = value;
        self.next = (self.next + 1) % N;
        self.len = (self.len + 1).min(N);
    }

    /// In no order of time.
    fn held(&self) -> &[i64] {
        &self.values[..self.len]
    }
}

/// Least distance from the level that is beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    /// In the unit of the series.
    pub(crate) least: i64,
    /// In thousandths of the level.
    pub(crate) permille: i64,
}

/// A level was left for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The level before: a median.
    pub(crate) before: i64,
    /// The level since: a median.
    pub(crate) after: i64,
    /// How long ago it began, in steps of the series; the sample that was just taken is 0.
    pub(crate) steps_ago: u32,
}

/// Watches one series.
#[derive(Clone, Debug)]
pub(crate) struct LevelWatch {
    floor: Floor,
    level: Ring<LEVEL_OF>,
    scale: Ring<SCALE_OF>,
    deciding: [(u32, i64); DECIDING],
    held: usize,
    last: Option<i64>,
}

impl LevelWatch {
    pub(crate) const fn new(floor: Floor) -> Self {
        Self {
            floor,
            level: Ring::new(),
            scale: Ring::new(),
            deciding: [(0, 0); DECIDING],
            held: 0,
            last: None,
        }
    }

    /// Takes the sample of step `step`; steps without one are left out.
    pub(crate) fn take(&mut self, step: u32, value: i64) -> Option<Moved> {
        if let Some(last) = self.last.replace(value) {
            self.scale.push(value.saturating_sub(last).saturating_abs());
        }
        if self.held == DECIDING {
            self.level.push(self.deciding[0].1);
            self.deciding.rotate_left(1);
            self.held -= 1;
        }
        self.deciding[self.held] = (step, value);
        self.held += 1;
        if self.held < DECIDING || self.level.len < LEVEL_MIN {
            return None;
        }
        self.decide(step)
    }

    fn decide(&mut self, step: u32) -> Option<Moved> {
        let (before, deviation) = middle(self.level.held());
        let (after, scatter) = middle(&self.deciding.map(|(_, value)| value));
        let beyond = self.beyond(before, deviation);
        let offsets = self.deciding.map(|(_, value)| value.saturating_sub(before));
        let side = offsets[DECIDING - 1].signum();
        let is_beyond = |offset: &i64| offset.saturating_mul(side) > beyond;
        let count = offsets.iter().filter(|offset| is_beyond(offset)).count();
        let is_sharp = is_beyond(&offsets[0]) && is_beyond(&offsets[DECIDING - 1]);
        // What scatters as far as it moved has no level yet.
        let is_level = after.saturating_sub(before).saturating_abs() >= scatter;
        if !is_sharp || count < BEYOND_MIN || !is_level {
            return None;
        }
        let steps_ago = step.saturating_sub(self.deciding[0].0);
        self.level = Ring::new();
        for (offset, (_, value)) in offsets.iter().zip(self.deciding) {
            if offset.saturating_mul(side) > beyond {
                self.level.push(value);
            }
        }
        self.held = 0;
        Some(Moved { before, after, steps_ago })
    }

    fn beyond(&self, level: i64, deviation: i64) -> i64 {
        let mut differences = self.scale;
        let held = &mut differences.values[..self.scale.len];
        let at = held.len().saturating_sub(1) * SCALE_PERCENT / 100;
        let scale = if held.is_empty() { 0 } else { *held.select_nth_unstable(at).1 };
        let usual = scale.saturating_mul(SCALE_HALVES) / 2;
        let share = level.saturating_abs() / 1_000 * self.floor.permille;
        usual.max(deviation).max(self.floor.least).max(share)
    }
}

/// The median of at most [`LEVEL_OF`] values, and the median distance from it.
fn middle(values: &[i64]) -> (i64, i64) {
    let mut copy = [0; LEVEL_OF];
    let copy = &mut copy[..values.len().min(LEVEL_OF)];
    copy.copy_from_slice(&values[..copy.len()]);
    if copy.is_empty() {
        return (0, 0);
    }
    let at = (copy.len() - 1) / 2;
    let median = *copy.select_nth_unstable(at).1;
    copy.iter_mut().for_each(|value| *value = value.saturating_sub(median).saturating_abs());
    (median, *copy.select_nth_unstable(at).1)
}
