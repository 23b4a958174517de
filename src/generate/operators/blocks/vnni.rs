//! The product of a strip and a tile with AVX-512 VNNI: four products of bytes and their sum in one lane at once.
//!
//! # SAFETY
//! - A [`Vnni`] is only made where the processor has all that [`Vnni::find`] asks for, and only its method calls the
//!   functions that are compiled for them.
//! - Loads and stores take their pointers from references to arrays of exactly the vector's bytes, and need no alignment.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{
    ahead::fetch,
    tiles::{ROWS, Tile},
    vectors::Made,
    weights::{GROUP, Strip},
};

/// A processor that has what it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vnni(());

impl Vnni {
    /// None where this processor has it not.
    pub(super) fn find() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        found.then_some(Self(()))
    }

    /// The first `rows` rows of a tile times a strip.
    pub(super) fn multiply(self, strip: Strip, tiles: &[Tile], rows: usize, made: &mut Made) {
        // SAFETY: `self` shows that the processor has the features.
        unsafe {
            match rows {
                0 => {}
                1 => multiply::<1>(strip, tiles, made),
                2 => multiply::<2>(strip, tiles, made),
                3 => multiply::<3>(strip, tiles, made),
                4 => multiply::<4>(strip, tiles, made),
                5 => multiply::<5>(strip, tiles, made),
                6 => multiply::<6>(strip, tiles, made),
                7 => multiply::<7>(strip, tiles, made),
                _ => multiply::<ROWS>(strip, tiles, made),
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn multiply<const R: usize>(strip: Strip, tiles: &[Tile], made: &mut Made) {
    match (strip.halves.is_empty(), strip.shifts.is_empty()) {
        (false, true) => sums::<R, true, false>(strip, tiles, made),
        (false, false) => sums::<R, true, true>(strip, tiles, made),
        (true, true) => sums::<R, false, false>(strip, tiles, made),
        (true, false) => sums::<R, false, true>(strip, tiles, made),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn sums<const R: usize, const HALF: bool, const SHIFTED: bool>(strip: Strip, tiles: &[Tile], made: &mut Made) {
    let mut sums = [[_mm512_setzero_ps(); R]; 2];
    for (place, (codes, tile)) in strip.codes.iter().zip(tiles).enumerate() {
        for (group, sums) in sums.iter_mut().enumerate() {
            if R > 1 {
                fetch(&codes.0[group]);
            }
            let dots = dots::<R>(&codes.0[group], tile);
            let scales = match HALF {
                true => widen(&strip.halves[place][group]),
                false => load(&strip.singles[place][group]),
            };
            for ((sum, dots), of_row) in sums.iter_mut().zip(dots).zip(tile.scales) {
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(of_row));
                *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), scale, *sum);
            }
            if SHIFTED {
                let shifts = load(&strip.shifts[place][group]);
                for (sum, of_row) in sums.iter_mut().zip(tile.sums) {
                    *sum = _mm512_fmadd_ps(shifts, _mm512_set1_ps(of_row), *sum);
                }
            }
        }
    }
    for (group, sums) in sums.into_iter().enumerate() {
        for (sum, made) in sums.into_iter().zip(made.iter_mut()) {
            // SAFETY: the place has 64 bytes.
            unsafe { _mm512_storeu_ps(made[group].as_mut_ptr(), sum) };
        }
    }
}

/// The dots of some rows with the columns of a group.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn dots<const R: usize>(codes: &[[u8; 4 * GROUP]; 4], tile: &Tile) -> [__m512i; R] {
    let half = _mm512_set1_epi8(15);
    let mut dots = [_mm512_setzero_si512(); R];
    for (dots, start) in dots.iter_mut().zip(tile.starts) {
        *dots = _mm512_set1_epi32(start);
    }
    for (quarter, codes) in codes.iter().enumerate() {
        // SAFETY: the array has 64 bytes.
        let codes = unsafe { _mm512_loadu_si512(codes.as_ptr().cast()) };
        let (low, high) = (_mm512_and_si512(codes, half), _mm512_and_si512(_mm512_srli_epi16::<4>(codes), half));
        for (dots, row) in dots.iter_mut().zip(&tile.codes) {
            let words = row.as_chunks::<4>().0;
            *dots = _mm512_dpbusd_epi32(*dots, low, word(words[2 * quarter]));
            *dots = _mm512_dpbusd_epi32(*dots, high, word(words[2 * quarter + 1]));
        }
    }
    dots
}

/// Four codes in every lane.
#[target_feature(enable = "avx512f")]
#[inline]
fn word(codes: [i8; 4]) -> __m512i {
    _mm512_set1_epi32(i32::from_ne_bytes(codes.map(i8::cast_unsigned)))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(values: &[f32; GROUP]) -> __m512 {
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn widen(values: &[u16; GROUP]) -> __m512 {
    // SAFETY: the array has 32 bytes.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(values.as_ptr().cast())) }
}
