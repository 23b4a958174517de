//! Rows in 8 bits: `scale * code`, codes from -127 to 127, one scale per row.

use std::io;

use rayon::prelude::*;

use super::{BLOCK, Loss, dense::check_finite, inverse};

/// Rows of `width` values in 8 bits. Returns codes, one scale per row, and what the rounding cost.
pub fn int8_rows(name: &str, values: &[f32], width: usize) -> io::Result<(Vec<i8>, Vec<f32>, Loss)> {
    check_finite(name, values)?;
    let mut codes = vec![0; values.len()];
    let rows = codes.par_chunks_mut(width).zip(values.par_chunks(width));
    let (scales, losses): (Vec<f32>, Vec<Loss>) = rows.map(|(codes, row)| int8_row(row, codes)).unzip();
    Ok((codes, scales, losses.into_iter().fold(Loss::default(), Loss::plus)))
}

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
        loss = loss.plus(Loss::of(error, size));
    }
    (scale, loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_are_within_half_a_step() {
        let values: Vec<f32> = (0..64).map(|place| (place as f32 * 0.7).sin()).collect();
        let (codes, scales, loss) = int8_rows("w", &values, 64).unwrap();
        let near = |(code, value): (&i8, &f32)| (f32::from(*code) * scales[0] - value).abs() <= 0.51 * scales[0];
        assert!(codes.iter().zip(&values).all(near) && loss.relative() < 0.01);
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_by_the_name_of_its_tensor() {
        let error = int8_rows("layers.3.up", &[f32::INFINITY; 32], 32).err().unwrap();
        assert!(error.to_string().contains("layers.3.up"));
    }
}
