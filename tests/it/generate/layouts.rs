//! Models in the layouts of other exporters: graphs of the E2B-like checkpoint that `onnx/reference/make_layouts.py` and
//! mobius wrote (fixtures/layouts), our own under other names, and what transformers makes of that checkpoint.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lapidary::{
    base::{ImagePatches, LogMel, Model, Prompt},
    bundle::{Check, Dtype, ExportRequest, Quantize, export, open},
    generate::{Device, EngineSettings, OrtEngine, Runtime, Settings},
};
use ndarray::{Array, Array2, Array3, Axis, Dimension, OwnedRepr, s};
use ndarray_npy::{NpzReader, ReadableElement};
use tempfile::TempDir;

/// A folder that holds a model.
pub struct Folder {
    place: TempDir,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

impl Folder {
    fn empty(shape: &str) -> Self {
        let folder = Self { place: tempfile::tempdir().unwrap() };
        fs::copy(fixture("family").join(shape).join("config.json"), folder.file("config.json")).unwrap();
        fs::write(folder.file("tokenizer.json"), "{}").unwrap();
        folder
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The path of one of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The path with a variant.
    pub fn variant(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}#{name}", self.path().display()))
    }

    /// Opened.
    pub fn model(&self) -> Model {
        open(self.path(), Check::Full).unwrap()
    }
}

/// Our own graphs of a checkpoint of the family, in the onnx-community layout with a suffix.
pub fn own(shape: &str, dtype: Dtype, suffix: &str) -> Folder {
    let folder = Folder::empty(shape);
    let graphs = folder.file("onnx");
    fs::rename(exported(shape, dtype, folder.path()).join("onnx"), &graphs).unwrap();
    for name in ["embed_tokens", "decoder_model_merged", "vision_encoder", "audio_encoder"] {
        fs::rename(graphs.join(format!("{name}.onnx")), graphs.join(format!("{name}{suffix}.onnx"))).unwrap();
    }
    folder
}

/// The foreign decoder that cannot share buffers, as `suffix`, with our own embeddings and encoders as f32.
pub fn community(suffix: &str) -> Folder {
    let folder = own("e2b", Dtype::F32, "");
    let graphs = folder.file("onnx");
    fs::remove_file(graphs.join("decoder_model_merged.onnx")).unwrap();
    let decoder = format!("decoder_model_merged{suffix}.onnx");
    for name in [decoder.as_str(), "decoder_model_merged.onnx_data", "decoder_model_merged.onnx_data_1"] {
        fs::copy(fixture("layouts/community/onnx").join(name), graphs.join(name)).unwrap();
    }
    folder
}

/// The package of mobius.
pub fn mobius() -> Folder {
    let folder = Folder::empty("e2b");
    for role in ["decoder", "embedding", "vision_encoder", "audio_encoder"] {
        fs::create_dir(folder.file(role)).unwrap();
        for name in ["model.onnx", "model.onnx.data"] {
            let name = format!("{role}/{name}");
            fs::copy(fixture("layouts/mobius").join(&name), folder.file(&name)).unwrap();
        }
    }
    folder
}

/// A bundle of a checkpoint of the family.
pub fn bundle(shape: &str) -> (Folder, Model) {
    let folder = Folder::empty(shape);
    let model = open(&exported(shape, Dtype::F32, folder.path()), Check::Full).unwrap();
    (folder, model)
}

fn exported(shape: &str, dtype: Dtype, place: &Path) -> PathBuf {
    let checkpoint = place.join("checkpoint");
    fs::create_dir(&checkpoint).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(fixture("family").join(shape).join(name), checkpoint.join(name)).unwrap();
    }
    fs::write(checkpoint.join("tokenizer.json"), "{}").unwrap();
    let out = place.join("bundle");
    export(ExportRequest { checkpoint, out: out.clone(), dtype, quantize: Quantize::None }).unwrap();
    out
}

/// An engine over a model.
pub fn engine(model: &Model, settings: &Settings) -> OrtEngine {
    let settings = EngineSettings { threads: 1, ..EngineSettings::new(settings, Device::Cpu) };
    OrtEngine::open(&Runtime::load().unwrap(), model, settings).unwrap_or_else(|fatal| panic!("{}", fatal.message))
}

/// An array of what transformers makes of the family's reference prompt.
pub fn vectors<A: ReadableElement, D: Dimension>(shape: &str, name: &str) -> Array<A, D> {
    let path = fixture("family").join(shape).join("vectors.npz");
    NpzReader::new(fs::File::open(path).unwrap()).unwrap().by_name::<OwnedRepr<A>, D>(name).unwrap()
}

/// The reference prompt: two pictures, one clip and text, longer than the sliding window.
pub fn prompt(shape: &str) -> Prompt {
    let ids: Array2<i64> = vectors(shape, "input_ids");
    let (pixels, places): (Array3<f32>, Array3<i64>) =
        (vectors(shape, "pixel_values"), vectors(shape, "pixel_position_ids"));
    let picture = |(pixels, places): (ndarray::ArrayView2<f32>, ndarray::ArrayView2<i64>)| {
        let real = places.rows().into_iter().filter(|place| place[0] >= 0).count();
        ImagePatches {
            pixels: pixels.slice(s![..real, ..]).to_owned(),
            positions: places.slice(s![..real, ..]).to_owned(),
            soft_tokens: real / 9,
        }
    };
    let features: Array3<f32> = vectors(shape, "input_features");
    let mask: Array2<u8> = vectors(shape, "input_features_mask");
    let audio: Array2<f32> = vectors(shape, "audio_features");
    Prompt {
        tokens: ids.iter().map(|id| *id as u32).collect(),
        images: pixels.axis_iter(Axis(0)).zip(places.axis_iter(Axis(0))).map(picture).collect(),
        clips: vec![LogMel {
            features: features.slice(s![0, .., ..]).to_owned(),
            mask: mask.iter().map(|valid| *valid != 0).collect(),
            soft_tokens: audio.nrows(),
        }],
        budget: 70,
        text: None,
        encode_micros: 0,
    }
}
