//! The small random checkpoint, its encoders as ONNX graphs, and the values that transformers computes with them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use lapidary::bundle::{Checkpoint, Config, Dtype, Precision, Quantize, output::Output};
use ndarray::{Array, Array1, Array2, Array3, Dimension};
use ndarray_npy::{NpzReader, ReadableElement};
use ort::{
    session::{Session, SessionInputValue},
    value::Tensor,
};

use crate::onnx;

/// Reads one array of `fixtures/reference/FILE`.
pub fn reference<T: ReadableElement, D: Dimension>(file: &str, name: &str) -> Array<T, D> {
    let file = File::open(folder().join(file)).expect("the reference is there");
    NpzReader::new(file).expect("it is an archive").by_name(name).expect("it holds the array")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference")
}

/// A checkpoint in a folder of its own, and beside it what is exported from it.
pub struct Fixture {
    pub folder: tempfile::TempDir,
}

impl Fixture {
    /// The checkpoint as it is.
    pub fn whole() -> Self {
        Self::with(|config| config, |_| true)
    }

    /// The checkpoint with another configuration, and without the tensors that `keep` does not want.
    pub fn with(edit: impl Fn(String) -> String, keep: impl Fn(&str) -> bool) -> Self {
        let target = tempfile::tempdir().expect("a folder");
        let config = fs::read_to_string(folder().join("e2b_like.config.json")).expect("the configuration");
        fs::write(target.path().join("config.json"), edit(config)).expect("a copy");
        let bytes = fs::read(folder().join("e2b_like.safetensors")).expect("the weights");
        let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("they are sound").tensors();
        let kept = tensors.into_iter().filter(|(name, _)| keep(name));
        safetensors::serialize_to_file(kept, None, &target.path().join("model.safetensors")).expect("a copy");
        Self { folder: target }
    }

    pub fn config(&self) -> Config {
        Config::read(self.folder.path()).expect("the configuration is supported")
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::open(self.folder.path()).expect("the weights are readable")
    }

    pub fn vision(&self, dtype: Dtype) -> Encoder {
        self.vision_as(Precision::uniform(dtype, Quantize::None))
    }

    pub fn vision_as(&self, precision: Precision) -> Encoder {
        lapidary::bundle::towers::vision::write(
            &self.checkpoint(),
            &self.config(),
            precision,
            &Output::to(self.folder.path()),
        )
        .expect("the encoder is written");
        Encoder::open(&self.folder.path().join("onnx/vision_encoder.onnx"))
    }

    pub fn audio(&self, dtype: Dtype) -> Encoder {
        self.audio_as(Precision::uniform(dtype, Quantize::None))
    }

    pub fn audio_as(&self, precision: Precision) -> Encoder {
        lapidary::bundle::towers::audio::write(
            &self.checkpoint(),
            &self.config(),
            precision,
            &Output::to(self.folder.path()),
        )
        .expect("the encoder is written");
        Encoder::open(&self.folder.path().join("onnx/audio_encoder.onnx"))
    }
}

/// An encoder under ONNX Runtime.
pub struct Encoder {
    session: Session,
}

impl Encoder {
    fn open(path: &Path) -> Self {
        Self { session: onnx::session(path) }
    }

    /// Soft tokens of pictures.
    pub fn see(&mut self, pixels: &Array3<f32>, places: &Array3<i64>) -> Array2<f32> {
        self.run("image_features", vec![("pixel_values", tensor(pixels)), ("pixel_position_ids", tensor(places))])
    }

    /// Soft tokens of clips.
    pub fn hear(&mut self, features: &Array3<f32>, mask: &Array2<bool>) -> Array2<f32> {
        self.run("audio_features", vec![("input_features", tensor(features)), ("input_features_mask", tensor(mask))])
    }

    fn run(&mut self, output: &str, inputs: Vec<(&str, SessionInputValue<'_>)>) -> Array2<f32> {
        let outputs = self.session.run(inputs).expect("the graph runs");
        let (shape, data) = outputs[output].try_extract_tensor::<f32>().expect("features are f32");
        Array2::from_shape_vec((shape[0] as usize, shape[1] as usize), data.to_vec()).expect("two axes")
    }
}

fn tensor<T, D>(array: &Array<T, D>) -> SessionInputValue<'static>
where
    T: ort::value::PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
    D: Dimension,
{
    let data: Vec<T> = array.iter().cloned().collect();
    Tensor::from_array((array.shape().to_vec(), data)).expect("a tensor").into()
}

/// The largest difference between two arrays of one shape.
pub fn distance(one: &Array2<f32>, other: &Array2<f32>) -> f32 {
    assert_eq!(one.shape(), other.shape());
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}

/// The largest absolute value.
pub fn magnitude(array: &Array2<f32>) -> f32 {
    array.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// A mask that is stored as u8.
pub fn mask(stored: &Array2<u8>) -> Array2<bool> {
    stored.mapv(|value| value != 0)
}

/// How many entries of one row are set.
pub fn count(row: &Array1<bool>) -> usize {
    row.iter().filter(|&&set| set).count()
}
