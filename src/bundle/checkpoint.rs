//! A Hugging Face checkpoint's weights: one or several safetensors files in, tensors as f32 out, row chunk by row chunk.
//!
//! Files are read at offsets and never mapped: a file that shrinks while it is read gives an error and no signal,
//! and what is resident is one chunk of rows.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::Deserialize;

use super::synthetic::Drawing;
use crate::base::Fatal;

/// The longest safetensors header that is read.
const LARGEST_HEADER: u64 = 100 << 20;

/// Values per chunk when a tensor is streamed: 16 MiB of f32.
const CHUNK: usize = 4 << 20;

/// Values of a tensor that is read whole: 1 GiB of f32, ten times the largest of any model.
const MOST_AT_ONCE: usize = 1 << 28;

const INDEX: &str = "model.safetensors.index.json";

/// The weights of one checkpoint folder, under their names without the leading `model.`.
pub struct Checkpoint {
    folder: PathBuf,
    tensors: BTreeMap<String, Located>,
}

/// A tensor's place.
struct Located {
    source: Source,
    info: TensorInfo,
}

/// Where values come from.
enum Source {
    File(Arc<Shard>),
    /// Random numbers, made as they are read.
    Drawn(Drawing),
}

/// One safetensors file.
struct Shard {
    path: PathBuf,
    file: File,
    /// Where the first tensor begins.
    data: u64,
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

impl Checkpoint {
    /// Opens all safetensors files of a folder: those that the index names, else every `*.safetensors`.
    pub fn open(folder: &Path) -> Result<Self, Fatal> {
        let mut checkpoint = Self { folder: folder.to_owned(), tensors: BTreeMap::new() };
        for path in shards(folder)? {
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

/// The files that hold the weights, in a stable order.
fn shards(folder: &Path) -> Result<Vec<PathBuf>, Fatal> {
    let index = folder.join(INDEX);
    let mut paths = if index.is_file() { indexed(folder, &index)? } else { every(folder)? };
    paths.sort();
    paths.dedup();
    if paths.is_empty() {
        return Err(Fatal::new(
            format!("`{}` holds no safetensors file", folder.display()),
            "name the folder of a Hugging Face checkpoint, the one that holds model.safetensors",
        ));
    }
    Ok(paths)
}

fn every(folder: &Path) -> Result<Vec<PathBuf>, Fatal> {
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(|error| unreadable(folder, &error)));
    let paths: Vec<PathBuf> = paths.collect::<Result<_, _>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "safetensors")).collect())
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

fn indexed(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, Fatal> {
    let text = fs::read_to_string(index).map_err(|error| unreadable(index, &error))?;
    let parsed: Index = serde_json::from_str(&text).map_err(|error| {
        Fatal::new(format!("`{}` is not an index of weights: {error}", index.display()), "download it again")
    })?;
    let inside = |name: &String| match Path::new(name).file_name().is_some_and(|file| file == name.as_str()) {
        true => Ok(folder.join(name)),
        false => Err(Fatal::new(
            format!("`{}` names `{name}`, which is not a plain file name", index.display()),
            "download the index again",
        )),
    };
    parsed.weight_map.values().map(inside).collect()
}

fn unreadable(path: &Path, error: &io::Error) -> Fatal {
    Fatal::new(
        format!("cannot read `{}`: {error}", path.display()),
        "check that the checkpoint is complete and readable",
    )
}

fn damaged(path: &Path, what: impl std::fmt::Display) -> Fatal {
    Fatal::new(
        format!("`{}` is not a whole safetensors file: {what}", path.display()),
        "the file is truncated or damaged: download it again",
    )
}

impl Shard {
    fn open(path: &Path) -> Result<(Self, Metadata), Fatal> {
        let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let length = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        let mut word = [0; 8];
        file.read_exact(&mut word).map_err(|error| damaged(path, error))?;
        let header = u64::from_le_bytes(word);
        if header > LARGEST_HEADER || header + 8 > length {
            return Err(damaged(path, format!("its header claims {header} bytes, the file has {length}")));
        }
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text).map_err(|error| damaged(path, error))?;
        let metadata: Metadata = serde_json::from_slice(&text).map_err(|error| damaged(path, error))?;
        let expected = (8 + header).saturating_add(metadata.data_len() as u64);
        if expected != length {
            return Err(damaged(path, format!("it has {length} bytes, its header demands {expected}")));
        }
        Ok((Self { path: path.to_owned(), file, data: 8 + header }, metadata))
    }
}

impl Source {
    fn path(&self) -> std::path::Display<'_> {
        match self {
            Self::File(shard) => shard.path.display(),
            Self::Drawn(_) => Path::new("random weights").display(),
        }
    }
}

impl<'a> Tensor<'a> {
    fn whole(name: &'a str, located: &'a Located) -> Self {
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
        let place = shard.data + (self.located.info.data_offsets.0 + start * width) as u64;
        shard.file.read_exact_at(&mut bytes, place).map_err(|error| {
            unreadable(&shard.path, &io::Error::new(error.kind(), format!("tensor `{}`: {error}", self.name)))
        })?;
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

    fn path(&self) -> std::path::Display<'a> {
        self.located.source.path()
    }
}

fn widen<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32 + Sync) -> Vec<f32> {
    bytes.as_chunks::<N>().0.par_iter().with_min_len(1 << 16).map(|&bytes| value(bytes)).collect()
}
