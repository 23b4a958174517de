//! One model of the family, small and random: its checkpoint, what transformers makes of a prompt, and exported bundles.

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use lapidary::{
    base::{ImagePatches, LogMel, Model, Prompt},
    bundle::{Check, Dtype, ExportRequest, Precision, Quantize, export, open},
    generate::{Device, EngineSettings, OrtEngine, Runtime, Settings},
};
use ndarray::{Array1, Array2, Array3, Axis, Dimension, OwnedRepr, s};
use ndarray_npy::{NpzReader, ReadableElement};
use safetensors::tensor::TensorView;

/// The shapes of E2B, E4B, 26B-A4B and 31B.
pub const MEMBERS: [&str; 4] = ["e2b", "e4b", "26b-a4b", "31b"];

/// Those that see pictures in both directions.
pub const BIDIRECTIONAL: [&str; 2] = ["26b-a4b", "31b"];

/// A member by name.
#[derive(Clone, Copy)]
pub struct Member(pub &'static str);

/// A bundle in a folder of its own.
pub struct Exported {
    pub folder: tempfile::TempDir,
    pub model: Model,
}

impl Member {
    /// Its checkpoint, without a tokenizer.
    pub fn fixture(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/family").join(self.0)
    }

    /// Copies the checkpoint, with a stand-in for the tokenizer, and exports it.
    pub fn export(self, dtype: Dtype, quantize: Quantize) -> Exported {
        self.export_as(Precision::uniform(dtype, quantize))
    }

    /// The same with a format for each part.
    pub fn export_as(self, precision: Precision) -> Exported {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join(self.0);
        fs::create_dir(&checkpoint).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(self.fixture().join(file), checkpoint.join(file)).unwrap();
        }
        fs::write(checkpoint.join("tokenizer.json"), "{}").unwrap();
        let out = folder.path().join("bundle");
        export(ExportRequest { checkpoint, out: out.clone(), precision }).unwrap();
        Exported { model: open(&out, Check::Full).unwrap(), folder }
    }

    /// Is there an array of that name?
    pub fn has(self, name: &str) -> bool {
        let mut file = NpzReader::new(File::open(self.fixture().join("vectors.npz")).unwrap()).unwrap();
        file.names().unwrap().iter().any(|found| found.trim_end_matches(".npy") == name)
    }

    /// An array that transformers was given or has made.
    pub fn vector<A: ReadableElement, D: Dimension>(self, name: &str) -> ndarray::Array<A, D> {
        let mut file = NpzReader::new(File::open(self.fixture().join("vectors.npz")).unwrap()).unwrap();
        file.by_name::<OwnedRepr<A>, D>(name).unwrap()
    }

    /// The 24 tokens that transformers chooses.
    pub fn greedy(self) -> Vec<i64> {
        self.vector::<i64, ndarray::Ix1>("greedy").to_vec()
    }

    /// The prompt that transformers was given: text, a picture of 4 x 3 soft tokens, one of 2 x 2, and a clip.
    pub fn prompt(self) -> Prompt {
        let ids: Array2<i64> = self.vector("input_ids");
        Prompt {
            tokens: ids.iter().map(|id| *id as u32).collect(),
            images: self.images(),
            clips: self.clips(),
            budget: 70,
            ..Prompt::default()
        }
    }

    fn images(self) -> Vec<ImagePatches> {
        let (pixels, places): (Array3<f32>, Array3<i64>) =
            (self.vector("pixel_values"), self.vector("pixel_position_ids"));
        let picture = |index: usize| {
            let places = places.index_axis(Axis(0), index);
            let real = places.rows().into_iter().filter(|place| place[0] >= 0).count();
            ImagePatches {
                pixels: pixels.slice(s![index, ..real, ..]).to_owned(),
                positions: places.slice(s![..real, ..]).to_owned(),
                soft_tokens: real / 9,
            }
        };
        (0..pixels.len_of(Axis(0))).map(picture).collect()
    }

    fn clips(self) -> Vec<LogMel> {
        if !self.has("input_features") {
            return Vec::new();
        }
        let features: Array3<f32> = self.vector("input_features");
        let mask: Array2<u8> = self.vector("input_features_mask");
        let soft_tokens = self.vector::<f32, ndarray::Ix2>("audio_features").nrows();
        let mask: Vec<bool> = mask.iter().map(|valid| *valid != 0).collect();
        vec![LogMel { features: features.index_axis_move(Axis(0), 0), mask, soft_tokens }]
    }

    /// Writes the inputs as `lapidary model eval` reads them.
    pub fn write_inputs(self, path: &Path) {
        let mut tensors = vec![("input_ids", safetensors::Dtype::I64, self.bytes::<i64, ndarray::Ix2>("input_ids"))];
        tensors.push(("pixel_values", safetensors::Dtype::F32, self.bytes::<f32, ndarray::Ix3>("pixel_values")));
        let places = self.bytes::<i64, ndarray::Ix3>("pixel_position_ids");
        tensors.push(("pixel_position_ids", safetensors::Dtype::I64, places));
        if self.has("input_features") {
            let features = self.bytes::<f32, ndarray::Ix3>("input_features");
            tensors.push(("input_features", safetensors::Dtype::F32, features));
            let mask = self.bytes::<u8, ndarray::Ix2>("input_features_mask");
            tensors.push(("input_features_mask", safetensors::Dtype::U8, mask));
        }
        let views: HashMap<&str, TensorView> = tensors
            .iter()
            .map(|(name, dtype, (shape, data))| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()))
            .collect();
        fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    fn bytes<A: ReadableElement + Bytes, D: Dimension>(self, name: &str) -> (Vec<usize>, Vec<u8>) {
        let array: ndarray::Array<A, D> = self.vector(name);
        (array.shape().to_vec(), array.iter().flat_map(Bytes::bytes).collect())
    }
}

trait Bytes {
    fn bytes(&self) -> Vec<u8>;
}

impl Bytes for f32 {
    fn bytes(&self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

impl Bytes for i64 {
    fn bytes(&self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

impl Bytes for u8 {
    fn bytes(&self) -> Vec<u8> {
        vec![*self]
    }
}

/// An engine on one thread.
pub fn engine(exported: &Exported, settings: &Settings) -> OrtEngine {
    let settings = EngineSettings { threads: 1, ..EngineSettings::new(settings, Device::Cpu) };
    OrtEngine::open(&Runtime::load().unwrap(), &exported.model, settings).unwrap()
}

/// The place of the largest score.
pub fn highest(scores: &[f32]) -> usize {
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
}

/// Arrays read out of a file of `lapidary model eval`.
pub fn read_eval(path: &Path) -> (Array2<f32>, Array1<i64>) {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let logits = file.tensor("logits").unwrap();
    let values = logits.data().as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
    let shape = (logits.shape()[0], logits.shape()[1]);
    let greedy = file.tensor("greedy").unwrap();
    let tokens = greedy.data().as_chunks().0.iter().map(|&eight| i64::from_le_bytes(eight)).collect();
    (Array2::from_shape_vec(shape, values).unwrap(), tokens)
}
