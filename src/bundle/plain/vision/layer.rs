//! One layer of the vision encoder: attention among all patches of a picture, turned by column and row, and a gated
//! MLP.

use std::ops::Range;

use ndarray::Array2;

use super::{
    super::{
        Part, Weights,
        attention::{KeysValues, attend},
        elementary::{gelu_tanh, rms_norm},
        rotary::{Angles, frequencies},
        weights::recut,
    },
    spans,
};
use crate::{
    base::{Fatal, ImagePatches},
    bundle::VisionConfig,
};

/// What all layers share: the angles of columns and rows, and which patches belong together.
pub struct Frame {
    columns: Angles,
    rows: Angles,
    /// For each patch, the patches of its picture.
    pictures: Vec<Range<usize>>,
}

impl Frame {
    pub fn new(config: &VisionConfig, pictures: &[ImagePatches]) -> Self {
        let half = config.head_dim / 2;
        let frequencies = frequencies(config.rope_theta, half, half);
        let angles = |axis: usize| {
            let places = pictures.iter().flat_map(|picture| picture.positions.column(axis).to_vec());
            Angles::new(&places.map(|place| place as f32).collect::<Vec<f32>>(), &frequencies)
        };
        let spans = spans(pictures).into_iter();
        let pictures = spans.flat_map(|span| vec![span.clone(); span.len()]).collect();
        Self { columns: angles(0), rows: angles(1), pictures }
    }

    /// The first half of a head is turned by the column, the second by the row.
    fn turn(&self, x: &mut Array2<f32>, width: usize) {
        for (patch, mut values) in x.rows_mut().into_iter().enumerate() {
            for head in values.as_slice_mut().unwrap_or_default().chunks_exact_mut(width) {
                let (by_column, by_row) = head.split_at_mut(width / 2);
                self.columns.turn(patch, by_column);
                self.rows.turn(patch, by_row);
            }
        }
    }
}

/// `[patches, hidden]` in and out.
pub fn layer(
    weights: &Weights,
    config: &VisionConfig,
    index: usize,
    x: Array2<f32>,
    frame: &Frame,
) -> Result<Array2<f32>, Fatal> {
    let layer = Layer { weights, config, prefix: format!("vision_tower.encoder.layers.{index}") };
    let attended = layer.attention(&layer.norm("input_layernorm", &x)?, frame)?;
    let x = x + layer.norm("post_attention_layernorm", &attended)?;
    let made = layer.mlp(&layer.norm("pre_feedforward_layernorm", &x)?)?;
    Ok(x + layer.norm("post_feedforward_layernorm", &made)?)
}

struct Layer<'a> {
    weights: &'a Weights<'a>,
    config: &'a VisionConfig,
    prefix: String,
}

impl Layer<'_> {
    fn norm(&self, name: &str, x: &Array2<f32>) -> Result<Array2<f32>, Fatal> {
        let weight = self.weights.vector(&format!("{}.{name}.weight", self.prefix), x.ncols())?;
        Ok(rms_norm(x, Some(&weight), self.config.rms_norm_eps))
    }

    fn linear(&self, name: &str, x: &Array2<f32>, outputs: usize) -> Result<Array2<f32>, Fatal> {
        let name = format!("{}.{name}", self.prefix);
        self.weights.encoder_linear(Part::Vision, &name, x, outputs, self.config.clipped_linears)
    }

    fn attention(&self, x: &Array2<f32>, frame: &Frame) -> Result<Array2<f32>, Fatal> {
        let VisionConfig { heads, head_dim, rms_norm_eps, hidden_size, .. } = *self.config;
        let width = heads * head_dim;
        let heads = |name: &str| Ok(recut(self.linear(&format!("self_attn.{name}_proj"), x, width)?, head_dim));
        let turned = |name: &str| -> Result<Array2<f32>, Fatal> {
            let mut normed = recut(self.norm(&format!("self_attn.{name}_norm"), &heads(name)?)?, width);
            frame.turn(&mut normed, head_dim);
            Ok(normed)
        };
        let values = recut(rms_norm(&heads("v")?, None, rms_norm_eps), width);
        let keys_values = KeysValues { keys: turned("k")?, values };
        let mixed = attend(&turned("q")?, &keys_values, head_dim, |patch| frame.pictures[patch].clone());
        self.linear("self_attn.o_proj", &mixed, hidden_size)
    }

    fn mlp(&self, x: &Array2<f32>) -> Result<Array2<f32>, Fatal> {
        let inner = self.config.intermediate_size;
        let gate = self.linear("mlp.gate_proj", x, inner)?.mapv(gelu_tanh);
        let up = self.linear("mlp.up_proj", x, inner)?;
        self.linear("mlp.down_proj", &(gate * up), self.config.hidden_size)
    }
}
