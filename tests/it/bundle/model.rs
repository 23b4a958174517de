//! The two graphs of a bundle's language model, run step by step as the public contract has it.

use std::path::Path;

use half::f16;
use lapidary::base::{Model, model::KvLayer};
use lapidary::bundle::{Check, open};
use ndarray::{Array, Array1, Array2, Array3, Array4, Array5, ArrayD, Axis, Dimension, Ix3, s};
use ort::{
    session::{Session, SessionInputValue},
    value::{DynValue, Tensor},
};

use super::checkpoints::reference;
use crate::onnx;

/// A bundle's language model.
pub struct LanguageModel {
    model: Model,
    embed: Session,
    decoder: Session,
}

/// Embeddings with the features of pictures and sound in place, and the token half of the per-layer inputs.
#[derive(Clone)]
pub struct Embedded {
    /// `[batch, sequence, hidden]`.
    pub embeddings: Array3<f32>,
    /// `[batch, sequence, layers, size]`.
    pub per_layer: Array4<f32>,
}

impl Embedded {
    /// Some positions.
    pub fn part(&self, from: usize, to: usize) -> Self {
        Self {
            embeddings: self.embeddings.slice(s![.., from..to, ..]).to_owned(),
            per_layer: self.per_layer.slice(s![.., from..to, .., ..]).to_owned(),
        }
    }

    /// Rows of a batch, one below the other.
    pub fn stack(rows: &[Self]) -> Self {
        let embeddings: Vec<_> = rows.iter().map(|row| row.embeddings.view()).collect();
        let per_layer: Vec<_> = rows.iter().map(|row| row.per_layer.view()).collect();
        Self {
            embeddings: ndarray::concatenate(Axis(0), &embeddings).unwrap(),
            per_layer: ndarray::concatenate(Axis(0), &per_layer).unwrap(),
        }
    }

    pub fn length(&self) -> usize {
        self.embeddings.dim().1
    }
}

/// Keys and values of all layers that write them: per layer `[2, batch, heads, length, head_dim]`.
pub type Cache = Vec<Array5<f32>>;

impl LanguageModel {
    pub fn open(folder: &Path) -> Self {
        let model = open(folder, Check::Full).unwrap();
        let embed = onnx::session(&model.file(&model.manifest.graphs.embed_tokens));
        let decoder = onnx::session(&model.file(&model.manifest.graphs.decoder));
        Self { model, embed, decoder }
    }

    /// Embeds the ids of one sequence, and puts the reference's features at the soft tokens.
    pub fn embed(&mut self, ids: &Array2<i64>) -> Embedded {
        let outputs = self.embed.run(ort::inputs!["input_ids" => Tensor::from_array(ids.clone()).unwrap()]).unwrap();
        let mut embeddings: Array3<f32> = extract(&outputs["inputs_embeds"]);
        let per_layer = extract(&outputs["per_layer_inputs"]);
        let tokens = &self.model.manifest.tokens;
        let pictures: Array2<f32> = reference("image_features");
        let sound: Array3<f32> = reference("audio_features");
        splice(&mut embeddings, ids, tokens.image, &pictures);
        splice(&mut embeddings, ids, tokens.audio, &sound.index_axis_move(Axis(0), 0));
        Embedded { embeddings, per_layer }
    }

    /// No keys and values yet.
    pub fn empty(&self, batch: usize) -> Cache {
        let empty = |layer: &KvLayer| Array5::zeros((2, batch, layer.heads, 0, layer.head_dim));
        self.model.manifest.text.kv.iter().map(empty).collect()
    }

    /// Runs the next positions of all rows. `keep` logits come back, all for 0.
    pub fn step(&mut self, input: &Embedded, past: &Cache, keep: i64) -> (Array3<f32>, Cache) {
        let past_length = past[0].dim().3;
        let mask = Array2::ones((input.embeddings.dim().0, past_length + input.length()));
        self.step_masked(input, past, &mask, keep)
    }

    /// As [`Self::step`], with rows of different lengths.
    pub fn step_masked(
        &mut self,
        input: &Embedded,
        past: &Cache,
        mask: &Array2<i64>,
        keep: i64,
    ) -> (Array3<f32>, Cache) {
        let half = self.model.manifest.precision.dtype == "f16";
        let (batch, length, _) = input.embeddings.dim();
        // A row that is fed its prompt stands at its beginning, however long the others are.
        let past_of = |row: usize| (mask.row(row).sum() - length as i64).max(0);
        let places = Array2::from_shape_fn((batch, length), |(row, place)| past_of(row) + place as i64);
        let mut inputs: Vec<(String, SessionInputValue)> = vec![
            ("inputs_embeds".to_owned(), value(&input.embeddings, half).into()),
            ("per_layer_inputs".to_owned(), value(&input.per_layer, half).into()),
            ("attention_mask".to_owned(), Tensor::from_array(mask.clone()).unwrap().into()),
            ("position_ids".to_owned(), Tensor::from_array(places).unwrap().into()),
            ("num_logits_to_keep".to_owned(), Tensor::from_array(ndarray::arr0(keep)).unwrap().into()),
        ];
        for (index, layer) in past.iter().enumerate() {
            for (which, name) in ["key", "value"].into_iter().enumerate() {
                let half_layer = layer.index_axis(Axis(0), which).to_owned();
                inputs.push((format!("past_key_values.{index}.{name}"), value(&half_layer, half).into()));
            }
        }
        let outputs = self.decoder.run(inputs).unwrap();
        let present = |index: usize| {
            let key: Array4<f32> = extract(&outputs[format!("present.{index}.key").as_str()]);
            let value: Array4<f32> = extract(&outputs[format!("present.{index}.value").as_str()]);
            ndarray::stack(Axis(0), &[key.view(), value.view()]).unwrap()
        };
        (extract(&outputs["logits"]), (0..past.len()).map(present).collect())
    }

    /// Logits of all positions of the reference prompt, and of the token after it.
    pub fn reference_logits(&mut self) -> (Array3<f32>, Array3<f32>) {
        let prompt = self.embed(&reference("input_ids"));
        let (logits, cache) = self.step(&prompt, &self.empty(1), 0);
        let next = self.embed(&reference("next_id"));
        (logits, self.step(&next, &cache, 1).0)
    }

    /// Three rows in buffers as long as the slots, full of what other units left there, each at its own length
    /// and the last with far larger embeddings than the others. Returns the logits of one step of all rows,
    /// and those of each row's step alone.
    pub fn rows_together_and_alone(&mut self) -> (Array3<f32>, Array3<f32>) {
        let prompt = self.embed(&reference("input_ids"));
        let (lengths, room) = ([33, 11, 23], 40);
        let mut buffers = garbage(&self.empty(lengths.len()), room);
        let mut steps: Vec<Embedded> = (0..lengths.len()).map(|row| prompt.part(2 * row, 2 * row + 1)).collect();
        steps[2].embeddings *= 30.0;
        let mut alone = Vec::new();
        for (row, &length) in lengths.iter().enumerate() {
            let (_, cache) = self.step(&prompt.part(0, length), &self.empty(1), 1);
            for (buffer, layer) in buffers.iter_mut().zip(&cache) {
                buffer.slice_mut(s![.., row..row + 1, .., ..length, ..]).assign(layer);
            }
            alone.push(self.step(&steps[row], &cache, 1).0);
        }
        let mask = Array2::from_shape_fn((lengths.len(), room), |(row, place)| i64::from(place <= lengths[row]));
        let (together, _) = self.step_masked(&Embedded::stack(&steps), &buffers, &mask, 1);
        let alone: Vec<_> = alone.iter().map(|logits| logits.view()).collect();
        (together, ndarray::concatenate(Axis(0), &alone).unwrap())
    }
}

/// Buffers with room for so many positions, filled with numbers that belong to nobody.
fn garbage(empty: &Cache, room: usize) -> Cache {
    let fill = |layer: &Array5<f32>| {
        let (two, batch, heads, _, width) = layer.dim();
        let number = |(a, b, c, d, e)| ((a + b + c + 7 * d + e) % 13) as f32 - 6.0;
        Array5::from_shape_fn((two, batch, heads, room, width), number)
    };
    empty.iter().map(fill).collect()
}

/// Puts the rows of `features`, in order, at the places of `id`.
fn splice(embeddings: &mut Array3<f32>, ids: &Array2<i64>, id: u32, features: &Array2<f32>) {
    let places = ids.indexed_iter().filter(|(_, found)| **found == i64::from(id)).map(|(place, _)| place);
    for ((row, column), feature) in places.zip(features.rows()) {
        embeddings.slice_mut(s![row, column, ..]).assign(&feature);
    }
}

fn value<D: Dimension + 'static>(array: &Array<f32, D>, half: bool) -> DynValue {
    // ort refuses arrays without elements; a tensor of its own may be empty.
    match (array.is_empty(), half) {
        (true, true) => empty::<f16>(array.shape()),
        (true, false) => empty::<f32>(array.shape()),
        (false, true) => Tensor::from_array(array.mapv(f16::from_f32)).unwrap().into_dyn(),
        (false, false) => Tensor::from_array(array.clone()).unwrap().into_dyn(),
    }
}

fn empty<T: ort::value::PrimitiveTensorElementType + std::fmt::Debug>(shape: &[usize]) -> DynValue {
    Tensor::<T>::new(&ort::memory::Allocator::default(), shape.iter().map(|&n| n as i64).collect::<Vec<_>>())
        .unwrap()
        .into_dyn()
}

fn extract<D: Dimension>(value: &DynValue) -> Array<f32, D> {
    let array: ArrayD<f32> = match value.try_extract_array::<f32>() {
        Ok(array) => array.to_owned(),
        Err(_) => value.try_extract_array::<f16>().unwrap().mapv(f16::to_f32),
    };
    array.into_dimensionality().unwrap()
}

/// The largest difference of two arrays of the same shape.
pub fn largest_difference<D: Dimension>(a: &Array<f32, D>, b: &Array<f32, D>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The norm of the difference over the norm of `b`.
pub fn relative_difference<D: Dimension>(a: &Array<f32, D>, b: &Array<f32, D>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    let error: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    let size: f32 = b.iter().map(|b| b * b).sum();
    (error / size).sqrt()
}

/// The share of positions whose most likely token is the same.
pub fn same_choice(a: &Array3<f32>, b: &Array3<f32>) -> f64 {
    let choices = |logits: &Array<f32, Ix3>| -> Array1<usize> {
        let best = |row: ndarray::ArrayView1<f32>| {
            row.iter().enumerate().fold((0, f32::MIN), |best, (i, &z)| if z > best.1 { (i, z) } else { best }).0
        };
        logits.lanes(Axis(2)).into_iter().map(best).collect()
    };
    let (a, b) = (choices(a), choices(b));
    a.iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64
}
