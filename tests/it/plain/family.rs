//! The tiny checkpoints of the family's four shapes, with what transformers makes of them (fixtures/family).

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use lapidary::{
    base::{ImagePatches, LogMel, Prompt},
    bundle::{Dtype, ExportRequest, Quantize, export},
};
use ndarray::{Array, Array2, Array3, Axis, Dimension, OwnedRepr, s};
use ndarray_npy::{NpzReader, ReadableElement};

/// All of them.
pub const SHAPES: [&str; 4] = ["e2b", "e4b", "26b-a4b", "31b"];

/// One checkpoint, by the name of its folder.
#[derive(Debug, Clone, Copy)]
pub struct Member(pub &'static str);

impl Member {
    /// Its folder.
    pub fn folder(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/family").join(self.0)
    }

    /// An input, or a result of transformers.
    pub fn vector<A: ReadableElement, D: Dimension>(self, name: &str) -> Array<A, D> {
        self.optional_vector(name).unwrap_or_else(|| panic!("{}: vectors.npz holds no {name}", self.0))
    }

    /// The same, where the model has it.
    pub fn optional_vector<A: ReadableElement, D: Dimension>(self, name: &str) -> Option<Array<A, D>> {
        let mut file = NpzReader::new(File::open(self.folder().join("vectors.npz")).unwrap()).unwrap();
        file.by_name::<OwnedRepr<A>, D>(name).ok()
    }

    /// The reference prompt: text, two pictures, and a clip where the model hears.
    pub fn prompt(self) -> Prompt {
        let ids: Array2<i64> = self.vector("input_ids");
        Prompt {
            tokens: ids.iter().map(|&id| id as u32).collect(),
            images: self.pictures(),
            clips: self.clips(),
            ..Prompt::default()
        }
    }

    fn pictures(self) -> Vec<ImagePatches> {
        let (pixels, places): (Array3<f32>, Array3<i64>) =
            (self.vector("pixel_values"), self.vector("pixel_position_ids"));
        let picture = |index: usize| {
            let real = places.index_axis(Axis(0), index).rows().into_iter().filter(|place| place[0] >= 0).count();
            ImagePatches {
                pixels: pixels.slice(s![index, ..real, ..]).to_owned(),
                positions: places.slice(s![index, ..real, ..]).to_owned(),
                soft_tokens: real / 9,
            }
        };
        (0..pixels.dim().0).map(picture).collect()
    }

    fn clips(self) -> Vec<LogMel> {
        let Some(features) = self.optional_vector::<f32, ndarray::Ix3>("input_features") else { return Vec::new() };
        let mask: Array2<u8> = self.vector("input_features_mask");
        let mask: Vec<bool> = mask.iter().map(|&valid| valid != 0).collect();
        let soft_tokens = mask.iter().step_by(4).filter(|valid| **valid).count();
        vec![LogMel { features: features.slice(s![0, .., ..]).to_owned(), mask, soft_tokens }]
    }

    /// Exports it to `BESIDE/bundle`, with an empty tokenizer.
    pub fn export(self, beside: &Path, dtype: Dtype, quantize: Quantize) -> PathBuf {
        let (checkpoint, out) = (beside.join(self.0), beside.join("bundle"));
        fs::create_dir(&checkpoint).unwrap();
        for name in ["config.json", "model.safetensors"] {
            fs::copy(self.folder().join(name), checkpoint.join(name)).unwrap();
        }
        fs::write(checkpoint.join("tokenizer.json"), "{}").unwrap();
        export(ExportRequest { checkpoint, out: out.clone(), dtype, quantize }).unwrap();
        out
    }
}
