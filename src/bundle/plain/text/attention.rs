//! Attention of one decoder layer. A layer that shares keys and values has a map for its queries alone.

use ndarray::Array2;

use super::{
    super::{
        Part, Weights,
        attention::{KeysValues, attend},
        elementary::rms_norm,
        rotary::{Angles, frequencies},
        unfit,
        weights::recut,
    },
    sequence::Sequence,
};
use crate::{
    base::Fatal,
    bundle::{LayerConfig, TextConfig},
};

/// One layer's attention over rows that stand at the places from `start` on.
pub struct Attention<'a> {
    pub weights: &'a Weights<'a>,
    pub config: &'a TextConfig,
    pub layer: &'a LayerConfig,
    pub prefix: &'a str,
    pub sequence: &'a Sequence,
    pub start: usize,
}

impl Attention<'_> {
    /// `[rows, hidden]` in and out. `written` holds the keys and values of the layers before; a layer that makes its own
    /// adds them.
    pub fn run(&self, x: &Array2<f32>, written: &mut Vec<Option<KeysValues>>) -> Result<Array2<f32>, Fatal> {
        let angles = self.angles(x.nrows());
        let queries = self.turned("q", self.projected("q", x, self.config.heads)?, &angles)?;
        written.push(match self.layer.donor {
            None => Some(self.keys_values(x, &angles)?),
            Some(_) => None,
        });
        let donor = self.layer.donor.unwrap_or(written.len() - 1);
        let Some(Some(keys_values)) = written.get(donor) else {
            return Err(unfit(format!("`{}` reads keys of layer {donor}, which makes none", self.prefix)));
        };
        let seen = |row: usize| self.sequence.seen(self.config, self.layer.sliding, self.start + row);
        let mixed = attend(&queries, keys_values, self.layer.head_dim, seen);
        self.weights.linear(Part::Decoder, &self.name("o_proj"), &mixed, self.config.hidden_size)
    }

    fn name(&self, map: &str) -> String {
        format!("{}.self_attn.{map}.weight", self.prefix)
    }

    /// `[rows, heads * width]`.
    fn projected(&self, which: &str, x: &Array2<f32>, heads: usize) -> Result<Array2<f32>, Fatal> {
        let name = self.name(&format!("{which}_proj"));
        self.weights.linear(Part::Decoder, &name, x, heads * self.layer.head_dim)
    }

    /// Values are normed without a weight, and not turned.
    fn keys_values(&self, x: &Array2<f32>, angles: &Angles) -> Result<KeysValues, Fatal> {
        let keys = self.projected("k", x, self.layer.kv_heads)?;
        let values = match self.layer.keys_are_values {
            true => keys.clone(),
            false => self.projected("v", x, self.layer.kv_heads)?,
        };
        let width = values.ncols();
        let values = rms_norm(&recut(values, self.layer.head_dim), None, self.config.rms_norm_eps);
        Ok(KeysValues { keys: self.turned("k", keys, angles)?, values: recut(values, width) })
    }

    /// Queries or keys: normed head by head, then turned.
    fn turned(&self, which: &str, x: Array2<f32>, angles: &Angles) -> Result<Array2<f32>, Fatal> {
        let width = x.ncols();
        let weight = self.weights.vector(&self.name(&format!("{which}_norm")), self.layer.head_dim)?;
        let normed = rms_norm(&recut(x, self.layer.head_dim), Some(&weight), self.config.rms_norm_eps);
        let mut turned = recut(normed, width);
        angles.turn_all(&mut turned, self.layer.head_dim);
        Ok(turned)
    }

    /// On full layers only the first pairs of a head are turned, with frequencies over its whole width.
    fn angles(&self, rows: usize) -> Angles {
        let rotary = if self.layer.sliding { self.config.sliding_rotary } else { self.config.full_rotary };
        let pairs = (rotary.fraction * self.layer.head_dim as f64) as usize / 2;
        let places: Vec<f32> = (self.start..self.start + rows).map(|place| place as f32).collect();
        Angles::new(&places, &frequencies(rotary.theta, self.layer.head_dim, pairs))
    }
}
