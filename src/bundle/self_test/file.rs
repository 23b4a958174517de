//! `self_test.safetensors`: written into a bundle, and read back with the prompt left to whoever reads inputs.

use std::{borrow::Cow, fs, path::Path};

use ndarray::{Array2, ArrayView1};
use safetensors::{Dtype, SafeTensors, View};

use super::KEPT;
use crate::{
    base::{Fatal, Prompt},
    bundle::{Config, draft::write_fatal, output::Output, plain::Evaluated},
};

/// The file's name in a bundle.
pub const SELF_TEST: &str = "self_test.safetensors";

/// What a self-test expects.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Features and logits of the plain evaluation, with the weights as the bundle stores them.
    pub stored: Evaluated,
    /// The same logits with the weights as the checkpoint holds them.
    pub original_logits: Array2<f32>,
}

impl Expectation {
    /// Zeros in the shapes that the expectation of this prompt has.
    pub(super) fn blank(config: &Config, prompt: &Prompt) -> Self {
        let (hidden, vocabulary) = (config.text.hidden_size, config.text.vocab_size);
        let seen = prompt.images.iter().map(|image| image.soft_tokens).sum();
        let heard = prompt.clips.iter().map(|clip| clip.soft_tokens).sum();
        let logits = Array2::zeros((KEPT.min(prompt.tokens.len()), vocabulary));
        let stored = Evaluated {
            image_features: Array2::zeros((seen, hidden)),
            audio_features: Array2::zeros((heard, hidden)),
            logits: logits.clone(),
        };
        Self { stored, original_logits: logits }
    }

    /// What storing the weights costs: the norm of the change of the logits over their norm.
    pub fn cost(&self) -> f64 {
        let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>();
        let change = self.stored.logits.iter().zip(&self.original_logits).map(|(stored, original)| stored - original);
        let size = squares(&mut self.original_logits.iter().copied()).max(f64::MIN_POSITIVE);
        (squares(&mut change.into_iter()) / size).sqrt()
    }

    /// Positions whose best token stays.
    pub fn agreeing(&self) -> usize {
        let best = |row: ArrayView1<f32>| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        let rows = self.stored.logits.rows().into_iter().zip(self.original_logits.rows());
        rows.filter(|(stored, original)| best(*stored) == best(*original)).count()
    }
}

/// A tensor on its way into the file.
struct Flat {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
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

/// Writes it into the bundle's folder.
pub(super) fn write(output: &Output, prompt: &Prompt, expectation: &Expectation) -> Result<(), Fatal> {
    let Expectation { stored, original_logits } = expectation;
    let mut tensors = inputs(prompt);
    tensors.push(("logits", floats(&stored.logits)));
    tensors.push(("original_logits", floats(original_logits)));
    tensors.push(("image_features", floats(&stored.image_features)));
    tensors.push(("audio_features", floats(&stored.audio_features)));
    let written = safetensors::serialize(tensors, None).map_err(std::io::Error::other);
    let written = written.and_then(|bytes| output.write(SELF_TEST, &bytes));
    written.map_err(|error| write_fatal(&output.path(SELF_TEST), error))
}

/// The prompt under the names of `lapidary model eval`; pictures are filled up to the length of the longest.
fn inputs(prompt: &Prompt) -> Vec<(&'static str, Flat)> {
    let ids = prompt.tokens.iter().flat_map(|&id| i64::from(id).to_le_bytes()).collect();
    let mut tensors = vec![("input_ids", Flat { dtype: Dtype::I64, shape: vec![1, prompt.tokens.len()], bytes: ids })];
    if let Some(most) = prompt.images.iter().map(|image| image.pixels.nrows()).max() {
        tensors.extend(pictures(prompt, most));
    }
    // The self-test has one clip; the rest of the format would allow several of one length.
    if let Some(clip) = prompt.clips.first() {
        let features = floats(&clip.features);
        let shape = [vec![1], features.shape].concat();
        tensors.push(("input_features", Flat { shape, ..features }));
        let mask = clip.mask.iter().map(|&valid| u8::from(valid)).collect();
        tensors.push(("input_features_mask", Flat { dtype: Dtype::U8, shape: vec![1, clip.mask.len()], bytes: mask }));
    }
    tensors
}

fn pictures(prompt: &Prompt, most: usize) -> [(&'static str, Flat); 2] {
    let (mut pixels, mut places) = (Vec::new(), Vec::new());
    let mut channels = 0;
    for image in &prompt.images {
        channels = image.pixels.ncols();
        let missing = most - image.pixels.nrows();
        pixels.extend(image.pixels.iter().flat_map(|value| value.to_le_bytes()));
        pixels.extend(vec![0; missing * channels * 4]);
        places.extend(image.positions.iter().flat_map(|place| place.to_le_bytes()));
        places.extend((-1_i64).to_le_bytes().repeat(2 * missing));
    }
    let count = prompt.images.len();
    [
        ("pixel_values", Flat { dtype: Dtype::F32, shape: vec![count, most, channels], bytes: pixels }),
        ("pixel_position_ids", Flat { dtype: Dtype::I64, shape: vec![count, most, 2], bytes: places }),
    ]
}

fn floats(values: &Array2<f32>) -> Flat {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Flat { dtype: Dtype::F32, shape: values.shape().to_vec(), bytes }
}

/// Reads what a self-test expects.
///
/// # Errors
/// When the file is not one that [`super::write`] makes.
pub fn read(path: &Path) -> Result<Expectation, Fatal> {
    let wrong = |what: String| {
        Fatal::new(
            format!("`{}` is no self-test: {what}", path.display()),
            "export the bundle again from its checkpoint",
        )
    };
    let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
    let rows = |name: &str| rows(&file, name).map_err(wrong);
    let stored = Evaluated {
        image_features: rows("image_features")?,
        audio_features: rows("audio_features")?,
        logits: rows("logits")?,
    };
    Ok(Expectation { stored, original_logits: rows("original_logits")? })
}

fn rows(file: &SafeTensors, name: &str) -> Result<Array2<f32>, String> {
    let view = file.tensor(name).map_err(|error| format!("`{name}`: {error}"))?;
    let [rows, width] = view.shape()[..] else { return Err(format!("`{name}` has shape {:?}", view.shape())) };
    if view.dtype() != Dtype::F32 {
        return Err(format!("`{name}` is {:?} instead of F32", view.dtype()));
    }
    let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Array2::from_shape_vec((rows, width), values).map_err(|error| format!("`{name}`: {error}"))
}
