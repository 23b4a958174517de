//! A prompt as the tensors of a safetensors file, under the names that `lapidary encode` writes and `lapidary model eval`
//! reads.
//!
//! `input_ids` i64 `[1, S]`; with pictures `pixel_values` f32 `[n, P, 768]` and `pixel_position_ids` i64 `[n, P, 2]`,
//! shorter pictures padded with 0 and positions -1; with sound `input_features` f32 `[m, T, 128]` and
//! `input_features_mask` u8 `[m, T]`.

use std::borrow::Cow;

use safetensors::{Dtype, View};

use super::{ImagePatches, LogMel, Prompt};

/// A tensor that owns its bytes, little-endian.
pub struct Flat {
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements, row-major.
    pub bytes: Vec<u8>,
}

impl Flat {
    /// A tensor of i64.
    pub fn i64(shape: Vec<usize>, values: impl Iterator<Item = i64>) -> Self {
        Self { dtype: Dtype::I64, shape, bytes: values.flat_map(i64::to_le_bytes).collect() }
    }

    /// A tensor of f32.
    pub fn f32(shape: Vec<usize>, values: impl Iterator<Item = f32>) -> Self {
        Self { dtype: Dtype::F32, shape, bytes: values.flat_map(f32::to_le_bytes).collect() }
    }

    /// A tensor of u8, 1 for true.
    pub fn mask(shape: Vec<usize>, values: impl Iterator<Item = bool>) -> Self {
        Self { dtype: Dtype::U8, shape, bytes: values.map(u8::from).collect() }
    }
}

impl View for Flat {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The tensors of a prompt, without those that it has nothing for.
pub fn tensors(prompt: &Prompt) -> Vec<(&'static str, Flat)> {
    let ids = prompt.tokens.iter().map(|id| i64::from(*id));
    let mut tensors = vec![("input_ids", Flat::i64(vec![1, prompt.tokens.len()], ids))];
    if !prompt.images.is_empty() {
        tensors.extend(pictures(&prompt.images));
    }
    if !prompt.clips.is_empty() {
        tensors.extend(clips(&prompt.clips));
    }
    tensors
}

fn pictures(images: &[ImagePatches]) -> [(&'static str, Flat); 2] {
    let most = images.iter().map(|image| image.pixels.nrows()).max().unwrap_or_default();
    let pixels = images.iter().flat_map(|image| padded(image.pixels.iter(), most * 768, 0.0));
    let positions = images.iter().flat_map(|image| padded(image.positions.iter(), most * 2, -1));
    [
        ("pixel_values", Flat::f32(vec![images.len(), most, 768], pixels)),
        ("pixel_position_ids", Flat::i64(vec![images.len(), most, 2], positions)),
    ]
}

fn clips(clips: &[LogMel]) -> [(&'static str, Flat); 2] {
    let most = clips.iter().map(|clip| clip.mask.len()).max().unwrap_or_default();
    let features = clips.iter().flat_map(|clip| padded(clip.features.iter(), most * 128, 0.0));
    let mask = clips.iter().flat_map(|clip| padded(clip.mask.iter(), most, false));
    let mask = Flat::mask(vec![clips.len(), most], mask);
    [("input_features", Flat::f32(vec![clips.len(), most, 128], features)), ("input_features_mask", mask)]
}

fn padded<'a, T: Copy + 'a>(
    values: impl ExactSizeIterator<Item = &'a T>,
    length: usize,
    padding: T,
) -> impl Iterator<Item = T> {
    let missing = length - values.len();
    values.copied().chain(std::iter::repeat_n(padding, missing))
}
