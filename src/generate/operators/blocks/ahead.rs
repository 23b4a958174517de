//! Weights are asked for before they are wanted: processors do not look far enough ahead by themselves where several rows
//! share them, and those without AVX-512 not for one row either.
//!
//! # SAFETY
//! The instruction is a hint: it reads nothing that the program could see, and never faults, wherever its address points. It
//! belongs to SSE, which every x86-64 has.
#![allow(unsafe_code)]

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::weights::GROUP;

/// How far ahead.
const BYTES: usize = 2048;

/// Asks for what stands some blocks behind a group.
#[inline(always)]
pub(super) fn fetch(codes: &[[u8; 4 * GROUP]; 4]) {
    for line in codes {
        // SAFETY: see above.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(BYTES).cast()) };
    }
}
