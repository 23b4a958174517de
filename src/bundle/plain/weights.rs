//! The weights as the evaluation asks for them: maps applied chunk by chunk, rows of tables, small vectors.

use ndarray::{Array2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;
use safetensors::Dtype;

use super::{Part, Storage};
use crate::{
    base::Fatal,
    bundle::{Checkpoint, Tensor},
};

/// Outputs that one thread computes at a time.
const OUTPUTS: usize = 128;

/// A checkpoint and how its weights are seen.
pub struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    storage: Storage,
}

impl<'a> Weights<'a> {
    pub fn new(checkpoint: &'a Checkpoint, storage: Storage) -> Self {
        Self { checkpoint, storage }
    }

    /// A norm, a bias or a few scales: never rounded.
    pub fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, Fatal> {
        self.checkpoint.values(name, &[length])
    }

    /// A tensor without axes: never rounded.
    pub fn scalar(&self, name: &str) -> Result<f32, Fatal> {
        Ok(self.checkpoint.values(name, &[])?[0])
    }

    /// A whole tensor of few values, flat.
    pub fn small(&self, part: Part, name: &str, shape: &[usize]) -> Result<Vec<f32>, Fatal> {
        let values = self.checkpoint.values(name, shape)?;
        self.storage.rows(part, name, values, shape.last().copied().unwrap_or(1))
    }

    /// `[n, inputs] -> [n, outputs]` by the tensor `[outputs, inputs]`.
    pub fn linear(&self, part: Part, name: &str, x: &Array2<f32>, outputs: usize) -> Result<Array2<f32>, Fatal> {
        let tensor = self.checkpoint.tensor(name, &[outputs, x.ncols()])?;
        let x = &self.storage.operand(part, x);
        let mut made = Array2::zeros((x.nrows(), outputs));
        for chunk in tensor.chunks() {
            let (first, rows) = chunk?;
            let weight = self.seen(part, &tensor, rows, x.ncols())?;
            let mut target = made.slice_mut(s![.., first..first + weight.nrows()]);
            let targets: Vec<_> = target.axis_chunks_iter_mut(Axis(1), OUTPUTS).collect();
            let weights: Vec<_> = weight.axis_chunks_iter(Axis(0), OUTPUTS).collect();
            targets.into_par_iter().zip(weights).for_each(|(mut target, weight)| {
                general_mat_mul(1.0, x, &weight.t(), 0.0, &mut target);
            });
        }
        Ok(made)
    }

    /// As [`Self::linear`], by a map that is never rounded.
    pub fn exact_linear(&self, name: &str, x: &Array2<f32>, outputs: usize) -> Result<Array2<f32>, Fatal> {
        let weight = self.checkpoint.values(name, &[outputs, x.ncols()])?;
        Ok(x.dot(&matrix(weight, x.ncols()).t()))
    }

    /// As [`Self::linear`], by a map of an encoder, which may clamp what goes in and what comes out.
    pub fn encoder_linear(
        &self,
        part: Part,
        name: &str,
        x: &Array2<f32>,
        outputs: usize,
        clipped: bool,
    ) -> Result<Array2<f32>, Fatal> {
        let weight = format!("{name}.linear.weight");
        if !clipped {
            return self.linear(part, &weight, x, outputs);
        }
        let clamp = |x: &Array2<f32>, side: &str| -> Result<Array2<f32>, Fatal> {
            let least = self.scalar(&format!("{name}.{side}_min"))?;
            let most = self.scalar(&format!("{name}.{side}_max"))?;
            Ok(x.mapv(|value| value.max(least).min(most)))
        };
        clamp(&self.linear(part, &weight, &clamp(x, "input")?, outputs)?, "output")
    }

    /// As [`Self::linear`], by map number `index` of the tensor `[count, outputs, inputs]`.
    pub fn one_of(
        &self,
        part: Part,
        name: &str,
        x: &Array2<f32>,
        [count, outputs]: [usize; 2],
        index: usize,
    ) -> Result<Array2<f32>, Fatal> {
        let tensor = self.checkpoint.tensor(name, &[count, outputs, x.ncols()])?;
        let weight = self.seen(part, &tensor, tensor.picked(&[index])?, x.ncols())?;
        Ok(self.storage.operand(part, x).dot(&weight.t()))
    }

    /// Some rows of the table `[rows, width]`, and how the checkpoint stores them.
    pub fn looked_up(
        &self,
        part: Part,
        name: &str,
        shape: [usize; 2],
        rows: &[usize],
    ) -> Result<(Array2<f32>, Dtype), Fatal> {
        let tensor = self.checkpoint.tensor(name, &shape)?;
        let values = tensor.picked(rows)?;
        Ok((self.seen(part, &tensor, values, shape[1])?, tensor.dtype()))
    }

    fn seen(&self, part: Part, tensor: &Tensor, values: Vec<f32>, width: usize) -> Result<Array2<f32>, Fatal> {
        let values = self.storage.rows(part, tensor.name(), values, width)?;
        Ok(matrix(values, width))
    }
}

/// Rows of `width` values as a matrix; what is left over of a last row is cut.
pub fn matrix(mut values: Vec<f32>, width: usize) -> Array2<f32> {
    let rows = values.len() / width.max(1);
    values.truncate(rows * width);
    Array2::from_shape_vec((rows, width), values).unwrap_or_default()
}

/// The same values cut into rows of another width: `[n, heads * width]` gives `[n * heads, width]`.
pub fn recut(x: Array2<f32>, width: usize) -> Array2<f32> {
    matrix(x.into_iter().collect(), width)
}
