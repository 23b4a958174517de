//! Rows in 4 bits: blocks of 32 share a scale and, when they are asymmetric, a zero point.
//!
//! The scale is the best of a few that are tried, then refined to the one that suits its codes best. Blocks that lie
//! on a grid of 4 bits keep it ([`super::grid`]).

use std::io;

use rayon::prelude::*;

use super::{
    BLOCK, Loss,
    block::{Block, Fit, MIDDLE, lanes, range},
    dense::check_finite,
    grid,
};
use crate::bundle::graph::Element;

/// How blocks of 4 bits are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Int4 {
    /// f16 or f32.
    pub scales: Element,
    /// Each block has a zero point of its own; else it is 8.
    pub asymmetric: bool,
}

/// Rows in 4 bits: block `b` of a row is `scale[b] * (code - zero[b])`, low nibble first.
pub struct Int4Rows {
    /// Codes, row by row.
    pub codes: Vec<u8>,
    /// Scales, row by row; the last block of a row may be short.
    pub scales: Vec<f32>,
    /// Zero points, row by row, two to a byte, low nibble first; empty for symmetric blocks.
    pub zeros: Vec<u8>,
    /// What the rounding cost.
    pub loss: Loss,
}

/// Rounds rows of `width` values to 4 bits; `row_bytes` of codes are kept for each row.
pub fn int4_rows(name: &str, values: &[f32], width: usize, row_bytes: usize, form: Int4) -> io::Result<Int4Rows> {
    check_finite(name, values)?;
    let (rows, blocks) = (values.len() / width, width.div_ceil(BLOCK));
    let mut codes = vec![0; rows * row_bytes];
    let mut fits = vec![(0.0, 0); rows * blocks];
    let work = codes.par_chunks_mut(row_bytes).zip(fits.par_chunks_mut(blocks)).zip(values.par_chunks(width));
    let losses = work.map(|((codes, fits), row)| int4_row(row, codes, fits, form));
    let loss = losses.reduce(Loss::default, Loss::plus);
    let zeros = if form.asymmetric { packed_zeros(&fits, blocks) } else { Vec::new() };
    Ok(Int4Rows { codes, scales: fits.into_iter().map(|(scale, _)| scale).collect(), zeros, loss })
}

fn packed_zeros(fits: &[(f32, u8)], blocks: usize) -> Vec<u8> {
    let pack = |pair: &[(f32, u8)]| pair[0].1 | pair.get(1).map_or(0, |second| second.1 << 4);
    fits.chunks(blocks).flat_map(|row| row.chunks(2).map(pack)).collect()
}

fn int4_row(row: &[f32], codes: &mut [u8], fits: &mut [(f32, u8)], form: Int4) -> Loss {
    // What the caller keeps behind the last block stands for zeros.
    codes.fill(0x88);
    let blocks = codes.chunks_mut(BLOCK / 2).zip(row.chunks(BLOCK)).zip(fits);
    blocks.map(|((codes, values), fit)| int4_block(values, codes, fit, form)).fold(Loss::default(), Loss::plus)
}

fn int4_block(values: &[f32], codes: &mut [u8], place: &mut (f32, u8), form: Int4) -> Loss {
    let mut block = [0.0; BLOCK];
    block[..values.len()].copy_from_slice(values);
    let fit = fit(&block, form);
    fit.pack(&block, codes);
    *place = (fit.scale, fit.zero as u8);
    Loss::of(fit.error, lanes(&block, |value| value * value))
}

/// The value of largest size gets one of these codes, less 8: -8 uses the whole range, others trade it for finer steps
/// or a fair share of both signs. On normal weights the relative error is 0.0804 with these four, 0.0827 with -8 alone,
/// 0.0797 with sixteen.
const EXTREMES: [f32; 4] = [-8.0, -8.7, -7.3, 7.3];

fn fit(block: &Block, form: Int4) -> Fit {
    let (low, high) = range(block);
    let extreme = if -low > high { low } else { high };
    if let Some(step) = grid::step(block, extreme) {
        return Fit::of(block, step, MIDDLE, form.scales).refined(block, form.scales);
    }
    let symmetric = symmetric(block, extreme, form.scales);
    if form.asymmetric { symmetric.or(asymmetric(block, form.scales)) } else { symmetric }
}

fn symmetric(block: &Block, extreme: f32, stored: Element) -> Fit {
    let tried = EXTREMES.iter().map(|code| Fit::of(block, extreme / code, MIDDLE, stored));
    tried.reduce(Fit::or).unwrap_or(Fit::of(block, 0.0, MIDDLE, stored)).refined(block, stored)
}

/// Shares of a block's range that are tried: what lies beyond is cut off for finer steps inside.
const SHARES: [f32; 4] = [1.0, 0.94, 0.88, 0.82];

fn asymmetric(block: &Block, stored: Element) -> Fit {
    let (low, high) = range(block);
    let whole = (high - low) / 15.0;
    let tried = SHARES.iter().map(|share| {
        let scale = whole * share;
        let zero = (-low * share / scale.max(f32::MIN_POSITIVE)).round().clamp(0.0, 15.0);
        Fit::of(block, scale, zero, stored)
    });
    let best = tried.reduce(Fit::or).unwrap_or(Fit::of(block, 0.0, MIDDLE, stored));
    best.refined(block, stored)
}

#[cfg(test)]
mod tests;
