//! Rows of floats in 8 bits, each block of a row by its own largest value, so that no row depends on its neighbours.

use pulp::Arch;

use super::weights::DEPTH;
use crate::generate::exponentials::ROUNDING;

/// Rows that go through the weights together.
pub(super) const ROWS: usize = 8;

/// A block of each row of a tile. A tile that is not full has rows of no meaning at its end.
#[derive(Clone)]
#[repr(C)]
pub(super) struct Tile {
    pub(super) codes: [[i8; DEPTH]; ROWS],
    /// What a code counts.
    pub(super) scales: [f32; ROWS],
    /// -8 times the sum of a row's codes: where its dots begin, since code 8 of the weights is 0.
    pub(super) starts: [i32; ROWS],
    /// The sum of a row's codes times its scale.
    pub(super) sums: [f32; ROWS],
}

impl Tile {
    pub(super) const EMPTY: Self =
        Self { codes: [[0; DEPTH]; ROWS], scales: [0.0; ROWS], starts: [0; ROWS], sums: [0.0; ROWS] };
}

/// Rows to be rounded.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// `[rows, width]`.
    pub(super) values: &'a [f32],
    pub(super) width: usize,
}

impl Rows<'_> {
    /// How many.
    pub(super) fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// Blocks `first..` of tile after tile, as many as there are tiles in `made`; `depth` blocks make a row.
    pub(super) fn round(self, arch: Arch, first: usize, depth: usize, made: &mut [Tile]) {
        arch.dispatch(
            #[inline(always)]
            || {
                for (place, tile) in (first..).zip(made) {
                    let (row, column) = (place / depth * ROWS, place % depth * DEPTH);
                    let rows = self.values.chunks_exact(self.width).skip(row).take(ROWS);
                    for (index, row) in rows.enumerate() {
                        round(&row[column..self.width.min(column + DEPTH)], tile, index);
                    }
                }
            },
        );
    }
}

/// Rounds a block of a row, half to even; what is missing at its end is 0, and NaN counts as nothing for the scale.
#[inline(always)]
fn round(values: &[f32], tile: &mut Tile, row: usize) {
    let mut whole = [0.0; DEPTH];
    let values = values.first_chunk::<DEPTH>().unwrap_or_else(|| {
        whole[..values.len()].copy_from_slice(values);
        &whole
    });
    let most = largest(values).max(1e-30);
    let inverse = 127.0 / most;
    let mut sum = 0;
    for (code, value) in tile.codes[row].iter_mut().zip(values) {
        *code = (value * inverse + ROUNDING).to_bits() as i8;
        sum += i32::from(*code);
    }
    let scale = most / 127.0;
    (tile.scales[row], tile.starts[row], tile.sums[row]) = (scale, -8 * sum, sum as f32 * scale);
}

/// The largest distance from 0; NaN counts as nothing.
#[inline(always)]
fn largest(values: &[f32; DEPTH]) -> f32 {
    let mut most = values.map(|value| if value.abs() > 0.0 { value.abs() } else { 0.0 });
    for half in [16, 8, 4, 2, 1] {
        for lane in 0..half {
            most[lane] = if most[lane + half] > most[lane] { most[lane + half] } else { most[lane] };
        }
    }
    most[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_are_rounded_by_their_largest_value(values in prop::collection::vec(-1e3_f32..1e3, 80)) {
            let rows = Rows { values: &values, width: 40 };
            let mut tiles = vec![Tile::EMPTY; 2];
            rows.round(Arch::new(), 0, 2, &mut tiles);
            for (row, values) in values.chunks(40).enumerate() {
                for (tile, block) in tiles.iter().zip(values.chunks(DEPTH)) {
                    let scale = block.iter().fold(1e-30_f32, |most, value| most.max(value.abs())) / 127.0;
                    prop_assert_eq!(tile.scales[row], scale);
                    let sum: i32 = tile.codes[row].iter().map(|code| i32::from(*code)).sum();
                    prop_assert_eq!(tile.starts[row], -8 * sum);
                    for (value, code) in block.iter().chain([0.0; DEPTH].iter()).zip(&tile.codes[row]) {
                        prop_assert!((value / scale - f32::from(*code)).abs() <= 0.5001, "{} {}", value / scale, code);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_does_no_harm() {
        let mut values = [f32::NAN; DEPTH];
        values[1] = f32::INFINITY;
        let mut tiles = [Tile::EMPTY];
        Rows { values: &values, width: DEPTH }.round(Arch::new(), 0, 1, &mut tiles);
        assert!(tiles[0].scales[0].is_infinite());
    }
}
