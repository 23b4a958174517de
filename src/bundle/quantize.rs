//! Weights in fewer bits: rows of f32 in, codes and scales out, with what the rounding cost.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use half::f16;
use rayon::prelude::*;

use super::{checkpoint::Tensor, graph::Element};
use crate::base::Fatal;

/// Weights that share one scale in 4 bits.
pub const BLOCK: usize = 32;

/// Squared error and squared size of the weights of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loss {
    error: f64,
    size: f64,
}

impl Loss {
    /// The norm of the error over the norm of the weights.
    pub fn relative(self) -> f64 {
        if self.size > 0.0 { (self.error / self.size).sqrt() } else { 0.0 }
    }

    fn plus(self, other: Self) -> Self {
        Self { error: self.error + other.error, size: self.size + other.size }
    }
}

/// What quantisation cost, by kind of tensor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Losses(pub BTreeMap<&'static str, Loss>);

impl Losses {
    /// Counts one tensor, or a part of one.
    pub fn add(&mut self, kind: &'static str, loss: Loss) {
        let entry = self.0.entry(kind).or_default();
        *entry = entry.plus(loss);
    }

    /// Counts all of another tally.
    pub fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(kind, loss)| self.add(kind, loss));
    }
}

/// Rows in 4 bits: block `b` of a row is `scale[b] * (code - 8)`, low nibble first.
pub struct Int4Rows {
    /// Codes, row by row.
    pub codes: Vec<u8>,
    /// Scales, row by row; the last block of a row may be short.
    pub scales: Vec<f32>,
    /// What the rounding cost.
    pub loss: Loss,
}

/// Rounds rows of `width` values to 4 bits; `row_bytes` of codes are kept for each row.
pub fn int4_rows(name: &str, values: &[f32], width: usize, row_bytes: usize) -> io::Result<Int4Rows> {
    check_finite(name, values)?;
    let blocks = width.div_ceil(BLOCK);
    let mut codes = vec![0; values.len() / width * row_bytes];
    let mut scales = vec![0.0; values.len() / width * blocks];
    let rows = codes.par_chunks_mut(row_bytes).zip(scales.par_chunks_mut(blocks)).zip(values.par_chunks(width));
    let losses = rows.map(|((codes, scales), row)| int4_row(row, codes, scales));
    let loss = losses.reduce(Loss::default, Loss::plus);
    Ok(Int4Rows { codes, scales, loss })
}

fn int4_row(row: &[f32], codes: &mut [u8], scales: &mut [f32]) -> Loss {
    // A row that ends within a block is filled up with the code of zero.
    codes.fill(0x88);
    let blocks = codes.chunks_mut(BLOCK / 2).zip(row.chunks(BLOCK)).zip(scales);
    blocks.map(|((codes, block), scale)| int4_block(block, codes, scale)).fold(Loss::default(), Loss::plus)
}

/// The scales that are tried: the value of largest size gets one of these codes (less 8). -8 uses the whole
/// range, the others trade it for finer steps or a fair share of both signs.
const EXTREMES: [f32; 5] = [-8.0, -7.5, -7.0, 7.0, -9.0];

fn int4_block(block: &[f32], codes: &mut [u8], scale: &mut f32) -> Loss {
    let extreme = block.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a });
    let tried = EXTREMES.map(|code| (int4_error(block, extreme / code), extreme / code));
    let (error, best) = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
    *scale = best;
    let inverse = inverse(best);
    for (pair, byte) in block.chunks(2).zip(codes) {
        let high = pair.get(1).map_or(8, |&value| int4_code(value, inverse));
        *byte = int4_code(pair[0], inverse) | high << 4;
    }
    let size: f32 = block.iter().map(|value| value * value).sum();
    Loss { error: f64::from(error), size: f64::from(size) }
}

fn int4_error(block: &[f32], scale: f32) -> f32 {
    let inverse = inverse(scale);
    let error = |&value: &f32| value - scale * (f32::from(int4_code(value, inverse)) - 8.0);
    block.iter().map(error).map(|error| error * error).sum()
}

/// 0 to 15, standing for -8 to 7 scales. Adding a half and cutting off rounds, and takes no call to `round`.
fn int4_code(value: f32, inverse: f32) -> u8 {
    (value * inverse + 8.5).clamp(0.0, 15.0) as u8
}

/// 0 for a block of zeros, whose scale is 0, and for scales too small to have an inverse.
fn inverse(scale: f32) -> f32 {
    let inverse = 1.0 / scale;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// One row in 8 bits: `scale * code`, codes from -127 to 127. Returns the scale.
fn int8_row(row: &[f32], codes: &mut [i8]) -> (f32, Loss) {
    let largest = row.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
    let scale = largest / 127.0;
    let inverse = inverse(scale);
    let mut loss = Loss::default();
    for (values, codes) in row.chunks(BLOCK).zip(codes.chunks_mut(BLOCK)) {
        let (mut error, mut size) = (0.0, 0.0);
        for (&value, code) in values.iter().zip(codes) {
            *code = ((value * inverse + 128.5) as i16 - 128).clamp(-127, 127) as i8;
            let difference = value - scale * f32::from(*code);
            error += difference * difference;
            size += value * value;
        }
        loss = loss.plus(Loss { error: f64::from(error), size: f64::from(size) });
    }
    (scale, loss)
}

/// Rows of `width` values in 8 bits, with one scale per row.
pub fn int8_rows(name: &str, values: &[f32], width: usize) -> io::Result<(Vec<i8>, Vec<f32>, Loss)> {
    check_finite(name, values)?;
    let mut codes = vec![0; values.len()];
    let rows = codes.par_chunks_mut(width).zip(values.par_chunks(width));
    let (scales, losses): (Vec<f32>, Vec<Loss>) = rows.map(|(codes, row)| int8_row(row, codes)).unzip();
    Ok((codes, scales, losses.into_iter().fold(Loss::default(), Loss::plus)))
}

/// A whole weight `[outputs, inputs]` as codes `[inputs, outputs]` and one scale per output. The codes are held in
/// memory, because the product wants them transposed: one byte per weight.
pub fn int8_columns(tensor: &Tensor) -> Result<(Vec<u8>, Vec<f32>, Loss), Fatal> {
    let (outputs, inputs) = (tensor.rows(), tensor.row_length());
    let (mut transposed, mut scales, mut loss) =
        (vec![0; outputs * inputs], Vec::with_capacity(outputs), Loss::default());
    for chunk in tensor.chunks() {
        let (first, values) = chunk?;
        let (codes, row_scales, more) = int8_rows(tensor.name(), &values, inputs).map_err(not_finite)?;
        transposed.par_chunks_mut(outputs).enumerate().for_each(|(input, column)| {
            let codes = codes.iter().skip(input).step_by(inputs);
            column[first..].iter_mut().zip(codes).for_each(|(place, &code)| *place = code.cast_unsigned());
        });
        scales.extend(row_scales);
        loss = loss.plus(more);
    }
    Ok((transposed, scales, loss))
}

fn not_finite(error: io::Error) -> Fatal {
    super::draft::write_fatal(std::path::Path::new(""), error)
}

fn check_finite(name: &str, values: &[f32]) -> io::Result<()> {
    if values.par_iter().with_min_len(1 << 16).all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(io::Error::other(Fatal::new(
        format!("tensor `{name}` holds a value that is not a finite number"),
        "the checkpoint is damaged, or was not trained to the end",
    )))
}

/// Writes floats as `element`. A value that the element cannot hold is an error.
pub fn write_dense(out: &mut dyn Write, name: &str, values: &[f32], element: Element) -> io::Result<()> {
    match element {
        Element::F16 => {
            check_f16(name, values)?;
            put(out, values, |value| f16::from_f32(value).to_le_bytes())
        }
        _ => put(out, values, f32::to_le_bytes),
    }
}

fn put<const N: usize>(out: &mut dyn Write, values: &[f32], bytes: impl Fn(f32) -> [u8; N] + Sync) -> io::Result<()> {
    let mut buffer = vec![0; values.len() * N];
    let places = buffer.as_chunks_mut::<N>().0.par_iter_mut().with_min_len(1 << 16);
    places.zip(values).for_each(|(place, &value)| *place = bytes(value));
    out.write_all(&buffer)
}

fn check_f16(name: &str, values: &[f32]) -> io::Result<()> {
    let outside = values
        .par_iter()
        .with_min_len(1 << 16)
        .find_any(|value| value.is_finite() && !f16::from_f32(**value).is_finite());
    outside.map_or(Ok(()), |value| {
        Err(io::Error::other(Fatal::new(
            format!("tensor `{name}` holds {value}, which f16 cannot hold"),
            "export with --dtype f32",
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(rows: &Int4Rows, place: usize) -> f32 {
        let byte = rows.codes[place / 2];
        let code = if place.is_multiple_of(2) { byte & 15 } else { byte >> 4 };
        rows.scales[place / BLOCK] * (f32::from(code) - 8.0)
    }

    #[test]
    fn zeros_and_numbers_near_zero_stay_zero_in_both_widths() {
        let values = [vec![0.0; 32], vec![1e-42; 32]].concat();
        let rows = int4_rows("w", &values, 64, 32).unwrap();
        assert!((0..64).all(|place| restored(&rows, place) == 0.0));
        let (codes, _, _) = int8_rows("w", &values, 64).unwrap();
        assert!(codes.iter().all(|&code| code == 0));
    }

    #[test]
    fn a_row_that_ends_within_a_block_is_filled_with_zeros() {
        let rows = int4_rows("w", &[0.5; 37], 37, 32).unwrap();
        assert_eq!(rows.scales.len(), 2);
        assert!((0..37).all(|place| (restored(&rows, place) - 0.5).abs() < 1e-6));
        assert!((37..64).all(|place| restored(&rows, place) == 0.0));
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_by_the_name_of_its_tensor() {
        let error = int4_rows("layers.3.up", &[f32::NAN; 32], 32, 16).err().unwrap();
        assert!(error.to_string().contains("layers.3.up"));
        assert!(int8_rows("w", &[f32::INFINITY; 32], 32).is_err());
    }

    #[test]
    fn eight_bits_are_within_half_a_step() {
        let values: Vec<f32> = (0..64).map(|place| (place as f32 * 0.7).sin()).collect();
        let (codes, scales, loss) = int8_rows("w", &values, 64).unwrap();
        let near = |(code, value): (&i8, &f32)| (f32::from(*code) * scales[0] - value).abs() <= 0.51 * scales[0];
        assert!(codes.iter().zip(&values).all(near) && loss.relative() < 0.01);
    }
}
