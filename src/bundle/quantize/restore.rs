//! The weights that codes stand for: rows rounded and restored, to compare with what a graph computes.

use std::io;

use half::f16;

use super::{BLOCK, Int4, Int4Rows, int4_rows, int8_rows};
use crate::bundle::{Format, graph::Element};

/// Rows of `width` values as a bundle keeps them in that format. `scales` is the type of the scales of 4 bits.
pub fn restored(format: Format, name: &str, values: &[f32], width: usize, scales: Element) -> io::Result<Vec<f32>> {
    match format {
        Format::F32 => Ok(values.to_vec()),
        Format::F16 => Ok(values.iter().map(|&value| f16::from_f32(value).to_f32()).collect()),
        Format::Int8 => {
            let (codes, scales, _) = int8_rows(name, values, width)?;
            let rows = codes.chunks(width).zip(scales);
            Ok(rows.flat_map(|(row, scale)| row.iter().map(move |&code| f32::from(code) * scale)).collect())
        }
        Format::Int4 | Format::Int4Asymmetric => {
            let form = Int4 { scales, asymmetric: format == Format::Int4Asymmetric };
            Ok(int4_rows(name, values, width, width.div_ceil(2), form)?.values(width))
        }
    }
}

impl Int4Rows {
    /// The values of all rows, `width` to a row.
    pub fn values(&self, width: usize) -> Vec<f32> {
        let blocks = width.div_ceil(BLOCK);
        let rows = self.scales.len() / blocks;
        (0..rows).flat_map(|row| (0..width).map(move |column| (row, column))).map(|at| self.value(at, rows)).collect()
    }

    fn value(&self, (row, column): (usize, usize), rows: usize) -> f32 {
        let (blocks, block) = (self.scales.len() / rows, column / BLOCK);
        let code = nibble(&self.codes[row * self.codes.len() / rows..], column);
        let zero = match self.zeros.is_empty() {
            true => 8,
            false => nibble(&self.zeros[row * blocks.div_ceil(2)..], block),
        };
        self.scales[row * blocks + block] * f32::from(code.cast_signed() - zero.cast_signed())
    }
}

fn nibble(bytes: &[u8], place: usize) -> u8 {
    if place.is_multiple_of(2) { bytes[place / 2] & 15 } else { bytes[place / 2] >> 4 }
}
