//! Weights in blocks of 4 bits in the order in which the products read them: strip by strip, block by block.

use half::f16;
use rayon::prelude::*;

/// Columns of a strip; what is behind the last column of the weights is 0.
pub(super) const COLUMNS: usize = 32;

/// Numbers of a column that share a scale.
pub(super) const DEPTH: usize = 32;

/// Columns of a group: what the widest vectors hold.
pub(super) const GROUP: usize = 16;

/// One number for each column of a strip.
pub(super) type Columns = [[f32; GROUP]; COLUMNS / GROUP];

/// The same in the bits of f16.
pub(super) type Halves = [[u16; GROUP]; COLUMNS / GROUP];

/// A block of each column of a strip: groups of columns, and quarters of their depth. Byte `4 c + t` of quarter `q` is of
/// column `c`: in its low half depth `8 q + t`, in its high half depth `8 q + 4 + t`.
#[derive(Clone)]
#[repr(C, align(64))]
pub(super) struct Codes(pub(super) [[[u8; 4 * GROUP]; 4]; COLUMNS / GROUP]);

/// All strips.
pub(super) struct Weights {
    outputs: usize,
    /// Blocks of a column.
    depth: usize,
    codes: Vec<Codes>,
    scales: Scales,
    /// What a block adds for a row's sum: scales times how far zero is below code 8. None where it is 8 everywhere.
    shifts: Vec<Columns>,
}

/// What a code of each block counts: in f16 where that is exact for all of them, for decoding alone waits for memory.
enum Scales {
    Single(Vec<Columns>),
    Half(Vec<Halves>),
}

/// As a graph stores them.
#[derive(Clone, Copy)]
pub(super) struct Stored<'a> {
    /// `[outputs, depth, 16]`: number `2 i` of a block in the low half of byte `i`.
    pub(super) codes: &'a [u8],
    /// `[outputs, depth]`.
    pub(super) scales: &'a [f32],
    /// `[outputs, (depth + 1) / 2]`, the earlier of two blocks in the low half; codes of zero are 8 where there are none.
    pub(super) zeros: Option<&'a [u8]>,
}

impl Weights {
    /// None where the parts do not fit together.
    pub(super) fn pack(outputs: usize, inputs: usize, stored: Stored) -> Option<Self> {
        let depth = inputs.div_ceil(DEPTH);
        let of_blocks = outputs.checked_mul(depth)?;
        let fits = [
            depth > 0 && outputs > 0,
            stored.codes.len() == of_blocks.checked_mul(DEPTH / 2)?,
            stored.scales.len() == of_blocks,
            stored.zeros.is_none_or(|zeros| zeros.len() == outputs * depth.div_ceil(2)),
        ];
        if fits.contains(&false) {
            return None;
        }
        let count = outputs.div_ceil(COLUMNS) * depth;
        let place = |index: usize| Place { strip: index / depth, block: index % depth, outputs, depth };
        let codes = (0..count).into_par_iter().map(|index| place(index).codes(stored.codes)).collect();
        let scales = Scales::of((0..count).into_par_iter().map(|index| place(index).scales(stored.scales)).collect());
        let shifts = stored.zeros.map_or_else(Vec::new, |zeros| {
            (0..count).into_par_iter().map(|index| place(index).shifts(stored.scales, zeros)).collect()
        });
        Some(Self { outputs, depth, codes, scales, shifts })
    }

    /// Columns that are wanted.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Blocks of a column.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Bytes that a strip's codes take.
    pub(super) fn strip_bytes(&self) -> usize {
        self.depth * size_of::<Codes>()
    }

    /// A strip from the top down.
    pub(super) fn strip(&self, index: usize) -> Strip<'_> {
        let of = index * self.depth..(index + 1) * self.depth;
        let (singles, halves) = match &self.scales {
            Scales::Single(all) => (&all[of.clone()], &[][..]),
            Scales::Half(all) => (&[][..], &all[of.clone()]),
        };
        let shifts = if self.shifts.is_empty() { &[] } else { &self.shifts[of.clone()] };
        Strip { codes: &self.codes[of], singles, halves, shifts }
    }
}

impl Scales {
    fn of(scales: Vec<Columns>) -> Self {
        let half = |scale: &f32| f16::from_f32(*scale).to_f32() == *scale;
        if !scales.par_iter().all(|columns| columns.as_flattened().iter().all(half)) {
            return Self::Single(scales);
        }
        let narrowed = |columns: &Columns| columns.map(|group| group.map(|scale| f16::from_f32(scale).to_bits()));
        Self::Half(scales.par_iter().map(narrowed).collect())
    }
}

/// The blocks of one strip. Scales are in one of two kinds of floats, and there may be no shifts: the others are empty.
#[derive(Clone, Copy)]
pub(super) struct Strip<'a> {
    pub(super) codes: &'a [Codes],
    pub(super) singles: &'a [Columns],
    pub(super) halves: &'a [Halves],
    pub(super) shifts: &'a [Columns],
}

impl Strip<'_> {
    /// The scales of a block of a group.
    #[inline(always)]
    pub(super) fn scales(&self, block: usize, group: usize) -> [f32; GROUP] {
        match self.singles.get(block) {
            Some(scales) => scales[group],
            None => self.halves[block][group].map(widened),
        }
    }
}

/// A finite f16: its exponent is put right by a product, which is exact.
#[inline(always)]
fn widened(half: u16) -> f32 {
    let (sign, size) = (u32::from(half & 0x8000) << 16, u32::from(half & 0x7fff) << 13);
    let value = f32::from_bits(size) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(value.to_bits() | sign)
}

/// Where a block lies.
#[derive(Clone, Copy)]
struct Place {
    strip: usize,
    block: usize,
    outputs: usize,
    depth: usize,
}

impl Place {
    /// Where the columns that are there lie in a strip, and at which of the stored blocks.
    fn columns(self) -> impl Iterator<Item = ([usize; 2], usize)> {
        let first = self.strip * COLUMNS;
        (first..self.outputs.min(first + COLUMNS)).map(move |output| {
            let column = output - first;
            ([column / GROUP, column % GROUP], output * self.depth + self.block)
        })
    }

    fn codes(self, stored: &[u8]) -> Codes {
        let mut codes = Codes([[[0; 4 * GROUP]; 4]; 2]);
        for ([group, column], index) in self.columns() {
            let words = stored[index * DEPTH / 2..].as_chunks::<4>().0;
            for (quarter, word) in codes.0[group].iter_mut().zip(words) {
                let word = u32::from_le_bytes(*word);
                let bytes = (spread(word & 0xffff) | spread(word >> 16) << 4).to_le_bytes();
                quarter[4 * column..4 * column + 4].copy_from_slice(&bytes);
            }
        }
        codes
    }

    fn scales(self, stored: &[f32]) -> Columns {
        let mut scales = Columns::default();
        self.columns().for_each(|([group, column], index)| scales[group][column] = stored[index]);
        scales
    }

    fn shifts(self, scales: &[f32], zeros: &[u8]) -> Columns {
        let mut shifts = Columns::default();
        for (([group, column], index), row) in self.columns().zip(self.strip * COLUMNS..) {
            let pair = zeros[row * self.depth.div_ceil(2) + self.block / 2];
            let zero = pair >> (self.block % 2 * 4) & 15;
            shifts[group][column] = scales[index] * (8.0 - f32::from(zero));
        }
        shifts
    }
}

/// Four halves of bytes become the low halves of four bytes.
fn spread(halves: u32) -> u32 {
    let pairs = (halves | halves << 8) & 0x00ff_00ff;
    (pairs | pairs << 4) & 0x0f0f_0f0f
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_lies_where_the_layout_says() {
        let (outputs, inputs) = (35, 64);
        let code = |output: usize, input: usize| ((output * 7 + input * 5) % 16) as u8;
        let mut codes = Vec::new();
        for output in 0..outputs {
            codes.extend((0..inputs).step_by(2).map(|input| code(output, input) | code(output, input + 1) << 4));
        }
        let scales: Vec<f32> = (0..outputs * 2).map(|index| index as f32).collect();
        let zeros: Vec<u8> = (0..outputs as u8).map(|output| (output % 16) | (3 << 4)).collect();
        let stored = Stored { codes: &codes, scales: &scales, zeros: Some(&zeros) };
        let weights = Weights::pack(outputs, inputs, stored).unwrap();
        for output in 0..outputs {
            let strip = weights.strip(output / COLUMNS);
            let (group, column) = (output % COLUMNS / GROUP, output % GROUP);
            for input in 0..inputs {
                let (quarter, within) = (input % DEPTH / 8, input % 8);
                let byte = strip.codes[input / DEPTH].0[group][quarter][4 * column + within % 4];
                assert_eq!(byte >> (within / 4 * 4) & 15, code(output, input), "{output} {input}");
            }
            for (block, zero) in [(0, (output % 16) as f32), (1, 3.0)] {
                let scale = (output * 2 + block) as f32;
                assert_eq!(strip.scales(block, group)[column], scale);
                assert_eq!(strip.shifts[block][group][column], scale * (8.0 - zero));
            }
        }
        assert_eq!(weights.strip(1).scales(0, 0)[3], 0.0, "behind the last column");
    }

    #[test]
    fn scales_are_kept_in_f16_where_nothing_is_lost() {
        let codes = [0; 16 * 3];
        let kept = |scales: [f32; 3]| {
            let weights = Weights::pack(3, 32, Stored { codes: &codes, scales: &scales, zeros: None }).unwrap();
            let strip = weights.strip(0);
            assert_eq!(strip.scales(0, 0)[..3], scales);
            strip.halves.len()
        };
        assert_eq!(kept([0.5, -6.103_515_6e-5, 0.0]), 1);
        assert_eq!(kept([0.5, 5.960_464_5e-8, -65504.0]), 1, "the smallest and the largest");
        assert_eq!(kept([0.5, 0.1, 0.0]), 0);
        assert_eq!(kept([0.5, 1e-9, 0.0]), 0);
        assert_eq!(kept([0.5, 1e6, 0.0]), 0);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let (codes, scales) = ([0; 32], [0.0; 2]);
        let stored = Stored { codes: &codes, scales: &scales, zeros: None };
        assert!(Weights::pack(2, 32, stored).is_some());
        assert!(Weights::pack(2, 33, stored).is_none());
        assert!(Weights::pack(0, 32, Stored { codes: &[], scales: &[], zeros: None }).is_none());
        assert!(Weights::pack(usize::MAX, usize::MAX, stored).is_none());
        assert!(Weights::pack(2, 32, Stored { zeros: Some(&[0; 3]), ..stored }).is_none());
    }
}
