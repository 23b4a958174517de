//! A Hugging Face checkpoint's weights: one or several safetensors files in, tensors as f32 out, row chunk by row chunk.
//!
//! Files are read at offsets and never mapped: a file that shrinks while it is read gives an error and no signal,
//! and what is resident is one chunk of rows.

pub(super) mod files;
mod shard;
mod tensor;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use safetensors::tensor::{Dtype, TensorInfo};

use self::{
    shard::Shard,
    tensor::{Located, Source},
};
pub use self::{shard::read_header, tensor::Tensor};
use super::synthetic::Drawing;
use crate::base::Fatal;

/// The weights of one checkpoint folder, under their names without the leading `model.`.
pub struct Checkpoint {
    folder: PathBuf,
    tensors: BTreeMap<String, Located>,
}

impl Checkpoint {
    /// Opens all safetensors files of a folder: those that the index names, else every `*.safetensors`.
    pub fn open(folder: &Path) -> Result<Self, Fatal> {
        let mut checkpoint = Self { folder: folder.to_owned(), tensors: BTreeMap::new() };
        for path in files::shards(folder)? {
            checkpoint.add(&path)?;
        }
        Ok(checkpoint)
    }

    /// A checkpoint of random numbers: names, shapes and how to draw them.
    pub(super) fn drawn(tensors: impl IntoIterator<Item = (String, Vec<usize>, Drawing)>) -> Self {
        let located = |shape, drawing| Located {
            source: Source::Drawn(drawing),
            info: TensorInfo { dtype: Dtype::BF16, shape, data_offsets: (0, 0) },
        };
        let tensors = tensors.into_iter().map(|(name, shape, drawing)| (name, located(shape, drawing)));
        Self { folder: PathBuf::from("random weights"), tensors: tensors.collect() }
    }

    /// Is there a tensor of that name?
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// All tensors, in the order of their names.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'_>> {
        self.tensors.iter().map(|(name, located)| Tensor::whole(name, located))
    }

    /// The tensor of that name and shape, or an error that names both shapes.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>, Fatal> {
        let Some((name, located)) = self.tensors.get_key_value(name) else {
            return Err(Fatal::new(
                format!("checkpoint `{}`: tensor `{name}` is missing", self.folder.display()),
                "the weights do not belong to config.json, or a file of the checkpoint is missing",
            ));
        };
        let tensor = Tensor::whole(name, located);
        if tensor.shape() == shape {
            return Ok(tensor);
        }
        Err(Fatal::new(
            format!(
                "`{}`: tensor `{name}` has shape {:?}, config.json demands {shape:?}",
                tensor.path(),
                tensor.shape()
            ),
            "the weights do not belong to this config.json",
        ))
    }

    /// The values of the tensor of that name and shape, row-major.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Fatal> {
        self.tensor(name, shape)?.values()
    }

    fn add(&mut self, path: &Path) -> Result<(), Fatal> {
        let (shard, metadata) = Shard::open(path)?;
        let file = Arc::new(shard);
        for (name, info) in metadata.tensors() {
            let name = name.strip_prefix("model.").unwrap_or(&name).to_owned();
            let located = Located { source: Source::File(file.clone()), info: info.clone() };
            if let Some(earlier) = self.tensors.insert(name.clone(), located) {
                return Err(Fatal::new(
                    format!("tensor `{name}` is in `{}` and in `{}`", earlier.source.path(), path.display()),
                    "keep one set of safetensors files in the checkpoint folder",
                ));
            }
        }
        Ok(())
    }
}
