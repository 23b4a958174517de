//! What a bundle makes of the checkpoint's weights when it stores them: rows of f32 in, the rows that its graphs
//! compute with out.

use std::path::Path;

use ndarray::Array2;

use crate::{
    base::Fatal,
    bundle::{
        Format, Precision,
        draft::write_fatal,
        precision,
        quantize::{BLOCK, restored},
    },
};

/// The part of the model that a weight belongs to; a bundle stores each in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Linear maps of the decoder's layers.
    Decoder,
    /// The head.
    Head,
    /// The experts of a mixture.
    Experts,
    /// The table of embeddings.
    Embedding,
    /// The table of per-layer inputs, whose rows hold one embedding of this width for each layer.
    PerLayerEmbedding(usize),
    /// Linear maps of the vision encoder's layers.
    Vision,
    /// What stands around them: the patches' embedding, the tables of places, the projector.
    AroundVision,
    /// Linear maps of the audio encoder's layers.
    Audio,
    /// What stands around them: convolutions, subsampling, the keys of distances, the projectors.
    AroundAudio,
}

/// How the weights are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As the checkpoint holds them.
    Original,
    /// As a bundle of this precision holds them.
    Bundle(Precision),
}

impl Storage {
    /// Rows of `width` values of the tensor `name`, as they are seen.
    ///
    /// # Errors
    /// When the format cannot hold a value.
    pub fn rows(self, part: Part, name: &str, rows: Vec<f32>, width: usize) -> Result<Vec<f32>, Fatal> {
        let Self::Bundle(precision) = self else { return Ok(rows) };
        let format = part.format(precision);
        // In 8 bits each embedding of the row has a scale of its own.
        let width = match (format, part) {
            (Format::Int8, Part::PerLayerEmbedding(width)) => width,
            _ => width,
        };
        restored(format, name, &rows, width, precision.dtype.element())
            .map_err(|error| write_fatal(Path::new(name), error))
    }
}

impl Part {
    fn format(self, precision: Precision) -> Format {
        match self {
            Self::Decoder => precision.of(precision::Part::Decoder),
            Self::Head => precision.of(precision::Part::Head),
            Self::Experts => precision.of(precision::Part::Experts),
            Self::Embedding => precision.of(precision::Part::Embedding),
            Self::PerLayerEmbedding(_) => precision.of(precision::Part::PerLayerEmbedding),
            Self::Vision => precision.of(precision::Part::Vision),
            Self::AroundVision => precision.around(precision::Part::Vision),
            Self::Audio => precision.of(precision::Part::Audio),
            Self::AroundAudio => precision.around(precision::Part::Audio),
        }
    }
}

impl Storage {
    /// What a map of this part is applied to, as the bundle's graphs see it: 8-bit maps round every row by its largest
    /// value, 4-bit maps every block of a row, as `accuracy_level` 4 of MatMulNBits does.
    pub fn operand(self, part: Part, x: &Array2<f32>) -> Array2<f32> {
        let Self::Bundle(precision) = self else { return x.clone() };
        let (together, steps): (usize, fn(f32, f32) -> f32) = match (part.format(precision), part) {
            (Format::F32 | Format::F16, _) => return x.clone(),
            (Format::Int8, _) => (x.ncols(), |value, largest| value / (largest / 127.0)),
            // Experts in 4 bits are widened before they are applied.
            (Format::Int4 | Format::Int4Asymmetric, Part::Experts) => return x.clone(),
            // The other way round as above: values that were 4 bits before often lie halfway between two steps.
            (Format::Int4 | Format::Int4Asymmetric, _) => (BLOCK, |value, largest| value * (127.0 / largest)),
        };
        let mut rounded = x.clone();
        for mut row in rounded.rows_mut() {
            row.as_slice_mut().unwrap_or_default().chunks_mut(together).for_each(|values| round(values, steps));
        }
        rounded
    }
}

/// Rounds values to 127 steps on either side of 0.
fn round(values: &mut [f32], steps: fn(f32, f32) -> f32) {
    let largest = values.iter().fold(1e-30, |largest: f32, value| largest.max(value.abs()));
    values.iter_mut().for_each(|value| *value = steps(*value, largest).round_ties_even() * (largest / 127.0));
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::bundle::{Dtype, Quantize};

    fn seen(dtype: Dtype, quantize: Quantize, part: Part, rows: &[f32], width: usize) -> Vec<f32> {
        Storage::Bundle(Precision::uniform(dtype, quantize)).rows(part, "w", rows.to_vec(), width).unwrap()
    }

    #[test]
    fn what_a_format_can_hold_comes_back_as_it_was() {
        let rows: Vec<f32> = (0..74).map(|place| (place % 16) as f32 - 8.0).collect();
        assert_eq!(seen(Dtype::F16, Quantize::None, Part::Head, &rows, 37), rows);
        assert_eq!(seen(Dtype::F32, Quantize::Int4, Part::Experts, &rows, 37), rows);
        let rows = [127.0, -3.0, 64.0, 254.0, 2.0, -254.0];
        assert_eq!(seen(Dtype::F32, Quantize::Int8, Part::Decoder, &rows, 3), rows);
    }

    #[test]
    fn encoders_are_rounded_to_the_dtype_alone() {
        let rows = [0.1, 1.0, 3.0];
        assert_eq!(seen(Dtype::F32, Quantize::Int4, Part::Vision, &rows, 3), rows);
        assert_eq!(seen(Dtype::F16, Quantize::Int4, Part::Audio, &rows, 3)[0], f16::from_f32(0.1).to_f32());
    }

    #[test]
    fn per_layer_embeddings_have_a_scale_each_in_8_bits() {
        let rows = [127.0, 3.0, 12_700.0, 100.0];
        assert_eq!(seen(Dtype::F32, Quantize::Int8, Part::PerLayerEmbedding(2), &rows, 4), rows);
        assert_ne!(seen(Dtype::F32, Quantize::Int8, Part::Embedding, &rows, 4), rows);
    }
}
