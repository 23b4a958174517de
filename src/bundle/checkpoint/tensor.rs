//! One tensor of a checkpoint: where its values come from, and its rows as f32, chunk by chunk.

use std::{
    ops::Range,
    path::{Display, Path},
    sync::Arc,
};

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::tensor::{Dtype, TensorInfo};

use super::shard::Shard;
use crate::{base::Fatal, bundle::synthetic::Drawing};

/// Values per chunk when a tensor is streamed: 16 MiB of f32.
const CHUNK: usize = 4 << 20;

/// Values of a tensor that is read whole: 1 GiB of f32, ten times the largest of any model.
const MOST_AT_ONCE: usize = 1 << 28;

/// A tensor's place.
pub(super) struct Located {
    pub(super) source: Source,
    pub(super) info: TensorInfo,
}

/// Where values come from.
pub(super) enum Source {
    /// A place in a file.
    File(Arc<Shard>),
    /// Random numbers, made as they are read.
    Drawn(Drawing),
}

/// One tensor of the checkpoint, not yet read.
#[derive(Clone)]
pub struct Tensor<'a> {
    name: &'a str,
    located: &'a Located,
    /// The rows that are meant: of the first axis, or of all axes but the last.
    rows: Range<usize>,
    /// Values in one row.
    width: usize,
}

impl Source {
    pub(super) fn path(&self) -> Display<'_> {
        match self {
            Self::File(shard) => shard.path.display(),
            Self::Drawn(_) => Path::new("random weights").display(),
        }
    }
}

impl<'a> Tensor<'a> {
    pub(super) fn whole(name: &'a str, located: &'a Located) -> Self {
        let shape = &located.info.shape;
        let rows = 0..shape.first().copied().unwrap_or(1);
        Self { name, located, rows, width: shape.iter().skip(1).product() }
    }

    /// The name without the leading `model.`.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The shape.
    pub fn shape(&self) -> &'a [usize] {
        &self.located.info.shape
    }

    /// How the file stores the values.
    pub fn dtype(&self) -> Dtype {
        self.located.info.dtype
    }

    /// The same values with all axes but the last taken together as rows.
    pub fn by_last_axis(self) -> Self {
        let (width, shape) = (self.shape().last().copied().unwrap_or(1), self.shape());
        let rows = shape.iter().rev().skip(1).product();
        Self { rows: 0..rows, width, ..self }
    }

    /// Only these rows; they must exist.
    pub fn part(self, rows: Range<usize>) -> Self {
        Self { rows, ..self }
    }

    /// How many rows are meant.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Values in one row.
    pub fn row_length(&self) -> usize {
        self.width
    }

    /// All values, row-major; of tensors that are small in every model.
    pub fn values(&self) -> Result<Vec<f32>, Fatal> {
        if self.rows().saturating_mul(self.row_length()) > MOST_AT_ONCE {
            return Err(Fatal::new(
                format!(
                    "`{}`: tensor `{}` has shape {:?}, too large for its kind",
                    self.path(),
                    self.name,
                    self.shape()
                ),
                "the sizes in config.json are not sensible",
            ));
        }
        self.read(self.rows.start * self.row_length(), self.rows() * self.row_length())
    }

    /// The rows in chunks of about 16 MiB: `(first row, values)`, values row-major, rows counted from 0.
    pub fn chunks(&self) -> impl Iterator<Item = Result<(usize, Vec<f32>), Fatal>> + '_ {
        let width = self.row_length();
        let step = (CHUNK / width.max(1)).max(1);
        (0..self.rows()).step_by(step).map(move |first| {
            let count = step.min(self.rows() - first) * width;
            self.read((self.rows.start + first) * width, count).map(|values| (first, values))
        })
    }

    /// These rows of the first axis, one below the other, in the order given; each must exist.
    pub fn picked(&self, rows: &[usize]) -> Result<Vec<f32>, Fatal> {
        let mut values = Vec::with_capacity(rows.len() * self.row_length());
        for &row in rows {
            if row >= self.rows() {
                return Err(Fatal::new(
                    format!("`{}`: row {row} of tensor `{}`, which has {}", self.path(), self.name, self.rows()),
                    "the input does not belong to this checkpoint",
                ));
            }
            values.extend(self.read((self.rows.start + row) * self.row_length(), self.row_length())?);
        }
        Ok(values)
    }

    /// `count` values from place `start` on.
    fn read(&self, start: usize, count: usize) -> Result<Vec<f32>, Fatal> {
        let shard = match &self.located.source {
            Source::File(shard) => shard,
            Source::Drawn(drawing) => return Ok(drawing.values(start, count)),
        };
        let width = self.width()?;
        let mut bytes = vec![0; count * width];
        shard.read(self.name, (self.located.info.data_offsets.0 + start * width) as u64, &mut bytes)?;
        Ok(self.decode(&bytes))
    }

    fn width(&self) -> Result<usize, Fatal> {
        match self.dtype() {
            Dtype::F32 => Ok(4),
            Dtype::F16 | Dtype::BF16 => Ok(2),
            other => Err(Fatal::new(
                format!("`{}`: tensor `{}` is stored as {other:?}", self.path(), self.name),
                "supported are weights stored as bf16, f16 or f32",
            )),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Vec<f32> {
        match self.dtype() {
            Dtype::F16 => widen(bytes, |two| f16::from_le_bytes(two).to_f32()),
            Dtype::BF16 => widen(bytes, |two| bf16::from_le_bytes(two).to_f32()),
            _ => widen(bytes, f32::from_le_bytes),
        }
    }

    pub(super) fn path(&self) -> Display<'a> {
        self.located.source.path()
    }
}

fn widen<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32 + Sync) -> Vec<f32> {
    bytes.as_chunks::<N>().0.par_iter().with_min_len(1 << 16).map(|&bytes| value(bytes)).collect()
}
