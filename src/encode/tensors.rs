//! `lapidary encode`: what the model would receive, as a safetensors file that anyone can look into.
//!
//! Of one unit: `input_ids` i64 `[1, S]`; with pictures `pixel_values` f32 `[n, P, 768]` and `pixel_position_ids` i64
//! `[n, P, 2]`, shorter pictures padded with 0 and positions -1; with sound `input_features` f32 `[m, T, 128]` and
//! `input_features_mask` u8 `[m, T]`. Of several units the names begin with `unit0.`, `unit1.` and so on. The metadata
//! say which unit is whose.

use std::{borrow::Cow, collections::HashMap, path::Path};

use safetensors::{Dtype, View};

use crate::base::{Fatal, ImagePatches, LogMel, Origin, Prompt};

/// Writes the prompts of some units.
pub fn write(path: &Path, units: &[(Origin, Prompt)]) -> Result<(), Fatal> {
    let (mut tensors, mut metadata) = (Vec::new(), HashMap::new());
    for (number, (origin, prompt)) in units.iter().enumerate() {
        let prefix = if units.len() == 1 { String::new() } else { format!("unit{number}.") };
        metadata.extend(facts(&prefix, origin, prompt));
        tensors.extend(tensors_of(prompt).into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)));
    }
    safetensors::serialize_to_file(tensors, Some(metadata), path)
        .map_err(|error| Fatal::new(format!("cannot write `{}`: {error}", path.display()), "choose another --output"))
}

/// A tensor that owns its bytes, little-endian.
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Tensor {
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

impl Tensor {
    fn i64(shape: Vec<usize>, values: impl Iterator<Item = i64>) -> Self {
        Self { dtype: Dtype::I64, shape, bytes: values.flat_map(i64::to_le_bytes).collect() }
    }

    fn f32(shape: Vec<usize>, values: impl Iterator<Item = f32>) -> Self {
        Self { dtype: Dtype::F32, shape, bytes: values.flat_map(f32::to_le_bytes).collect() }
    }
}

fn facts(prefix: &str, origin: &Origin, prompt: &Prompt) -> [(String, String); 4] {
    let source = &origin.source;
    [
        (format!("{prefix}source"), source.name.clone()),
        (format!("{prefix}hash"), source.hash.to_string()),
        (format!("{prefix}part"), origin.part.to_string()),
        (format!("{prefix}budget"), prompt.budget.to_string()),
    ]
}

fn tensors_of(prompt: &Prompt) -> Vec<(&'static str, Tensor)> {
    let ids = prompt.tokens.iter().map(|id| i64::from(*id));
    let mut tensors = vec![("input_ids", Tensor::i64(vec![1, prompt.tokens.len()], ids))];
    if !prompt.images.is_empty() {
        tensors.extend(pictures(&prompt.images));
    }
    if !prompt.clips.is_empty() {
        tensors.extend(clips(&prompt.clips));
    }
    tensors
}

fn pictures(images: &[ImagePatches]) -> [(&'static str, Tensor); 2] {
    let most = images.iter().map(|image| image.pixels.nrows()).max().unwrap_or_default();
    let pixels = images.iter().flat_map(|image| padded(image.pixels.iter(), most * 768, 0.0));
    let positions = images.iter().flat_map(|image| padded(image.positions.iter(), most * 2, -1));
    [
        ("pixel_values", Tensor::f32(vec![images.len(), most, 768], pixels)),
        ("pixel_position_ids", Tensor::i64(vec![images.len(), most, 2], positions)),
    ]
}

fn clips(clips: &[LogMel]) -> [(&'static str, Tensor); 2] {
    let most = clips.iter().map(|clip| clip.mask.len()).max().unwrap_or_default();
    let features = clips.iter().flat_map(|clip| padded(clip.features.iter(), most * 128, 0.0));
    let mask = clips.iter().flat_map(|clip| padded(clip.mask.iter(), most, false));
    let mask = Tensor { dtype: Dtype::U8, shape: vec![clips.len(), most], bytes: mask.map(u8::from).collect() };
    [("input_features", Tensor::f32(vec![clips.len(), most, 128], features)), ("input_features_mask", mask)]
}

fn padded<'a, T: Copy + 'a>(
    values: impl ExactSizeIterator<Item = &'a T>,
    length: usize,
    padding: T,
) -> impl Iterator<Item = T> {
    let missing = length - values.len();
    values.copied().chain(std::iter::repeat_n(padding, missing))
}
