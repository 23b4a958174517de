//! Exponentials of scores below the highest: one by one, and summed over blocks in the widest vectors that the processor
//! has.

use std::f32::consts::{LN_2, LOG2_E};

use pulp::{Simd, WithSimd};

use super::sweep::{BLOCK, Block, masked};

/// Exponents below this are left out of sums: a whole vocabulary of them adds less than 1e-7.
pub(super) const NEGLIGIBLE: f32 = -30.0;

/// 1.5 * 2^23: what is added to it is rounded to whole numbers, of two the even one, which then stand in the lowest bits.
pub(super) const ROUNDING: f32 = 12_582_912.0;

/// Blocks that are added up in f32 before the sum goes on in f64: each lane adds 128 numbers at most, which costs 1e-6 of
/// the sum in the worst case.
const BLOCKS: usize = 64;

/// `2^f` for `f` between -1/2 and 1/2, from the constant term on: the polynomial of degree 6 whose largest relative error
/// is least, 2e-9 before rounding.
const SERIES: [f32; 7] = [1.0, LN_2, 0.240_226_46, 0.055_503_286, 0.009_618_489, 0.001_339_993_1, 0.000_153_458_12];

/// The sum of `exp((score - highest) * scale)` over all allowed scores whose block's highest, in `tops`, is not negligible.
pub(super) struct Sum<'a> {
    /// Beginning with the scores of the first block.
    pub(super) scores: &'a [f32],
    /// One word of the mask a block.
    pub(super) words: &'a [u32],
    pub(super) tops: &'a [f32],
    pub(super) highest: f32,
    pub(super) scale: f32,
}

impl WithSimd for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let floor = self.highest + NEGLIGIBLE / self.scale;
        let (mut total, mut first) = (0.0, 0);
        for tops in self.tops.chunks(BLOCKS) {
            let mut lanes = [simd.splat_f32s(0.0); 2];
            for (place, _) in (first..).zip(tops).filter(|(_, top)| **top > floor) {
                self.add(simd, place, &mut lanes);
            }
            total += f64::from(simd.reduce_sum_f32s(simd.add_f32s(lanes[0], lanes[1])));
            first += BLOCKS;
        }
        total
    }
}

impl Sum<'_> {
    #[inline(always)]
    fn add<S: Simd>(&self, simd: S, place: usize, lanes: &mut [S::f32s; 2]) {
        let whole = self.scores[place * BLOCK..].first_chunk::<BLOCK>();
        match whole.filter(|_| self.words.get(place) == Some(&u32::MAX)) {
            Some(block) => self.add_block(simd, block, lanes),
            None => self.add_block(simd, &masked(self.scores, self.words, place), lanes),
        }
    }

    #[inline(always)]
    fn add_block<S: Simd>(&self, simd: S, block: &Block, lanes: &mut [S::f32s; 2]) {
        let (highest, scale) = (simd.splat_f32s(self.highest), simd.splat_f32s(self.scale * LOG2_E));
        let (scores, _) = S::as_simd_f32s(block);
        for (place, score) in scores.iter().enumerate() {
            let exponent = simd.mul_f32s(simd.sub_f32s(*score, highest), scale);
            lanes[place % 2] = simd.add_f32s(lanes[place % 2], power_of_two(simd, exponent));
        }
    }
}

/// `2^x` for `x` of at most 0; 0 below what is negligible and for what is not a number. Off by 1e-7 of it, and for rounding
/// of the argument by 4e-8 of it for each power of two. The whole number `n` that [`ROUNDING`] finds is added to the exponent
/// of `2^(x - n)`.
#[inline(always)]
fn power_of_two<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let (rounding, none) = (simd.splat_f32s(ROUNDING), simd.splat_f32s(0.0));
    let counts = simd.and_m32s(
        simd.less_than_or_equal_f32s(x, none),
        simd.greater_than_or_equal_f32s(x, simd.splat_f32s(NEGLIGIBLE * LOG2_E)),
    );
    let shifted = simd.add_f32s(x, rounding);
    let rest = simd.sub_f32s(x, simd.sub_f32s(shifted, rounding));
    let mut value = simd.splat_f32s(SERIES[6]);
    for factor in SERIES[..6].iter().rev() {
        value = simd.mul_add_e_f32s(value, rest, simd.splat_f32s(*factor));
    }
    let power = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let scaled = simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(value), power));
    simd.select_f32s(counts, scaled, none)
}

/// `exp(x)` for `x` of at most 0, and 0 below [`NEGLIGIBLE`]; off by 2e-7 of it at most. For loops that the compiler turns
/// into vectors. The argument is taken apart as `n ln 2 + r`; `n` is found as in [`power_of_two`].
#[inline(always)]
pub(super) fn exponential(x: f32) -> f32 {
    let bounded = if x > NEGLIGIBLE { x } else { NEGLIGIBLE };
    let shifted = bounded * LOG2_E + ROUNDING;
    let n = shifted - ROUNDING;
    let r = (bounded - n * 0.693_145_75) - n * 1.428_606_8e-6;
    let series = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let value = series.into_iter().fold(0.0, |sum, factor| sum * r + factor);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    if x > NEGLIGIBLE { value * power } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use pulp::Arch;

    use super::*;

    /// The weight of one score below the highest.
    fn weight(x: f32) -> f64 {
        let mut scores = [f32::NEG_INFINITY; BLOCK];
        scores[5] = x;
        Arch::new().dispatch(Sum { scores: &scores, words: &[u32::MAX], tops: &[0.0], highest: 0.0, scale: 1.0 })
    }

    #[test]
    fn the_exponential_is_that_of_the_library() {
        for step in 0..29_990 {
            let x = -(step as f32) / 1000.0;
            let (found, expected) = (weight(x), f64::from(x).exp());
            let tolerance = 2e-7 + 7e-8 * f64::from(x.abs());
            assert!((found - expected).abs() <= tolerance * expected, "{x}: {found}, {expected}");
            assert!((f64::from(exponential(x)) - expected).abs() <= 2.5e-7 * expected, "{x}");
        }
        assert_eq!((exponential(-30.0), exponential(f32::NEG_INFINITY), exponential(0.0)), (0.0, 0.0, 1.0));
        assert_eq!([0.0, -31.0, f32::NEG_INFINITY, f32::INFINITY, f32::NAN].map(weight), [1.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_whole_vocabulary_is_added_up_to_a_millionth() {
        let scores: Vec<f32> =
            (0..262_144_u32).map(|id| -((id.wrapping_mul(2_654_435_761) >> 12) as f32) / 4e4).collect();
        let (words, tops) = (vec![u32::MAX; scores.len() / BLOCK], vec![0.0; scores.len() / BLOCK]);
        let sum = Arch::new().dispatch(Sum { scores: &scores, words: &words, tops: &tops, highest: 0.0, scale: 1.0 });
        let expected: f64 = scores.iter().map(|score| f64::from(*score).exp()).sum();
        assert!((sum - expected).abs() < 1e-6 * expected, "{sum}, {expected}");
    }
}
