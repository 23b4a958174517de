//! Weights in fewer bits: rows of f32 in, codes and scales out, with what the rounding cost.

mod block;
mod dense;
mod grid;
mod int4;
mod int8;
mod loss;
mod restore;
mod turned;

pub use dense::write_dense;
pub use int4::{Int4, Int4Rows, int4_rows};
pub use int8::int8_rows;
pub use loss::{Loss, Losses};
pub use restore::restored;
pub use turned::{aside, turn, write_turned};

/// Weights that share one scale in 4 bits.
pub const BLOCK: usize = 32;

/// 0 for a block of zeros, whose scale is 0, and for scales too small to have an inverse.
fn inverse(scale: f32) -> f32 {
    let inverse = 1.0 / scale;
    if inverse.is_finite() { inverse } else { 0.0 }
}
