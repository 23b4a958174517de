//! One block of 32 weights and how well a scale and a zero point fit it.

use half::f16;

use super::{BLOCK, inverse};
use crate::bundle::graph::Element;

/// 32 weights; a row that ends within a block is filled up with zeros, which cost nothing.
pub(super) type Block = [f32; BLOCK];

/// Sums run in as many lanes, so that the compiler may use vectors.
const LANES: usize = 8;

/// Added and taken away again, it rounds to the nearest whole number (ties to even) without a call.
const ROUNDING: f32 = 12_582_912.0;

/// The middle of the codes, the zero point of symmetric blocks.
pub(super) const MIDDLE: f32 = 8.0;

/// Codes stand for `scale * (code - zero)`, codes from 0 to 15.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fit {
    /// As it will be stored.
    pub scale: f32,
    /// 0 to 15, whole.
    pub zero: f32,
    /// Sum of squares.
    pub error: f32,
}

impl Fit {
    /// Evaluates a scale after rounding it to the type in which it will be stored.
    pub fn of(block: &Block, scale: f32, zero: f32, stored: Element) -> Self {
        let scale = as_stored(scale, stored);
        let inverse = inverse(scale);
        let error = lanes(block, |value| {
            let difference = value - scale * steps(value, inverse, zero);
            difference * difference
        });
        Self { scale, zero, error }
    }

    /// The one with the smaller error, this one when both are alike.
    pub fn or(self, other: Self) -> Self {
        if other.error < self.error { other } else { self }
    }

    /// With the scale that suits these codes best, `<w, c> / <c, c>`, where that is better.
    pub fn refined(self, block: &Block, stored: Element) -> Self {
        let inverse = inverse(self.scale);
        let product = lanes(block, |value| value * steps(value, inverse, self.zero));
        let square = lanes(block, |value| {
            let steps = steps(value, inverse, self.zero);
            steps * steps
        });
        if self.error == 0.0 || square == 0.0 {
            return self;
        }
        self.or(Self::of(block, product / square, self.zero, stored))
    }

    /// Packs the codes, low nibble first.
    pub fn pack(self, block: &Block, bytes: &mut [u8]) {
        let inverse = inverse(self.scale);
        let code = |value: f32| (steps(value, inverse, self.zero) + self.zero) as u8;
        for (pair, byte) in block.as_chunks::<2>().0.iter().zip(bytes) {
            *byte = code(pair[0]) | code(pair[1]) << 4;
        }
    }
}

/// The code of a value, less the zero point.
fn steps(value: f32, inverse: f32, zero: f32) -> f32 {
    let wanted = (value * inverse).clamp(-zero, 15.0 - zero);
    (wanted + ROUNDING) - ROUNDING
}

fn as_stored(scale: f32, stored: Element) -> f32 {
    match stored {
        Element::F16 => f16::from_f32(scale).to_f32(),
        _ => scale,
    }
}

/// The sum of a term over the block.
pub(super) fn lanes(block: &Block, term: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    for part in block.as_chunks::<LANES>().0 {
        for (sum, &value) in sums.iter_mut().zip(part) {
            *sum += term(value);
        }
    }
    sums.iter().sum()
}
