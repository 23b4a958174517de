//! The product of a strip and a tile with AVX2: products of bytes are added in 16 bits over a block. A code is 15 at most and
//! a row's 127, so that the 16 products that meet in a lane stay below 2^15.

use std::arch::x86_64::{__m128i, __m256, __m256i};

use pulp::{NullaryFnOnce, cast, x86::V3};

use super::{
    ahead::fetch,
    tiles::Tile,
    vectors::Made,
    weights::{Codes, Columns, Strip},
};

/// Rows whose sums are kept together.
const ROWS: usize = 4;

/// Columns of a vector.
const LANES: usize = 8;

/// The first `rows` rows of a tile times a strip.
pub(super) fn multiply(simd: V3, strip: Strip, tiles: &[Tile], rows: usize, made: &mut Made) {
    for first in (0..rows).step_by(ROWS) {
        let made = &mut made[first..];
        match rows - first {
            1 => simd.vectorize(Product::<1, 4, 1> { simd, strip, tiles, first, made }),
            2 => simd.vectorize(Product::<2, 2, 2> { simd, strip, tiles, first, made }),
            3 => simd.vectorize(Product::<3, 2, 2> { simd, strip, tiles, first, made }),
            _ => simd.vectorize(Product::<ROWS, 2, 2> { simd, strip, tiles, first, made }),
        }
    }
}

/// `R` rows of a tile, from `first` on; of the strip `V` vectors at once, `N` times. Several vectors share what is read of
/// the rows, and several rows what is read of the strip: 16 registers hold as much as this.
struct Product<'a, const R: usize, const V: usize, const N: usize> {
    simd: V3,
    strip: Strip<'a>,
    tiles: &'a [Tile],
    first: usize,
    made: &'a mut [Columns],
}

impl<const R: usize, const V: usize, const N: usize> NullaryFnOnce for Product<'_, R, V, N> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        match (self.strip.halves.is_empty(), self.strip.shifts.is_empty()) {
            (false, true) => self.multiply::<true, false>(),
            (false, false) => self.multiply::<true, true>(),
            (true, true) => self.multiply::<false, false>(),
            (true, false) => self.multiply::<false, true>(),
        }
    }
}

impl<const R: usize, const V: usize, const N: usize> Product<'_, R, V, N> {
    #[inline(always)]
    fn multiply<const HALF: bool, const SHIFTED: bool>(self) {
        let zero = self.simd.avx._mm256_setzero_ps();
        let mut sums = [[[zero; R]; V]; N];
        for (place, (codes, tile)) in self.strip.codes.iter().zip(self.tiles).enumerate() {
            for (turn, sums) in sums.iter_mut().enumerate() {
                codes.0[turn * V / 2..(turn + 1) * V / 2].iter().for_each(fetch);
                let dots = self.dots(codes, turn * V, tile);
                for (part, (sums, dots)) in sums.iter_mut().zip(dots).enumerate() {
                    let part = turn * V + part;
                    self.add(sums, dots, self.scales::<HALF>(place, part), tile);
                    if SHIFTED {
                        self.shift(sums, lanes(&self.strip.shifts[place], part), tile);
                    }
                }
            }
        }
        for (part, sums) in sums.as_flattened().iter().enumerate() {
            for (sum, made) in sums.iter().zip(self.made.iter_mut()) {
                made.as_flattened_mut().as_chunks_mut::<LANES>().0[part] = cast(*sum);
            }
        }
    }

    /// The dots of the rows with the columns of `V` vectors.
    #[inline(always)]
    fn dots(&self, codes: &Codes, first: usize, tile: &Tile) -> [[__m256i; R]; V] {
        let (avx, avx2) = (self.simd.avx, self.simd.avx2);
        let (zero, half) = (avx._mm256_setzero_si256(), avx._mm256_set1_epi8(15));
        let mut pairs = [[zero; R]; V];
        for quarter in 0..4 {
            let (mut low, mut high) = ([zero; V], [zero; V]);
            for part in 0..V {
                let place = first + part;
                let codes: __m256i = cast(codes.0[place / 2][quarter].as_chunks::<32>().0[place % 2]);
                low[part] = avx2._mm256_and_si256(codes, half);
                high[part] = avx2._mm256_and_si256(avx2._mm256_srli_epi16::<4>(codes), half);
            }
            for row in 0..R {
                let words = tile.codes[self.first + row].as_chunks::<4>().0;
                for (codes, word) in [(low, words[2 * quarter]), (high, words[2 * quarter + 1])] {
                    let word = avx._mm256_set1_epi32(i32::from_ne_bytes(word.map(i8::cast_unsigned)));
                    for (pairs, codes) in pairs.iter_mut().zip(codes) {
                        pairs[row] = avx2._mm256_add_epi16(pairs[row], avx2._mm256_maddubs_epi16(codes, word));
                    }
                }
            }
        }
        let ones = avx._mm256_set1_epi16(1);
        for pairs in &mut pairs {
            for (row, pairs) in pairs.iter_mut().enumerate() {
                let start = avx._mm256_set1_epi32(tile.starts[self.first + row]);
                *pairs = avx2._mm256_add_epi32(start, avx2._mm256_madd_epi16(*pairs, ones));
            }
        }
        pairs
    }

    /// The scales of a block, of the columns of a vector.
    #[inline(always)]
    fn scales<const HALF: bool>(&self, place: usize, part: usize) -> __m256 {
        if HALF {
            self.widened(cast(self.strip.halves[place].as_flattened().as_chunks::<LANES>().0[part]))
        } else {
            lanes(&self.strip.singles[place], part)
        }
    }

    /// Finite f16: with their signs spread over what is above, they are shifted to where f32 has its fraction, and the
    /// exponent is put right by a product, which is exact.
    #[inline(always)]
    fn widened(&self, halves: __m128i) -> __m256 {
        let (avx, avx2) = (self.simd.avx, self.simd.avx2);
        let places = avx2._mm256_slli_epi32::<13>(avx2._mm256_cvtepi16_epi32(halves));
        let kept = avx._mm256_set1_epi32(0x8fff_e000_u32.cast_signed());
        avx._mm256_mul_ps(
            cast(avx2._mm256_and_si256(places, kept)),
            avx._mm256_set1_ps(f32::from_bits((127 + 112) << 23)),
        )
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
fn lanes(columns: &Columns, part: usize) -> __m256 {
    cast(columns.as_flattened().as_chunks::<LANES>().0[part])
}
