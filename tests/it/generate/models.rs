//! Real models for the tests: bundles exported from the reference checkpoints with random weights.

use std::{fs, path::Path};

use lapidary::{
    base::Model,
    bundle::{Check, Dtype, ExportRequest, Precision, Quantize, export, open},
    generate::{Device, EngineSettings, OrtEngine, Runtime, Settings, Vocabulary},
};
use ndarray::{Array, Dimension, OwnedRepr};
use ndarray_npy::{NpzReader, ReadableElement};
use tempfile::TempDir;

/// An exported bundle in a folder of its own.
pub struct Exported {
    /// Its folder.
    pub folder: TempDir,
    /// Opened.
    pub model: Model,
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference")
}

/// The E2B-like reference model: 300 tokens, window 8, KV-shared layers, pictures and sound.
pub fn e2b_like(dtype: Dtype) -> Exported {
    e2b_like_quantized(dtype, Quantize::None)
}

/// The tiny model of this project, with its own tokenizer of 1024 tokens; its window is 64.
pub fn tiny() -> Exported {
    tiny_stored(Precision::default())
}

/// The same stored in any way.
pub fn tiny_stored(precision: Precision) -> Exported {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/reference/tiny");
    let out = folder.path().join("bundle");
    export(ExportRequest { checkpoint, out: out.clone(), precision }).unwrap();
    Exported { model: open(&out, Check::Full).unwrap(), folder }
}

/// The E2B-like model with quantised weights.
pub fn e2b_like_quantized(dtype: Dtype, quantize: Quantize) -> Exported {
    e2b_like_stored(Precision::uniform(dtype, quantize))
}

/// The same stored in any way.
pub fn e2b_like_stored(precision: Precision) -> Exported {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("e2b_like");
    fs::create_dir(&checkpoint).unwrap();
    fs::copy(fixtures().join("e2b_like.config.json"), checkpoint.join("config.json")).unwrap();
    fs::copy(fixtures().join("e2b_like.safetensors"), checkpoint.join("model.safetensors")).unwrap();
    fs::write(checkpoint.join("tokenizer.json"), "{}").unwrap();
    let out = folder.path().join("bundle");
    export(ExportRequest { checkpoint, out: out.clone(), precision }).unwrap();
    Exported { model: open(&out, Check::Full).unwrap(), folder }
}

/// An engine over the bundle.
pub fn engine(exported: &Exported, settings: &Settings) -> OrtEngine {
    let settings = EngineSettings { threads: 1, ..EngineSettings::new(settings, Device::Cpu) };
    OrtEngine::open(&Runtime::load().unwrap(), &exported.model, settings).unwrap()
}

/// Words for the 300 tokens of the E2B-like model; special where the model says so. Without an end token that a
/// random model is likely to choose: 299 ends.
pub fn vocabulary() -> Vocabulary {
    let word = |id: u32| match id {
        0..=4 | 290..=299 => {
            format!("\u{0}<special {id}>").into_bytes().into_iter().map(|b| if b == 0 { 0xff } else { b }).collect()
        }
        _ => format!("w{id} ").into_bytes(),
    };
    Vocabulary::from_words(&(0..300).map(word).collect::<Vec<Vec<u8>>>(), &[299]).unwrap()
}

/// An array of the reference outputs of transformers.
pub fn reference<A: ReadableElement, D: Dimension>(name: &str) -> Array<A, D> {
    let mut file = NpzReader::new(fs::File::open(fixtures().join("e2b_like.npz")).unwrap()).unwrap();
    file.by_name::<OwnedRepr<A>, D>(name).unwrap()
}
