//! The product of a strip and a tile with AVX2: products of bytes are added in 16 bits over a block. A code is 15 at most and
//! a row's 127, so that the 16 products that meet in a lane stay below 2^15.

use std::arch::x86_64::{__m256, __m256i};

use pulp::{NullaryFnOnce, cast, x86::V3};

use super::{
    ahead::fetch,
    tiles::Tile,
    vectors::Made,
    weights::{Codes, Columns, GROUP, Strip},
};

/// Rows whose sums are kept together.
const ROWS: usize = 4;

/// Columns of a vector.
const LANES: usize = 8;

/// Vectors of a strip.
const PARTS: usize = 4;

/// The first `rows` rows of a tile times a strip.
pub(super) fn multiply(simd: V3, strip: Strip, tiles: &[Tile], rows: usize, made: &mut Made) {
    for first in (0..rows).step_by(ROWS) {
        let made = &mut made[first..];
        match rows - first {
            1 => simd.vectorize(Product::<1> { simd, strip, tiles, first, made }),
            2 => simd.vectorize(Product::<2> { simd, strip, tiles, first, made }),
            3 => simd.vectorize(Product::<3> { simd, strip, tiles, first, made }),
            _ => simd.vectorize(Product::<ROWS> { simd, strip, tiles, first, made }),
        }
    }
}

/// `R` rows of a tile, from `first` on.
struct Product<'a, const R: usize> {
    simd: V3,
    strip: Strip<'a>,
    tiles: &'a [Tile],
    first: usize,
    made: &'a mut [Columns],
}

impl<const R: usize> NullaryFnOnce for Product<'_, R> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let zero = self.simd.avx._mm256_setzero_ps();
        let mut sums = [[zero; R]; PARTS];
        for (place, (codes, tile)) in self.strip.codes.iter().zip(self.tiles).enumerate() {
            if R > 1 {
                codes.0.iter().for_each(fetch);
            }
            for (part, sums) in sums.iter_mut().enumerate() {
                let dots = self.dots(codes, tile, part);
                self.add(sums, dots, cast(self.strip.scales::<LANES>(place, part)), tile);
                if let Some(shifts) = self.strip.shifts.get(place) {
                    self.shift(sums, lanes(&shifts[part / 2], part), tile);
                }
            }
        }
        for (part, sums) in sums.into_iter().enumerate() {
            for (sum, made) in sums.into_iter().zip(self.made.iter_mut()) {
                let sum: [f32; LANES] = cast(sum);
                made[part / 2][part % 2 * LANES..][..LANES].copy_from_slice(&sum);
            }
        }
    }
}

impl<const R: usize> Product<'_, R> {
    /// The dots of the rows with the columns of a vector.
    #[inline(always)]
    fn dots(&self, codes: &Codes, tile: &Tile, part: usize) -> [__m256i; R] {
        let (avx, avx2) = (self.simd.avx, self.simd.avx2);
        let half = avx._mm256_set1_epi8(15);
        let mut pairs = [avx._mm256_setzero_si256(); R];
        for (quarter, codes) in codes.0[part / 2].iter().enumerate() {
            let codes: __m256i = cast(codes.as_chunks::<32>().0[part % 2]);
            let low = avx2._mm256_and_si256(codes, half);
            let high = avx2._mm256_and_si256(avx2._mm256_srli_epi16::<4>(codes), half);
            for (row, pairs) in pairs.iter_mut().enumerate() {
                let words = tile.codes[self.first + row].as_chunks::<4>().0;
                for (codes, word) in [(low, words[2 * quarter]), (high, words[2 * quarter + 1])] {
                    let word = avx._mm256_set1_epi32(i32::from_ne_bytes(word.map(i8::cast_unsigned)));
                    *pairs = avx2._mm256_add_epi16(*pairs, avx2._mm256_maddubs_epi16(codes, word));
                }
            }
        }
        let ones = avx._mm256_set1_epi16(1);
        for (row, pairs) in pairs.iter_mut().enumerate() {
            let start = avx._mm256_set1_epi32(tile.starts[self.first + row]);
            *pairs = avx2._mm256_add_epi32(start, avx2._mm256_madd_epi16(*pairs, ones));
        }
        pairs
    }

    #[inline(always)]
    fn add(&self, sums: &mut [__m256; R], dots: [__m256i; R], scales: __m256, tile: &Tile) {
        let (avx, fma) = (self.simd.avx, self.simd.fma);
        for (row, (sum, dots)) in sums.iter_mut().zip(dots).enumerate() {
            let scale = avx._mm256_mul_ps(scales, avx._mm256_set1_ps(tile.scales[self.first + row]));
            *sum = fma._mm256_fmadd_ps(avx._mm256_cvtepi32_ps(dots), scale, *sum);
        }
    }

    #[inline(always)]
    fn shift(&self, sums: &mut [__m256; R], shifts: __m256, tile: &Tile) {
        for (row, sum) in sums.iter_mut().enumerate() {
            let of_row = self.simd.avx._mm256_set1_ps(tile.sums[self.first + row]);
            *sum = self.simd.fma._mm256_fmadd_ps(shifts, of_row, *sum);
        }
    }
}

/// The numbers of the columns of a vector.
#[inline(always)]
fn lanes(columns: &[f32; GROUP], part: usize) -> __m256 {
    cast(columns.as_chunks::<LANES>().0[part % 2])
}
