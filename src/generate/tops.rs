//! The highest allowed score of each block of a vocabulary, in the widest vectors that the processor has.

use pulp::{Simd, WithSimd};

use super::sweep::{BLOCK, Block, masked};

/// The bit of each token of a block.
const BITS: [u32; BLOCK] = {
    let mut bits = [0; BLOCK];
    let mut place = 0;
    while place < BLOCK {
        bits[place] = 1 << place;
        place += 1;
    }
    bits
};

/// One score a block, negative infinity where no allowed score is finite.
pub(super) struct Tops<'a> {
    pub(super) scores: &'a [f32],
    /// One word of the mask a block.
    pub(super) words: &'a [u32],
}

impl WithSimd for Tops<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let (whole, rest) = self.scores.as_chunks::<BLOCK>();
        let mut tops = Vec::with_capacity(whole.len() + 1);
        for (block, word) in whole.iter().zip(self.words) {
            tops.push(match *word {
                0 => f32::NEG_INFINITY,
                u32::MAX => top(simd, block, |_| simd.equal_u32s(simd.splat_u32s(0), simd.splat_u32s(0))),
                word => {
                    let (bits, word) = (S::as_simd_u32s(&BITS).0, simd.splat_u32s(word));
                    top(simd, block, |place| simd.equal_u32s(simd.and_u32s(word, bits[place]), bits[place]))
                }
            });
        }
        if !rest.is_empty() && self.words.len() > whole.len() {
            let last = masked(self.scores, self.words, whole.len());
            tops.push(last.into_iter().fold(f32::NEG_INFINITY, f32::max));
        }
        tops
    }
}

#[inline(always)]
fn top<S: Simd>(simd: S, block: &Block, allowed: impl Fn(usize) -> S::m32s) -> f32 {
    let (lowest, infinite) = (simd.splat_f32s(f32::NEG_INFINITY), simd.splat_f32s(f32::INFINITY));
    let mut highest = lowest;
    for (place, score) in S::as_simd_f32s(block).0.iter().enumerate() {
        let counts = simd.and_m32s(allowed(place), simd.less_than_f32s(simd.abs_f32s(*score), infinite));
        highest = simd.max_f32s(highest, simd.select_f32s(counts, *score, lowest));
    }
    simd.reduce_max_f32s(highest)
}
