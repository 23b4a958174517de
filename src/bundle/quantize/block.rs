//! One block of 32 weights and how well a scale and a zero point fit it.

use half::f16;

use super::{BLOCK, inverse};
use crate::bundle::graph::Element;

/// 32 weights; a row that ends within a block is filled up with zeros, which cost nothing.
pub(super) type Block = [f32; BLOCK];

/// Sums run in as many lanes, so that the compiler may use vectors.
const LANES: usize = 8;

/// Added and taken away again, it rounds to the nearest whole number (ties to even) without a call.
pub(super) const ROUNDING: f32 = 12_582_912.0;

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
    /// Evaluates a scale as it will be stored.
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
        let (mut products, mut squares) = ([0.0; LANES], [0.0; LANES]);
        for part in block.as_chunks::<LANES>().0 {
            for (lane, &value) in part.iter().enumerate() {
                let steps = steps(value, inverse, self.zero);
                products[lane] += value * steps;
                squares[lane] += steps * steps;
            }
        }
        let (product, square): (f32, f32) = (products.iter().sum(), squares.iter().sum());
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

/// The code of a value, less the zero point. `f32::clamp` and `f32::max` ask about NaN, which halves the speed.
#[inline(always)]
fn steps(value: f32, inverse: f32, zero: f32) -> f32 {
    let (lowest, highest) = (-zero, 15.0 - zero);
    let wanted = value * inverse;
    let wanted = if wanted < lowest { lowest } else { wanted };
    let wanted = if wanted > highest { highest } else { wanted };
    (wanted + ROUNDING) - ROUNDING
}

/// Scales that are kept in f32 are numbers of f16 nevertheless, which costs their weights 2^-12 at most, so that our own
/// products can read them in half the bytes; where f16 is coarser than that they stay as they are.
fn as_stored(scale: f32, stored: Element) -> f32 {
    let near = f16::from_f32(scale);
    if stored == Element::F16 || near.is_normal() { near.to_f32() } else { scale }
}

/// The lowest and the highest value, and zero among them.
pub(super) fn range(block: &Block) -> (f32, f32) {
    let (mut lows, mut highs) = ([0.0; LANES], [0.0; LANES]);
    for part in block.as_chunks::<LANES>().0 {
        for (lane, &value) in part.iter().enumerate() {
            lows[lane] = if value < lows[lane] { value } else { lows[lane] };
            highs[lane] = if value > highs[lane] { value } else { highs[lane] };
        }
    }
    (lows.into_iter().fold(0.0, f32::min), highs.into_iter().fold(0.0, f32::max))
}

/// The sum of a term over the block.
#[inline(always)]
pub(super) fn lanes(block: &Block, term: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    for part in block.as_chunks::<LANES>().0 {
        for (sum, &value) in sums.iter_mut().zip(part) {
            *sum += term(value);
        }
    }
    sums.iter().sum()
}
