//! The softmax of some rows, tile by tile of keys: how far each row has come, lane by lane.

use std::ops::Range;

use pulp::Arch;

use crate::generate::exponentials::exponential;

/// Lanes of the widest vectors.
pub(super) const LANES: usize = 16;

/// Below every score.
const LOWEST: f32 = -1e30;

type Lanes<T> = [T; LANES];

/// The softmax of all rows so far.
pub(super) struct Course {
    groups: Vec<Group>,
}

/// That of as many rows as a vector holds.
struct Group {
    /// What each row sees, first and end.
    first: Lanes<i32>,
    end: Lanes<i32>,
    /// The highest score.
    highest: Lanes<f32>,
    /// The sum of weights.
    total: Lanes<f32>,
    /// What earlier sums are multiplied with, since a higher score has come.
    factor: Lanes<f32>,
}

impl Course {
    /// Rows that see these places; lanes beyond them see nothing.
    pub(super) fn new(seen: &[Range<usize>], lanes: usize) -> Self {
        let place = |lane: usize, bound: fn(&Range<usize>) -> usize| {
            seen.get(lane).map_or(0, |seen| i32::try_from(bound(seen)).unwrap_or(i32::MAX))
        };
        let group = |start: usize| Group {
            first: std::array::from_fn(|lane| place(start + lane, |seen| seen.start)),
            end: std::array::from_fn(|lane| place(start + lane, |seen| seen.end)),
            highest: [LOWEST; LANES],
            total: [0.0; LANES],
            factor: [1.0; LANES],
        };
        Self { groups: (0..lanes).step_by(LANES).map(group).collect() }
    }

    /// Takes the scores of the keys from place `first` on, `[keys, lanes]`, and leaves weights in their place.
    pub(super) fn go_on(&mut self, arch: Arch, scores: &mut [f32], first: usize) {
        let lanes = self.groups.len() * LANES;
        let (rows, _) = scores.as_chunks_mut::<LANES>();
        for (index, group) in self.groups.iter_mut().enumerate() {
            arch.dispatch(
                #[inline(always)]
                || group.go_on(rows, index, lanes / LANES, first as i32),
            );
        }
    }

    /// Multiplies the sums of rows, `[rows, width]`, that were made under a lower score.
    pub(super) fn scale_down(&self, arch: Arch, sums: &mut [f32], width: usize) {
        let factors = self.groups.iter().flat_map(|group| group.factor);
        for (row, factor) in sums.chunks_exact_mut(width).zip(factors).filter(|(_, factor)| *factor != 1.0) {
            scale(arch, row, factor);
        }
    }

    /// Divides the sums of rows by the sums of their weights.
    pub(super) fn divide(&self, arch: Arch, sums: &mut [f32], width: usize) {
        let totals = self.groups.iter().flat_map(|group| group.total);
        sums.chunks_exact_mut(width).zip(totals).for_each(|(row, total)| scale(arch, row, total.recip()));
    }
}

fn scale(arch: Arch, row: &mut [f32], factor: f32) {
    arch.dispatch(
        #[inline(always)]
        || row.iter_mut().for_each(|value| *value *= factor),
    );
}

impl Group {
    /// `rows` holds the lanes of this group at `index`, and then every `stride`th.
    #[inline(always)]
    fn go_on(&mut self, rows: &mut [Lanes<f32>], index: usize, stride: usize, first: i32) {
        let mut top = self.highest;
        for (key, row) in (first..).zip(rows[index..].iter_mut().step_by(stride)) {
            for lane in 0..LANES {
                let is_seen = (key >= self.first[lane]) & (key < self.end[lane]);
                row[lane] = if is_seen { row[lane] } else { f32::NEG_INFINITY };
                top[lane] = if row[lane] > top[lane] { row[lane] } else { top[lane] };
            }
        }
        let mut sums = [0.0; LANES];
        for row in rows[index..].iter_mut().step_by(stride) {
            for lane in 0..LANES {
                row[lane] = exponential(row[lane] - top[lane]);
                sums[lane] += row[lane];
            }
        }
        for lane in 0..LANES {
            self.factor[lane] = exponential(self.highest[lane] - top[lane]);
            self.total[lane] = self.total[lane] * self.factor[lane] + sums[lane];
        }
        self.highest = top;
    }
}
